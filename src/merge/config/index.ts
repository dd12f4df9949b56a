/** @file Merge configurations: reading mergekit's YAML strictly, and resolving parameters for one tensor. */
export { parseMergeConfig, type ReadConfig, type ReadOptions, readMergeConfig } from './read.ts'
export { atDepth, parametersFor, valueFor } from './resolve.ts'
export { mergeConfigSchema } from './schema.ts'
export { isSkippedBy, type SkipPattern } from './skip.ts'
export * from './types.ts'
