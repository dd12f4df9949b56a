/**
 * @file Exact order statistics of f32 values without sorting: the bits of a float, read as an integer, are ordered as its
 * value, so two counts of 16 bits each find the value of any rank in two passes.
 */

const half = 2 ** 16

/** How values are ordered: by magnitude |x|, or as signed numbers. */
export type Order = 'magnitude' | 'signed'

/** The bits of a float as an integer that grows with the value (or with its magnitude). */
const orderedBits = (bits: number, order: Order): number => {
  if (order === 'magnitude') return bits & 0x7fffffff
  return (bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0
}

const bitsOf = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length)

/** The bucket that holds the element of a rank, and how many elements lie in the buckets before it. */
function bucketOf(counts: Float64Array, rank: number): { bucket: number; below: number } {
  let below = 0
  let bucket = 0
  while (below + counts[bucket]! <= rank) below += counts[bucket++]!
  return { bucket, below }
}

/** The element of a rank (0 the smallest): its ordered bits, and how many elements are strictly smaller. */
export interface Ranked {
  readonly bits: number
  readonly below: number
}

/** The element of ascending `rank`, 0 ≤ rank < values.length. O(n) time, 1 MiB of memory. */
export function elementOfRank(values: Float32Array, rank: number, order: Order = 'magnitude'): Ranked {
  const bits = bitsOf(values)
  const high = new Float64Array(half)
  for (let i = 0; i < bits.length; i++) high[orderedBits(bits[i]!, order) >>> 16]!++
  const upper = bucketOf(high, rank)
  const low = new Float64Array(half)
  for (let i = 0; i < bits.length; i++) {
    const key = orderedBits(bits[i]!, order)
    if (key >>> 16 === upper.bucket) low[key & 0xffff]!++
  }
  const lower = bucketOf(low, rank - upper.below)
  return { bits: upper.bucket * half + lower.bucket, below: upper.below + lower.below }
}

/** The value of ascending `rank` among signed numbers. */
export function valueOfRank(values: Float32Array, rank: number): number {
  const { bits } = elementOfRank(values, rank, 'signed')
  const raw = bits >= 0x80000000 ? bits & 0x7fffffff : ~bits
  return new Float32Array(Uint32Array.of(raw >>> 0).buffer)[0]!
}

/** A copy in which only the `count` largest magnitudes are left; of equal magnitudes the first stay. */
export function keepLargest(values: Float32Array, count: number): Float32Array {
  const n = values.length
  if (count >= n) return values.slice()
  const out = new Float32Array(n)
  if (count <= 0) return out
  const threshold = elementOfRank(values, n - count)
  const bits = bitsOf(values)
  let larger = 0
  for (let i = 0; i < n; i++) if ((bits[i]! & 0x7fffffff) > threshold.bits) larger++
  let equals = count - larger
  for (let i = 0; i < n; i++) {
    const key = bits[i]! & 0x7fffffff
    if (key > threshold.bits || (key === threshold.bits && equals-- > 0)) out[i] = values[i]!
  }
  return out
}

/** A copy in which only the magnitudes of ascending ranks from … to − 1 are left; equal magnitudes rank in order. */
export function keepRanks(values: Float32Array, from: number, to: number): Float32Array {
  const out = new Float32Array(values.length)
  if (to <= from) return out
  const low = elementOfRank(values, from)
  const high = elementOfRank(values, to - 1)
  const bits = bitsOf(values)
  let equalLow = 0
  let equalHigh = 0
  for (let i = 0; i < out.length; i++) {
    const key = bits[i]! & 0x7fffffff
    if (key < low.bits || key > high.bits) continue
    const rankLow = key === low.bits ? low.below + equalLow++ : from
    const rankHigh = key === high.bits ? high.below + equalHigh++ : from
    if (rankLow >= from && rankHigh < to) out[i] = values[i]!
  }
  return out
}
