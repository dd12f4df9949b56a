/**
 * @file The reverse process step by step, every step with the exact posterior p(x_0 | x_t) of the grammar. A step draws its
 * tokens independently of each other, so the chain is exact in the limit of small steps, and for masking exact when one
 * token is shown at a time.
 */
import { fail } from '../base/index.ts'
import { type Grammar, inferUp, marginals } from '../grammar/index.ts'
import { random } from '../tensor/index.ts'
import { type Channel, channels, checkNoise, drawFrom, type Noisy } from './channels.ts'

/** What a chain ends with. */
export interface Reversed {
  /** Clean leaves [B, d]; not a string of the grammar where steps were too large. */
  readonly leaves: Int32Array
  /**
   * Of each datum: 1 if the grammar excluded its x_t at some step (tokens drawn together that do not fit). Its tokens
   * are then drawn from the noise alone.
   */
  readonly contradictory: Uint8Array
}

/** p(x_0 | x_t) of every token [B, d, v]; the likelihood alone where the grammar has no string for it. */
function tokenPosterior(
  grammar: Grammar,
  likelihood: Float64Array,
  count: number,
  contradictory: Uint8Array,
): Float64Array {
  const up = inferUp(grammar, likelihood, count)
  const clean = marginals(grammar, up)[grammar.L]!
  const size = grammar.d * grammar.v
  for (let b = 0; b < count; b++)
    if (up.impossible[b]) {
      contradictory[b] = 1
      clean.set(likelihood.subarray(b * size, (b + 1) * size), b * size)
    }
  return clean
}

/** Tokens of one-hot vectors. */
const tokensOf = (vectors: Float64Array, v: number): Int32Array =>
  Int32Array.from({ length: vectors.length / v }, (_, i) => {
    const row = vectors.subarray(i * v, (i + 1) * v)
    return row.indexOf(row.reduce((a, b) => Math.max(a, b)))
  })

/**
 * Go back from corrupted leaves x_t of `count` data through falling noise levels, of which the first is that of x_t and the
 * last 0 (see `noiseLevels`). Throws TL_UNSUPPORTED for a channel without a reverse step, TL_BAD_ARGUMENT for levels that do
 * not fall to 0.
 */
export function reverseChain(
  grammar: Grammar,
  channel: Channel,
  noisy: Noisy,
  { count, levels, key }: { count: number; levels: readonly number[]; key: random.Key },
): Reversed {
  const { v } = grammar
  if (!channel.reverse)
    fail('TL_UNSUPPORTED', `channel "${channel.name}": it has no chain of steps to reverse; use uTurn`)
  for (const [i, level] of levels.entries()) {
    checkNoise(level, `levels[${i}]`)
    if (i > 0 && level >= levels[i - 1]!)
      fail('TL_BAD_ARGUMENT', `levels[${i}]: expected less than ${levels[i - 1]}, got ${level}`)
  }
  if (levels.at(-1) !== 0)
    fail('TL_BAD_ARGUMENT', `levels: expected the last to be 0 (clean), got ${levels.at(-1)}`)
  const contradictory = new Uint8Array(count)
  let state = noisy
  for (let i = 0; i + 1 < levels.length; i++) {
    const [from, to] = [levels[i]!, levels[i + 1]!]
    const clean = tokenPosterior(grammar, channel.likelihood(state, v, from), count, contradictory)
    state = channel.reverse(state, clean, { v, from, to, key: random.foldIn(key, i) })
  }
  return { leaves: state instanceof Int32Array ? state : tokensOf(state, v), contradictory }
}

/**
 * Show masked tokens (−1) of [count, d] one at a time, in random order, each drawn from its exact conditional given all that
 * is shown: an exact sample of the posterior (the chain rule), for any order. Data must be possible: throws
 * TL_BAD_ARGUMENT otherwise.
 */
export function unmaskOneByOne(
  grammar: Grammar,
  tokens: Int32Array,
  { count, key }: { count: number; key: random.Key },
): Int32Array {
  const { d, v } = grammar
  const [forOrder, forToken] = random.split(key)
  const priority = random.sampleUniform(forOrder, tokens.length)
  const state = tokens.slice()
  for (let step = 0; step < d; step++) {
    const contradictory = new Uint8Array(count)
    const clean = tokenPosterior(grammar, channels.masking.likelihood(state, v, 1), count, contradictory)
    const datum = contradictory.indexOf(1)
    if (datum >= 0)
      fail('TL_BAD_ARGUMENT', `tokens of datum ${datum}: expected part of a string of the grammar`)
    const units = random.sampleUniform(random.foldIn(forToken, step), count)
    let left = false
    for (let b = 0; b < count; b++) {
      let next = -1
      for (let i = b * d; i < (b + 1) * d; i++)
        if (state[i]! < 0 && (next < 0 || priority[i]! < priority[next]!)) next = i
      if (next < 0) continue
      state[next] = drawFrom(clean, next * v, v, units[b]!)
      left = true
    }
    if (!left) break
  }
  return state
}
