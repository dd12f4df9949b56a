/** @file Means of several models on a sphere: multislerp (one step in a tangent space) and the Karcher mean (iterated). */
import { fail } from '../../../base/index.ts'
import { define, isSet, numberOf } from './define.ts'
import { weight } from './parameters.ts'
import type { MergeMethod } from './types.ts'
import { addScaled, blend, clamp, difference, divided, dot, f32, norm, scaled, sum } from './vectors.ts'

/** Guards norms against 0 in multislerp. */
const epsilon = 1e-8

/** Barycentric interpolation of vectors on the sphere: project at the mean direction, average, come back by exp. */
function barycentre(
  vectors: readonly Float32Array[],
  weights: readonly number[],
  name: string,
  eps: number,
): Float32Array {
  const norms = vectors.map(norm)
  const units = vectors.map((x, i) => divided(x, f32(norms[i]! + f32(eps))))
  const direction = new Float32Array(vectors[0]!.length)
  for (const [i, unit] of units.entries()) addScaled(direction, unit, weights[i]!)
  const length = norm(direction)
  if (length < eps) {
    if (vectors.length === 2) return blend(weights[0]!, vectors[0]!, weights[1]!, vectors[1]!)
    fail(
      'TL_BAD_ARGUMENT',
      `multislerp: ${name}: the weighted directions cancel, so there is no mean direction; change the weights`,
    )
  }
  const mean = divided(direction, length)
  const tangent = new Float32Array(mean.length)
  for (const [i, unit] of units.entries()) {
    const along = scaled(mean, dot(unit, mean))
    addScaled(tangent, difference(unit, along), weights[i]!)
  }
  const angle = f32(norm(tangent) + f32(eps))
  const onSphere = blend(Math.cos(angle), mean, f32(f32(Math.sin(angle)) / angle), tangent)
  const radius = norms.reduce((total, n, i) => f32(total + f32(n * weights[i]!)), 0)
  return scaled(onSphere, radius)
}

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
  run({ base, models, parameters, name }) {
    if (models.length === 1) return models[0]!.values.slice()
    const vectors = models.map(({ values }) => (base ? difference(values, base) : values))
    let weights = models.map((model) => f32(numberOf(model.parameters, 'weight')))
    if (isSet(parameters, 'normalize_weights')) {
      const total = weights.reduce((partial, w) => f32(partial + w), 0)
      if (total === 0)
        fail(
          'TL_BAD_ARGUMENT',
          `multislerp: ${name}: expected weights whose sum is not 0; set normalize_weights: false`,
        )
      weights = weights.map((w) => f32(w / total))
    }
    const merged = barycentre(vectors, weights, name, numberOf(parameters, 'eps'))
    return base ? sum(merged, base) : merged
  },
})

/** One step of the iteration: the mean of the logarithms of the unit vectors at `mean`, in the tangent space there. */
function meanLogarithm(
  mean: Float32Array,
  units: readonly Float32Array[],
  share: number,
  tol: number,
): Float32Array {
  const tangent = new Float32Array(mean.length)
  for (const unit of units) {
    const cosine = clamp(dot(mean, unit), -1, 1)
    const theta = f32(Math.acos(cosine))
    if (theta < tol) continue
    const factor = f32(f32(theta / f32(Math.sin(theta))) * f32(share))
    addScaled(tangent, difference(unit, scaled(mean, cosine)), factor)
  }
  return tangent
}

/** The unit vector that minimizes the sum of squared angles to the given ones. */
function karcherDirection(units: readonly Float32Array[], maxIterations: number, tol: number): Float32Array {
  const share = 1 / units.length
  const start = new Float32Array(units[0]!.length)
  for (const unit of units) addScaled(start, unit, share)
  const length = norm(start)
  let mean = length < tol ? units[0]!.slice() : divided(start, length)
  for (let step = 0; step < maxIterations; step++) {
    const tangent = meanLogarithm(mean, units, share, tol)
    const angle = norm(tangent)
    if (angle < tol) break
    mean = blend(Math.cos(angle), mean, Math.sin(angle), divided(tangent, angle))
    const drift = norm(mean)
    if (drift > tol) mean = divided(mean, drift)
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
  run({ models, parameters }) {
    if (models.length === 1) return models[0]!.values.slice()
    const tol = numberOf(parameters, 'tol')
    const norms = models.map(({ values }) => norm(values))
    const units = models.flatMap(({ values }, i) => (norms[i]! > tol ? [divided(values, norms[i]!)] : []))
    if (!units.length) return new Float32Array(models[0]!.values.length)
    const mean = karcherDirection(units, numberOf(parameters, 'max_iter'), tol)
    const share = f32(1 / models.length)
    return scaled(
      mean,
      norms.reduce((total, n) => f32(total + f32(n * share)), 0),
    )
  },
})

export const sphericalMeanMethods: readonly MergeMethod[] = [multislerp, karcher]
