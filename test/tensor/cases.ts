/** @file Cases for every primitive: random attributes and inputs, and what the result should be, written with plain indices. */
import { type Dtype, isFloat, sizeOf } from '../../src/tensor/dtype.ts'
import { checkpoint, cos, mul, sin, sum, tanh } from '../../src/tensor/index.ts'
import { type Attributes, apply, applyAll, type Tensor } from '../../src/tensor/tensor.ts'
import {
  at,
  atBroadcast,
  build,
  type Draw,
  distinct,
  drawFrom,
  erfSeries,
  indices,
  numbers,
  representable,
  seedOf,
  toTensor,
  type Value,
  without,
} from './draw.ts'

/** An argument: its values, and a way to draw others like them (the other examples of a batch). */
export interface Input extends Value {
  readonly again: () => number[]
}

export interface Case {
  readonly op: string
  readonly label: string
  readonly inputs: readonly Input[]
  /** One application of the primitive. */
  readonly fn: (...inputs: Tensor[]) => readonly Tensor[]
  /** Values of some outputs, from a closed form or plain loops. */
  readonly expected?: readonly (readonly number[] | undefined)[]
  /** False where values lie on kinks or ties, or the derivative is cut: no finite differences. */
  readonly smooth?: boolean
  /** Only values are compared: infinities and the like, whose derivatives nobody needs. */
  readonly onlyValues?: boolean
}

export interface CaseMaker {
  readonly dtypes: readonly Dtype[]
  /** How many cases for each element type. */
  readonly count: number
  /** Case number i; the same draws whatever the float type. */
  readonly make: (
    draw: Draw,
    dtype: Dtype,
    i: number,
  ) => Omit<Case, 'op' | 'label'> & { attributes?: Attributes }
}

const floats: readonly Dtype[] = ['f32', 'f64']
const numeric: readonly Dtype[] = ['f32', 'f64', 'i32', 'i64', 'u32']
const all: readonly Dtype[] = [...numeric, 'bool']
const integers: readonly Dtype[] = ['i32', 'i64', 'u32']

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** An input from a way to draw its values. */
const input = (shape: readonly number[], dtype: Dtype, again: () => number[]): Input => ({
  shape,
  dtype,
  values: again(),
  again,
})
const random = (draw: Draw, shape: readonly number[], dtype: Dtype, low = -2, high = 2): Input =>
  input(shape, dtype, () => numbers(draw, shape, dtype, low, high))

/** What an integer type makes of an exact result. */
function wrapped(value: bigint, dtype: Dtype): number {
  if (dtype === 'i32') return Number(BigInt.asIntN(32, value))
  if (dtype === 'u32') return Number(BigInt.asUintN(32, value))
  return Number(BigInt.asIntN(64, value))
}

// --- elementwise ---

const special = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1,
  -1,
  0.5,
  -2.5,
  1e-15,
  1e15,
]

/** Operand shapes that broadcast to one shape. */
function broadcastable(draw: Draw, count: number): number[][] {
  const full = draw.shape()
  const shapes = range(count).map(() => {
    const kept = full.map((n) => (draw.chance(0.2) ? 1 : n))
    return draw.chance(0.3) ? kept.slice(draw.int(0, full.length)) : kept
  })
  return draw.chance(0.3) ? shapes.map(() => [...full]) : shapes
}

const broadcastAll = (inputs: readonly Value[]): number[] => {
  const rank = Math.max(...inputs.map((x) => x.shape.length))
  return range(rank).map((i) => {
    const sizes = inputs.map((x) => x.shape[x.shape.length - rank + i] ?? 1)
    return sizes.find((n) => n !== 1) ?? 1
  })
}

const mapped = (inputs: readonly Value[], f: (...x: number[]) => number): number[] =>
  build(broadcastAll(inputs), (index) => f(...inputs.map((x) => atBroadcast(x, index))))

