/**
 * @file Exact order statistics without sorting: the bits of a float, read as an integer, are ordered as its value, so two
 * passes that count 16 bits each find the element of any rank, of several vectors at once.
 */
import { and, before, magnitudeAbove, magnitudeIs, not, or, type Vector } from './expression.ts'
import type { Measure, Order } from './kernel.ts'
import type { Session } from './session.ts'

/** The element of a rank: its ordered bits, how many elements are strictly smaller, how many equal. */
interface Ranked {
  readonly bits: number
  readonly below: number
  readonly equal: number
}

/** The bucket that holds the element of a rank, and how many elements lie in the buckets before it. */
export function bucketOf(counts: ArrayLike<number>, rank: number): { bucket: number; below: number } {
  let below = 0
  let bucket = 0
  while (below + counts[bucket]! <= rank) below += counts[bucket++]!
  return { bucket, below }
}

/** Vectors, and the ascending ranks that are asked of each: 0 (the smallest) ≤ rank < n. */
interface RankQuestion {
  readonly of: Vector
  readonly ranks: readonly number[]
}

/** The elements of the ranks asked for, in two passes over all vectors together. */
export function elementsOfRank(
  session: Session,
  questions: readonly RankQuestion[],
  order: Order = 'magnitude',
): Ranked[][] {
  if (questions.length === 0) return []
  const upper = session.counts(...questions.map(({ of }): Measure => ({ kind: 'digits', of, order })))
  const found = questions.map(({ of, ranks }, i) =>
    ranks.map((rank) => {
      const { bucket, below } = bucketOf(upper[i]!, rank)
      const measure: Measure = { kind: 'digits', of, order, upper: bucket }
      return { measure, bucket, below, rank }
    }),
  )
  // ranks that share a bucket share its counts
  const measures = found.map((list) =>
    list.filter((one, i) => list.findIndex((o) => o.bucket === one.bucket) === i),
  )
  const lower = session.counts(...measures.flat().map(({ measure }) => measure))
  let at = 0
  return found.map((list, i) => {
    const counts = new Map(measures[i]!.map(({ bucket }) => [bucket, lower[at++]!]))
    return list.map(({ bucket, below, rank }) => {
      const table = counts.get(bucket)!
      const inner = bucketOf(table, rank - below)
      return {
        bits: bucket * 2 ** 16 + inner.bucket,
        below: below + inner.below,
        equal: table[inner.bucket]!,
      }
    })
  })
}

const word = new Uint32Array(1)

/** The f32 with these bits, ordered as signed numbers. */
export function signedValue(bits: number): number {
  word[0] = bits >= 0x80000000 ? bits & 0x7fffffff : ~bits
  return new Float32Array(word.buffer)[0]!
}

/** Mask of the magnitudes of ascending rank `rank` and more; of equal magnitudes `wanted` stay, the first of them. */
function largestMask(session: Session, x: Vector, { bits, equal }: Ranked, wanted: number): Vector {
  if (wanted >= equal) return or(magnitudeAbove(x, bits), magnitudeIs(x, bits))
  const ties = magnitudeIs(x, bits)
  return or(magnitudeAbove(x, bits), and(ties, before(session.placeOf(ties, wanted))))
}

/** Masks of the `count` largest magnitudes of each vector; of equal magnitudes the first stay. */
export function largestMasks(
  session: Session,
  wanted: readonly { readonly of: Vector; readonly count: number }[],
): (Vector | undefined)[] {
  const n = session.length
  const open = wanted.filter(({ count }) => count > 0 && count < n)
  const found = elementsOfRank(
    session,
    open.map(({ of, count }) => ({ of, ranks: [n - count] })),
  )
  return wanted.map((one) => {
    const [ranked] = found[open.indexOf(one)] ?? []
    if (!ranked) return undefined
    return largestMask(session, one.of, ranked, one.count - (n - ranked.below - ranked.equal))
  })
}

/** Masks of the magnitudes of ascending ranks from … to − 1 of each vector; equal magnitudes rank in order. */
export function rankMasks(
  session: Session,
  wanted: readonly { readonly of: Vector; readonly from: number; readonly to: number }[],
): Vector[] {
  const found = elementsOfRank(
    session,
    wanted.map(({ of, from, to }) => ({ of, ranks: [from, to - 1] })),
  )
  return wanted.map(({ of, from, to }, i) => {
    const [low, high] = found[i]!
    const at = (ranked: Ranked, index: number): Vector => {
      if (index <= 0) return before(0)
      if (index >= ranked.equal) return before(session.length)
      return before(session.placeOf(magnitudeIs(of, ranked.bits), index))
    }
    const above = or(
      magnitudeAbove(of, low!.bits),
      and(magnitudeIs(of, low!.bits), not(at(low!, from - low!.below))),
    )
    const notAbove = not(
      or(magnitudeAbove(of, high!.bits), and(magnitudeIs(of, high!.bits), not(at(high!, to - high!.below)))),
    )
    return and(above, notAbove)
  })
}
