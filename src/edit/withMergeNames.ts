/**
 * @file `treeline/edit` until 0.2: the room, and the names of merging, which were here before merging had a room of its own.
 * In a file of its own, for an editor starts faster without them.
 * @deprecated since 0.1: import the names of merging from `treeline/merge`. 0.2 drops this file.
 */
export * from '../merge/index.ts'
export * from './index.ts'
