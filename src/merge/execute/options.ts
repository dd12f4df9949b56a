/** @file How to merge. */
import type { Workers } from '../../base/workers.ts'

/** How to merge. */
export interface MergeOptions {
  readonly threads?: number
  /** Threads that are there already (`openMergeWorkers`), in place of `threads` new ones; they stay open. */
  readonly workers?: Workers
  readonly seed?: number
  readonly lenient?: boolean
  /**
   * float32 (default): everything in f32, rounded once. dtype: every result is rounded to `dtype` of the configuration
   * (bfloat16 or float16; without one, to the type of the inputs), as mergekit computes.
   */
  readonly arithmetic?: 'float32' | 'dtype'
  /** Bytes of data in each file of the output. Default 5 GB. */
  readonly shardSize?: number
  /** Replace the model that is there. Never an input. */
  readonly force?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { done: number; total: number; phase: 'measure' | 'merge' }) => void
}
