/** @file Distinct strings: uniform without replacement, and disjoint sets for training and testing. */
import { fail, finish, type Steps } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { enumerate, showCount } from './enumerate.ts'
import { type Grammar, internalNodes, type Trees } from './grammar.ts'
import { logProbability, possibleTrees } from './probability.ts'
import { treeCount, unrankSmall } from './rank.ts'
import { emptyTrees, inBlocks, sampleTrees } from './sample.ts'
import { shuffling } from './shuffle.ts'

/** Entries a JavaScript Map or Set can hold. */
const maxDistinct = 2 ** 24 - 1
/** Symbols of all levels of one batch: 4 GB. */
const maxSymbols = 2 ** 30
/** Grammars up to this many trees are shuffled by number; beyond, equal draws are rare and are drawn again. */
const maxShuffled = 2 ** 32
/** Grammars up to this many trees are ranked whole when their probabilities are not uniform. */
const maxRanked = 2 ** 20

/**
 * `count` distinct strings, drawn one after the other without replacement: each next string has the grammar's distribution
 * restricted to those not yet drawn. With uniform productions that is a uniformly random ordered subset of the P_max
 * strings. With probabilities likely strings come first, and a large share of all strings is no longer distributed as the
 * grammar. The first strings are the same whatever the count. Throws TL_BAD_ARGUMENT when there are fewer strings.
 */
export const sampleDistinct = (grammar: Grammar, key: random.Key, count: number): Trees =>
  finish(samplingDistinct(grammar, key, count))

/** The same in steps. */
export function* samplingDistinct(grammar: Grammar, key: random.Key, count: number): Steps<Trees> {
  checkCount(grammar, count)
  const total = treeCount(grammar)
  const possible = possibleTrees(grammar)
  if (BigInt(count) > possible)
    fail(
      'TL_BAD_ARGUMENT',
      `count: expected at most ${showCount(possible)} distinct strings (all that the grammar has), got ${count}`,
    )
  if (count > maxDistinct)
    fail('TL_BAD_ARGUMENT', `count: expected at most ${maxDistinct} distinct strings at once, got ${count}`)
  if (grammar.probabilities)
    return total <= maxRanked ? rankByNoise(grammar, key, count) : yield* drawUntilNew(grammar, key, count)
  if (total > maxShuffled) return yield* drawUntilNew(grammar, key, count)
  const numbers = yield* shuffling(key, count, Number(total))
  return yield* inBlocks(grammar, count, (from, some) =>
    unrankSmall(grammar, numbers.subarray(from, from + some)),
  )
}

/** Throws TL_BAD_ARGUMENT when a batch of `count` trees is no number or takes more than 4 GB. */
export function checkCount(grammar: Grammar, count: number): void {
  if (!(Number.isSafeInteger(count) && count >= 0))
    fail('TL_BAD_ARGUMENT', `count: expected an integer ≥ 0, got ${count}`)
  const each = internalNodes(grammar) + grammar.d
  if (count * each > maxSymbols)
    fail(
      'TL_BAD_ARGUMENT',
      `count: expected at most ${Math.floor(maxSymbols / each)} trees of ${each} symbols at once, got ${count}`,
    )
}

/** Rows `from` … `to` − 1 of a batch, copied. */
export const sliceTrees = (trees: Trees, from: number, to: number): Trees => ({
  count: to - from,
  levels: trees.levels.map((symbols) => {
    const width = trees.count === 0 ? 0 : symbols.length / trees.count
    return symbols.slice(from * width, to * width)
  }),
})

/**
 * Disjoint strings for training and testing, all distinct. The test set depends on the key and `testCount` only, and the
 * training sets of one key are nested, so that learning curves compare like with like. Throws TL_BAD_ARGUMENT when the
 * grammar has fewer than trainCount + testCount strings.
 */
export function trainTest(
  grammar: Grammar,
  key: random.Key,
  trainCount: number,
  testCount: number,
): { train: Trees; test: Trees } {
  checkCount(grammar, trainCount)
  checkCount(grammar, testCount)
  const possible = possibleTrees(grammar)
  if (BigInt(trainCount + testCount) > possible)
    fail(
      'TL_BAD_ARGUMENT',
      `train and test: expected at most ${showCount(possible)} strings together (all that the grammar has), got ${trainCount} + ${testCount}`,
    )
  const all = sampleDistinct(grammar, key, trainCount + testCount)
  return {
    test: sliceTrees(all, 0, testCount),
    train: sliceTrees(all, testCount, testCount + trainCount),
  }
}

/**
 * Drawing without replacement from weighted strings is taking them in the order of ln p + Gumbel noise (Yellott 1977),
 * which stays fast when nearly all of them are wanted.
 */
function rankByNoise(grammar: Grammar, key: random.Key, count: number): Trees {
  const logs = logProbability(grammar, enumerate(grammar, maxRanked))
  const words = random.sampleBits(key, 2 * logs.length)
  const scores = logs.map((log, i) => {
    const unit = ((words[2 * i]! >>> 5) * 2 ** 26 + (words[2 * i + 1]! >>> 6) + 0.5) / 2 ** 53
    return log - Math.log(-Math.log(unit))
  })
  const order = Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!)
  return unrankSmall(grammar, order.slice(0, count))
}

/** Independent draws, each kept when it is new. */
function* drawUntilNew(grammar: Grammar, key: random.Key, count: number): Steps<Trees> {
  const trees = emptyTrees(grammar, count)
  const leaves = trees.levels.at(-1)!
  const { d } = grammar
  const seen = new Map<number, number>()
  const isNew = (string: Int32Array, number: number): boolean => {
    // equal hashes are compared, different strings with one hash move on
    let hash = hashOf(string)
    for (let other = seen.get(hash); other !== undefined; other = seen.get(++hash)) {
      const at = other * d
      if (string.every((symbol, i) => symbol === leaves[at + i])) return false
    }
    seen.set(hash, number)
    return true
  }
  const block = 1024
  const mostDraws = 200 * count + 4096
  let have = 0
  for (let number = 0; have < count; number++) {
    if (number * block > mostDraws)
      fail(
        'TL_BAD_ARGUMENT',
        `count: only ${have} different strings in ${number * block} draws, got ${count}; ask for fewer (the grammar's probabilities make most strings very rare)`,
      )
    for (let drawn = 0; drawn < block && have < count; ) {
      const upTo = Math.min(block, drawn + count - have)
      const fresh = sampleTrees(grammar, random.foldIn(key, number), upTo)
      for (let i = drawn; i < upTo; i++) {
        if (!isNew(fresh.levels.at(-1)!.subarray(i * d, (i + 1) * d), have)) continue
        for (const [level, symbols] of fresh.levels.entries()) {
          const width = symbols.length / upTo
          trees.levels[level]!.set(symbols.subarray(i * width, (i + 1) * width), have * width)
        }
        have++
      }
      drawn = upTo
      yield
    }
  }
  return trees
}

/** A hash of 52 bits (two multiplicative hashes side by side). */
function hashOf(string: Int32Array): number {
  let a = 0x9e3779b9
  let b = 0x85ebca6b
  for (const symbol of string) {
    a = Math.imul(a ^ symbol, 0x01000193) ^ (a >>> 15)
    b = Math.imul(b + symbol + 1, 0xcc9e2d51) ^ (b >>> 13)
  }
  return (a >>> 0) * 2 ** 20 + ((b >>> 0) & 0xfffff)
}
