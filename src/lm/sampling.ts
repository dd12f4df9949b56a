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
  for (const [name, value] of Object.entries({ topK, topP, minP }))
    if (temperature === 0 && value !== undefined)
      fail(
        'TL_BAD_ARGUMENT',
        `sampling: ${name}: no effect without a temperature: the most probable token is always taken`,
      )
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
  const out = new Float64Array(logits.length)
  for (let i = 0; i < out.length; i++) out[i] = logits[i]! - norm
  return out
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
  const scaled = new Float32Array(scores.length)
  for (let i = 0; i < scaled.length; i++) scaled[i] = scores[i]! / temperature
  const p = logProbabilities(scaled)
  for (let i = 0; i < p.length; i++) p[i] = Math.exp(p[i]!)
  const at = inOrder(scaled)
  const all = scaled.length
  let size = Math.min(topK ?? all, all)
  if (minP !== undefined) {
    const least = minP * p[at(0)]!
    let count = 0
    while (count < size && p[at(count)]! >= least) count++
    size = count
  }
  const mass = (count: number): number => {
    if (count === all) return 1
    let sum = 0
    for (let k = 0; k < count; k++) sum += p[at(k)]!
    return sum
  }
  if (topP !== undefined) {
    const enough = topP * mass(size)
    let [reached, count] = [0, 0]
    while (count < size && reached < enough) reached += p[at(count++)]!
    size = count
  }
  let left = random.sampleUniform(key, 1)[0]! * mass(size)
  for (let k = 0; k < size; k++) {
    left -= p[at(k)]!
    if (left < 0) return at(k)
  }
  return at(size - 1)
}

/**
 * The place of the k-th largest score, the first of equals first. Only as many are sorted as are asked for: a draw seldom
 * looks further than a few of a whole vocabulary.
 */
function inOrder(scores: Float32Array): (k: number) => number {
  let order: number[] = []
  return (k) => {
    while (k >= order.length) order = leading(scores, Math.max(k + 1, 64, 8 * order.length))
    return order[k]!
  }
}

/** Places of at least `count` largest scores, in order: those above a bound that so many reach, found by counting. */
function leading(scores: Float32Array, count: number): number[] {
  const bins = 4096
  let [low, top] = [Infinity, -Infinity]
  for (let i = 0; i < scores.length; i++) {
    if (scores[i]! < low) low = scores[i]!
    if (scores[i]! > top) top = scores[i]!
  }
  const scale = (bins - 1) / (top - low)
  const binOf = (i: number): number => Math.floor((scores[i]! - low) * scale)
  let bound = 0
  // equal scores, or some infinitely far apart: all of them
  if (count < scores.length && scale > 0 && scale < Infinity) {
    const counts = new Uint32Array(bins)
    for (let i = 0; i < scores.length; i++) counts[binOf(i)]!++
    bound = bins - 1
    for (let found = counts[bound]!; found < count; found += counts[bound]!) bound--
  }
  const places: number[] = []
  for (let i = 0; i < scores.length; i++) if (bound === 0 || binOf(i) >= bound) places.push(i)
  return places.sort((a, b) => scores[b]! - scores[a]! || a - b)
}
