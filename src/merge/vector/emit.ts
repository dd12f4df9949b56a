/**
 * @file The instructions of every operation of a lazy vector, four elements at a time. (WebAssembly core specification
 * 2.0) Each rounds as JavaScript's own arithmetic with `Math.fround` does.
 */
import { type Code, get, constant as integer, set, simd, tee } from '../../base/wasm/index.ts'
import type { Operation } from './expression.ts'

/** What an emitter may use beside its operands: locals of its own. */
export interface Scratch {
  /** A new vector local. */
  readonly local: () => number
  /** A word in all four lanes, which is made once, before the loop. */
  readonly constant: (word: number) => Code
  /** Local of the indices of the four elements within the block. */
  readonly indices: number
}

const i32x4 = {
  equal: simd(0x37),
  greater: simd(0x3b),
  less: simd(0x39),
  lessUnsigned: simd(0x3a),
  add: simd(0xae),
  subtract: simd(0xb1),
  shiftLeft: (by: number): Code => [...integer(by), ...simd(0xab)],
  shiftRight: (by: number): Code => [...integer(by), ...simd(0xad)],
  shiftRightSigned: (by: number): Code => [...integer(by), ...simd(0xac)],
}
export const bitwise = {
  not: simd(0x4d),
  and: simd(0x4e),
  andNot: simd(0x4f),
  or: simd(0x50),
  xor: simd(0x51),
  select: simd(0x52),
}
const f32x4 = {
  equal: simd(0x41),
  notEqual: simd(0x42),
  less: simd(0x43),
  greater: simd(0x44),
  atMost: simd(0x45),
  atLeast: simd(0x46),
  abs: simd(0xe0),
  add: simd(0xe4),
  subtract: simd(0xe5),
  multiply: simd(0xe6),
  divide: simd(0xe7),
  min: simd(0xe8),
  max: simd(0xe9),
}
const f64x2 = { add: simd(0xf0), subtract: simd(0xf1), multiply: simd(0xf2), divide: simd(0xf3) }
const zeros: Code = simd(0x0c, ...new Array<number>(16).fill(0))
const words = (...of: readonly number[]): Code =>
  simd(0x0d, ...of.flatMap((word) => [0, 1, 2, 3].map((i) => 4 * word + i)))
const promote = simd(0x5f)
const demote = simd(0x5e)

/** The lower and the upper two elements of an f32 vector in double precision. */
export const wide = {
  low: (x: Code): Code => [...x, ...promote],
  high: (x: Code): Code => [...x, ...x, ...words(2, 3, 2, 3), ...promote],
}
/** Two pairs in double precision as four f32. */
const narrow = (low: Code, high: Code): Code => [...low, ...demote, ...high, ...demote, ...words(0, 1, 4, 5)]

/** The bits of the bf16 nearest to x, in the lower half of each lane; NaN stays NaN. */
export function bf16Bits(x: Code, { constant }: Scratch): Code {
  const odd = [...x, ...i32x4.shiftRight(16), ...constant(1), ...bitwise.and]
  const nearest = [...x, ...constant(0x7fff), ...i32x4.add, ...odd, ...i32x4.add, ...i32x4.shiftRight(16)]
  const nan = [...x, ...i32x4.shiftRight(16), ...constant(0x40), ...bitwise.or]
  return [...nearest, ...nan, ...x, ...x, ...f32x4.equal, ...bitwise.select]
}

const magnitudeOf = (x: Code, { constant }: Scratch): Code => [...x, ...constant(0x7fffffff), ...bitwise.and]

/** The bits of the f16 nearest to x, in the lower half of each lane. */
export function f16Bits(x: Code, scratch: Scratch): Code {
  const { local, constant } = scratch
  const u = local()
  const result = local()
  const smallest = constant(126 << 23)
  // adding 0.5 leaves a subnormal's bits, rounded, at the end of the significand
  const subnormal = [...get(u), ...smallest, ...f32x4.add, ...smallest, ...i32x4.subtract]
  const odd = [...get(u), ...i32x4.shiftRight(13), ...constant(1), ...bitwise.and]
  const normal = [
    ...[...get(u), ...constant(((15 - 127) << 23) + 0xfff), ...i32x4.add, ...odd, ...i32x4.add],
    ...i32x4.shiftRight(13),
  ]
  const isNan = [...get(u), ...constant(0x7f800000), ...i32x4.greater]
  const special = [...constant(0x7e00), ...constant(0x7c00), ...isNan, ...bitwise.select]
  return [
    ...[...magnitudeOf(x, scratch), ...set(u)],
    ...[...subnormal, ...normal, ...constant(0x38800000), ...get(u), ...i32x4.greater, ...bitwise.select],
    ...set(result),
    ...[...special, ...get(result), ...get(u), ...constant(0x477fffff), ...i32x4.greater, ...bitwise.select],
    ...[...x, ...i32x4.shiftRight(16), ...constant(0x8000), ...bitwise.and, ...bitwise.or],
  ]
}

