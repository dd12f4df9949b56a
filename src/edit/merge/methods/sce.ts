/** @file SCE: select elements that vary most between models, calculate a weight for each model, erase minority signs. */
import { define, numberOf } from './define.ts'
import { inert } from './parameters.ts'
import { keepLargest } from './select.ts'
import type { MergeMethod } from './types.ts'
import { difference, f32 } from './vectors.ts'

/** Variance over models of every element. */
function variances(deltas: readonly Float32Array[]): Float32Array {
  const n = deltas.length
  return deltas[0]!.map((_, i) => {
    let mean = 0
    for (const delta of deltas) mean += delta[i]! / n
    let total = 0
    for (const delta of deltas) total += (delta[i]! - mean) ** 2
    return total / n
  })
}

/** Clears all but the share of elements with the largest variance (of those that vary at all), in place. */
function select(deltas: readonly Float32Array[], share: number): void {
  const spread = variances(deltas)
  let varying = 0
  for (const x of spread) if (x !== 0) varying++
  const chosen = keepLargest(spread, Math.trunc(f32(varying * f32(share))))
  for (const delta of deltas) for (let i = 0; i < delta.length; i++) if (chosen[i] === 0) delta[i] = 0
}

/** The mean square of each δ, divided by their sum; equal when that is below 1e-6. */
function modelWeights(deltas: readonly Float32Array[]): number[] {
  const squares = deltas.map((delta) => {
    let total = 0
    for (const x of delta) total += f32(x * x)
    return f32(f32(total) / delta.length)
  })
  const total = f32(squares.reduce((partial, x) => partial + x, 0))
  return squares.map((x) => f32(total < 1e-6 ? 1 / squares.length : x / total))
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
  run({ base, models, parameters }) {
    const out = base!.slice()
    if (!models.length || !out.length) return out
    const deltas = models.map(({ values }) => difference(values, base!))
    const share = numberOf(parameters, 'select_topk')
    if (share < 1) select(deltas, share)
    const weights = modelWeights(deltas)
    for (let i = 0; i < out.length; i++) {
      let total = 0
      for (const delta of deltas) total = f32(total + delta[i]!)
      const positive = total >= 0
      let [mixed, divisor] = [0, 0]
      for (const [m, delta] of deltas.entries()) {
        const x = delta[i]!
        if (positive ? x <= 0 : x >= 0) continue
        mixed = f32(mixed + f32(x * weights[m]!))
        divisor = f32(divisor + weights[m]!)
      }
      out[i] = base![i]! + f32(mixed / Math.max(divisor, f32(1e-6)))
    }
    return out
  },
})

export const sceMethods: readonly MergeMethod[] = [sce]
