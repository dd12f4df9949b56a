/**
 * @file The names of merging under `treeline/edit`, where they were before merging had a room of its own.
 * @deprecated since 0.1: import them from `treeline/merge`. `treeline/edit` drops them in 0.2.
 */
export * from '../merge/index.ts'
