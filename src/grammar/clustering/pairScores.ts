/** @file How well a partition agrees with the true one, pair by pair. */
import { fail } from '../../base/index.ts'

/** Agreement of two partitions over all pairs of items. */
export interface PairScores {
  /** Rand index with chance taken out: 1 for equal partitions, 0 on average for unrelated ones (Hubert & Arabie 1985). */
  readonly adjustedRand: number
  /** Of the pairs that belong together, the share that was put together; 1 when there are none. */
  readonly recall: number
  /** Of the pairs that were put together, the share that belongs together; 1 when there are none. */
  readonly precision: number
  /** Share of all pairs treated rightly (Rand index). */
  readonly rand: number
}

const pairs = (n: number): number => (n * (n - 1)) / 2

/**
 * Compare `found` with `truth` (labels of the same items, any non-negative integers). An item found with a negative label
 * was not classified and counts as a cluster of its own. Throws TL_BAD_ARGUMENT for lists of different lengths.
 */
export function pairScores(found: ArrayLike<number>, truth: ArrayLike<number>): PairScores {
  const n = truth.length
  if (found.length !== n)
    fail('TL_BAD_ARGUMENT', `pairScores: expected ${n} labels as in the truth, got ${found.length}`)
  const inFound = new Map<number, number>()
  const inTruth = new Map<number, number>()
  const inBoth = new Map<number, number>()
  let wide = 1
  for (let i = 0; i < n; i++) wide = Math.max(wide, truth[i]! + 1)
  const count = (map: Map<number, number>, label: number) => map.set(label, (map.get(label) ?? 0) + 1)
  for (let i = 0; i < n; i++) {
    count(inTruth, truth[i]!)
    if (found[i]! < 0) continue
    count(inFound, found[i]!)
    count(inBoth, found[i]! * wide + truth[i]!)
  }
  const together = (map: Map<number, number>): number =>
    [...map.values()].reduce((sum, c) => sum + pairs(c), 0)
  const [both, guessed, meant, all] = [together(inBoth), together(inFound), together(inTruth), pairs(n)]
  const chance = all > 0 ? (guessed * meant) / all : 0
  const most = (guessed + meant) / 2
  return {
    // two partitions that cannot differ (all together, or all apart) agree
    adjustedRand: most === chance ? 1 : (both - chance) / (most - chance),
    recall: meant > 0 ? both / meant : 1,
    precision: guessed > 0 ? both / guessed : 1,
    rand: all > 0 ? (all - guessed - meant + 2 * both) / all : 1,
  }
}
