/** @file Small grammars by enumeration: distributions over all strings, and whether samples follow them. */
import { enumerate, type Grammar, makeGrammar } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

/** 24 strings of 4 leaves. */
export const smallGrammar = (seed = 3): Grammar =>
  makeGrammar({ v: 3, classes: 3, m: 2, s: 2, L: 2 }, random.key(seed))

/** All strings of a grammar, each its leaves. */
export function allStrings(grammar: Grammar): Int32Array[] {
  const { count, levels } = enumerate(grammar)
  const leaves = levels[grammar.L]!
  return Array.from({ length: count }, (_, i) => leaves.subarray(i * grammar.d, (i + 1) * grammar.d))
}

/** Posterior over strings given likelihoods of the leaves [d, v], by summing over them all. */
export function posteriorOver(
  strings: readonly Int32Array[],
  likelihood: ArrayLike<number>,
  v: number,
): number[] {
  const weights = strings.map((leaves) =>
    leaves.reduce((product, leaf, i) => product * likelihood[i * v + leaf]!, 1),
  )
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}

/** How often each string occurs among samples [n, d]; the last entry counts those that are none of them. */
export function countStrings(
  strings: readonly Int32Array[],
  samples: ArrayLike<number>,
  d: number,
): number[] {
  const place = new Map(strings.map((leaves, i) => [leaves.join(), i]))
  const counts = new Array<number>(strings.length + 1).fill(0)
  for (let at = 0; at < samples.length; at += d) {
    const word = Array.from({ length: d }, (_, i) => samples[at + i]).join()
    counts[place.get(word) ?? strings.length]!++
  }
  return counts
}

/** Standard deviations by which Pearson's χ² of counts exceeds what the probabilities would give. */
export function excess(counts: readonly number[], probabilities: readonly number[]): number {
  const n = counts.reduce((a, b) => a + b, 0)
  let [statistic, freedom, rare, rareExpected] = [0, -1, 0, 0]
  for (const [i, p] of probabilities.entries()) {
    if (n * p < 5) {
      rare += counts[i]!
      rareExpected += n * p
      continue
    }
    statistic += (counts[i]! - n * p) ** 2 / (n * p)
    freedom++
  }
  if (rareExpected >= 5) {
    statistic += (rare - rareExpected) ** 2 / rareExpected
    freedom++
  } else if (rare > rareExpected + 5 * Math.sqrt(rareExpected) + 5) return Number.POSITIVE_INFINITY
  return (statistic - freedom) / Math.sqrt(2 * Math.max(1, freedom))
}

/** The same for two lists of counts that should come from one distribution. */
export function excessBetween(a: readonly number[], b: readonly number[]): number {
  const [n, m] = [a, b].map((counts) => counts.reduce((x, y) => x + y, 0)) as [number, number]
  let [statistic, freedom] = [0, -1]
  for (const [i, x] of a.entries()) {
    const y = b[i]!
    if (x + y === 0) continue
    statistic += (x * Math.sqrt(m / n) - y * Math.sqrt(n / m)) ** 2 / (x + y)
    freedom++
  }
  return (statistic - freedom) / Math.sqrt(2 * freedom)
}

/** `count` copies of a row. */
export function repeat<T extends Int32Array | Float64Array>(row: T, count: number): T {
  const out = (
    row instanceof Int32Array ? new Int32Array(row.length * count) : new Float64Array(row.length * count)
  ) as T
  for (let i = 0; i < count; i++) out.set(row, i * row.length)
  return out
}
