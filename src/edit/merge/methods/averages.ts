/** @file Averages of models: linear, passthrough, soups, WiSE-FT. */
import { fail } from '../../../base/index.ts'
import { define, isSet, numberOf, type Ready } from './define.ts'
import { weight } from './parameters.ts'
import type { MergeMethod } from './types.ts'
import { blend, f32, scaled } from './vectors.ts'

/** Σ wᵢ θᵢ, rounded once for each model (a fused multiply–add, as in mergekit), two models in one go. */
function weightedSum({ models }: Ready, weights: readonly number[]): Float32Array {
  const out = new Float32Array(models[0]!.values.length)
  for (let m = 0; m < models.length; m += 2) {
    const x = models[m]!.values
    const y = models[m + 1]?.values
    const [v, w] = [f32(weights[m]!), f32(weights[m + 1] ?? 0)]
    if (y) for (let i = 0; i < out.length; i++) out[i] = f32(out[i]! + v * x[i]!) + w * y[i]!
    else for (let i = 0; i < out.length; i++) out[i] = out[i]! + v * x[i]!
  }
  return out
}

/** x / divisor, in place. */
function divideInPlace(x: Float32Array, divisor: number): Float32Array {
  if (divisor !== 1) for (let i = 0; i < x.length; i++) x[i] = x[i]! / divisor
  return x
}

const weightsOf = ({ models }: Ready): number[] =>
  models.map(({ parameters }) => numberOf(parameters, 'weight'))

const linear = define({
  name: 'linear',
  title: 'Linear',
  source: 'Wortsman et al. 2022, arXiv 2203.05482',
  reach: 'element',
  global: [{ name: 'normalize', type: 'boolean', default: true, doc: 'divide by Σ w' }],
  perModel: [weight],
  run(input) {
    const weights = weightsOf(input)
    const out = weightedSum(input, weights)
    if (!isSet(input.parameters, 'normalize')) return out
    const total = weights.reduce((partial, w) => f32(partial + f32(w)), 0)
    if (total === 0)
      fail(
        'TL_BAD_ARGUMENT',
        `linear: ${input.name}: expected weights whose sum is not 0, got ${weights.join(', ')}; set normalize: false`,
      )
    return divideInPlace(out, total)
  },
})

const passthrough = define({
  name: 'passthrough',
  title: 'Passthrough',
  source: 'mergekit',
  reach: 'element',
  maxModels: 1,
  perModel: [{ name: 'scale', type: 'number', default: 1, doc: 'multiplies the values' }],
  run({ models: [model] }) {
    const scale = numberOf(model!.parameters, 'scale')
    return scale === 1 ? model!.values.slice() : scaled(model!.values, scale)
  },
})

const uniformSoup = define({
  name: 'uniform_soup',
  title: 'Uniform soup',
  source: 'Wortsman et al. 2022, arXiv 2203.05482',
  reach: 'element',
  run(input) {
    const out = weightedSum(
      input,
      input.models.map(() => 1),
    )
    return divideInPlace(out, input.models.length)
  },
})

const rewardedSoup = define({
  name: 'rewarded_soup',
  title: 'Rewarded soup',
  source: 'Ramé et al. 2023, arXiv 2306.04488',
  reach: 'element',
  perModel: [{ ...weight, min: 0, max: 1, doc: 'μ, the preference for the reward of this model; Σ μ = 1' }],
  run(input) {
    const weights = weightsOf(input)
    const total = weights.reduce((partial, w) => partial + w, 0)
    if (Math.abs(total - 1) > 1e-6)
      fail(
        'TL_BAD_ARGUMENT',
        `rewarded_soup: ${input.name}: expected weights that sum to 1, got ${weights.join(' + ')} = ${total}`,
      )
    return weightedSum(input, weights)
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
  run({ base, models: [tuned], parameters }) {
    const alpha = numberOf(parameters, 'alpha')
    return blend(1 - alpha, base!, alpha, tuned!.values)
  },
})

export const averageMethods: readonly MergeMethod[] = [linear, passthrough, uniformSoup, rewardedSoup, wiseFt]
