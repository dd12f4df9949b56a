/** @file Means of several models on a sphere: multislerp (one step in a tangent space) and the Karcher mean (iterated). */
import { fail } from '../../base/index.ts'
import { arithmeticOf, blend, type Measure, type Vector } from '../vector/index.ts'
import { define, isSet, numberOf } from './define.ts'
import { weight } from './parameters.ts'
import type { LazyInput, MergeMethod, Parameters } from './types.ts'
import { clamp, f32, norms, sumOf, zeros } from './vectors.ts'

/** Guards norms against 0 in multislerp. */
const epsilon = 1e-8

/** Barycentric interpolation of vectors on the sphere: project at the mean direction, average, come back by exp. */
function barycentre(
  { session, arithmetic, name }: LazyInput,
  vectors: readonly Vector[],
  weights: readonly number[],
  eps: number,
): Vector {
  const { add, subtract, multiply, divide, total, number } = arithmetic
  const lengths = norms(session, arithmetic, ...vectors)
  const units = vectors.map((x, i) => divide(x, number(lengths[i]! + f32(eps))))
  const direction = total(units.map((unit, i) => multiply(unit, weights[i]!)))
  const [length] = norms(session, arithmetic, direction)
  if (length! < eps) {
    if (vectors.length === 2)
      return add(multiply(vectors[0]!, weights[0]!), multiply(vectors[1]!, weights[1]!))
    fail(
      'TL_BAD_ARGUMENT',
      `multislerp: ${name}: the weighted directions cancel, so there is no mean direction; change the weights`,
    )
  }
  const mean = divide(direction, length!)
  const dots = session.measure(...units.map((unit) => sumOf(multiply(unit, mean)))).map((x) => number(f32(x)))
  const tangent = total(
    units.map((unit, i) => multiply(subtract(unit, multiply(mean, dots[i]!)), weights[i]!)),
  )
  const [tilt] = norms(session, arithmetic, tangent)
  const angle = number(tilt! + f32(eps))
  const onSphere = add(
    multiply(mean, number(Math.cos(angle))),
    multiply(tangent, number(number(Math.sin(angle)) / angle)),
  )
  return multiply(onSphere, number(lengths.reduce((sum, n, i) => f32(sum + number(n * weights[i]!)), 0)))
}

/** Σ w as the arithmetic sums it. */
const totalOf = (perModel: readonly Parameters[], number: (x: number) => number): number =>
  number(perModel.reduce((partial, parameters) => f32(partial + number(numberOf(parameters, 'weight'))), 0))

const multislerp = define({
  name: 'multislerp',
  title: 'Multi-SLERP',
  source: 'Goddard 2024, goddard.blog/posts/multislerp-wow-what-a-cool-idea',
  needsBase: 'optional',
  global: [
    { name: 'normalize_weights', type: 'boolean', default: true, doc: 'divide the weights by their sum' },
    { name: 'eps', type: 'number', default: epsilon, min: 0, doc: 'guards norms against 0' },
  ],
  perModel: [weight],
  check({ parameters, perModel, number }) {
    if (perModel.length === 1 || !isSet(parameters, 'normalize_weights')) return undefined
    return totalOf(perModel, number) === 0
      ? 'expected weights whose sum is not 0; set normalize_weights: false'
      : undefined
  },
  run(input) {
    const { base, models, parameters, arithmetic } = input
    const { number } = arithmetic
    if (models.length === 1) return models[0]!.values
    const vectors = models.map(({ values }) => (base ? arithmetic.subtract(values, base) : values))
    let weights = models.map((model) => number(numberOf(model.parameters, 'weight')))
    if (isSet(parameters, 'normalize_weights')) {
      const total = totalOf(
        models.map((model) => model.parameters),
        number,
      )
      weights = weights.map((w) => number(w / total))
    }
    const merged = barycentre(input, vectors, weights, numberOf(parameters, 'eps'))
    return base ? arithmetic.add(merged, base) : merged
  },
})

/** The quadratic form of a symmetric matrix. */
const form = (matrix: readonly (readonly number[])[], x: readonly number[]): number =>
  x.reduce((sum, a, i) => sum + a * x.reduce((inner, b, j) => inner + matrix[i]![j]! * b, 0), 0)

/**
 * Coefficients of the unit vector that minimizes the sum of squared angles to unit vectors, from their inner products: the
 * iterates are combinations of the inputs, so no tensor is needed to find them.
 */
