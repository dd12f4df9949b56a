/** @file GGUF files: opened lazily, decoded by element range, written atomically. */
export type { GgufField, GgufNumber, GgufNumbers } from './fields.ts'
export { type GgufFile, openGguf, parseGguf } from './read.ts'
export { type GgufType, ggufTypes } from './types.ts'
export { encodeGguf, type GgufMetadata, type GgufTensor, writeGguf } from './write.ts'
