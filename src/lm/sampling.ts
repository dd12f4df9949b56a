/** @file The next token from its logits: the most probable one, or a draw after the usual cuts, from an explicit key. */
import { fail } from '../base/index.ts'
import { type Key, random } from '../tensor/index.ts'

export interface Sampling {
  /** Divides the logits; 0 takes the most probable token. Default 0. */
  readonly temperature?: number
  /** Keep the k most probable tokens. */
  readonly topK?: number
  /** Keep the most probable tokens until their sum reaches p. (Holtzman et al. 2020) */
  readonly topP?: number
  /** Keep tokens at least this fraction as probable as the first. */
  readonly minP?: number
  /** Logits of tokens seen before are divided by it, or multiplied where negative. (Keskar et al. 2019) */
  readonly repetitionPenalty?: number
}

/** Throws `TL_BAD_ARGUMENT` for values that mean nothing. */
export function checkSampling({ temperature = 0, topK, topP, minP, repetitionPenalty = 1 }: Sampling): void {
  const wrong = (name: string, expected: string, value: unknown): never =>
    fail('TL_BAD_ARGUMENT', `sampling: ${name}: expected ${expected}, got ${value}`)
  if (!(temperature >= 0 && temperature < Infinity)) wrong('temperature', 'a number >= 0', temperature)
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1)) wrong('topK', 'an integer >= 1', topK)
  if (topP !== undefined && !(topP > 0 && topP <= 1)) wrong('topP', 'a number in (0, 1]', topP)
  if (minP !== undefined && !(minP >= 0 && minP <= 1)) wrong('minP', 'a number in [0, 1]', minP)
  if (!(repetitionPenalty > 0 && repetitionPenalty < Infinity))
    wrong('repetitionPenalty', 'a number > 0', repetitionPenalty)
}

/** Index of the largest value; the first of equals. */
export function argmaxOf(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

/** log softmax of one row, in float64. */
export function logProbabilities(logits: ArrayLike<number>): Float64Array {
  let top = -Infinity
  for (let i = 0; i < logits.length; i++) if (logits[i]! > top) top = logits[i]!
  let total = 0
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i]! - top)
  const norm = top + Math.log(total)
  return Float64Array.from(logits, (v) => v - norm)
}

/** The log-probability of one token of a row. */
export function logProbabilityOf(logits: ArrayLike<number>, id: number): number {
  let top = -Infinity
  for (let i = 0; i < logits.length; i++) if (logits[i]! > top) top = logits[i]!
  let total = 0
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i]! - top)
  return logits[id]! - top - Math.log(total)
}

/** The next token after `seen`, from logits [vocabulary]; the key is used up. */
export function sampleToken(
  logits: Float32Array,
  sampling: Sampling,
  seen: Iterable<number>,
  key: Key,
): number {
  const { temperature = 0, topK, topP, minP, repetitionPenalty = 1 } = sampling
  let scores: Float32Array = logits
  if (repetitionPenalty !== 1) {
    scores = logits.slice()
    for (const id of new Set(seen))
      scores[id] = logits[id]! > 0 ? logits[id]! / repetitionPenalty : logits[id]! * repetitionPenalty
  }
  if (temperature === 0) return argmaxOf(scores)
  const p = logProbabilities(scores.map((v) => v / temperature)).map(Math.exp)
  let order = Array.from(p, (_, i) => i).sort((a, b) => p[b]! - p[a]! || a - b)
  if (topK !== undefined) order = order.slice(0, topK)
  if (minP !== undefined) order = order.filter((i) => p[i]! >= minP * p[order[0]!]!)
  if (topP !== undefined) {
    const sum = order.reduce((s, i) => s + p[i]!, 0)
    let reached = 0
    let count = 0
    while (count < order.length && reached < topP) reached += p[order[count++]!]! / sum
    order = order.slice(0, count)
  }
  const total = order.reduce((s, i) => s + p[i]!, 0)
  let left = random.sampleUniform(key, 1)[0]! * total
  for (const i of order) {
    left -= p[i]!
    if (left < 0) return i
  }
  return order.at(-1)!
}
