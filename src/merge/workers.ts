/**
 * @file Threads for merges. In a file of its own, which loads next to nothing: a program can start them first, and they load
 * what they need while it reads the configuration and plans.
 */
import { availableParallelism } from 'node:os'
import { openWorkers, type Workers } from '../base/workers.ts'

/** The task, compiled or, in tests, a source as this module is: it is not imported here. */
const module = new URL(`./execute/work${import.meta.url.slice(-3)}`, import.meta.url).href

/** More threads than this wait for memory and disk. */
const most = 8

/**
 * Threads that are ready for the pieces of a merge (default: all cores, at most 8); the calling thread is one of them.
 * `close()` ends the others.
 */
export const openMergeWorkers = (threads = Math.min(most, availableParallelism())): Workers =>
  openWorkers(threads, {
    readyFor: { module, name: 'mergeItem' },
    takesPart: true,
  })
