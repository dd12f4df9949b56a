/** @file Matrix products, convolutions and pooling: random attributes and inputs, and what the result should be. */
import { isFloat } from '../../../src/tensor/dtype.ts'
import { apply, applyAll } from '../../../src/tensor/tensor.ts'
import { at, build, type Draw, distinct, indices, numbers } from '../draw.ts'
import { type CaseMaker, floats, input, numeric, random, range } from './case.ts'

const product: CaseMaker = {
  dtypes: numeric,
  count: 12,
  make: (draw, dtype) => {
    const batch = draw.shape({ maxRank: 2, limit: 6 })
    const [m, k, n] = draw.shape({ rank: 3, limit: 64 }) as [number, number, number]
    const [transposeA, transposeB] = [draw.chance(0.5), draw.chance(0.5)]
    const alpha = isFloat(dtype) && draw.chance(0.4) ? draw.pick([0.5, -2]) : 1
    const a = random(draw, [...batch, ...(transposeA ? [k, m] : [m, k])], dtype)
    const b = random(draw, [...batch, ...(transposeB ? [n, k] : [k, n])], dtype)
    const expected = build([...batch, m, n], (index) => {
      const [lead, i, j] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!]
      const terms = range(k).map(
        (p) =>
          at(a, [...lead, ...(transposeA ? [p, i] : [i, p])]) *
          at(b, [...lead, ...(transposeB ? [j, p] : [p, j])]),
      )
      return alpha * terms.reduce((x, y) => x + y, 0)
    })
    const attributes = { transposeA, transposeB, alpha }
    return {
      inputs: [a, b],
      fn: (...xs) => [apply('matmul', xs, attributes)],
      expected: [expected],
      attributes,
    }
  },
}

interface Geometry {
  readonly stride: [number, number]
  readonly padding: [[number, number], [number, number]]
  readonly dilation: [number, number]
  readonly groups: number
  readonly input: [number, number]
  readonly kernel: [number, number]
}

/** Random geometry with the shapes of x, w and y. */
function convolutionShapes(draw: Draw): { g: Geometry; x: number[]; w: number[]; y: number[] } {
  const pair = (low: number, high: number): [number, number] => [draw.int(low, high), draw.int(low, high)]
  const groups = draw.pick([1, 1, 2, 3])
  const [inner, outer] = [draw.int(1, 2), draw.int(1, 2)]
  const kernel = pair(1, 3)
  const dilation = draw.chance(0.7) ? ([1, 1] as [number, number]) : pair(1, 2)
  const stride = draw.chance(0.5) ? ([1, 1] as [number, number]) : pair(1, 3)
  const pads: [[number, number], [number, number]] = draw.chance(0.4)
    ? [
        [0, 0],
        [0, 0],
      ]
    : [pair(0, 2), pair(0, 2)]
  const size = [0, 1].map((i) => {
    const span = dilation[i]! * (kernel[i]! - 1) + 1
    return Math.max(1, span - pads[i]![0] - pads[i]![1]) + draw.int(0, 3)
  }) as [number, number]
  const out = [0, 1].map((i) => {
    const span = dilation[i]! * (kernel[i]! - 1) + 1
    return Math.floor((size[i]! + pads[i]![0] + pads[i]![1] - span) / stride[i]!) + 1
  })
  const n = draw.pick([0, 1, 1, 2, 2])
  return {
    g: { stride, padding: pads, dilation, groups, input: size, kernel },
    x: [n, groups * inner, ...size],
    w: [groups * outer, inner, ...kernel],
    y: [n, groups * outer, ...out],
  }
}

/** All products x·w that go into y, as triples of indices. */
function* products(
  g: Geometry,
  x: readonly number[],
  w: readonly number[],
  y: readonly number[],
): Generator<[number[], number[], number[]]> {
  const outer = w[0]! / g.groups
  for (const [b, o, p, q] of indices(y) as Iterable<[number, number, number, number]>)
    for (const [c, i, j] of indices(w.slice(1)) as Iterable<[number, number, number]>) {
      const row = p * g.stride[0] - g.padding[0][0] + i * g.dilation[0]
      const column = q * g.stride[1] - g.padding[1][0] + j * g.dilation[1]
      if (row < 0 || row >= x[2]! || column < 0 || column >= x[3]!) continue
      yield [
        [b, Math.floor(o / outer) * w[1]! + c, row, column],
        [o, c, i, j],
        [b, o, p, q],
      ]
    }
}

