/**
 * @file Task arithmetic and everything that is task arithmetic with a thinned δ and a vote on signs: θ₀ + λ Σ wᵢ δᵢ, where
 * δᵢ = sparsify(θᵢ − θ₀). One row for each of the nine methods.
 */
import { foldIn } from '../../base/index.ts'
import { keep, type Vector } from '../vector/index.ts'
import { define, isSet, numberOf } from './define.ts'
import { density, inert, lambda, weight } from './parameters.ts'
import { atRandom, byMagnitude, byRankAtRandom, drawsByRank, withoutOutliers } from './sparsify.ts'
import type { LazyInput, MergeMethod, ParameterSpec, Parameters } from './types.ts'
import { f32, l1Norms } from './vectors.ts'
import { votedSum } from './vote.ts'

/** A task vector that loses elements. */
interface Thinned {
  readonly delta: Vector
  readonly parameters: Parameters
  readonly density: number
  /** Its place among the models. */
  readonly model: number
}

/** The masks of what stays of task vectors, all found together. */
type Sparsify = (thinned: readonly Thinned[], input: LazyInput) => Vector[]

interface Variant {
  readonly name: string
  readonly title: string
  readonly source: string
  readonly sparsify?: Sparsify
  readonly random?: boolean
  /** Parameters that only this sparsification has. */
  readonly extra?: readonly ParameterSpec[]
  /** What is wrong with a model's parameters together. */
  readonly check?: (parameters: Parameters) => string | undefined
  /** Elect a sign for every element and let only those models speak that agree with it. */
  readonly vote: boolean
  readonly normalize: boolean
  readonly rescale: boolean
}

/** Below this L1 norm nothing is rescaled. */
const smallestNorm = 1e-7

/** What is left of each δ, scaled so that its L1 norm is that of the whole. */
function matchL1(
  { session, arithmetic }: LazyInput,
  kept: readonly Vector[],
  whole: readonly Vector[],
): Vector[] {
  const norms = l1Norms(session, arithmetic, ...whole, ...kept)
  return kept.map((x, i) => {
    const [before, after] = [norms[i]!, norms[i + kept.length]!]
    if (before < smallestNorm || after < smallestNorm) return x
    return arithmetic.multiply(x, arithmetic.number(before / after))
  })
}

/** wᵢ δᵢ of every model. */
function weightedDeltas(input: LazyInput, sparsify: Sparsify | undefined): Vector[] {
  const { models, base, arithmetic } = input
  const deltas = models.map(({ values }) => arithmetic.subtract(values, base!))
  const thinned = models.flatMap(({ parameters }, model): Thinned[] => {
    const density = sparsify ? numberOf(parameters, 'density') : 1
    return density < 1 ? [{ delta: deltas[model]!, parameters, density, model }] : []
  })
  if (sparsify && thinned.length > 0) {
    const kept = sparsify(thinned, input).map((mask, i) => keep(thinned[i]!.delta, mask))
    const whole = thinned.map(({ delta }) => delta)
    const left = isSet(input.parameters, 'rescale') ? matchL1(input, kept, whole) : kept
    for (const [i, { model }] of thinned.entries()) deltas[model] = left[i]!
  }
  return deltas.map((delta, i) => arithmetic.multiply(delta, weightOf(input, i)))
}

const weightOf = ({ models, arithmetic }: LazyInput, i: number): number =>
  arithmetic.number(numberOf(models[i]!.parameters, 'weight'))

/** Σ wᵢ δᵢ, divided by Σ wᵢ (1 when it is nearly 0) if `normalize`. */
function plainSum(input: LazyInput, deltas: readonly Vector[], normalize: boolean): Vector {
  const { arithmetic } = input
  const mixed = arithmetic.total(deltas)
  if (!normalize) return mixed
  const divisor = arithmetic.number(deltas.reduce((total, _, i) => f32(total + weightOf(input, i)), 0))
  return arithmetic.divide(mixed, Math.abs(divisor) < 1e-8 ? 1 : divisor)
}

/** The combined task vector before λ. */
function combinedDelta(input: LazyInput, { sparsify, vote }: Variant): Vector {
  const normalize = isSet(input.parameters, 'normalize')
  const deltas = weightedDeltas(input, sparsify)
  if (!vote) return plainSum(input, deltas, normalize)
  const weights = input.models.map((_, i) => weightOf(input, i))
  return votedSum(input.arithmetic, deltas, weights, normalize)
}

function run(input: LazyInput, variant: Variant): Vector {
  const { base, models, parameters, arithmetic } = input
  if (!models.length) return base!
  const mixed = combinedDelta(input, variant)
  const lambda = numberOf(parameters, 'lambda')
  return arithmetic.add(base!, lambda === 1 ? mixed : arithmetic.multiply(mixed, lambda))
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
    check: ({ perModel }) => perModel.map((own) => variant.check?.(own)).find(Boolean),
    reach: (_, perModel) => (!sparsify || dense(perModel) ? 'element' : 'tensor'),
    run: (input) => run(input, variant),
  })
}

const magnitude: Sparsify = (thinned, { session }) => byMagnitude(session, thinned)
const outliers: Sparsify = (thinned, { session }) =>
  withoutOutliers(
    session,
    thinned.map((one) => ({ ...one, gamma: numberOf(one.parameters, 'gamma') })),
  )
const bernoulli: Sparsify = (thinned, { key }) =>
  thinned.map(({ density, model }) => atRandom(density, foldIn(key, model)))
const della: Sparsify = (thinned, { session, key, shape }) =>
  thinned.map(({ delta, density, parameters, model }) =>
    byRankAtRandom(session, delta, {
      shape,
      density,
      epsilon: numberOf(parameters, 'epsilon'),
      key: foldIn(key, model),
    }),
  )

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
const dellaBase = {
  sparsify: della,
  random: true,
  extra: [epsilon],
  rescale: true,
  check(own: Parameters): string | undefined {
    const [share, spread] = [numberOf(own, 'density'), numberOf(own, 'epsilon')]
    return drawsByRank(share, spread)
      ? undefined
      : `density ± epsilon: expected both within (0, 1), got ${share} ± ${spread}; lower epsilon`
  },
} as const
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