function karcherCoefficients(
  products: readonly (readonly number[])[],
  maxIterations: number,
  tol: number,
): number[] {
  const share = 1 / products.length
  const length = (x: readonly number[]): number => Math.sqrt(Math.max(0, form(products, x)))
  const start = products.map(() => share)
  const first = length(start)
  let mean = first < tol ? products.map((_, i) => (i === 0 ? 1 : 0)) : start.map((c) => c / first)
  for (let step = 0; step < maxIterations; step++) {
    const tangent = products.map(() => 0)
    for (const [i, row] of products.entries()) {
      const cosine = clamp(
        row.reduce((sum, g, j) => sum + g * mean[j]!, 0),
        -1,
        1,
      )
      const theta = Math.acos(cosine)
      if (theta < tol) continue
      const factor = (theta / Math.sin(theta)) * share
      for (const [j, c] of mean.entries()) tangent[j] = tangent[j]! - factor * cosine * c
      tangent[i] = tangent[i]! + factor
    }
    const angle = length(tangent)
    if (angle < tol) break
    mean = mean.map((c, i) => Math.cos(angle) * c + (Math.sin(angle) / angle) * tangent[i]!)
    const drift = length(mean)
    if (drift > tol) mean = mean.map((c) => c / drift)
  }
  return mean
}

/** The same with vectors that are rounded at every step, as a program in a narrow type does. */
function karcherDirection(
  { session, arithmetic }: LazyInput,
  units: readonly Vector[],
  maxIterations: number,
  tol: number,
): Vector {
  const { add, subtract, multiply, divide, number } = arithmetic
  const wide = arithmeticOf('F32')
  const share = 1 / units.length
  const start = units.map((unit) => multiply(unit, share)).reduce((sum, x) => add(sum, x))
  const [length] = norms(session, wide, start)
  let mean = length! < tol ? units[0]! : divide(start, length!)
  for (let step = 0; step < maxIterations; step++) {
    const dots = session.measure(...units.map((unit): Measure => ({ kind: 'product', of: mean, and: unit })))
    let tangent: Vector | undefined
    for (const [i, unit] of units.entries()) {
      const cosine = clamp(number(f32(dots[i]!)), -1, 1)
      const theta = number(Math.acos(cosine))
      if (theta < tol) continue
      const factor = number(number(theta / number(Math.sin(theta))) * share)
      const part = multiply(subtract(unit, multiply(mean, cosine)), factor)
      tangent = tangent ? add(tangent, part) : part
    }
    if (!tangent) break
    const [angle] = norms(session, wide, tangent)
    if (angle! < tol) break
    const along = multiply(divide(tangent, angle!), number(Math.sin(angle!)))
    mean = add(multiply(mean, number(Math.cos(angle!))), along)
    const [drift] = norms(session, wide, mean)
    if (drift! > tol) mean = divide(mean, drift!)
  }
  return mean
}

const karcher = define({
  name: 'karcher',
  title: 'Karcher mean',
  source: 'Karcher 1977; arXiv 2603.04972',
  global: [
    { name: 'max_iter', type: 'integer', default: 10, min: 0, doc: 'iterations at most' },
    {
      name: 'tol',
      type: 'number',
      default: 1e-5,
      min: 0,
      doc: 'stop when a step is shorter; vectors shorter count as 0',
    },
  ],
  run(input) {
    const { models, parameters, session, arithmetic } = input
    const { values: first } = models[0]!
    if (models.length === 1) return first
    const tol = numberOf(parameters, 'tol')
    const most = numberOf(parameters, 'max_iter')
    const vectors = models.map(({ values }) => values)
    const pairs = vectors.flatMap((of, i) =>
      vectors.slice(i).map((and): Measure => ({ kind: 'product', of, and })),
    )
    const sums = session.measure(...pairs)
    const product = (i: number, j: number): number => {
      const [a, b] = [Math.min(i, j), Math.max(i, j)]
      return sums[a * vectors.length - (a * (a - 1)) / 2 + (b - a)]!
    }
    const lengths = vectors.map((_, i) => f32(Math.sqrt(product(i, i))))
    const valid = vectors.flatMap((_, i) => (lengths[i]! > tol ? [i] : []))
    if (!valid.length) return zeros(first)
    const share = f32(1 / models.length)
    const radius = lengths.reduce((total, n) => f32(total + f32(n * share)), 0)
    if (arithmetic.type === 'F32') {
      const exact = (i: number): number => Math.sqrt(product(i, i))
      const cosines = valid.map((i) => valid.map((j) => product(i, j) / (exact(i) * exact(j))))
      const mean = karcherCoefficients(cosines, most, tol)
      return blend(
        valid.map((i) => vectors[i]!),
        valid.map((i, k) => (mean[k]! * radius) / exact(i)),
      )
    }
    const units = valid.map((i) => arithmetic.divide(vectors[i]!, lengths[i]!))
    return arithmetic.multiply(karcherDirection(input, units, most, tol), arithmetic.number(radius))
  },
})

export const sphericalMeanMethods: readonly MergeMethod[] = [multislerp, karcher]
