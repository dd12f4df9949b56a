/** @file Arithmetic that rounds after every operation: to f32, or to the narrower type that a merge is asked to compute in. */
import { constant, type NumberType, type Operand, rounded, type Vector } from './expression.ts'

/** Operations on vectors and single numbers, each rounded to one type. Numbers as operands count as f32. */
export interface Arithmetic {
  readonly type: NumberType
  readonly add: (a: Operand, b: Operand) => Vector
  readonly subtract: (a: Operand, b: Operand) => Vector
  readonly multiply: (a: Operand, b: Operand) => Vector
  readonly divide: (a: Operand, b: Operand) => Vector
  /** Σ, in f32 in the order of the list, rounded once: how a sum over a short axis is computed. */
  readonly total: (vectors: readonly Vector[]) => Vector
  /** A vector or a number as this type. */
  readonly vector: (x: Vector) => Vector
  readonly number: (x: number) => number
}

const word = new Float32Array(1)
const wordBits = new Uint32Array(word.buffer)

/** The nearest bfloat16. */
function nearestBf16(x: number): number {
  word[0] = x
  if (Number.isNaN(x)) return x
  const all = wordBits[0]!
  wordBits[0] = ((all + 0x7fff + ((all >>> 16) & 1)) >>> 16) << 16
  return word[0]!
}

/** The nearest float16. */
function nearestF16(x: number): number {
  const y = Math.fround(x)
  const magnitude = Math.abs(y)
  if (!(magnitude < 65520)) return magnitude >= 65520 ? Math.sign(y) * Infinity : y
  // steps of 2⁻²⁴ below 2⁻¹⁴, of 2⁻¹⁰ of the leading bit above: adding a large number rounds to them
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(magnitude || 2 ** -30))) - 10)
  const whole = magnitude / step
  const floor = Math.floor(whole)
  const rest = whole - floor
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0)
  const nearest = (up ? floor + 1 : floor) * step
  return y < 0 || Object.is(y, -0) ? -nearest : nearest
}

const numbers = { F32: Math.fround, BF16: nearestBf16, F16: nearestF16 } as const

/** The arithmetic of a type. */
export function arithmeticOf(type: NumberType): Arithmetic {
  const number = numbers[type]
  const exact = (operation: Vector['operation']) => (a: Operand, b: Operand) => ({
    operation,
    inputs: [typeof a === 'number' ? constant(a) : a, typeof b === 'number' ? constant(b) : b],
    scalars: [],
  })
  const rounding = (operation: Vector['operation']) => {
    const apply = exact(operation)
    return (a: Operand, b: Operand): Vector => rounded(apply(a, b), type)
  }
  const plus = exact('add')
  return {
    type,
    add: rounding('add'),
    subtract: rounding('subtract'),
    multiply: rounding('multiply'),
    divide: rounding('divide'),
    total: (vectors) =>
      rounded(
        vectors.reduce<Vector>((sum, x) => plus(sum, x), constant(0)),
        type,
      ),
    vector: (x) => rounded(x, type),
    number,
  }
}
