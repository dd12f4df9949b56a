/** @file Model Stock: how far to go from the base to the average, from the angle between task vectors. */
import type { Measure, Operand } from '../vector/index.ts'
import { define, isSet } from './define.ts'
import { overRows } from './rows.ts'
import type { LazyInput, MergeMethod } from './types.ts'
import { clamp, f32, squares, sumOf } from './vectors.ts'

const pairsOf = <T>(list: readonly T[]): [T, T][] =>
  list.flatMap((a, i) => list.slice(i + 1).map((b): [T, T] => [a, b]))

/** Mean cosine over all pairs of task vectors, for every row. */
function meanCosines({ models, base, session, arithmetic }: LazyInput, row: number): Float32Array {
  const { number, subtract, multiply } = arithmetic
  const deltas = models.map(({ values }) => subtract(values, base!))
  const measures: Measure[] = [
    ...deltas.map(squares),
    ...pairsOf(deltas).map(([a, b]) => sumOf(multiply(a, b))),
  ]
  const sums =
    row === session.length
      ? session.measure(...measures).map((total) => Float64Array.of(total))
      : session.measureRows(row, ...measures)
  const norms = sums.slice(0, deltas.length)
  const dots = sums.slice(deltas.length)
  const pairs = pairsOf(norms)
  return Float32Array.from(dots[0]!, (_, r) => {
    const cosines = pairs.map(([aa, bb], p) => {
      const product = number(number(f32(Math.sqrt(aa[r]!))) * number(f32(Math.sqrt(bb[r]!))))
      return clamp(number(number(f32(dots[p]![r]!)) / Math.max(product, number(1e-6))), -1, 1)
    })
    return number(f32(cosines.reduce((total, x) => total + x, 0)) / pairs.length)
  })
}

/** t = N cos θ / (1 + (N − 1) cos θ); 0, the base, where that has no finite value. (Jang et al. 2024, eq. 5) */
function stockRatio(cos: number, count: number, number: (x: number) => number = f32): number {
  const denominator = number(1 + number((count - 1) * cos))
  return Math.abs(denominator) < 1e-6 ? 0 : number(number(count * cos) / denominator)
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
  run(input) {
    const { base, models, parameters, shape, session, arithmetic } = input
    const { add, multiply, divide, number } = arithmetic
    const n = session.length
    if (n === 0) return base!
    const row = isSet(parameters, 'filter_wise') ? (shape.at(-1) ?? 1) : n
    if (row < n) session.align(row)
    const ratios = meanCosines(input, row).map((cos) => stockRatio(cos, models.length, number))
    const spread = (values: Float32Array): Operand => (row < n ? overRows(values, row) : values[0]!)
    const sum = models.map(({ values }) => values).reduce((total, x) => add(total, x))
    return add(
      multiply(divide(sum, models.length), spread(ratios)),
      multiply(base!, spread(ratios.map((t) => number(1 - t)))),
    )
  },
})

export const modelStockMethods: readonly MergeMethod[] = [modelStock]
