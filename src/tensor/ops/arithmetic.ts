/** @file Arithmetic and functions of one number: rows and functions. */
import { f32x4 } from '../../base/wasm/index.ts'
import {
  type Dtype,
  isFloat,
  isInteger,
  requireFloat,
  requireSameDtype,
  type Spec,
  showSpec,
} from '../dtype.ts'
import { fail } from '../mistake.ts'
import { pointwise } from '../onnx/blocked-neighbours.ts'
import { channelwise } from '../onnx/channelwise.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { convWithBias, firstOf, gemmWithBias } from '../onnx/fusion.ts'
import { type Node, scalar, type Tensor } from '../tensor.ts'
import { simplifyAdd, simplifyDiv, simplifyMul, simplifyNeg, simplifySub } from './arithmeticRules.ts'
import { binary, defineElementwise, none, numeric, unary, viaInt64 } from './elementwise.ts'
import { equal, greater, less, where } from './logic.ts'
import { erfMiddle, erf as erfNumber, erfSmall } from './special.ts'

// --- element types ---

const float = (name: string, inputs: readonly Spec[]): Dtype => {
  for (const x of inputs) requireFloat(name, x)
  return requireSameDtype(name, inputs)
}
const integer = (name: string, inputs: readonly Spec[]): Dtype => {
  const dtype = requireSameDtype(name, inputs)
  if (!isInteger(dtype))
    fail('TL_DTYPE_MISMATCH', `${name}: expected integers, got ${inputs.map(showSpec).join(' and ')}`)
  return dtype
}

/** Sums and products wrap alike with and without a sign: int32 will do, at half the memory. */
const viaInt32 =
  (op: string) =>
  (e: Emitter, inputs: readonly string[], node: Node): string => {
    if (node.inputs[0]!.dtype !== 'u32') return e.node(op, inputs)
    return e.cast(
      e.node(
        op,
        inputs.map((x) => e.cast(x, 'i32')),
      ),
      'u32',
    )
  }

/**
 * Integer division and remainder. The processor traps on x/0 and on min/−1, which would end the whole process: divide by 1
 * there and choose the result (0 and −x; remainders are 0). Divisors known when the program is compiled need no care.
 */
const dividing =
  (op: 'Div' | 'Mod') =>
  (e: Emitter, [a, b]: readonly string[], node: Node): string => {
    const divisor = node.inputs[1]!
    const { dtype } = divisor
    if (isFloat(dtype)) return e.node(op, [a!, b!])
    const harmless = divisor.isConcrete && divisor.data.every((v) => Number(v) !== 0 && Number(v) !== -1)
    if (harmless) return viaInt64(op)(e, [a!, b!], node)
    const wide: Dtype = dtype === 'u32' ? 'i64' : dtype
    const [x, y] = dtype === 'u32' ? [e.cast(a!, wide), e.cast(b!, wide)] : [a!, b!]
    const isZero = e.node('Equal', [y, e.scalar(0, wide)])
    const isMinusOne = e.node('Equal', [y, e.scalar(-1, wide)])
    const safe = e.node('Where', [e.node('Or', [isZero, isMinusOne]), e.scalar(1, wide), y])
    const quotient = e.node(op, [x, safe])
    if (op === 'Mod') return dtype === 'u32' ? e.cast(quotient, dtype) : quotient
    const negated = e.node('Where', [isMinusOne, e.node('Neg', [x]), quotient])
    const result = e.node('Where', [isZero, e.scalar(0, wide), negated])
    return dtype === 'u32' ? e.cast(result, dtype) : result
  }

// --- arithmetic ---

