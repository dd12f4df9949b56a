/** @file Task vectors as files (Ilharco et al. 2023, arXiv 2212.04089). */
export { type ApplyOptions, applyVector } from './apply.ts'
export { type Term, type VectorDtype, type VectorOptions, vectorDtypes, writeVector } from './combine.ts'
export { type Norms, type VectorNorms, vectorCosines, vectorNorms } from './measure.ts'
export {
  differenceOf,
  openVector,
  type TaskVector,
  tensorMark,
  type VectorTensor,
  vectorFormat,
} from './source.ts'
