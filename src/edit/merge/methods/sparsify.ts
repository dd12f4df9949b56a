/**
 * @file Ways to thin out task vectors δ: by magnitude (TIES, arXiv 2306.01708), without outliers (Model Breadcrumbs,
 * 2312.06795), at random (DARE, 2311.03099), at random by rank (DELLA, 2406.11617). Each gives the mask of what stays.
 */
import { fail } from '../../../base/index.ts'
import { type Key, random } from '../../../tensor/index.ts'
import { abs, before, largestMasks, rankMasks, type Session, type Vector, vectorOf } from '../vector/index.ts'
import { f32 } from './vectors.ts'

/** Elements drawn from one key, so that the randomness of a large tensor needs little memory. */
const block = 2 ** 16

const nothing = before(0)

/** The ⌊density · n⌋ largest magnitudes of each, at least one unless density is 0. */
export function byMagnitude(
  session: Session,
  deltas: readonly { readonly delta: Vector; readonly density: number }[],
): Vector[] {
  const wanted = deltas.map(({ delta, density }) => ({
    of: delta,
    count: density <= 0 ? 0 : Math.max(1, Math.trunc(density * session.length)),
  }))
  const masks = largestMasks(session, wanted)
  return masks.map((mask, i) => mask ?? (wanted[i]!.count > 0 ? before(session.length) : nothing))
}

/**
 * Drops the ⌊γn⌋ largest magnitudes, then the smallest until ⌊density · n⌋ are left; where that is too few to drop, fewer
 * of the largest go.
 */
export function withoutOutliers(
  session: Session,
  deltas: readonly { readonly delta: Vector; readonly density: number; readonly gamma: number }[],
): Vector[] {
  const n = session.length
  const wanted = deltas.map(({ delta, density, gamma }) => {
    const left = Math.trunc(density * n)
    const from = Math.max(0, n - left - Math.trunc(gamma * n))
    return { of: delta, from, to: from + left }
  })
  const open = wanted.filter(({ from, to }) => to > from)
  const masks = rankMasks(session, open)
  return wanted.map((one) => masks[open.indexOf(one)] ?? nothing)
}

/** A word of randomness for the elements of one key, as bytes; the last one is kept for a caller that goes on in it. */
function makeBytes(key: Key, length: number): (index: number) => Uint8Array {
  let last = -1
  let bytes: Uint8Array = new Uint8Array(0)
  return (index) => {
    if (index !== last) {
      const size = Math.min(block, length - index * block)
      bytes = new Uint8Array(random.sampleBits(random.foldIn(key, index), Math.ceil(size / 4)).buffer)
      last = index
    }
    return bytes
  }
}

/**
 * Bytes that are 1 for the elements that stay, each with its probability (`chances`: one for all, or one for each from
 * `start` on). A byte of randomness decides 255 times of 256; only where it equals the first byte of the probability are
 * more bits drawn, so the probabilities are exact to 2⁻³¹.
 */
function drawKept(
  key: Key,
  length: number,
): (start: number, chances: number | Float32Array, count: number) => Uint8Array {
  const bytesOf = makeBytes(key, length)
  return (start, chances, count) => {
    const kept = new Uint8Array(count)
    for (let at = start; at < start + count; ) {
      const index = Math.floor(at / block)
      const end = Math.min((index + 1) * block, start + count)
      const bytes = bytesOf(index)
      const closer = random.foldIn(key, 2 ** 31 + index)
      for (; at < end; at++) {
        const chance = (typeof chances === 'number' ? chances : chances[at - start]!) * 256
        const i = at - index * block
        const rest = chance - bytes[i]!
        if (rest >= 1 || (rest > 0 && random.sampleUniform(random.foldIn(closer, i), 1)[0]! < rest))
          kept[at - start] = 1
      }
    }
    return kept
  }
}

/** Each element with probability `density`, independently. */
export function atRandom(session: Session, density: number, key: Key): Vector {
  const draw = drawKept(key, session.length)
  return vectorOf({ dtype: 'U8', values: (start, count) => draw(start, density, count) })
}

