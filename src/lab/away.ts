/** @file Measurements that are made elsewhere than on threads of this process. */

/** Who listens. */
interface AwayListeners {
  readonly signal: AbortSignal
  /** What came of an order, in any order. */
  readonly onResult: (result: unknown, index: number, order: never) => void
  /** A share that is done, 0 … 1, and a detail. */
  readonly onReport: (news: unknown, index: number, order: never) => void
}

/**
 * Have all orders of a study (`Order` in `study/measure.ts`) done; resolves when all are. Throws what an order threw,
 * TL_INTERRUPTED when the signal is aborted.
 */
export type Away = (orders: readonly unknown[], listeners: AwayListeners) => Promise<void>
