/** @file Exact prediction of the last token from a window of the tokens before it. */
import { fail } from '../../base/index.ts'
import { type Grammar, parentsAt } from '../grammar.ts'
import { probabilitiesAt } from './level.ts'
import { logsMarginals } from './logs.ts'
import { inferUp, type Upward } from './up.ts'

/** Likelihoods [count, d, v]: hard evidence on the `window` tokens before the last, nothing known of the others. */
function windowEvidence({ d, v }: Grammar, leaves: Int32Array, window: number): Float64Array {
  const out = new Float64Array(leaves.length * v).fill(1)
  for (let start = 0; start < leaves.length; start += d)
    for (let i = start + d - 1 - window; i < start + d - 1; i++) {
      const token = leaves[i]!
      if (!(token >= 0 && token < v))
        fail(
          'TL_BAD_ARGUMENT',
          `leaves: expected tokens 0 … ${v - 1}, got ${token} in string ${start / d} at ${i - start}`,
        )
      out.fill(0, i * v, (i + 1) * v)
      out[i * v + token] = 1
    }
  return out
}

/** Message to the last leaf from all the rest: the downward pass along the rightmost path only. */
function predictLast(grammar: Grammar, up: Upward, b: number, out: Float64Array): void {
  const { L, m, s, v } = grammar
  let above = new Float64Array(parentsAt(grammar, 0)).fill(1)
  for (let level = 0; level < L; level++) {
    const { rows, index, nodes } = up.levels[level + 1]!
    const rules = grammar.rules[level]!
    const probabilities = probabilitiesAt(grammar, level)
    const first = (b + 1) * nodes - s
    const next = new Float64Array(v)
    let max = 0
    for (let r = 0; r < above.length * m; r++) {
      let product = above[Math.floor(r / m)]!
      if (probabilities) product *= probabilities[r]!
      for (let i = 0; i < s - 1; i++) product *= rows[index[first + i]! * v + rules[r * s + i]!]!
      const x = rules[r * s + s - 1]!
      next[x]! += product
      if (next[x]! > max) max = next[x]!
    }
    for (let x = 0; x < v; x++) next[x]! /= max
    above = next
  }
  const sum = above.reduce((a, p) => a + p, 0)
  for (let x = 0; x < v; x++) out[b * v + x] = above[x]! / sum
}

/**
 * Probability of every symbol as the last token, given the `window` tokens before it and nothing else (0: the marginal;
 * d − 1: all of them): [count, v] for strings `leaves` [count, d], whose last tokens are not looked at. A row is all 0
 * when the grammar has no string with these tokens there. Throws TL_BAD_ARGUMENT for a window outside 0 … d − 1 or a token
 * outside 0 … v − 1.
 */
export function lastToken(grammar: Grammar, leaves: Int32Array, window: number): Float64Array {
  const { d, v, L } = grammar
  if (leaves.length % d !== 0)
    fail('TL_SHAPE_MISMATCH', `leaves: expected strings of ${d} tokens, got ${leaves.length} tokens`)
  if (!(Number.isInteger(window) && window >= 0 && window < d))
    fail('TL_BAD_ARGUMENT', `window: expected an integer from 0 to ${d - 1} (d − 1), got ${window}`)
  const out = new Float64Array((leaves.length / d) * v)
  // bounded pieces: evidence takes d·v numbers a string
  const piece = Math.max(1, Math.floor(2 ** 21 / (d * v)))
  for (let start = 0; start < leaves.length / d; start += piece) {
    const part = leaves.subarray(start * d, (start + piece) * d)
    const batch = part.length / d
    const up = inferUp(grammar, windowEvidence(grammar, part, window), batch)
    const own = out.subarray(start * v, (start + batch) * v)
    for (let b = 0; b < batch; b++) {
      if (up.impossible[b]) continue
      const logs = up.logs.get(b)
      if (logs) own.set(logsMarginals(grammar, logs)[L]!.subarray((d - 1) * v), b * v)
      else predictLast(grammar, up, b, own)
    }
  }
  return out
}

/**
 * The lowest cross-entropy any predictor can reach on the last tokens of these strings from a window (nats): the mean of
 * −ln of the exact predictive probability of the token that is there. Infinity when one of them is impossible.
 */
export function exactCrossEntropy(grammar: Grammar, leaves: Int32Array, window: number): number {
  const { d, v } = grammar
  const predictive = lastToken(grammar, leaves, window)
  const count = leaves.length / d
  let sum = 0
  for (let i = 0; i < count; i++) sum -= Math.log(predictive[i * v + leaves[(i + 1) * d - 1]!]!)
  return sum / count
}