function convolution(op: string, roles: readonly [0 | 1 | 2, 0 | 1 | 2, 0 | 1 | 2]): CaseMaker {
  return {
    dtypes: floats,
    count: 12,
    make: (draw, dtype) => {
      const { g, x, w, y } = convolutionShapes(draw)
      const shapes = [x, w, y] as const
      const [a, b] = [random(draw, shapes[roles[0]], dtype), random(draw, shapes[roles[1]], dtype)]
      const target = shapes[roles[2]]
      const totals = new Map(Array.from(indices(target), (index) => [index.join(), 0]))
      for (const triple of products(g, x, w, y)) {
        const key = triple[roles[2]].join()
        totals.set(key, totals.get(key)! + at(a, triple[roles[0]]) * at(b, triple[roles[1]]))
      }
      const attributes = { ...g }
      return {
        inputs: [a, b],
        fn: (...xs) => [apply(op, xs, attributes)],
        expected: [[...totals.values()]],
        attributes,
      }
    },
  }
}

const pooling: CaseMaker = {
  dtypes: floats,
  count: 10,
  make: (draw, dtype, i) => {
    const pair = (low: number, high: number): [number, number] => [draw.int(low, high), draw.int(low, high)]
    const [kernel, stride] = [pair(1, 3), pair(1, 3)]
    const pads = kernel.map((k) => [draw.int(0, k - 1), draw.int(0, k - 1)]) as [
      [number, number],
      [number, number],
    ]
    const dilation = draw.chance(0.7) ? ([1, 1] as [number, number]) : pair(1, 2)
    const span = kernel.map((k, axis) => dilation[axis]! * (k - 1) + 1)
    const size = span.map(
      (k, axis) => Math.max(dilation[axis]!, k - pads[axis]![0] - pads[axis]![1]) + draw.int(0, 4),
    )
    const shape = [draw.pick([0, 1, 2]), draw.int(1, 2), ...size]
    const ties = i % 4 === 0
    const x = input(shape, dtype, () => (ties ? numbers(draw, shape, 'i32') : distinct(draw, shape, dtype)))
    const out = size.map(
      (n, axis) => Math.floor((n + pads[axis]![0] + pads[axis]![1] - span[axis]!) / stride[axis]!) + 1,
    )
    const best = Array.from(
      indices([...shape.slice(0, 2), ...out]) as Iterable<[number, number, number, number]>,
      ([n, c, p, q]) => {
        let [value, place] = [Number.NEGATIVE_INFINITY, -1]
        for (let row = 0; row < size[0]!; row++)
          for (let column = 0; column < size[1]!; column++) {
            const [u, v] = [row + pads[0][0] - p * stride[0], column + pads[1][0] - q * stride[1]]
            if (u < 0 || u >= span[0]! || v < 0 || v >= span[1]! || u % dilation[0] || v % dilation[1])
              continue
            if (at(x, [n, c, row, column]) > value)
              [value, place] = [at(x, [n, c, row, column]), row * size[1]! + column]
          }
        return [value, place] as const
      },
    )
    const attributes = { kernel, stride, padding: pads, dilation }
    return {
      inputs: [x],
      fn: (t) => applyAll('maxPool', [t!], attributes),
      expected: [best.map((b) => b[0]), best.map((b) => b[1])],
      smooth: !ties,
      attributes,
    }
  },
}

export const productCases: Readonly<Record<string, CaseMaker>> = {
  matmul: product,
  conv: convolution('conv', [0, 1, 2]),
  convInputGrad: convolution('convInputGrad', [2, 1, 0]),
  convKernelGrad: convolution('convKernelGrad', [0, 2, 1]),
  maxPool: pooling,
}
