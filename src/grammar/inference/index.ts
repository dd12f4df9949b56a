/** @file Exact inference on the tree, for any product of leaf likelihoods. */
export { marginals } from './down.ts'
export type { Floats, Level } from './level.ts'
export { samplePosterior } from './sample.ts'
export { inferUp, type Upward } from './up.ts'