const elementwise =
  (op: string) =>
  (...xs: Tensor[]) => [apply(op, xs)]

/** One float operand. `low`, `high`: where the function is smooth; `kink(x)`: move x away from a kink. */
function unary(
  op: string,
  f: (x: number) => number,
  { low = -2, high = 2, dtypes = floats, away = (x: number) => x } = {},
): CaseMaker {
  return {
    dtypes,
    count: 6,
    make: (draw, dtype, i) => {
      if (i === 0 && isFloat(dtype)) {
        const x = input([special.length], dtype, () => special.map((v) => representable(v, dtype)))
        return { inputs: [x], fn: elementwise(op), expected: [x.values.map(f)], onlyValues: true }
      }
      const shape = draw.shape()
      const x = input(shape, dtype, () =>
        numbers(draw, shape, dtype, low, high).map((v) => (isFloat(dtype) ? Math.fround(away(v)) : v)),
      )
      const result = (v: number): number => (dtype === 'u32' ? f(v) >>> 0 : f(v))
      return { inputs: [x], fn: elementwise(op), expected: [mapped([x], result)] }
    },
  }
}

interface BinaryOptions {
  readonly dtypes?: readonly Dtype[]
  /** The result on integers, exactly. */
  readonly exact?: (a: bigint, b: bigint) => bigint
  readonly a?: (draw: Draw, shape: readonly number[], dtype: Dtype) => number[]
  readonly b?: (draw: Draw, shape: readonly number[], dtype: Dtype) => number[]
  /** Whether to try infinities and NaN. */
  readonly specials?: boolean
}

const plain = (draw: Draw, shape: readonly number[], dtype: Dtype): number[] => numbers(draw, shape, dtype)
const nonZero = (draw: Draw, shape: readonly number[], dtype: Dtype): number[] =>
  numbers(draw, shape, dtype, -4, 4).map((v) =>
    isFloat(dtype) ? representable(Math.abs(v) < 0.4 ? v + (v < 0 ? -0.5 : 0.5) : v, dtype) : v === 0 ? 3 : v,
  )
/** Multiples of 0.1, and the points halfway between them: two operands that are never close. */
const tenths = (draw: Draw, shape: readonly number[], dtype: Dtype): number[] =>
  isFloat(dtype)
    ? range(sizeOf(shape)).map(() => representable(draw.int(-20, 20) / 10, dtype))
    : plain(draw, shape, dtype)
const halfTenths = (draw: Draw, shape: readonly number[], dtype: Dtype): number[] =>
  isFloat(dtype)
    ? range(sizeOf(shape)).map(() => representable(draw.int(-20, 20) / 10 + 0.05, dtype))
    : plain(draw, shape, dtype)
/** Integers of the whole 32-bit range, to see them wrap. */
const wide = (draw: Draw, shape: readonly number[], dtype: Dtype): number[] =>
  range(sizeOf(shape)).map(() =>
    dtype === 'u32'
      ? draw.int(0, 2 ** 32 - 1)
      : dtype === 'i32'
        ? draw.int(-(2 ** 31), 2 ** 31 - 1)
        : draw.int(-(2 ** 25), 2 ** 25),
  )

function binary(op: string, f: (a: number, b: number) => number, options: BinaryOptions = {}): CaseMaker {
  const { dtypes = numeric, exact, a = plain, b = plain, specials = true } = options
  return {
    dtypes,
    count: 8,
    make: (draw, dtype, i) => {
      const fn = elementwise(op)
      if (i === 0 && isFloat(dtype) && specials) {
        const line = special.map((v) => representable(v, dtype))
        const inputs = [input([line.length, 1], dtype, () => line), input([line.length], dtype, () => line)]
        return { inputs, fn, expected: [mapped(inputs, f)], onlyValues: true }
      }
      const [sa, sb] = broadcastable(draw, 2) as [number[], number[]]
      const isWide = exact !== undefined && integers.includes(dtype) && i % 2 === 0
      const inputs = [
        input(sa, dtype, () => (isWide ? wide : a)(draw, sa, dtype)),
        input(sb, dtype, () => (isWide && b === plain ? wide : b)(draw, sb, dtype)),
      ]
      const result = (x: number, y: number): number =>
        exact && integers.includes(dtype) ? wrapped(exact(BigInt(x), BigInt(y)), dtype) : f(x, y)
      return { inputs, fn, expected: [mapped(inputs, result)] }
    },
  }
}