/** Ranks 0 … n − 1 of magnitudes; of equal ones the first has the lower rank. Sorted by digits of their bits. */
function ranksOf(magnitudes: Float32Array): Uint32Array {
  const n = magnitudes.length
  const bits = new Uint32Array(magnitudes.buffer, magnitudes.byteOffset, n)
  const counts = digits.map(({ width }) => new Uint32Array(2 ** width))
  for (let i = 0; i < n; i++) {
    const b = bits[i]!
    counts[0]![b & 0x7ff]!++
    counts[1]![(b >>> 11) & 0x3ff]!++
    counts[2]![b >>> 21]!++
  }
  let order = Uint32Array.from({ length: n }, (_, i) => i)
  let next = new Uint32Array(n)
  for (const [d, { shift, width }] of digits.entries()) {
    const places = counts[d]!
    let total = 0
    for (let i = 0; i < places.length; i++) {
      const here = places[i]!
      places[i] = total
      total += here
    }
    const mask = 2 ** width - 1
    for (let i = 0; i < n; i++) {
      const element = order[i]!
      next[places[(bits[element]! >>> shift) & mask]!++] = element
    }
    const kept = order
    order = next
    next = kept
  }
  for (let rank = 0; rank < n; rank++) next[order[rank]!] = rank
  return next
}
const digits = [
  { shift: 0, width: 11 },
  { shift: 11, width: 10 },
  { shift: 21, width: 11 },
] as const

/**
 * The probability of each element to stay: from density − ε for the smallest magnitude of its row (axis 1; a vector is
 * one row) to density + ε for the largest, evenly by rank. A row of one element stays with probability `density`.
 */
export function rankProbabilities(
  delta: Float32Array,
  shape: readonly number[],
  density: number,
  epsilon: number,
): Float32Array {
  const [rows, length] = shape.length < 2 ? [1, delta.length] : [shape[0]!, shape[1]!]
  const stride = shape.slice(2).reduce((product, n) => product * n, 1)
  const probabilities = new Float32Array(delta.length)
  const row = new Float32Array(length)
  for (let outer = 0; outer < rows; outer++)
    for (let inner = 0; inner < stride; inner++) {
      const at = outer * length * stride + inner
      for (let i = 0; i < length; i++) row[i] = Math.abs(delta[at + i * stride]!)
      const ranks = ranksOf(row)
      for (let i = 0; i < length; i++) {
        const place = length === 1 ? 0.5 : f32(ranks[i]! / (length - 1))
        probabilities[at + i * stride] = density - epsilon + f32(f32(place * 2) * epsilon)
      }
    }
  return probabilities
}

/** Each element at random, the likelier the larger its magnitude is in its row. */
export function byRankAtRandom(
  session: Session,
  delta: Vector,
  {
    shape,
    density,
    epsilon,
    key,
  }: {
    readonly shape: readonly number[]
    readonly density: number
    readonly epsilon: number
    readonly key: Key
  },
): Vector {
  if (density <= 0) return nothing
  if (density + epsilon >= 1 || density - epsilon <= 0)
    fail(
      'TL_BAD_ARGUMENT',
      `della: density ± epsilon: expected both within (0, 1), got ${density} ± ${epsilon}; lower epsilon`,
    )
  const draw = drawKept(key, session.length)
  const run = shape.length < 2 ? session.length : shape.slice(1).reduce((product, n) => product * n, 1)
  session.align(run)
  return vectorOf({
    dtype: 'U8',
    values(start, count) {
      let kept: Uint8Array = new Uint8Array(0)
      const rows = shape.length < 2 ? [count] : [count / run, ...shape.slice(1)]
      session.visit(
        [abs(delta)],
        ([magnitudes]) => {
          kept = draw(start, rankProbabilities(magnitudes!, rows, density, epsilon), count)
        },
        start,
        count,
      )
      return kept
    },
  })
}