defineElementwise('add', {
  f: (a, b) => a + b,
  push: [(t) => t, (t) => t],
  dtype: numeric,
  onnx: viaInt32('Add'),
  simplify: simplifyAdd,
  fused: firstOf(gemmWithBias, convWithBias, channelwise, pointwise),
  simd: f32x4.add,
})
defineElementwise('sub', {
  f: (a, b) => a - b,
  push: [(t) => t, (t) => neg(t)],
  dtype: numeric,
  onnx: viaInt32('Sub'),
  simplify: simplifySub,
  fused: firstOf(channelwise, pointwise),
  simd: f32x4.sub,
})
defineElementwise('mul', {
  f: (a, b, _, dtype) => (isFloat(dtype) || dtype === 'i64' ? a * b : Math.imul(a, b)),
  push: [(t, [, b]) => mul(t, b!), (t, [a]) => mul(t, a!)],
  dtype: numeric,
  onnx: viaInt32('Mul'),
  simplify: simplifyMul,
  fused: firstOf(channelwise, pointwise),
  simd: f32x4.mul,
})
defineElementwise('div', {
  f: (a, b, _, dtype) => (isFloat(dtype) ? a / b : b === 0 ? 0 : Math.trunc(a / b)),
  push: [(t, [, b]) => div(t, b!), (t, [, b], y) => neg(mul(t, div(y, b!)))],
  dtype: numeric,
  onnx: dividing('Div'),
  simplify: simplifyDiv,
  simd: f32x4.div,
})
defineElementwise('mod', {
  f: (a, b) => (b === 0 ? 0 : a - b * Math.floor(a / b)),
  push: [none, none],
  dtype: integer,
  onnx: dividing('Mod'),
})
defineElementwise('pow', {
  f: (a, b) => a ** b,
  push: [
    // x^0 is constant, at x = 0 too: without the choice its slope there would be 0 · ∞
    (t, [a, b]) => mul(t, mul(b!, pow(a!, where(equal(b!, 0), 1, sub(b!, 1))))),
    // x^b has no derivative in b for x < 0, and 0 at x = 0
    (t, [a], y) => mul(t, mul(y, log(where(greater(a!, 0), a!, 1)))),
  ],
  dtype: float,
  onnx: 'Pow',
})
const share = (t: Tensor, winner: Tensor, tie: Tensor): Tensor =>
  mul(t, where(winner, 1, where(tie, scalar(0.5, t.dtype), 0)))
defineElementwise('max', {
  f: (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.max(a, b)),
  push: [
    (t, [a, b]) => share(t, greater(a!, b!), equal(a!, b!)),
    (t, [a, b]) => share(t, greater(b!, a!), equal(a!, b!)),
  ],
  dtype: numeric,
  onnx: viaInt64('Max'),
  simd: f32x4.max,
})
defineElementwise('min', {
  f: (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.min(a, b)),
  push: [
    (t, [a, b]) => share(t, less(a!, b!), equal(a!, b!)),
    (t, [a, b]) => share(t, less(b!, a!), equal(a!, b!)),
  ],
  dtype: numeric,
  onnx: viaInt64('Min'),
  simd: f32x4.min,
})

// --- one operand ---