const power = binary('pow', (a, b) => a ** b, {
  dtypes: floats,
  a: (draw, shape, dtype) => numbers(draw, shape, dtype, 0.3, 2),
  specials: false,
})

/** Bases that are zero or negative, where only whole exponents have a power. */
const wholePower: CaseMaker = {
  dtypes: floats,
  count: 1,
  make: (_, dtype) => {
    const a = input([5, 1], dtype, () => [-2, -1, 0, 0.5, 2])
    const b = input([4], dtype, () => [0, 1, 2, 3])
    const fn = (x: Tensor): Tensor[] => [apply('pow', [x, toTensor(b)])]
    return { inputs: [a], fn: (x) => fn(x!), expected: [mapped([a, b], (x, y) => x ** y)] }
  },
}

const choice: CaseMaker = {
  dtypes: all,
  count: 8,
  make: (draw, dtype) => {
    const [sc, sa, sb] = broadcastable(draw, 3) as [number[], number[], number[]]
    const inputs = [random(draw, sc, 'bool'), random(draw, sa, dtype), random(draw, sb, dtype)]
    return { inputs, fn: elementwise('where'), expected: [mapped(inputs, (c, a, b) => (c ? a : b))] }
  },
}

const conversion: CaseMaker = {
  dtypes: all,
  count: 12,
  make: (draw, from, i) => {
    const to = all[i % all.length]!
    const shape = draw.shape()
    // a negative float has no unsigned value
    const low = isFloat(from) && to === 'u32' ? 0 : -40
    const x = input(shape, from, () =>
      numbers(draw, shape, from, low, 40).map((v) => (to === 'bool' && draw.chance(0.3) ? 0 : v)),
    )
    const convert = (v: number): number => {
      if (isFloat(to)) return v
      return to === 'bool' ? Number(v !== 0) : wrapped(BigInt(Math.trunc(v)), to)
    }
    return {
      inputs: [x],
      fn: (t) => [apply('cast', [t!], { dtype: to })],
      expected: [x.values.map(convert)],
      attributes: { dtype: to },
    }
  },
}

// --- reductions ---

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

/** Values of a line of x along an axis through an index of the other axes. */
const lineOf = (x: Value, axis: number, others: readonly number[]): number[] =>
  range(x.shape[axis]!).map((k) => at(x, others.toSpliced(axis, 0, k)))

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

// --- moving elements ---

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

// --- products ---

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

// --- by index ---

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

// --- convolutions and pooling ---

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

// --- composites ---

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
const total = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)

const normalized = (line: number[], [scale, bias]: number[][], { epsilon }: Attributes): number[][] => {
  const mean = total(line) / line.length
  const variance = total(line.map((v) => v * v)) / line.length - mean * mean
  const inverse = 1 / Math.sqrt(variance + (epsilon as number))
  return [line.map((v, i) => (v - mean) * inverse * scale![i]! + bias![i]!), [mean], [inverse]]
}

// --- the graph itself ---

const transparent = (op: string, smooth = true): CaseMaker => ({
  dtypes: all,
  count: 4,
  make: (draw, dtype) => {
    const x = random(draw, draw.shape(), dtype)
    return { inputs: [x], fn: elementwise(op), expected: [x.values], smooth }
  },
})

