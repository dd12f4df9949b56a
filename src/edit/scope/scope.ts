/**
 * @file What a prompt asks of its subject, as vectors, and how near two of them are. Not in the paper.
 *
 * A prompt is looked at in several places: over its tokens outside the subject where a model knows what is asked, and again, with
 * the last token, where it is about to answer. The feature of a look is a mean of hidden states at one block, each of norm
 * √width. What is left of it after the mean over general questions about the same subject is mapped by linear discriminants:
 * between questions, in units of what differs between ways to ask one (within-class covariance normalization: Hatch, Kajarekar
 * and Stolcke 2006). The score of two prompts by one look is their cosine less the half of how near each is to questions in
 * general, the mean over those that it is nearest to (adaptive symmetric normalization of scores: Matějka et al. 2017, without
 * its division). Their score is the weighted mean over looks (fusion of scores: Kittler et al. 1998).
 */
import { cholesky, eigenOf, fail } from '../../base/index.ts'

/** Where a prompt is looked at. */
export interface Look {
  /** Hidden states that enter this block. */
  readonly layer: number
  /** Those of all tokens outside the subject alike, or of the last token. */
  readonly tokens: 'outside' | 'last'
  /** Its share in the score; those of all looks sum to 1. */
  readonly weight: number
}

/** Most bytes of blocks, in f32, that are held for looks beside those that answer. */
const mostBytes = 1e9

/** What `defaultLooks` must know of a model. */
interface Depth {
  readonly layers: number
  readonly width: number
  readonly hidden: number
}

/**
 * Where a new store looks: outside the subject, at two blocks where a model knows what is asked and not yet the answer. A large
 * model is looked at once, between them, for the blocks below the last look are held beside those that answer.
 */
export function defaultLooks({ layers, width, hidden }: Depth, routerLayer: number): Look[] {
  const early = (share: number): number =>
    Math.min(routerLayer, Math.max(1, Math.round((share / 30) * layers)))
  // attention takes about as much as one of three matrices of a gated network
  const bytesTo = (layer: number): number => 4 * layer * (3 * width * hidden + 2 * width * width)
  const isLarge = bytesTo(early(12)) > mostBytes
  const layersSeen = isLarge ? [early(8)] : [...new Set([early(6), early(12)])]
  return layersSeen.map((layer) => ({ layer, tokens: 'outside', weight: 1 / layersSeen.length }))
}

/** What tells questions apart in one look. */
export interface Discriminants {
  readonly width: number
  readonly dimensions: number
  /** Discriminants [width, dimensions]. */
  readonly map: Float32Array
  /** Known questions as unit vectors, [questions, dimensions]. */
  readonly questions: Float32Array
}

/** Discriminants of every look, all of one width and as many of each. */
export interface ScopeMap {
  readonly width: number
  readonly dimensions: number
  readonly looks: readonly (Look & Discriminants)[]
}

/** The numbers of a scope, look after look, as files hold them. */
interface Joined {
  readonly map: Float32Array
  readonly questions: Float32Array
}

export function joined({ looks }: ScopeMap): Joined {
  const join = (parts: readonly Float32Array[]): Float32Array => {
    const out = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const part of parts) {
      out.set(part, at)
      at += part.length
    }
    return out
  }
  return { map: join(looks.map(({ map }) => map)), questions: join(looks.map(({ questions }) => questions)) }
}

/** The scope that was joined. */
export function parted({
  width,
  dimensions,
  looks,
  map,
  questions,
}: Joined & {
  readonly width: number
  readonly dimensions: number
  readonly looks: readonly Look[]
}): ScopeMap {
  const part = (x: Float32Array, l: number): Float32Array => {
    const size = x.length / looks.length
    return x.slice(l * size, (l + 1) * size)
  }
  return {
    ...{ width, dimensions },
    looks: looks.map((look, l) => ({
      ...look,
      ...{ width, dimensions, map: part(map, l), questions: part(questions, l) },
    })),
  }
}

