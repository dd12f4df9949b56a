/** @file GGUF files: opened lazily, decoded by element range, written atomically. */
export type { GgufField, GgufNumber, GgufNumbers } from './fields.ts'
export { type GgufFile, isGguf, parseGguf } from './read.ts'
export { areParts, openGguf } from './split.ts'
export { type GgufType, ggufTypes } from './types.ts'
export { encodeGguf, type GgufMetadata, type GgufTensor, ggufChunks, writeGguf } from './write.ts'
