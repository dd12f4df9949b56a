/** @file Reductions and scans along axes: random attributes and inputs, and what the result should be. */
import { isFloat } from '../../../src/tensor/dtype.ts'
import { apply } from '../../../src/tensor/tensor.ts'
import { at, build, distinct, numbers, without } from '../draw.ts'
import {
  all,
  type CaseMaker,
  input,
  integers,
  lineOf,
  numeric,
  plain,
  random,
  range,
  total,
  wrapped,
} from './case.ts'

/** Axes to reduce and, for each result, the values that go into it. */
function reduction(
  op: string,
  f: (values: number[]) => number,
  { values = plain, nonEmpty = false, dtypes = numeric } = {},
): CaseMaker {
  return {
    dtypes,
    count: 10,
    make: (draw, dtype) => {
      const shape = draw.shape({ minRank: 1 })
      let axes = range(shape.length).filter(() => draw.chance(0.5))
      if (axes.length === 0) axes = [draw.int(0, shape.length - 1)]
      if (nonEmpty) for (const a of axes) if (shape[a] === 0) shape[a] = 2
      const x = input(shape, dtype, () => values(draw, shape, dtype))
      const outer = without(shape, axes)
      const inner = axes.map((a) => shape[a]!)
      const expected = build(outer, (o) => {
        const members = build(inner, (i) => {
          const rest = [...o]
          return at(
            x,
            shape.map((_, axis) => (axes.includes(axis) ? i[axes.indexOf(axis)]! : rest.shift()!)),
          )
        })
        const result = f(members)
        return integers.includes(dtype) ? wrapped(BigInt(result), dtype) : result
      })
      return {
        inputs: [x],
        fn: (t) => [apply(op, [t!], { axes })],
        expected: [expected],
        attributes: { axes },
      }
    },
  }
}

const position: CaseMaker = {
  dtypes: all,
  count: 10,
  make: (draw, dtype, i) => {
    const shape = draw.shape({ minRank: 1 })
    const axis = draw.int(0, shape.length - 1)
    if (shape[axis] === 0) shape[axis] = 3
    const ties = i % 3 === 0 || dtype === 'bool'
    const close = i % 3 === 1 && integers.includes(dtype)
    const x = input(shape, dtype, () =>
      close
        ? // neighbours that f32 cannot tell apart
          distinct(draw, shape, dtype).map((v) => v + 2 ** 30)
        : ties
          ? numbers(draw, shape, isFloat(dtype) ? 'i32' : dtype)
          : distinct(draw, shape, dtype),
    )
    const expected = build(without(shape, [axis]), (o) => {
      const line = lineOf(x, axis, o)
      return line.indexOf(Math.max(...line))
    })
    return {
      inputs: [x],
      fn: (t) => [apply('argmax', [t!], { axis })],
      expected: [expected],
      attributes: { axis },
    }
  },
}

const runningSum: CaseMaker = {
  dtypes: numeric,
  count: 8,
  make: (draw, dtype) => {
    const shape = draw.shape({ minRank: 1 })
    const axis = draw.int(0, shape.length - 1)
    const reverse = draw.chance(0.5)
    const x = random(draw, shape, dtype)
    const expected = build(shape, (index) => {
      const line = lineOf(x, axis, index.toSpliced(axis, 1))
      const k = index[axis]!
      return (reverse ? line.slice(k) : line.slice(0, k + 1)).reduce((a, b) => a + b, 0)
    })
    const attributes = { axis, reverse }
    return { inputs: [x], fn: (t) => [apply('cumsum', [t!], attributes)], expected: [expected], attributes }
  },
}

export const reductionCases: Readonly<Record<string, CaseMaker>> = {
  sum: reduction('sum', total),
  reduceMax: reduction('reduceMax', (v) => Math.max(...v), {
    values: (d, s, t) => distinct(d, s, t),
    nonEmpty: true,
  }),
  reduceMin: reduction('reduceMin', (v) => Math.min(...v), {
    values: (d, s, t) => distinct(d, s, t),
    nonEmpty: true,
  }),
  prod: reduction('prod', (v) => v.reduce((a, b) => a * b, 1), {
    values: (draw, shape, dtype) => plain(draw, shape, dtype).map((v) => (draw.chance(0.1) ? 0 : v)),
  }),
  argmax: position,
  cumsum: runningSum,
}
