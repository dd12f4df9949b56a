/**
 * @file Task arithmetic and everything that is task arithmetic with a thinned δ and a vote on signs: θ₀ + λ Σ wᵢ δᵢ, where
 * δᵢ = sparsify(θᵢ − θ₀). One row for each of the nine methods.
 */
import { random } from '../../../tensor/index.ts'
import { define, isSet, numberOf, type Ready } from './define.ts'
import { density, inert, lambda, weight } from './parameters.ts'
import { atRandom, byMagnitude, byRankAtRandom, matchL1, withoutOutliers } from './sparsify.ts'
import type { MergeMethod, ParameterSpec, Parameters } from './types.ts'
import { addScaled, difference, f32, scaleInPlace } from './vectors.ts'
import { votedSum } from './vote.ts'

type Sparsify = (delta: Float32Array, parameters: Parameters, input: Ready, model: number) => Float32Array

interface Variant {
  readonly name: string
  readonly title: string
  readonly source: string
  readonly sparsify?: Sparsify
  readonly random?: boolean
  /** Parameters that only this sparsification has. */
  readonly extra?: readonly ParameterSpec[]
  /** Elect a sign for every element and let only those models speak that agree with it. */
  readonly vote: boolean
  readonly normalize: boolean
  readonly rescale: boolean
}

/** mixed ← mixed + weight · (values − base), in one pass. */
function addDelta(mixed: Float32Array, values: Float32Array, base: Float32Array, weight: number): void {
  for (let i = 0; i < mixed.length; i++) mixed[i] = mixed[i]! + f32(f32(values[i]! - base[i]!) * weight)
}

/** Whether a model loses elements at all. */
const thins = (parameters: Parameters, sparsify: Sparsify | undefined): sparsify is Sparsify =>
  sparsify !== undefined && numberOf(parameters, 'density') < 1

/** wᵢ δᵢ of one model. */
function weightedDelta(input: Ready, index: number, sparsify: Sparsify | undefined): Float32Array {
  const { values, parameters } = input.models[index]!
  const delta = difference(values, input.base!)
  const weight = numberOf(parameters, 'weight')
  if (!thins(parameters, sparsify)) {
    scaleInPlace(delta, weight)
    return delta
  }
  const kept = sparsify(delta, parameters, input, index)
  if (isSet(input.parameters, 'rescale')) matchL1(kept, delta)
  scaleInPlace(kept, weight)
  return kept
}

/** Σ wᵢ δᵢ, and Σ wᵢ (1 when it is nearly 0) to divide by. */
function plainSum(input: Ready, sparsify: Sparsify | undefined): { mixed: Float32Array; divisor: number } {
  const mixed = new Float32Array(input.base!.length)
  let divisor = 0
  for (const [m, { values, parameters }] of input.models.entries()) {
    const weight = f32(numberOf(parameters, 'weight'))
    if (thins(parameters, sparsify)) addScaled(mixed, weightedDelta(input, m, sparsify), 1)
    else addDelta(mixed, values, input.base!, weight)
    divisor = f32(divisor + weight)
  }
  return { mixed, divisor: Math.abs(divisor) < 1e-8 ? 1 : divisor }
}

/** The combined task vector before λ. */
function combinedDelta(input: Ready, { sparsify, vote }: Variant): Float32Array {
  const normalize = isSet(input.parameters, 'normalize')
  if (!vote) {
    const { mixed, divisor } = plainSum(input, sparsify)
    if (normalize) for (let i = 0; i < mixed.length; i++) mixed[i] = mixed[i]! / divisor
    return mixed
  }
  const deltas = input.models.map((_, i) => weightedDelta(input, i, sparsify))
  const weights = input.models.map(({ parameters }) => f32(numberOf(parameters, 'weight')))
  return votedSum(deltas, weights, normalize)
}

function run(input: Ready, variant: Variant): Float32Array {
  const base = input.base!
  if (!input.models.length) return base.slice()
  const mixed = combinedDelta(input, variant)
  const by = f32(numberOf(input.parameters, 'lambda'))
  for (let i = 0; i < mixed.length; i++) mixed[i] = base[i]! + f32(mixed[i]! * by)
  return mixed
}

const dense = (perModel: readonly Parameters[]): boolean =>
  perModel.every((parameters) => ((parameters['density'] as number | undefined) ?? 1) >= 1)

