/**
 * @file How much symbols of a running text know of each other at a distance t: C̃(t), root mean square over pairs of symbols of
 * P(x_i = μ, x_{i+t} = ν) − P(μ) P(ν). (Cagnetta & Wyart 2024, Eq. 6)
 *
 * A covariance counted from P pairs has a square that is too large by its noise. The text is cut into blocks: products of the
 * covariances of *different* blocks have no noise in their mean, so that signal and noise come apart without a formula, and
 * blocks left out one at a time give the error.
 */
import { fail } from '../../base/index.ts'

/** Covariances of one distance: what their squares and products are made of, block by block. */
export interface BlockProducts {
  /** Pairs of symbols in each block. */
  readonly pairs: number
  /** v², over which squares are averaged. */
  readonly size: number
  /** Σ C_b² of each block over pairs of symbols. */
  readonly norms: readonly number[]
  /** Σ C_b S of each block, S the sum of the covariances of all blocks. */
  readonly inners: readonly number[]
  /** Mean over blocks of (1 − Σ p²)(1 − Σ q²): v² P times the mean square that independent pairs would have. */
  readonly varied: number
}

/**
 * Covariances of symbols at distance t within each of `blocks` equal pieces of a text; pairs do not reach over the end of a
 * piece, and products are of the piece's own frequencies. Throws TL_BAD_ARGUMENT where a piece is shorter than t + 2.
 */
export function blockProducts(ids: Uint16Array, v: number, t: number, blocks: number): BlockProducts {
  const length = Math.floor(ids.length / blocks)
  const pairs = length - t
  if (!(pairs >= 2))
    fail(
      'TL_BAD_ARGUMENT',
      `distance ${t}: expected blocks of at least ${t + 2} symbols, got ${blocks} of ${length}`,
    )
  const size = v * v
  const tables: Float64Array[] = []
  const sum = new Float64Array(size)
  let varied = 0
  for (let b = 0; b < blocks; b++) {
    const table = new Float64Array(size)
    const [left, right] = [new Float64Array(v), new Float64Array(v)]
    const first = b * length
    for (let i = first; i < first + pairs; i++) table[ids[i]! * v + ids[i + t]!]!++
    for (let at = 0; at < size; at++) {
      table[at]! /= pairs
      left[Math.floor(at / v)]! += table[at]!
      right[at % v]! += table[at]!
    }
    for (let x = 0; x < v; x++) for (let y = 0; y < v; y++) table[x * v + y]! -= left[x]! * right[y]!
    for (let at = 0; at < size; at++) sum[at]! += table[at]!
    const spread = (p: Float64Array): number => 1 - p.reduce((total, q) => total + q * q, 0)
    varied += (spread(left) * spread(right)) / blocks
    tables.push(table)
  }
  const product = (a: Float64Array, b: Float64Array): number =>
    a.reduce((total, x, at) => total + x * b[at]!, 0)
  return {
    ...{ pairs, size, varied },
    norms: tables.map((table) => product(table, table)),
    inners: tables.map((table) => product(table, sum)),
  }
}

/** Mean squares over pairs of symbols, with one block left out or none. */
export interface Squares {
  /** Of the covariance without noise: the mean over pairs of different blocks. It may be below 0. */
  readonly signal: number
  /** Of the noise of all blocks together. */
  readonly noise: number
}

/** Signal and noise of all blocks, or of all but block `left`. At least three blocks. */
export function squaresOf({ norms, inners, size }: BlockProducts, left?: number): Squares {
  const total = inners.reduce((sum, x) => sum + x, 0)
  const own = norms.reduce((sum, x) => sum + x, 0)
  const isLeft = left !== undefined
  const n = norms.length - (isLeft ? 1 : 0)
  const whole = isLeft ? total - 2 * inners[left]! + norms[left]! : total
  const within = isLeft ? own - norms[left]! : own
  const signal = (whole - within) / (n * (n - 1)) / size
  return { signal, noise: (within / n / size - signal) / n }
}