defineElementwise('neg', {
  f: (x) => -x,
  push: [(t) => neg(t)],
  dtype: numeric,
  onnx: (e, [x], node) =>
    node.inputs[0]!.dtype === 'u32' ? viaInt64('Neg')(e, [x!], node) : e.node('Neg', [x!]),
  simplify: simplifyNeg,
  simd: f32x4.neg,
})
defineElementwise('abs', {
  f: Math.abs,
  push: [(t, [x]) => mul(t, sign(x!))],
  dtype: numeric,
  onnx: viaInt64('Abs'),
  simd: f32x4.abs,
})
defineElementwise('sign', { f: Math.sign, push: [none], dtype: numeric, onnx: viaInt64('Sign') })
defineElementwise('floor', { f: Math.floor, push: [none], dtype: float, onnx: 'Floor' })
defineElementwise('ceil', { f: Math.ceil, push: [none], dtype: float, onnx: 'Ceil' })
const roundHalfEven = (x: number): number => {
  const r = Math.round(x)
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r
}
defineElementwise('round', { f: roundHalfEven, push: [none], dtype: float, onnx: 'Round' })
defineElementwise('exp', { f: Math.exp, push: [(t, _, y) => mul(t, y)], dtype: float, onnx: 'Exp' })
defineElementwise('log', { f: Math.log, push: [(t, [x]) => div(t, x!)], dtype: float, onnx: 'Log' })
defineElementwise('sqrt', {
  f: Math.sqrt,
  push: [(t, _, y) => div(mul(t, 0.5), y)],
  dtype: float,
  onnx: 'Sqrt',
  simd: f32x4.sqrt,
})
defineElementwise('sin', { f: Math.sin, push: [(t, [x]) => mul(t, cos(x!))], dtype: float, onnx: 'Sin' })
defineElementwise('cos', { f: Math.cos, push: [(t, [x]) => neg(mul(t, sin(x!)))], dtype: float, onnx: 'Cos' })
defineElementwise('tanh', {
  f: Math.tanh,
  push: [(t, _, y) => mul(t, sub(1, mul(y, y)))],
  dtype: float,
  onnx: 'Tanh',
})
defineElementwise('sigmoid', {
  f: (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
  push: [(t, _, y) => mul(t, mul(y, sub(1, y)))],
  dtype: float,
  // the runtime's own optimizer may fuse x·σ(x) into a kernel that it lacks for f64: in files, the definition
  onnx: (e, [x], node) =>
    e.target === 'portable' && node.outputs[0]!.dtype === 'f64'
      ? e.node('Reciprocal', [e.node('Add', [e.node('Exp', [e.node('Neg', [x!])]), e.scalar(1, 'f64')])])
      : e.node('Sigmoid', [x!]),
})
defineElementwise('relu', {
  f: (x) => (x > 0 || Number.isNaN(x) ? x : 0),
  push: [(t, _, y) => where(greater(y, 0), t, 0)],
  dtype: float,
  onnx: 'Relu',
})
defineElementwise('erf', {
  f: erfNumber,
  push: [(t, [x]) => mul(t, mul(exp(neg(mul(x!, x!))), 2 / Math.sqrt(Math.PI)))],
  dtype: float,
  onnx: (e, [x], node) => (node.outputs[0]!.dtype === 'f64' ? erfFloat64(e, x!) : e.node('Erf', [x!])),
})

/** The runtime has no float64 Erf: Cody's rational forms, chosen with Where (|x| clipped at 6, where erf is 1 − 2e-17). */
function erfFloat64(e: Emitter, x: string): string {
  const polynomial = (c: readonly number[], t: string): string =>
    c
      .slice(1)
      .reduce(
        (sum, a) => e.node('Add', [e.node('Mul', [sum, t]), e.scalar(a, 'f64')]),
        e.scalar(c[0]!, 'f64'),
      )
  const square = e.node('Mul', [x, x])
  const small = e.node('Mul', [
    x,
    e.node('Div', [polynomial(erfSmall.p, square), polynomial(erfSmall.q, square)]),
  ])
  const a = e.node('Min', [e.node('Abs', [x]), e.scalar(6, 'f64')])
  const ratio = e.node('Div', [polynomial(erfMiddle.p, a), polynomial(erfMiddle.q, a)])
  const erfc = e.node('Mul', [e.node('Exp', [e.node('Neg', [e.node('Mul', [a, a])])]), ratio])
  const large = e.node('Mul', [e.node('Sign', [x]), e.node('Sub', [e.scalar(1, 'f64'), erfc])])
  return e.node('Where', [e.node('Less', [e.node('Abs', [x]), e.scalar(0.46875, 'f64')]), small, large])
}

// --- public functions ---

export const add = binary('add')
export const sub = binary('sub')
export const mul = binary('mul')
/** Division; on integers it truncates towards zero, and x/0 is 0. */
export const div = binary('div')
/** Remainder of integers with the sign of the divisor, as in NumPy; 0 for a divisor of 0. */
export const mod = binary('mod')
export const pow = binary('pow')
export const maximum = binary('max')
export const minimum = binary('min')
export const neg = unary('neg')
export const abs = unary('abs')
export const sign = unary('sign')
export const floor = unary('floor')
export const ceil = unary('ceil')
/** To the nearest integer, halves to even. */
export const round = unary('round')
export const exp = unary('exp')
export const log = unary('log')
export const sqrt = unary('sqrt')
export const sin = unary('sin')
export const cos = unary('cos')
export const tanh = unary('tanh')
export const sigmoid = unary('sigmoid')
/** max(x, 0), with derivative 0 at 0. */
export const relu = unary('relu')
export const erf = unary('erf')
export const square = (x: Tensor): Tensor => mul(x, x)
export const rsqrt = (x: Tensor): Tensor => div(1, sqrt(x))
