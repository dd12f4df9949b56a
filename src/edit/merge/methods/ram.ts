/** @file Reinforced Agent Merging: what one model alone changed is kept whole, what several changed is averaged. */
import { define, numberOf, type Ready } from './define.ts'
import type { MergeMethod, ParameterSpec } from './types.ts'
import { clamp, difference, f32 } from './vectors.ts'

const source = 'arXiv 2601.13572'
const epsilon: ParameterSpec = {
  name: 'epsilon',
  type: 'number',
  default: 1e-5,
  min: 0,
  doc: 'changes up to this size count as none',
}

/** The task vectors with small changes cleared, and by how many models each element was changed. */
function changes({ base, models, parameters }: Ready): { deltas: Float32Array[]; counts: Uint16Array } {
  const least = f32(numberOf(parameters, 'epsilon'))
  const counts = new Uint16Array(base!.length)
  const deltas = models.map(({ values }) => difference(values, base!))
  for (const delta of deltas)
    for (let i = 0; i < delta.length; i++)
      if (Math.abs(delta[i]!) > least) counts[i]!++
      else delta[i] = 0
  return { deltas, counts }
}

/** θ₀ + Σ: unique changes times the model's factor, shared ones divided by the number of models that share them. */
function reinforce(
  base: Float32Array,
  { deltas, counts }: ReturnType<typeof changes>,
  factors: readonly number[],
): Float32Array {
  const out = new Float32Array(base.length)
  for (let i = 0; i < out.length; i++) {
    const count = counts[i]!
    let total = 0
    for (let m = 0; m < deltas.length; m++) {
      const x = deltas[m]![i]!
      total = f32(total + f32(count === 1 ? x * factors[m]! : x / Math.max(count, 1)))
    }
    out[i] = base[i]! + total
  }
  return out
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
    const factors = found.deltas.map((delta) => {
      let [shared, unique] = [0, 0]
      for (let i = 0; i < delta.length; i++)
        if (delta[i] !== 0) {
          if (found.counts[i] === 1) unique++
          else shared++
        }
      // ε is also the least divisor, as in mergekit: without unique changes ρ is its largest value
      const ratio = shared === 0 ? 0 : f32(shared / Math.max(unique, least))
      return f32(1 + f32(f32(r) * f32(clamp(ratio, 0, alpha))))
    })
    return reinforce(input.base!, found, factors)
  },
})

export const ramMethods: readonly MergeMethod[] = [ram, ramPlus]