/** Lanes that hold f16 bits as f32. */
export function f16Values(codes: Code, { local, constant }: Scratch): Code {
  const h = local()
  const value = local()
  // the exponent moved into place and corrected by a product, which is exact and normalizes subnormals
  const scaled = [
    ...[...get(h), ...constant(0x7fff), ...bitwise.and, ...i32x4.shiftLeft(13)],
    ...[...constant((127 + 112) << 23), ...f32x4.multiply],
  ]
  const infinite = [...get(value), ...constant(0x477fffff), ...i32x4.greater]
  return [
    ...[...codes, ...set(h), ...scaled, ...set(value)],
    ...[...infinite, ...constant(0x7f800000), ...bitwise.and, ...get(value), ...bitwise.or],
    ...[...get(h), ...constant(0x8000), ...bitwise.and, ...i32x4.shiftLeft(16), ...bitwise.or],
  ]
}

type Emitter = (inputs: readonly Code[], scalars: readonly Code[], scratch: Scratch) => Code

const binary =
  (instruction: Code): Emitter =>
  ([a, b]) => [...a!, ...b!, ...instruction]

/** Σ over vectors of code for each half, in double precision. */
function half(side: (x: Code) => Code, inputs: readonly Code[], term: (x: Code, i: number) => Code): Code {
  return inputs.flatMap((x, i) => [...term(side(x), i), ...(i > 0 ? f64x2.add : [])])
}

function varianceCode(inputs: readonly Code[], count: Code, { local }: Scratch): Code {
  const parts = [wide.low, wide.high].map((side) => {
    const mean = local()
    const total = local()
    const first = [...half(side, inputs, (x) => [...x, ...count, ...f64x2.divide]), ...set(mean)]
    const square = (x: Code): Code => {
      const distance = local()
      return [
        ...[...x, ...get(mean), ...f64x2.subtract, ...tee(distance)],
        ...[...get(distance), ...f64x2.multiply],
      ]
    }
    const second = [...half(side, inputs, square), ...count, ...f64x2.divide, ...set(total)]
    return { code: [...first, ...second], total }
  })
  return [...parts.flatMap(({ code }) => code), ...narrow(get(parts[0]!.total), get(parts[1]!.total))]
}

/** Code that leaves the result of an operation on the stack; operands and scalars are cheap to repeat. */
export const emitters: Readonly<Record<Exclude<Operation, 'source'>, Emitter>> = {
  constant: (_, [value]) => value!,
  add: binary(f32x4.add),
  subtract: binary(f32x4.subtract),
  multiply: binary(f32x4.multiply),
  divide: binary(f32x4.divide),
  max: binary(f32x4.max),
  min: binary(f32x4.min),
  abs: ([x]) => [...x!, ...f32x4.abs],
  above: binary(f32x4.greater),
  atLeast: binary(f32x4.atLeast),
  atMost: binary(f32x4.atMost),
  equal: binary(f32x4.equal),
  bitsAbove: ([x], [than]) => [...x!, ...than!, ...i32x4.greater],
  bitsEqual: ([x], [what]) => [...x!, ...what!, ...i32x4.equal],
  before: (_, [place], { indices }) => [...get(indices), ...place!, ...i32x4.less],
  sameSign: ([x, y], _, scratch) => [
    ...[...magnitudeOf(x!, scratch), ...zeros, ...i32x4.greater],
    ...[...x!, ...y!, ...bitwise.xor, ...i32x4.shiftRightSigned(31), ...bitwise.andNot],
  ],
  and: binary(bitwise.and),
  or: binary(bitwise.or),
  not: ([x]) => [...x!, ...bitwise.not],
  where: ([mask, a, b]) => [...a!, ...b!, ...mask!, ...bitwise.select],
  keep: binary(bitwise.and),
  fused: ([acc, x], [w]) => {
    const side = (of: (v: Code) => Code): Code => [
      ...[...of(acc!), ...of(x!), ...w!, ...f64x2.multiply, ...f64x2.add],
    ]
    return narrow(side(wide.low), side(wide.high))
  },
  blend: (inputs, scalars) => {
    const term = (x: Code, i: number): Code => [...x, ...scalars[i]!, ...f64x2.multiply]
    return narrow(half(wide.low, inputs, term), half(wide.high, inputs, term))
  },
  variance: (inputs, [count], scratch) => varianceCode(inputs, count!, scratch),
  asBF16: ([x], _, scratch) => [...bf16Bits(x!, scratch), ...i32x4.shiftLeft(16)],
  asF16: ([x], _, scratch) => f16Values(f16Bits(x!, scratch), scratch),
}
