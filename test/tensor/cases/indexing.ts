/** @file Primitives that read and write by index: random attributes and inputs, and what the result should be. */
import { isFloat, sizeOf } from '../../../src/tensor/dtype.ts'
import { apply, applyAll } from '../../../src/tensor/tensor.ts'
import { at, build, type Draw, distinct, indices, numbers, type Value } from '../draw.ts'
import { all, type CaseMaker, type Input, input, integers, numeric, random, range, wrapped } from './case.ts'

const counting: CaseMaker = {
  dtypes: numeric,
  count: 4,
  make: (draw, dtype) => {
    const shape = draw.shape({ minRank: 1 })
    const axis = draw.int(0, shape.length - 1)
    const attributes = { shape, axis, dtype }
    return {
      inputs: [],
      fn: () => [apply('iota', [], attributes)],
      expected: [build(shape, (i) => i[axis]!)],
      attributes,
    }
  },
}

/** Integer indices into an axis of size n; signed ones count from the back now and then. */
const indexInput = (draw: Draw, shape: readonly number[], n: number): Input => {
  const dtype = draw.pick(integers)
  return input(shape, dtype, () =>
    range(sizeOf(shape)).map(() => draw.int(0, n - 1) - (dtype !== 'u32' && draw.chance(0.25) ? n : 0)),
  )
}
const absolute = (index: number, n: number): number => (index < 0 ? index + n : index)

/** Shapes for gather and scatterAdd: a source, indices and the axis they address. */
function indexed(draw: Draw): { shape: number[]; axis: number; indexShape: number[]; result: number[] } {
  const shape = draw.shape({ minRank: 1, maxRank: 3, limit: 24 })
  const axis = draw.int(0, shape.length - 1)
  const indexShape = draw.shape({ maxRank: 2, limit: 6 })
  if (shape[axis] === 0 && sizeOf(indexShape) > 0) shape[axis] = 2
  return {
    shape,
    axis,
    indexShape,
    result: [...shape.slice(0, axis), ...indexShape, ...shape.slice(axis + 1)],
  }
}
/** The source index that a result index of gather reads. */
const sourceOf = (index: readonly number[], axis: number, places: Value, n: number): number[] => {
  const rank = places.shape.length
  return [
    ...index.slice(0, axis),
    absolute(at(places, index.slice(axis, axis + rank)), n),
    ...index.slice(axis + rank),
  ]
}

const gathering: CaseMaker = {
  dtypes: all,
  count: 10,
  make: (draw, dtype) => {
    const { shape, axis, indexShape, result } = indexed(draw)
    const [x, places] = [random(draw, shape, dtype), indexInput(draw, indexShape, shape[axis]!)]
    const expected = build(result, (index) => at(x, sourceOf(index, axis, places, shape[axis]!)))
    return {
      inputs: [x, places],
      fn: (...xs) => [apply('gather', xs, { axis })],
      expected: [expected],
      attributes: { axis },
    }
  },
}

/** Values after additions at places. */
function accumulate(x: Value, additions: Iterable<readonly [readonly number[], number]>): number[] {
  const totals = new Map(Array.from(indices(x.shape), (index) => [index.join(), at(x, index)]))
  for (const [index, value] of additions) totals.set(index.join(), totals.get(index.join())! + value)
  return [...totals.values()]
}

const scattering: CaseMaker = {
  dtypes: numeric,
  count: 10,
  make: (draw, dtype) => {
    const { shape, axis, indexShape, result } = indexed(draw)
    const [x, places] = [random(draw, shape, dtype), indexInput(draw, indexShape, shape[axis]!)]
    const updates = random(draw, result, dtype)
    const expected = accumulate(
      x,
      Array.from(
        indices(result),
        (index) => [sourceOf(index, axis, places, shape[axis]!), at(updates, index)] as const,
      ),
    ).map((v) => (integers.includes(dtype) ? wrapped(BigInt(v), dtype) : v))
    return {
      inputs: [x, places, updates],
      fn: (...xs) => [apply('scatterAdd', xs, { axis })],
      expected: [expected],
      attributes: { axis },
    }
  },
}

function alongShapes(draw: Draw): { shape: number[]; axis: number; indexShape: number[] } {
  const shape = draw.shape({ minRank: 1, maxRank: 3, limit: 24 })
  const axis = draw.int(0, shape.length - 1)
  if (shape[axis] === 0) shape[axis] = 1
  return { shape, axis, indexShape: shape.with(axis, draw.int(0, 4)) }
}

const takingAlong: CaseMaker = {
  dtypes: all,
  count: 10,
  make: (draw, dtype) => {
    const { shape, axis, indexShape } = alongShapes(draw)
    const [x, places] = [random(draw, shape, dtype), indexInput(draw, indexShape, shape[axis]!)]
    const expected = build(indexShape, (i) => at(x, i.with(axis, absolute(at(places, i), shape[axis]!))))
    return {
      inputs: [x, places],
      fn: (...xs) => [apply('takeAlong', xs, { axis })],
      expected: [expected],
      attributes: { axis },
    }
  },
}

const scatteringAlong: CaseMaker = {
  dtypes: numeric,
  count: 10,
  make: (draw, dtype) => {
    const { shape, axis, indexShape } = alongShapes(draw)
    const [x, places] = [random(draw, shape, dtype), indexInput(draw, indexShape, shape[axis]!)]
    const updates = random(draw, indexShape, dtype)
    const expected = accumulate(
      x,
      Array.from(
        indices(indexShape),
        (i) => [i.with(axis, absolute(at(places, i), shape[axis]!)), at(updates, i)] as const,
      ),
    ).map((v) => (integers.includes(dtype) ? wrapped(BigInt(v), dtype) : v))
    return {
      inputs: [x, places, updates],
      fn: (...xs) => [apply('scatterAlong', xs, { axis })],
      expected: [expected],
      attributes: { axis },
    }
  },
}

const largest: CaseMaker = {
  dtypes: numeric,
  count: 10,
  make: (draw, dtype, i) => {
    const shape = draw.shape({ minRank: 1 })
    const n = shape.at(-1)!
    const attributes = { k: draw.chance(0.4) ? n : draw.int(0, n), largest: draw.chance(0.5) }
    const ties = i % 3 === 0
    const x = input(shape, dtype, () =>
      ties ? numbers(draw, shape, isFloat(dtype) ? 'i32' : dtype) : distinct(draw, shape, dtype),
    )
    const orders = build(shape.slice(0, -1), () => 0).map((_, row) => {
      const line = x.values.slice(row * n, row * n + n)
      const sign = attributes.largest ? -1 : 1
      // a stable insertion: equal values keep the order of their places
      const order: number[] = []
      for (const k of range(n)) {
        let place = order.length
        while (place > 0 && sign * (line[order[place - 1]!]! - line[k]!) > 0) place--
        order.splice(place, 0, k)
      }
      return order.slice(0, attributes.k).map((k) => [line[k]!, k] as const)
    })
    return {
      inputs: [x],
      fn: (t) => applyAll('topK', [t!], attributes),
      expected: [0, 1].map((which) => orders.flatMap((order) => order.map((pair) => pair[which as 0 | 1]))),
      smooth: !ties,
      attributes,
    }
  },
}

export const indexingCases: Readonly<Record<string, CaseMaker>> = {
  iota: counting,
  gather: gathering,
  scatterAdd: scattering,
  takeAlong: takingAlong,
  scatterAlong: scatteringAlong,
  topK: largest,
}
