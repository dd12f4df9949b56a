/**
 * @file What a prompt asks of its subject, as a vector, and how near two of them are. Not in the paper.
 *
 * The feature of a prompt is the mean of its hidden states at one block, each of norm √width, over tokens outside the subject.
 * What is left of it after the mean over general questions about the same subject is mapped by linear discriminants: between
 * questions, in units of what differs between ways to ask one (within-class covariance normalization: Hatch, Kajarekar and Stolcke
 * 2006). The score of two prompts is their cosine less the half of how near each is to questions in general, the mean over those
 * that it is nearest to (adaptive symmetric normalization of scores: Matějka et al. 2017, without its division).
 */
import { cholesky, eigenOf, fail } from '../../base/index.ts'

export interface ScopeMap {
  readonly width: number
  readonly dimensions: number
  /** Discriminants [width, dimensions]. */
  readonly map: Float32Array
  /** Known questions as unit vectors, [questions, dimensions]. */
  readonly questions: Float32Array
}

/** What is left of one prompt's feature, and which question it asks. */
export interface Asking {
  readonly rest: Float64Array
  readonly question: number
}

/** Share of the mean variance in the covariance within questions. */
const shrinkage = 0.5
/** Discriminants at most: beyond them differences between questions are within the noise. */
const mostDimensions = 40
/** Share of the known questions that count as those a prompt is nearest to. */
const cohortShare = 0.38

/** How many of the known questions are the nearest ones. */
export const cohortOf = (questions: number): number => Math.max(1, Math.round(cohortShare * questions))

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

function unit(x: Float64Array): Float64Array {
  const norm = Math.sqrt(dot(x, x) + 1e-30)
  return x.map((value) => value / norm)
}

export const difference = (a: ArrayLike<number>, b: ArrayLike<number>): Float64Array =>
  Float64Array.from({ length: a.length }, (_, i) => a[i]! - b[i]!)

export function meanOf(vectors: readonly Float64Array[]): Float64Array {
  const mean = new Float64Array(vectors[0]!.length)
  for (const vector of vectors) for (let i = 0; i < mean.length; i++) mean[i]! += vector[i]! / vectors.length
  return mean
}

/** x with L x = b of a lower factor L [n, n]. */
function forward(factor: Float64Array, b: Float64Array): Float64Array {
  const n = b.length
  const x = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    let rest = b[i]!
    for (let k = 0; k < i; k++) rest -= factor[i * n + k]! * x[k]!
    x[i] = rest / factor[i * n + i]!
  }
  return x
}

/** x with Lᵀ x = b. */
function backward(factor: Float64Array, b: Float64Array): Float64Array {
  const n = b.length
  const x = b.slice()
  for (let i = n - 1; i >= 0; i--) {
    x[i]! /= factor[i * n + i]!
    for (let k = 0; k < i; k++) x[k]! -= factor[i * n + k]! * x[i]!
  }
  return x
}

/** Lower Cholesky factor of the covariance within questions, shrunk towards a multiple of the identity. */
function withinFactor(groups: readonly (readonly Float64Array[])[], width: number): Float64Array {
  const covariance = new Float64Array(width * width)
  let count = 0
  for (const group of groups) {
    const mean = meanOf(group)
    for (const vector of group) {
      const x = difference(vector, mean)
      count++
      for (let i = 0; i < width; i++) {
        const value = x[i]!
        for (let j = 0; j <= i; j++) covariance[i * width + j]! += value * x[j]!
      }
    }
  }
  let trace = 0
  for (let i = 0; i < width; i++) trace += covariance[i * (width + 1)]! / count / width
  for (let i = 0; i < width; i++)
    for (let j = 0; j <= i; j++) {
      const own = ((1 - shrinkage) * covariance[i * width + j]!) / count
      covariance[i * width + j] = own + (i === j ? shrinkage * trace : 0)
    }
  if (!(trace > 0) || cholesky(covariance, width) >= 0)
    fail(
      'TL_NOT_FINITE',
      'scope: the hidden states of questions do not differ: this model cannot tell them apart',
    )
  return covariance
}

/** Linear discriminants of what is asked. Throws `TL_BAD_ARGUMENT` for fewer than three questions. */
export function fitScope(askings: readonly Asking[]): ScopeMap {
  const groups = new Map<number, Float64Array[]>()
  for (const { rest, question } of askings) {
    const own = groups.get(question)
    if (own) own.push(rest)
    else groups.set(question, [rest])
  }
  if (groups.size < 3) fail('TL_BAD_ARGUMENT', `scope: expected at least three questions, got ${groups.size}`)
  const width = askings[0]!.rest.length
  const all = [...groups.values()]
  const factor = withinFactor(all, width)
  const means = all.map(meanOf)
  const whitened = means.map((mean) => forward(factor, mean))
  // directions between questions, by the matrix of their inner products: there are fewer of them than entries
  const n = whitened.length
  const products = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) products[i * n + j] = dot(whitened[i]!, whitened[j]!)
  const found =
    eigenOf(products, n) ?? fail('TL_NOT_FINITE', 'scope: hidden states of questions are not finite')
  const order = [...found.values.keys()].toReversed()
  const dimensions = Math.min(mostDimensions, n - 1)
  const map = new Float32Array(width * dimensions)
  for (const [d, at] of order.slice(0, dimensions).entries()) {
    const direction = new Float64Array(width)
    for (let i = 0; i < n; i++) {
      const weight = found.vectors[at * n + i]!
      for (let j = 0; j < width; j++) direction[j]! += weight * whitened[i]![j]!
    }
    // applied to a feature: directionᵀ L⁻¹ x = (L⁻ᵀ direction)ᵀ x
    const column = backward(factor, unit(direction))
    for (let j = 0; j < width; j++) map[j * dimensions + d] = column[j]!
  }
  const bare = { width, dimensions, map, questions: new Float32Array() }
  const questions = new Float32Array(n * dimensions)
  for (const [i, mean] of means.entries()) questions.set(scopeVector(bare, mean), i * dimensions)
  return { ...bare, questions }
}

/** What a prompt asks, as a unit vector [dimensions]. */
export function scopeVector({ width, dimensions, map }: ScopeMap, rest: ArrayLike<number>): Float64Array {
  const out = new Float64Array(dimensions)
  for (let j = 0; j < width; j++) {
    const value = rest[j]!
    for (let d = 0; d < dimensions; d++) out[d]! += value * map[j * dimensions + d]!
  }
  return unit(out)
}

/** How near a prompt is to questions in general: half of the mean cosine with the known ones that it is nearest to. */
export function commonness({ dimensions, questions }: ScopeMap, vector: ArrayLike<number>): number {
  const count = questions.length / dimensions
  const cosines = Array.from({ length: count }, (_, i) =>
    dot(questions.subarray(i * dimensions, (i + 1) * dimensions), vector),
  ).sort((a, b) => b - a)
  const nearest = cosines.slice(0, cohortOf(count))
  return nearest.reduce((a, b) => a + b, 0) / nearest.length / 2
}

/** What a prompt asks, and its commonness. */
interface Placed {
  readonly vector: ArrayLike<number>
  readonly common: number
}

/** Score of two prompts whose commonness is known: near 1 − commonness where they ask the same. */
export const nearness = (a: Placed, b: Placed): number => dot(a.vector, b.vector) - a.common - b.common

/** The same of two vectors. */
export const scopeScore = (map: ScopeMap, a: ArrayLike<number>, b: ArrayLike<number>): number =>
  nearness({ vector: a, common: commonness(map, a) }, { vector: b, common: commonness(map, b) })
