/** @file Reinforced Agent Merging: what one model alone changed is kept whole, what several changed is averaged. */
import {
  type Arithmetic,
  abs,
  and,
  arithmeticOf,
  atMost,
  constant,
  equal,
  keep,
  max,
  not,
  type Vector,
  where,
} from '../vector/index.ts'
import { define, numberOf } from './define.ts'
import type { LazyInput, MergeMethod, ParameterSpec } from './types.ts'
import { clamp, countOf, f32 } from './vectors.ts'

const single = arithmeticOf('F32')

const source = 'arXiv 2601.13572'
const epsilon: ParameterSpec = {
  name: 'epsilon',
  type: 'number',
  default: 1e-5,
  min: 0,
  doc: 'changes up to this size count as none',
}

/** The task vectors with small changes cleared, and by how many models each element was changed. */
function changes({ base, models, parameters, arithmetic }: LazyInput): { deltas: Vector[]; counts: Vector } {
  const least = arithmetic.number(numberOf(parameters, 'epsilon'))
  const deltas = models.map(({ values }) => arithmetic.subtract(values, base!))
  const changed = deltas.map((delta) => not(atMost(abs(delta), least)))
  return {
    deltas: deltas.map((delta, i) => keep(delta, changed[i]!)),
    counts: changed.map((mask) => keep(1, mask)).reduce(single.add, constant(0)),
  }
}

/** θ₀ + Σ: unique changes times the model's factor, shared ones divided by the number of models that share them. */
function reinforce(
  { add, multiply, total }: Arithmetic,
  divide: Arithmetic['divide'],
  base: Vector,
  { deltas, counts }: ReturnType<typeof changes>,
  factors: readonly number[],
): Vector {
  const unique = equal(counts, 1)
  const sharers = max(counts, 1)
  return add(base, total(deltas.map((x, m) => where(unique, multiply(x, factors[m]!), divide(x, sharers)))))
}

const ram = define({
  name: 'ram',
  title: 'Reinforced Agent Merging',
  source,
  needsBase: true,
  minModels: 0,
  reach: 'element',
  global: [epsilon],
  run: (input) =>
    reinforce(
      input.arithmetic,
      input.arithmetic.divide,
      input.base!,
      changes(input),
      input.models.map(() => 1),
    ),
})

const ramPlus = define({
  name: 'ramplus_tl',
  title: 'Reinforced Agent Merging Plus, tensor by tensor',
  source,
  needsBase: true,
  minModels: 0,
  global: [
    { name: 'r', type: 'number', default: 0.1, doc: 'strengthens unique changes by 1 + r · ρ' },
    {
      name: 'alpha',
      type: 'number',
      default: 0.2,
      min: 0,
      doc: 'the largest ρ, the ratio of shared to unique changes',
    },
    epsilon,
  ],
  run(input) {
    const found = changes(input)
    const [r, alpha] = [numberOf(input.parameters, 'r'), numberOf(input.parameters, 'alpha')]
    const least = f32(numberOf(input.parameters, 'epsilon'))
    const changed = found.deltas.map((delta) => not(equal(delta, 0)))
    const alone = equal(found.counts, 1)
    const counts = input.session.measure(
      ...changed.flatMap((mask) => [countOf(and(mask, not(alone))), countOf(and(mask, alone))]),
    )
    const factors = changed.map((_, m) => {
      const [shared, unique] = [counts[2 * m]!, counts[2 * m + 1]!]
      // ε is also the least divisor, as in mergekit: without unique changes ρ is its largest value
      const ratio = shared === 0 ? 0 : f32(shared / Math.max(unique, least))
      return f32(1 + f32(f32(r) * f32(clamp(ratio, 0, alpha))))
    })
    // the factors are f32 in mergekit, and what they touch becomes f32
    return input.arithmetic.vector(reinforce(single, input.arithmetic.divide, input.base!, found, factors))
  },
})

export const ramMethods: readonly MergeMethod[] = [ram, ramPlus]
