/** @file Checkpoints: safetensors, read lazily or whole, written atomically. */
export { type Checkpoint, type CheckpointTensor, elements, plainTensor, rangeEnd } from './checkpoint.ts'
export {
  type ConvertibleDtype,
  convertibleDtypes,
  decodeF32,
  elementBytes,
  encodeF32,
  isConvertible,
  roundHalfEven,
} from './convertDtype.ts'
export { type ArrayOf, type StoredArray, type StoredDtype, storedBytes, storedDtypes } from './dtypes.ts'
export type { SafetensorsHeader, TensorEntry } from './header.ts'
export {
  openSafetensors,
  parseSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsFile,
  type StoredTensor,
  type StoredTensors,
} from './read.ts'
export { encodeSafetensors, type TensorsToWrite, type TensorToWrite, writeSafetensors } from './write.ts'
