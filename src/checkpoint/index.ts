/** @file Checkpoints: every weight format behind one door, read lazily, written atomically, converted with one rounding. */

export {
  type Adapter,
  type AdapterChange,
  adapterChanges,
  deltaElements,
  isAdapterFolder,
  type LowRankDelta,
  openAdapter,
} from './adapter/index.ts'
export {
  type Checkpoint,
  type CheckpointTensor,
  elements,
  plainTensor,
  rangeEnd,
  type TensorPlace,
} from './checkpoint.ts'
export {
  type Converted,
  type ConvertOptions,
  convertCheckpoint,
  converting,
  copyCompanions,
} from './convert.ts'
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
export {
  encodeGguf,
  type GgufField,
  type GgufFile,
  type GgufMetadata,
  type GgufTensor,
  isGguf,
  openGguf,
  parseGguf,
  writeGguf,
} from './gguf/index.ts'
export type { SafetensorsHeader, TensorEntry } from './header.ts'
export { indexOf, layOut, type Placeable, type Shard, type Slot, storedSize } from './layout.ts'
export { companionsOf, type ModelPlace, modelPaths, openCheckpoint, resolveModel } from './model.ts'
export { fileMarks, fingerprint, inputFiles, isModelFile } from './modelFolder.ts'
export { alignedNames, embeddings, isDerived, isHead, tiedTo } from './names.ts'
export { type TensorNorms, tensorNorms, tensorNormsSteps } from './norms.ts'
export { openNpy, openNpz } from './npy.ts'
export { openPlaces, type Places, type StoredAt } from './places.ts'
export { openPytorch, parsePytorch } from './pytorch/index.ts'
export {
  openSafetensors,
  parseSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsFile,
  type StoredTensor,
  type StoredTensors,
} from './read.ts'
export {
  openSafetensorsCheckpoint,
  openShards,
  readShardIndex,
  type ShardIndex,
} from './safetensorsCheckpoint.ts'
export { type ShardData, type ShardedWriter, type ShardedWriterOptions, shardedWriter } from './sharded.ts'
export { besideWeights, finished, openUnfinished, type Unfinished } from './unfinished.ts'
export {
  encodeSafetensors,
  safetensorsChunks,
  type TensorsToWrite,
  type TensorToWrite,
  writeSafetensors,
} from './write.ts'
export {
  type ModelContent,
  type ModelFolderWork,
  type TensorOfModel,
  type WrittenModel,
  writingModel,
} from './writeModel.ts'
