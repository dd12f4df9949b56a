/**
 * @file Ways to thin out task vectors δ: by magnitude (TIES, arXiv 2306.01708), without outliers (Model Breadcrumbs,
 * 2312.06795), at random (DARE, 2311.03099), at random by rank (DELLA, 2406.11617). Each gives the mask of what stays.
 */
import type { Key } from '../../base/index.ts'
import {
  abs,
  before,
  byRank,
  drawKept,
  largestMasks,
  rankMasks,
  type Session,
  type Vector,
  vectorOf,
} from '../vector/index.ts'
import { f32 } from './vectors.ts'

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

/** Each element with probability `density`, independently. */
export function atRandom(density: number, key: Key): Vector {
  if (density <= 0) return nothing
  return vectorOf({ dtype: 'U8', values: (start, count) => drawKept(key, density, start, count) })
}

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
  const inner = shape.slice(2).reduce((product, n) => product * n, 1)
  const ofRank = Float32Array.from({ length }, (_, rank) => {
    const place = length === 1 ? 0.5 : f32(rank / (length - 1))
    return density - epsilon + f32(f32(place * 2) * epsilon)
  })
  return byRank(delta, [rows, length, inner], ofRank)
}

/** Are the probabilities of all ranks within (0, 1)? Nothing is drawn at density 0 and 1. */
export const drawsByRank = (density: number, epsilon: number): boolean =>
  density <= 0 || density >= 1 || (density + epsilon < 1 && density - epsilon > 0)

/** Each element at random, the likelier the larger its magnitude is in its row (`drawsByRank` holds). */
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
          const chances = rankProbabilities(magnitudes!, rows, density, epsilon)
          kept = drawKept(key, chances, start, count)
        },
        start,
        count,
      )
      return kept
    },
  })
}
