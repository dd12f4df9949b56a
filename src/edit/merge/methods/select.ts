/**
 * @file Exact order statistics of f32 values without sorting: the bits of a float, read as an integer, are ordered as its
 * value, so three counts (of 11, 11 and 10 bits) find the value of any rank.
 */

/** How values are ordered: by magnitude |x|, or as signed numbers. */
export type Order = 'magnitude' | 'signed'

const bitsOf = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length)

/** The magnitude of a float as an integer, from its bits. */
const magnitudeBits = 0x7fffffff

/** Integers that grow with the signed value: negative numbers are mirrored. */
const signedKeys = (bits: Uint32Array): Uint32Array =>
  bits.map((b) => (b & 0x80000000 ? ~b : b | 0x80000000) >>> 0)

/** The bucket that holds the element of a rank, and how many elements lie in the buckets before it. */
function bucketOf(counts: Uint32Array, rank: number): { bucket: number; below: number } {
  let below = 0
  let bucket = 0
  while (below + counts[bucket]! <= rank) below += counts[bucket++]!
  return { bucket, below }
}

/** The element of a rank: its ordered bits, how many elements are strictly smaller, how many equal. */
export interface Ranked {
  readonly bits: number
  readonly below: number
  readonly equal: number
}

/** Counts, among keys that begin with `prefix` (all bits from `shift + width` up), the next `width` bits. */
function countDigits(
  keys: Uint32Array,
  { mask, prefix, shift, width }: { mask: number; prefix: number; shift: number; width: number },
): Uint32Array {
  const counts = new Uint32Array(2 ** width)
  const digit = counts.length - 1
  const top = shift + width
  if (top === 32) for (let i = 0; i < keys.length; i++) counts[(keys[i]! & mask) >>> shift]!++
  else
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]! & mask
      if (key >>> top === prefix) counts[(key >>> shift) & digit]!++
    }
  return counts
}

/** The element of ascending `rank`, 0 ≤ rank < values.length (the smallest has rank 0). O(n) time. */
export function elementOfRank(values: Float32Array, rank: number, order: Order = 'magnitude'): Ranked {
  const keys = order === 'signed' ? signedKeys(bitsOf(values)) : bitsOf(values)
  const mask = order === 'signed' ? 0xffffffff : magnitudeBits
  let prefix = 0
  let below = 0
  let equal = 0
  for (const [shift, width] of [
    [21, 11],
    [10, 11],
    [0, 10],
  ] as const) {
    const counts = countDigits(keys, { mask, prefix, shift, width })
    const found = bucketOf(counts, rank - below)
    prefix = prefix * 2 ** width + found.bucket
    below += found.below
    equal = counts[found.bucket]!
  }
  return { bits: prefix, below, equal }
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
  const { bits: threshold, below, equal } = elementOfRank(values, n - count)
  const from = bitsOf(values)
  const to = bitsOf(out)
  // (threshold − magnitude) >> 31 is all ones where the magnitude is larger: no branch that a processor must guess
  for (let i = 0; i < n; i++) {
    const bits = from[i]!
    to[i] = bits & ((threshold - (bits & magnitudeBits)) >> 31)
  }
  let wanted = count - (n - below - equal)
  for (let i = 0; wanted > 0; i++)
    if ((from[i]! & magnitudeBits) === threshold) {
      to[i] = from[i]!
      wanted--
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
    const key = bits[i]! & magnitudeBits
    if (key < low.bits || key > high.bits) continue
    const rankLow = key === low.bits ? low.below + equalLow++ : from
    const rankHigh = key === high.bits ? high.below + equalHigh++ : from
    if (rankLow >= from && rankHigh < to) out[i] = values[i]!
  }
  return out
}