const waiting: CaseMaker = {
  dtypes: all,
  count: 6,
  make: (draw, dtype) => {
    const [x, after] = [random(draw, draw.shape(), dtype), random(draw, draw.shape(), draw.pick(all))]
    return { inputs: [x, after], fn: elementwise('barrier'), expected: [x.values] }
  },
}

const rematerializing: CaseMaker = {
  dtypes: floats,
  count: 4,
  make: (draw, dtype) => {
    const shape = draw.shape()
    const [x, y] = [random(draw, shape, dtype), random(draw, shape, dtype)]
    const body = (a: Tensor, b: Tensor): Tensor[] => [mul(tanh(mul(a, b)), sin(a)), sum(mul(cos(b), b))]
    const tanhs = x.values.map((a, i) => Math.tanh(a * y.values[i]!) * Math.sin(a))
    return {
      inputs: [x, y],
      fn: (a, b) => checkpoint(body)(a!, b!),
      expected: [tanhs, [total(y.values.map((b) => Math.cos(b) * b))]],
    }
  },
}

const words: CaseMaker = {
  dtypes: ['u32'],
  count: 5,
  make: (draw) => {
    const key = input([2], 'u32', () => [draw.int(0, 2 ** 32 - 1), draw.int(0, 2 ** 32 - 1)])
    const attributes = { shape: draw.shape({ maxRank: 2 }), first: draw.pick([0, 0, 5, 2 ** 32 - 64]) }
    return { inputs: [key], fn: (k) => [apply('randomWords', [k!], attributes)], attributes }
  },
}

const compared = { exact: undefined, a: tenths, b: tenths, dtypes: all }
const bits = { dtypes: ['u32'] as const, a: wide, b: wide, specials: false }

