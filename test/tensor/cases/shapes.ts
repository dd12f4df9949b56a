/** @file Primitives that move elements: random attributes and inputs, and what the result should be. */
import { apply, applyAll } from '../../../src/tensor/tensor.ts'
import { at, atBroadcast, build, indices } from '../draw.ts'
import { all, type CaseMaker, random, range } from './case.ts'

const reshaping: CaseMaker = {
  dtypes: all,
  count: 6,
  make: (draw, dtype) => {
    const shape = draw.shape()
    const target = draw.shuffle(shape)
    if (draw.chance(0.5)) target.splice(draw.int(0, target.length), 0, 1)
    if (draw.chance(0.5) && target.length > 1) target.splice(0, 2, target[0]! * target[1]!)
    const x = random(draw, shape, dtype)
    return {
      inputs: [x],
      fn: (t) => [apply('reshape', [t!], { shape: target })],
      expected: [x.values],
      attributes: { shape: target },
    }
  },
}

const permuting: CaseMaker = {
  dtypes: all,
  count: 8,
  make: (draw, dtype) => {
    const shape = draw.shape({ maxRank: 4 })
    const permutation = draw.shuffle(range(shape.length))
    const x = random(draw, shape, dtype)
    const target = permutation.map((p) => shape[p]!)
    const expected = build(target, (index) =>
      at(
        x,
        shape.map((_, axis) => index[permutation.indexOf(axis)]!),
      ),
    )
    return {
      inputs: [x],
      fn: (t) => [apply('transpose', [t!], { permutation })],
      expected: [expected],
      attributes: { permutation },
    }
  },
}

const broadcasting: CaseMaker = {
  dtypes: all,
  count: 8,
  make: (draw, dtype) => {
    const target = draw.shape()
    const source = target
      .map((n) => (draw.chance(0.4) ? 1 : n))
      .slice(draw.int(0, Math.min(2, target.length)))
    const x = random(draw, source, dtype)
    return {
      inputs: [x],
      fn: (t) => [apply('broadcastTo', [t!], { shape: target })],
      expected: [build(target, (index) => atBroadcast(x, index))],
      attributes: { shape: target },
    }
  },
}

const joining: CaseMaker = {
  dtypes: all,
  count: 8,
  make: (draw, dtype) => {
    const shape = draw.shape({ minRank: 1, maxRank: 3, limit: 16 })
    const axis = draw.int(0, shape.length - 1)
    const sizes = range(draw.int(1, 3)).map(() => draw.int(0, 3))
    const inputs = sizes.map((n) => random(draw, shape.with(axis, n), dtype))
    const owner = sizes.flatMap((n, which) => range(n).map((k) => [which, k] as const))
    const expected = build(shape.with(axis, owner.length), (index) => {
      const [which, k] = owner[index[axis]!]!
      return at(inputs[which]!, index.with(axis, k))
    })
    return {
      inputs,
      fn: (...xs) => [apply('concatenate', xs, { axis })],
      expected: [expected],
      attributes: { axis },
    }
  },
}

const cutting: CaseMaker = {
  dtypes: all,
  count: 8,
  make: (draw, dtype) => {
    const shape = draw.shape({ minRank: 1, maxRank: 3, limit: 24 })
    const axis = draw.int(0, shape.length - 1)
    const sizes = range(draw.int(1, 3)).map(() => draw.int(0, 3))
    const x = random(
      draw,
      shape.with(
        axis,
        sizes.reduce((a, b) => a + b, 0),
      ),
      dtype,
    )
    const expected = sizes.map((n, which) => {
      const start = sizes.slice(0, which).reduce((a, b) => a + b, 0)
      return build(shape.with(axis, n), (index) => at(x, index.with(axis, start + index[axis]!)))
    })
    const attributes = { axis, sizes }
    return { inputs: [x], fn: (t) => applyAll('split', [t!], attributes), expected, attributes }
  },
}

const slicing: CaseMaker = {
  dtypes: all,
  count: 10,
  make: (draw, dtype) => {
    const shape = draw.shape().map((n) => (n > 1 ? n + 2 : n))
    const starts = shape.map((n) => draw.int(0, n))
    const ends = shape.map((n, i) => draw.int(starts[i]!, n))
    const strides = shape.map(() => draw.int(1, 3))
    const target = shape.map(
      (_, i) => range(ends[i]! - starts[i]!).filter((k) => k % strides[i]! === 0).length,
    )
    const x = random(draw, shape, dtype)
    const expected = build(target, (index) =>
      at(
        x,
        index.map((k, i) => starts[i]! + k * strides[i]!),
      ),
    )
    const attributes = { starts, ends, strides }
    return { inputs: [x], fn: (t) => [apply('slice', [t!], attributes)], expected: [expected], attributes }
  },
}

const padding: CaseMaker = {
  dtypes: all,
  count: 10,
  make: (draw, dtype) => {
    const shape = draw.shape({ maxRank: 3, limit: 24 })
    const amounts = (): number[] => shape.map(() => (draw.chance(0.4) ? 0 : draw.int(1, 2)))
    const [low, high, interior] = [amounts(), amounts(), amounts()]
    const target = shape.map((n, i) => low[i]! + high[i]! + (n ? n + (n - 1) * interior[i]! : 0))
    const [x, value] = [random(draw, shape, dtype), random(draw, [], dtype)]
    const places = new Map(
      Array.from(indices(shape), (index) => [
        index.map((k, i) => low[i]! + k * (interior[i]! + 1)).join(),
        at(x, index),
      ]),
    )
    const expected = build(target, (index) => places.get(index.join()) ?? value.values[0]!)
    const attributes = { low, high, interior }
    return {
      inputs: [x, value],
      fn: (...xs) => [apply('pad', xs, attributes)],
      expected: [expected],
      attributes,
    }
  },
}

const flipping: CaseMaker = {
  dtypes: all,
  count: 6,
  make: (draw, dtype) => {
    const shape = draw.shape()
    const axes = range(shape.length).filter(() => draw.chance(0.5))
    const x = random(draw, shape, dtype)
    const expected = build(shape, (index) =>
      at(
        x,
        index.map((k, i) => (axes.includes(i) ? shape[i]! - 1 - k : k)),
      ),
    )
    return {
      inputs: [x],
      fn: (t) => [apply('flip', [t!], { axes })],
      expected: [expected],
      attributes: { axes },
    }
  },
}

export const shapeCases: Readonly<Record<string, CaseMaker>> = {
  reshape: reshaping,
  transpose: permuting,
  broadcastTo: broadcasting,
  concatenate: joining,
  split: cutting,
  slice: slicing,
  pad: padding,
  flip: flipping,
}