/** What is left of one prompt's feature, of one look or of all, and which question it asks. */
export interface Asking {
  readonly rest: Float64Array
  readonly question: number
}

/** Share of the mean variance in the covariance within questions. */
const shrinkage = 0.5
/** Discriminants at most: beyond them differences between questions are within the noise. */
const mostDimensions = 40
/** Share of the largest difference between questions that is no difference: it is within rounding. */
const nothing = 1e-12
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

/** Linear discriminants of what is asked in one look. Throws `TL_BAD_ARGUMENT` for fewer than three questions. */
export function fitDiscriminants(askings: readonly Asking[]): Discriminants {
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
    // the questions differ in fewer directions: the column stays 0
    if (!(found.values[at]! > nothing * found.values[order[0]!]!)) continue
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

/** A feature [width] by discriminants, [dimensions]. */
export function mapped({ width, dimensions, map }: Discriminants, feature: ArrayLike<number>): Float64Array {
  const out = new Float64Array(dimensions)
  for (let j = 0; j < width; j++) {
    const value = feature[j]!
    for (let d = 0; d < dimensions; d++) out[d]! += value * map[j * dimensions + d]!
  }
  return out
}

/** What a prompt asks by one look, as a unit vector [dimensions]; of what is left of its feature. */
export const scopeVector = (own: Discriminants, rest: ArrayLike<number>): Float64Array =>
  unit(mapped(own, rest))

/** How near a prompt is to questions in general: half of the mean cosine with the known ones that it is nearest to. */
export function commonness({ dimensions, questions }: Discriminants, vector: ArrayLike<number>): number {
  const count = questions.length / dimensions
  const cosines = Array.from({ length: count }, (_, i) =>
    dot(questions.subarray(i * dimensions, (i + 1) * dimensions), vector),
  ).sort((a, b) => b - a)
  const nearest = cosines.slice(0, cohortOf(count))
  return nearest.reduce((a, b) => a + b, 0) / nearest.length / 2
}

/** The part of one look in numbers of all looks. */
const partOf = (x: Float64Array, look: number, size: number): Float64Array =>
  x.subarray(look * size, (look + 1) * size)

/** Discriminants of every look, of what is left of features [looks · width]. Throws `TL_BAD_ARGUMENT` for fewer than three questions. */
export function fitScope(looks: readonly Look[], askings: readonly Asking[]): ScopeMap {
  const width = askings[0]!.rest.length / looks.length
  const fitted = looks.map((look, l) => ({
    ...look,
    ...fitDiscriminants(askings.map(({ rest, question }) => ({ question, rest: partOf(rest, l, width) }))),
  }))
  return { width, dimensions: fitted[0]!.dimensions, looks: fitted }
}

/** What a prompt asks by all looks: a unit vector of each, [looks · dimensions]; of what is left of its features [looks · width]. */
export function scopeVectors({ width, dimensions, looks }: ScopeMap, rest: Float64Array): Float64Array {
  const out = new Float64Array(looks.length * dimensions)
  for (const [l, look] of looks.entries()) out.set(scopeVector(look, partOf(rest, l, width)), l * dimensions)
  return out
}

/** What a prompt asks, and its commonness. */
interface Placed {
  readonly vectors: Float64Array
  /** Weighted mean over looks. */
  readonly common: number
}

/** Vectors [looks · dimensions] with their commonness. */
export function placed({ dimensions, looks }: ScopeMap, vectors: Float64Array): Placed {
  const all = looks.map((look, l) => look.weight * commonness(look, partOf(vectors, l, dimensions)))
  return { vectors, common: all.reduce((a, b) => a + b, 0) }
}

/** Score of two prompts: near 1 less twice their commonness where they ask the same. */
export function nearness({ dimensions, looks }: ScopeMap, a: Placed, b: Placed): number {
  const cosines = looks.map(
    ({ weight }, l) => weight * dot(partOf(a.vectors, l, dimensions), partOf(b.vectors, l, dimensions)),
  )
  return cosines.reduce((x, y) => x + y, 0) - a.common - b.common
}
