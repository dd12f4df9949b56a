/** @file Composites: random attributes and inputs, and what the result should be. */
import { sizeOf } from '../../../src/tensor/dtype.ts'
import { type Attributes, applyAll } from '../../../src/tensor/tensor.ts'
import { type Draw, erfSeries } from '../draw.ts'
import { type CaseMaker, floats, random, range, total } from './case.ts'
import { unary } from './elementwise.ts'

/** An operation on each line of the last axis, with parameters of that axis's size. */
function onLines(
  op: string,
  f: (line: number[], parameters: number[][], attributes: Attributes) => number[][],
  { parameters = 0, attributes = (_: Draw): Attributes => ({}) } = {},
): CaseMaker {
  return {
    dtypes: floats,
    count: 8,
    make: (draw, dtype) => {
      const shape = draw.shape({ minRank: 1 })
      // statistics of nothing are not numbers
      const n = parameters ? Math.max(1, shape.at(-1)!) : shape.at(-1)!
      shape[shape.length - 1] = n
      const x = random(draw, shape, dtype, -3, 3)
      const more = range(parameters).map(() => random(draw, [n], dtype))
      const given = attributes(draw)
      const lines = range(sizeOf(shape.slice(0, -1))).map((row) =>
        f(
          x.values.slice(row * n, row * n + n),
          more.map((p) => [...p.values]),
          given,
        ),
      )
      const outputs = lines[0]?.length ?? 0
      return {
        inputs: [x, ...more],
        fn: (...xs) => applyAll(op, xs, given),
        expected: range(outputs).map((which) => lines.flatMap((line) => line[which]!)),
        attributes: given,
      }
    },
  }
}

const exponentials = (line: number[]): number[] => line.map(Math.exp)

const normalized = (line: number[], [scale, bias]: number[][], { epsilon }: Attributes): number[][] => {
  const mean = total(line) / line.length
  const variance = total(line.map((v) => v * v)) / line.length - mean * mean
  const inverse = 1 / Math.sqrt(variance + (epsilon as number))
  return [line.map((v, i) => (v - mean) * inverse * scale![i]! + bias![i]!), [mean], [inverse]]
}

const rootMeanSquare = (line: number[], epsilon: unknown): number =>
  Math.sqrt(total(line.map((v) => v * v)) / line.length + (epsilon as number))

/** The same sizes for x and y, and a scale. */
const addRmsNorm: CaseMaker = {
  dtypes: floats,
  count: 8,
  make: (draw, dtype, i) => {
    const shape = draw.shape({ rank: i % 2 ? 3 : 2 })
    const n = Math.max(1, shape.at(-1)!)
    shape[shape.length - 1] = n
    const [x, y] = [random(draw, shape, dtype, -3, 3), random(draw, shape, dtype, -3, 3)]
    const scale = random(draw, [n], dtype)
    const attributes = { epsilon: draw.pick([2 ** -16, 0.125]) }
    const sums = x.values.map((v, k) => v + y.values[k]!)
    const lines = range(sums.length / n).map((row) => sums.slice(row * n, row * n + n))
    return {
      inputs: [x, y, scale],
      fn: (...xs) => applyAll('addRmsNorm', xs, attributes),
      expected: [
        lines.flatMap((line) =>
          line.map((v, k) => (v / rootMeanSquare(line, attributes.epsilon)) * scale.values[k]!),
        ),
        sums,
      ],
      attributes,
    }
  },
}

const swiGlu: CaseMaker = {
  dtypes: floats,
  count: 6,
  make: (draw, dtype) => {
    const shape = draw.shape({ minRank: 1 })
    const n = Math.max(1, shape.at(-1)!)
    shape[shape.length - 1] = 2 * n
    const x = random(draw, shape, dtype, -3, 3)
    return {
      inputs: [x],
      fn: (...xs) => applyAll('swiGlu', xs),
      expected: [
        range(x.values.length / 2).map((k) => {
          const at = Math.floor(k / n) * 2 * n + (k % n)
          const gate = x.values[at]!
          return (gate / (1 + Math.exp(-gate))) * x.values[at + n]!
        }),
      ],
    }
  },
}

export const compositeCases: Readonly<Record<string, CaseMaker>> = {
  softmax: onLines('softmax', (line) => [exponentials(line).map((e) => e / total(exponentials(line)))]),
  logSoftmax: onLines('logSoftmax', (line) => [line.map((v) => v - Math.log(total(exponentials(line))))]),
  layerNorm: onLines('layerNorm', normalized, {
    parameters: 2,
    attributes: (draw) => ({ epsilon: draw.pick([2 ** -16, 0.125]) }),
  }),
  rmsNorm: onLines(
    'rmsNorm',
    (line, [scale], { epsilon }) => {
      const root = rootMeanSquare(line, epsilon)
      return [line.map((v, i) => (v / root) * scale![i]!), [1 / root]]
    },
    { parameters: 1, attributes: (draw) => ({ epsilon: draw.pick([2 ** -16, 0.125]) }) },
  ),
  addRmsNorm,
  swiGlu,
  gelu: unary(
    'gelu',
    (x) =>
      x === Number.NEGATIVE_INFINITY
        ? Number.NaN
        : x * 0.5 * (1 + (Math.abs(x) > 5 ? Math.sign(x) : erfSeries(x / Math.SQRT2))),
    { low: -3, high: 3 },
  ),
  silu: unary('silu', (x) => x / (1 + Math.exp(-x)), { low: -4, high: 4 }),
  softplus: unary('softplus', (x) => (x > 100 ? x : Math.log1p(Math.exp(x))), { low: -4, high: 4 }),
  bell: unary('bell', (x) => x / Math.exp(x * x), { low: -3, high: 3 }),
}
