/** @file All trees of a small grammar. */
import { fail } from '../base/index.ts'
import type { Grammar, Trees } from './grammar.ts'
import { treeCount, unrankSmall } from './rank.ts'

/** The largest grammar that is enumerated unless told otherwise. */
const usualLimit = 2 ** 20

/**
 * Every tree of a grammar once, in the order of `rank`. Throws TL_BAD_ARGUMENT when there are more than `limit`: sample
 * instead.
 */
export function enumerate(grammar: Grammar, limit: number = usualLimit): Trees {
  const total = treeCount(grammar)
  if (total > BigInt(limit))
    fail(
      'TL_BAD_ARGUMENT',
      `enumerate: expected a grammar of at most ${limit} strings, this one has ${showCount(total)}; sample it instead`,
    )
  return unrankSmall(
    grammar,
    Array.from({ length: Number(total) }, (_, i) => i),
  )
}

/** A count for people: all its digits while they are few, `1.7e10` beyond. */
export function showCount(count: bigint): string {
  if (count < 10n ** 9n) return String(count)
  // a few leading bits are enough for two digits, and a million bits never become decimal
  const bits = count.toString(16).length * 4
  const shift = Math.max(0, bits - 64)
  const log10 = Math.log10(Number(count >> BigInt(shift))) + shift * Math.log10(2)
  const exponent = Math.floor(log10)
  return `${(10 ** (log10 - exponent)).toFixed(1)}e${exponent}`.replace(
    /^10\.0e(\d+)/,
    (_, e: string) => `1.0e${Number(e) + 1}`,
  )
}
