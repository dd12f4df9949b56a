/** @file Model Stock: how far to go from the base to the average, from the angle between task vectors. */
import { define, isSet } from './define.ts'
import type { MergeMethod } from './types.ts'
import { clamp, difference, f32 } from './vectors.ts'

/** cos θ between a and b in the range [from, to). */
function cosine(a: Float32Array, b: Float32Array, from: number, to: number): number {
  let [aa, bb, ab] = [0, 0, 0]
  for (let i = from; i < to; i++) {
    aa += a[i]! * a[i]!
    bb += b[i]! * b[i]!
    ab += f32(a[i]! * b[i]!)
  }
  const norms = f32(f32(Math.sqrt(aa)) * f32(Math.sqrt(bb)))
  return clamp(f32(f32(ab) / Math.max(norms, f32(1e-6))), -1, 1)
}

/** Mean cosine over all pairs. */
function meanCosine(deltas: readonly Float32Array[], from: number, to: number): number {
  let total = 0
  let pairs = 0
  for (const [i, a] of deltas.entries())
    for (const b of deltas.slice(i + 1)) {
      total += cosine(a, b, from, to)
      pairs++
    }
  return f32(f32(total) / pairs)
}

/** t = N cos θ / (1 + (N − 1) cos θ); 0, the base, where that has no finite value. (Jang et al. 2024, eq. 5) */
export function stockRatio(cos: number, count: number): number {
  const denominator = f32(1 + f32((count - 1) * cos))
  return Math.abs(denominator) < 1e-6 ? 0 : f32(f32(count * cos) / denominator)
}

const modelStock = define({
  name: 'model_stock',
  title: 'Model Stock',
  source: 'Jang et al. 2024, arXiv 2403.19522',
  needsBase: true,
  minModels: 2,
  missing: 'base-or-skip',
  global: [
    {
      name: 'filter_wise',
      type: 'boolean',
      default: false,
      doc: 'an angle for each row instead of one for the tensor',
    },
  ],
  run({ base, models, parameters, shape }) {
    const n = base!.length
    const row = isSet(parameters, 'filter_wise') ? (shape.at(-1) ?? 1) : n
    const deltas = models.map(({ values }) => difference(values, base!))
    const out = new Float32Array(n)
    for (let from = 0; from < n; from += row) {
      const t = stockRatio(meanCosine(deltas, from, from + row), models.length)
      const rest = f32(1 - t)
      for (let i = from; i < from + row; i++) {
        let total = 0
        for (const { values } of models) total = f32(total + values[i]!)
        out[i] = f32(t * f32(total / models.length)) + f32(rest * base![i]!)
      }
    }
    return out
  },
})

export const modelStockMethods: readonly MergeMethod[] = [modelStock]
