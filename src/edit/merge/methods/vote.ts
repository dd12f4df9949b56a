/**
 * @file The vote on signs of TIES. Works on blocks that stay in the processor's cache, with arithmetic in place of
 * branches: signs are as good as random, and a processor that guesses them wrong waits.
 */
import { f32 } from './vectors.ts'

const blockSize = 4096

/** Adds one model's entries to the totals. */
function addTotal(total: Float32Array, delta: Float32Array): void {
  for (let i = 0; i < total.length; i++) total[i] = total[i]! + delta[i]!
}

/** Sums of one block: of the entries that have the sign of the total, and of their weights. */
interface Agreed {
  readonly sum: Float32Array
  readonly weight: Float32Array
}

/** Adds one model's entries where their sign is that of the total (≥ 0 counts as +), and its weight there. */
function addAgreed(
  { sum, weight: weights }: Agreed,
  delta: Float32Array,
  weight: number,
  total: Float32Array,
): void {
  const bits = new Int32Array(delta.buffer, delta.byteOffset, delta.length)
  const elected = new Int32Array(total.buffer, total.byteOffset, total.length)
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!
    const magnitude = b << 1
    // 1 where the entry is not 0 and its sign bit is the total's; totals begin at +0, so none is −0
    const agrees = ((magnitude | -magnitude) & ~(b ^ elected[i]!)) >>> 31
    sum[i] = sum[i]! + delta[i]! * agrees
    weights[i] = weights[i]! + weight * agrees
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
  const totals = new Float32Array(blockSize)
  const blockWeights = new Float32Array(blockSize)
  for (let start = 0; start < out.length; start += blockSize) {
    const end = Math.min(start + blockSize, out.length)
    const [sum, total] = [out.subarray(start, end), totals.subarray(0, end - start)]
    const agreed = { sum, weight: blockWeights.subarray(0, end - start) }
    total.fill(0)
    agreed.weight.fill(0)
    for (const delta of deltas) addTotal(total, delta.subarray(start, end))
    for (const [m, delta] of deltas.entries())
      addAgreed(agreed, delta.subarray(start, end), f32(weights[m]!), total)
    if (normalize)
      for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! / (agreed.weight[i] === 0 ? 1 : agreed.weight[i]!)
  }
  return out
}
