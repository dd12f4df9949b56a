/** @file Task vectors as files (Ilharco et al. 2023, arXiv 2212.04089). */
export { applyVector } from './apply.ts'
export { type Term, type VectorDtype, vectorDtypes, writeVector } from './combine.ts'
export { type Norms, type VectorNorms, vectorCosines, vectorNorms } from './measure.ts'
export {
  differenceOf,
  openVector,
  type TaskVector,
  tensorMark,
  type VectorTensor,
  vectorFormat,
} from './source.ts'
