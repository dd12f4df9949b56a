/**
 * @file The vote on signs of TIES. Works on blocks that stay in the processor's cache, with arithmetic in place of
 * branches: signs are as good as random, and a processor that guesses them wrong waits.
 */
import { f32 } from './vectors.ts'

const blockSize = 4096

/** Sums of one block: of everything, of positive and of negative entries, and of the weights of those. */
interface Sums {
  readonly total: Float32Array
  readonly positive: Float32Array
  readonly negative: Float32Array
  readonly positiveWeight: Float32Array
  readonly negativeWeight: Float32Array
}

const makeSums = (): Sums => ({
  total: new Float32Array(blockSize),
  positive: new Float32Array(blockSize),
  negative: new Float32Array(blockSize),
  positiveWeight: new Float32Array(blockSize),
  negativeWeight: new Float32Array(blockSize),
})

/** Adds one model's entries from index `start`. */
function accumulate(sums: Sums, delta: Float32Array, weight: number, start: number, size: number): void {
  const { total, positive, negative, positiveWeight, negativeWeight } = sums
  const bits = new Int32Array(delta.buffer, delta.byteOffset, delta.length)
  for (let i = 0; i < size; i++) {
    const x = delta[start + i]!
    const b = bits[start + i]!
    const magnitude = b << 1
    const below = b >>> 31
    const present = (magnitude | -magnitude) >>> 31
    const above = present & (1 - below)
    const under = present & below
    total[i] = total[i]! + x
    positive[i] = positive[i]! + x * above
    negative[i] = negative[i]! + x * under
    positiveWeight[i] = positiveWeight[i]! + weight * above
    negativeWeight[i] = negativeWeight[i]! + weight * under
  }
}

/** For each entry the sum of the elected sign (a total of 0 elects +), divided by its weight if asked and not 0. */
function elect(sums: Sums, out: Float32Array, start: number, size: number, normalize: boolean): void {
  const { total, positive, negative, positiveWeight, negativeWeight } = sums
  const bits = new Int32Array(total.buffer)
  for (let i = 0; i < size; i++) {
    const below = bits[i]! >>> 31 // totals begin at +0, so none is −0
    const above = 1 - below
    const agreed = positive[i]! * above + negative[i]! * below
    const divisor = positiveWeight[i]! * above + negativeWeight[i]! * below
    out[start + i] = normalize && divisor !== 0 ? agreed / divisor : agreed
  }
}

/**
 * Σ wᵢδᵢ over the models whose wᵢδᵢ has the sign of the sum (≥ 0 counts as +), divided by Σ wᵢ of those if `normalize`.
 * `deltas` are weighted already. f32, in the order of the models.
 */
export function votedSum(
  deltas: readonly Float32Array[],
  weights: readonly number[],
  normalize: boolean,
): Float32Array {
  const out = new Float32Array(deltas[0]!.length)
  const sums = makeSums()
  for (let start = 0; start < out.length; start += blockSize) {
    const size = Math.min(blockSize, out.length - start)
    for (const part of Object.values(sums) as Float32Array[]) part.fill(0)
    for (const [m, delta] of deltas.entries()) accumulate(sums, delta, f32(weights[m]!), start, size)
    elect(sums, out, start, size, normalize)
  }
  return out
}
