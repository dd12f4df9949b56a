/** @file Checkpoints: safetensors, read lazily or whole, written atomically. */
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
