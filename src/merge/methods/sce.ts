/** @file SCE: select elements that vary most between models, calculate a weight for each model, erase minority signs. */
import {
  arithmeticOf,
  before,
  equal,
  keep,
  largestMasks,
  max,
  not,
  sameSign,
  type Vector,
  variance,
} from '../vector/index.ts'
import { define, numberOf } from './define.ts'
import { inert } from './parameters.ts'
import type { LazyInput, MergeMethod } from './types.ts'
import { countOf, f32, sumOf } from './vectors.ts'

const inSingle = arithmeticOf('F32')

/** The task vectors without all but the share of elements with the largest variance (of those that vary at all). */
function select({ session, arithmetic }: LazyInput, deltas: readonly Vector[], share: number): Vector[] {
  const spread = arithmetic.vector(variance(deltas))
  const [varying] = session.measure(countOf(not(equal(spread, 0))))
  const count = Math.trunc(f32(varying! * f32(share)))
  const [mask] = largestMasks(session, [{ of: spread, count }])
  const kept = mask ?? before(count > 0 ? session.length : 0)
  return deltas.map((delta) => keep(delta, kept))
}

/** The mean square of each δ, divided by their sum; equal when that is below 1e-6. */
function modelWeights({ session, arithmetic }: LazyInput, deltas: readonly Vector[]): number[] {
  const { multiply, number } = arithmetic
  const sums = session.measure(...deltas.map((delta) => sumOf(multiply(delta, delta))))
  const squares = sums.map((total) => number(f32(total) / session.length))
  const total = number(squares.reduce((partial, x) => partial + x, 0))
  return squares.map((x) => number(total < 1e-6 ? 1 / squares.length : x / total))
}

const sce = define({
  name: 'sce',
  title: 'SCE',
  source: 'Wan et al. 2024, arXiv 2408.07990',
  needsBase: true,
  minModels: 0,
  global: [
    {
      name: 'select_topk',
      type: 'number',
      default: 1,
      min: 0,
      max: 1,
      doc: 'the share of elements to keep, those that vary most between models',
    },
    inert(
      { name: 'int8_mask', type: 'boolean', default: false, doc: 'keep the mask in 8 bits' },
      'it saves memory in mergekit and changes no value',
    ),
  ],
  run(input) {
    const { base, models, parameters, arithmetic, session } = input
    const { add, subtract, multiply, divide, number } = arithmetic
    if (!models.length || session.length === 0) return base!
    const share = numberOf(parameters, 'select_topk')
    const all = models.map(({ values }) => subtract(values, base!))
    const deltas = share < 1 ? select(input, all, share) : all
    const weights = modelWeights(input, deltas)
    const elected = inSingle.total(deltas)
    const agrees = deltas.map((delta) => sameSign(delta, elected))
    const weighted = deltas.map((delta, m) => multiply(delta, weights[m]!))
    const mixed = arithmetic.total(weighted.map((x, m) => inSingle.multiply(x, keep(1, agrees[m]!))))
    const divisor = arithmetic.total(agrees.map((mask, m) => keep(weights[m]!, mask)))
    return add(base!, divide(mixed, max(divisor, number(1e-6))))
  },
})

export const sceMethods: readonly MergeMethod[] = [sce]
