/** @file Averages of models: linear, passthrough, soups, WiSE-FT. */
import { arithmeticOf, constant, fused, type Vector } from '../vector/index.ts'
import { define, isSet, numberOf } from './define.ts'
import { weight } from './parameters.ts'
import type { LazyInput, MergeMethod, Parameters } from './types.ts'
import { f32 } from './vectors.ts'

const inSingle = arithmeticOf('F32')

/** Σ wᵢ θᵢ in f32, rounded once for each model (a fused multiply–add, as in mergekit, whatever type it computes in). */
const weightedSum = ({ models }: LazyInput, weights: readonly number[]): Vector =>
  models.reduce<Vector>((sum, { values }, i) => fused(sum, values, weights[i]!), constant(0))

const divided = (x: Vector, divisor: number): Vector => (divisor === 1 ? x : inSingle.divide(x, divisor))

const weightsIn = (perModel: readonly Parameters[]): number[] =>
  perModel.map((parameters) => numberOf(parameters, 'weight'))

const weightsOf = ({ models }: LazyInput): number[] => weightsIn(models.map(({ parameters }) => parameters))

/** Σ w in f32. */
const singleTotal = (weights: readonly number[]): number =>
  weights.reduce((partial, w) => f32(partial + f32(w)), 0)

const linear = define({
  name: 'linear',
  title: 'Linear',
  source: 'Wortsman et al. 2022, arXiv 2203.05482',
  reach: 'element',
  global: [{ name: 'normalize', type: 'boolean', default: true, doc: 'divide by Σ w' }],
  perModel: [weight],
  check({ parameters, perModel }) {
    const weights = weightsIn(perModel)
    return isSet(parameters, 'normalize') && singleTotal(weights) === 0
      ? `expected weights whose sum is not 0, got ${weights.join(', ')}; set normalize: false`
      : undefined
  },
  run(input) {
    const weights = weightsOf(input)
    const sum = weightedSum(input, weights)
    if (!isSet(input.parameters, 'normalize')) return input.arithmetic.vector(sum)
    return input.arithmetic.vector(divided(sum, singleTotal(weights)))
  },
})

const passthrough = define({
  name: 'passthrough',
  title: 'Passthrough',
  source: 'mergekit',
  reach: 'element',
  maxModels: 1,
  perModel: [{ name: 'scale', type: 'number', default: 1, doc: 'multiplies the values' }],
  run({ models: [model], arithmetic: { multiply } }) {
    const scale = numberOf(model!.parameters, 'scale')
    return scale === 1 ? model!.values : multiply(model!.values, scale)
  },
})

const uniformSoup = define({
  name: 'uniform_soup',
  title: 'Uniform soup',
  source: 'Wortsman et al. 2022, arXiv 2203.05482',
  reach: 'element',
  run(input) {
    const sum = weightedSum(
      input,
      input.models.map(() => 1),
    )
    return input.arithmetic.vector(divided(sum, input.models.length))
  },
})

const rewardedSoup = define({
  name: 'rewarded_soup',
  title: 'Rewarded soup',
  source: 'Ramé et al. 2023, arXiv 2306.04488',
  reach: 'element',
  perModel: [{ ...weight, min: 0, max: 1, doc: 'μ, the preference for the reward of this model; Σ μ = 1' }],
  check({ perModel }) {
    const weights = weightsIn(perModel)
    const total = weights.reduce((partial, w) => partial + w, 0)
    return Math.abs(total - 1) > 1e-6
      ? `expected weights that sum to 1, got ${weights.join(' + ')} = ${total}`
      : undefined
  },
  run(input) {
    const weights = weightsOf(input)
    return input.arithmetic.vector(weightedSum(input, weights))
  },
})

const wiseFt = define({
  name: 'wise_ft',
  title: 'WiSE-FT',
  source: 'Wortsman et al. 2022, arXiv 2109.01903',
  reach: 'element',
  needsBase: true,
  maxModels: 1,
  global: [
    {
      name: 'alpha',
      type: 'number',
      default: 0.5,
      min: 0,
      max: 1,
      doc: '0 the base (zero-shot), 1 the fine-tuned model',
    },
  ],
  run({ base, models: [tuned], parameters, arithmetic: { add, multiply } }) {
    const alpha = numberOf(parameters, 'alpha')
    return add(multiply(base!, 1 - alpha), multiply(tuned!.values, alpha))
  },
})

export const averageMethods: readonly MergeMethod[] = [linear, passthrough, uniformSoup, rewardedSoup, wiseFt]
