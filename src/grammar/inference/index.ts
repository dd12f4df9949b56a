/** @file Exact inference on the tree, for any product of leaf likelihoods. */
export { type Answer, infer, inferInWorkers, type Question } from './answer.ts'
export { marginals } from './down.ts'
export type { Floats, Level } from './level.ts'
export { type MapTrees, mapTree } from './map.ts'
export { samplePosterior } from './sample.ts'
export { inferUp, type Upward } from './up.ts'
export { exactCrossEntropy, lastToken } from './window.ts'