/** Every primitive by name. A primitive without an entry here fails a test. */
export const generators: Readonly<Record<string, CaseMaker>> = {
  add: binary('add', (a, b) => a + b, { exact: (a, b) => a + b }),
  sub: binary('sub', (a, b) => a - b, { exact: (a, b) => a - b }),
  mul: binary('mul', (a, b) => a * b, { exact: (a, b) => a * b }),
  div: binary('div', (a, b) => a / b, { b: nonZero, exact: (a, b) => a / b }),
  mod: binary('mod', Number.NaN.valueOf, {
    dtypes: integers,
    b: nonZero,
    exact: (a, b) => ((a % b) + b) % b,
  }),
  pow: {
    ...power,
    count: power.count + 1,
    make: (draw, dtype, i) => (i === power.count ? wholePower : power).make(draw, dtype, i),
  },
  max: binary('max', Math.max, { a: tenths, b: halfTenths }),
  min: binary('min', Math.min, { a: tenths, b: halfTenths }),
  neg: unary('neg', (x) => -x, { dtypes: numeric }),
  abs: unary('abs', Math.abs, { dtypes: numeric, away: (x) => (Math.abs(x) < 0.1 ? x + 0.3 : x) }),
  sign: unary('sign', Math.sign, { dtypes: numeric, away: (x) => (Math.abs(x) < 0.1 ? x + 0.3 : x) }),
  floor: unary('floor', Math.floor, { away: (x) => Math.floor(x) + 0.1 + 0.8 * (x - Math.floor(x)) }),
  ceil: unary('ceil', Math.ceil, { away: (x) => Math.floor(x) + 0.1 + 0.8 * (x - Math.floor(x)) }),
  round: unary('round', (x) => (Math.abs(x) % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)), {
    away: (x) => Math.round(x) + 0.8 * (x - Math.round(x)),
  }),
  exp: unary('exp', Math.exp),
  log: unary('log', Math.log, { low: 0.2, high: 3 }),
  sqrt: unary('sqrt', Math.sqrt, { low: 0.2, high: 3 }),
  sin: unary('sin', Math.sin, { low: -4, high: 4 }),
  cos: unary('cos', Math.cos, { low: -4, high: 4 }),
  tanh: unary('tanh', Math.tanh),
  sigmoid: unary('sigmoid', (x) => 1 / (1 + Math.exp(-x)), { low: -4, high: 4 }),
  relu: unary('relu', (x) => Math.max(x, 0), { away: (x) => (Math.abs(x) < 0.1 ? x + 0.3 : x) }),
  erf: unary('erf', (x) => (Math.abs(x) > 4 ? Math.sign(x) : erfSeries(x)), { low: -3, high: 3 }),
  equal: binary('equal', (a, b) => Number(a === b), compared),
  less: binary('less', (a, b) => Number(a < b), compared),
  lessEqual: binary('lessEqual', (a, b) => Number(a <= b), compared),
  and: binary('and', (a, b) => Number(a && b), { dtypes: ['bool'] }),
  or: binary('or', (a, b) => Number(a || b), { dtypes: ['bool'] }),
  not: unary('not', (a) => Number(!a), { dtypes: ['bool'] }),
  bitAnd: binary('bitAnd', (a, b) => (a & b) >>> 0, bits),
  bitOr: binary('bitOr', (a, b) => (a | b) >>> 0, bits),
  bitXor: binary('bitXor', (a, b) => (a ^ b) >>> 0, bits),
  shiftLeft: binary('shiftLeft', (a, b) => (a * 2 ** b) % 2 ** 32, {
    ...bits,
    b: (draw, shape) => range(sizeOf(shape)).map(() => draw.int(0, 20)),
  }),
  shiftRight: binary('shiftRight', (a, b) => Math.floor(a / 2 ** b), {
    ...bits,
    b: (draw, shape) => range(sizeOf(shape)).map(() => draw.int(0, 31)),
  }),
  where: choice,
  cast: conversion,
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
  reshape: reshaping,
  transpose: permuting,
  broadcastTo: broadcasting,
  concatenate: joining,
  split: cutting,
  slice: slicing,
  pad: padding,
  flip: flipping,
  matmul: product,
  iota: counting,
  gather: gathering,
  scatterAdd: scattering,
  takeAlong: takingAlong,
  scatterAlong: scatteringAlong,
  topK: largest,
  conv: convolution('conv', [0, 1, 2]),
  convInputGrad: convolution('convInputGrad', [2, 1, 0]),
  convKernelGrad: convolution('convKernelGrad', [0, 2, 1]),
  maxPool: pooling,
  softmax: onLines('softmax', (line) => [exponentials(line).map((e) => e / total(exponentials(line)))]),
  logSoftmax: onLines('logSoftmax', (line) => [line.map((v) => v - Math.log(total(exponentials(line))))]),
  layerNorm: onLines('layerNorm', normalized, {
    parameters: 2,
    attributes: (draw) => ({ epsilon: draw.pick([2 ** -16, 0.125]) }),
  }),
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
  copy: transparent('copy'),
  stopGradient: transparent('stopGradient', false),
  barrier: waiting,
  checkpoint: rematerializing,
  randomWords: words,
}

/** Other cases, to look for rare mistakes: TREELINE_TEST_SEED=7 npx vitest run test/tensor/primitives.test.ts */
const otherSeed = process.env['TREELINE_TEST_SEED'] ?? ''

/** All cases of a primitive for one element type. */
export function casesOf(op: string, dtype: Dtype): Case[] {
  const generator = generators[op]!
  return range(generator.count).map((i) => {
    // the float types share their draws, so that one can be checked against the other
    const { attributes, ...rest } = generator.make(
      drawFrom(seedOf(`${op}/${isFloat(dtype) ? 'float' : dtype}/${i}${otherSeed}`)),
      dtype,
      i,
    )
    const shown = rest.inputs.map((x) => `${x.dtype}[${x.shape}]`).join(' ')
    return { op, label: `${op} #${i} ${shown}${attributes ? ` ${JSON.stringify(attributes)}` : ''}`, ...rest }
  })
}
