/** @file Elementwise primitives: random attributes and inputs, and what the result should be. */
import { type Dtype, isFloat, sizeOf } from '../../../src/tensor/dtype.ts'
import type { Tensor } from '../../../src/tensor/index.ts'
import { apply } from '../../../src/tensor/tensor.ts'
import {
  atBroadcast,
  build,
  type Draw,
  erfSeries,
  numbers,
  representable,
  toTensor,
  type Value,
} from '../draw.ts'
import {
  all,
  type CaseMaker,
  elementwise,
  floats,
  input,
  integers,
  numeric,
  plain,
  random,
  range,
  wrapped,
} from './case.ts'

export const special = [
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

/** One float operand. `low`, `high`: where the function is smooth; `kink(x)`: move x away from a kink. */
export function unary(
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

const compared = { exact: undefined, a: tenths, b: tenths, dtypes: all }
const bits = { dtypes: ['u32'] as const, a: wide, b: wide, specials: false }

export const elementwiseCases: Readonly<Record<string, CaseMaker>> = {
  add: binary('add', (a, b) => a + b, { exact: (a, b) => a + b }),
  sub: binary('sub', (a, b) => a - b, { exact: (a, b) => a - b }),
  mul: binary('mul', (a, b) => a * b, { exact: (a, b) => a * b }),
  div: binary('div', (a, b) => a / b, { b: nonZero, exact: (a, b) => a / b }),
  mod: binary('mod', () => Number.NaN, {
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
}
