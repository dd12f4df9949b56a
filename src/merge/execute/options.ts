/** @file How to merge. */
import type { Workers } from '../../base/workers.ts'
import type { Manifest, MergeSettings } from './manifestFormat.ts'

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
  /** Write `treeline-merge.json` beside the model, which takes a look at all files. Default true. */
  readonly manifest?: boolean
  /** The manifest that this merge repeats: its inputs were checked, its output must be the same. */
  readonly replay?: Manifest
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: {
    done: number
    total: number
    phase: 'measure' | 'merge' | 'hash'
  }) => void
}

/** Defaults of the options that decide bytes. */
export const settingsOf = ({
  seed = 0,
  lenient = false,
  shardSize = 5e9,
  arithmetic = 'float32',
}: MergeOptions): MergeSettings => ({ seed, lenient, shardSize, arithmetic })
