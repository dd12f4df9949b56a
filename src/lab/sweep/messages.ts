/** @file What a sweep and the process of one run say to each other. */
import type { Progress } from '../context.ts'
import type { RunOrder } from './executor.ts'

/** To the run's process. */
export type ToChild = { readonly kind: 'order'; readonly order: RunOrder } | { readonly kind: 'interrupt' }

/** From the run's process; the last one says how it ended. */
export type FromChild =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'log'; readonly line: string }
  | { readonly kind: 'finished' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'busy'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string }