function variantMethod(variant: Variant): MergeMethod {
  const { name, title, source, sparsify, extra = [], normalize, rescale } = variant
  const nothingDropped = 'nothing is dropped, so there is nothing to rescale'
  const rescaleSpec: ParameterSpec = {
    name: 'rescale',
    type: 'boolean',
    default: rescale,
    doc: 'scale what is left of δ to the L1 norm of the whole, tensor by tensor',
  }
  return define({
    name,
    title,
    source,
    needsBase: true,
    minModels: 0,
    random: variant.random ?? false,
    global: [
      lambda,
      {
        name: 'normalize',
        type: 'boolean',
        default: normalize,
        doc: variant.vote ? 'divide by Σ w of the models that agree' : 'divide by Σ w (1 below 1e-8)',
      },
      sparsify ? rescaleSpec : inert(rescaleSpec, nothingDropped),
      inert(
        { name: 'int8_mask', type: 'boolean', default: false, doc: 'keep the mask in 8 bits' },
        'it saves memory in mergekit and changes no value',
      ),
    ],
    perModel: [weight, sparsify ? density : inert(density, 'this method drops nothing'), ...extra],
    reach: (_, perModel) => (!sparsify || dense(perModel) ? 'element' : 'tensor'),
    run: (input) => run(input, variant),
  })
}

const magnitude: Sparsify = (delta, p) => byMagnitude(delta, numberOf(p, 'density'))
const outliers: Sparsify = (delta, p) => withoutOutliers(delta, numberOf(p, 'density'), numberOf(p, 'gamma'))
const bernoulli: Sparsify = (delta, p, { key }, model) =>
  atRandom(delta, numberOf(p, 'density'), random.foldIn(key, model))
const della: Sparsify = (delta, p, { key, shape }, model) =>
  byRankAtRandom(delta, shape, {
    density: numberOf(p, 'density'),
    epsilon: numberOf(p, 'epsilon'),
    key: random.foldIn(key, model),
  })

const gamma: ParameterSpec = {
  name: 'gamma',
  type: 'number',
  default: 0.01,
  min: 0,
  max: 1,
  doc: 'the share of largest magnitudes to drop',
}
const epsilon: ParameterSpec = {
  name: 'epsilon',
  type: 'number',
  default: 0.15,
  min: 0,
  max: 1,
  doc: 'keep with probability density − ε (smallest of a row) to density + ε (largest)',
}

const daring = { sparsify: bernoulli, random: true, normalize: false, rescale: true } as const
const dellaBase = { sparsify: della, random: true, extra: [epsilon], rescale: true } as const
const crumbs = { sparsify: outliers, extra: [gamma], normalize: false, rescale: false } as const

/** Ilharco et al. 2023 and its descendants. */
export const taskArithmeticMethods: readonly MergeMethod[] = (
  [
    {
      name: 'task_arithmetic',
      title: 'Task arithmetic',
      source: 'Ilharco et al. 2023, arXiv 2212.04089',
      vote: false,
      normalize: false,
      rescale: false,
    },
    {
      name: 'ties',
      title: 'TIES',
      source: 'Yadav et al. 2023, arXiv 2306.01708',
      sparsify: magnitude,
      vote: true,
      normalize: true,
      rescale: false,
    },
    {
      name: 'dare_linear',
      title: 'Linear DARE',
      source: 'Yu et al. 2024, arXiv 2311.03099',
      vote: false,
      ...daring,
    },
    {
      name: 'dare_ties',
      title: 'DARE with TIES',
      source: 'Yu et al. 2024, arXiv 2311.03099',
      vote: true,
      ...daring,
    },
    {
      name: 'breadcrumbs',
      title: 'Model Breadcrumbs',
      source: 'Davari and Belilovsky 2024, arXiv 2312.06795',
      vote: false,
      ...crumbs,
    },
    {
      name: 'breadcrumbs_ties',
      title: 'Model Breadcrumbs with TIES',
      source: 'Davari and Belilovsky 2024, arXiv 2312.06795',
      vote: true,
      ...crumbs,
    },
    {
      name: 'della',
      title: 'DELLA',
      source: 'Deep et al. 2024, arXiv 2406.11617',
      vote: true,
      normalize: true,
      ...dellaBase,
    },
    {
      name: 'della_linear',
      title: 'Linear DELLA',
      source: 'Deep et al. 2024, arXiv 2406.11617',
      vote: false,
      normalize: false,
      ...dellaBase,
    },
  ] satisfies readonly Variant[]
).map(variantMethod)
