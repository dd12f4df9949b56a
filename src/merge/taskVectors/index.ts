/** @file Task vectors as files (Ilharco et al. 2023, arXiv 2212.04089). */
export { type Applied, type ApplyOptions, applying, applyVector } from './apply.ts'
export {
  type Term,
  type VectorDtype,
  type VectorOptions,
  vectorDtypes,
  type WrittenVector,
  writeVector,
  writingVector,
} from './combine.ts'
export {
  type Norms,
  type VectorNorms,
  vectorCosines,
  vectorCosinesSteps,
  vectorNorms,
  vectorNormsSteps,
} from './measure.ts'
export {
  differenceOf,
  type OnTensor,
  openVector,
  type TaskVector,
  tensorMark,
  type VectorTensor,
  vectorFormat,
} from './source.ts'
