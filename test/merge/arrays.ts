/** @file What lazy vectors compute, for arrays in memory: sums and order statistics as plain functions. */
import {
  before,
  elementsOfRank,
  keep,
  largestMasks,
  type Order,
  openSession,
  rankMasks,
  type Session,
  signedValue,
  type Vector,
  vectorOf,
} from '../../src/merge/vector/index.ts'

/** ‖x‖₁, rounded to f32. */
export const l1 = (x: Float32Array): number => Math.fround(x.reduce((sum, v) => sum + Math.abs(v), 0))

/** The values of a lazy vector over one array, in blocks of a few elements. */
export function evaluate(
  x: Float32Array,
  formula: (x: Vector, session: Session) => Vector,
  block = 8,
): Float32Array {
  const session = openSession(x.length, block)
  const out = new Float32Array(x.length)
  const source = vectorOf({ dtype: 'F32', values: (start, count) => x.subarray(start, start + count) })
  session.visit([formula(source, session)], ([values], start) => out.set(values!, start))
  session.close()
  return out
}

/** The element of a rank. */
export function elementOfRank(
  x: Float32Array,
  rank: number,
  order: Order = 'magnitude',
): ReturnType<typeof elementsOfRank>[number][number] {
  const session = openSession(x.length, 8)
  const of = vectorOf({ dtype: 'F32', values: (start, count) => x.subarray(start, start + count) })
  const [found] = elementsOfRank(session, [{ of, ranks: [rank] }], order)
  session.close()
  return found![0]!
}

export const valueOfRank = (x: Float32Array, rank: number): number =>
  signedValue(elementOfRank(x, rank, 'signed').bits)

/** A copy in which only the `count` largest magnitudes are left. */
export const keepLargest = (x: Float32Array, count: number): Float32Array =>
  evaluate(x, (of, session) => {
    const [mask] = largestMasks(session, [{ of, count }])
    return keep(of, mask ?? before(count > 0 ? x.length : 0))
  })

/** A copy in which only the magnitudes of ascending ranks from … to − 1 are left. */
export const keepRanks = (x: Float32Array, from: number, to: number): Float32Array =>
  evaluate(x, (of, session) => keep(of, to > from ? rankMasks(session, [{ of, from, to }])[0]! : before(0)))
