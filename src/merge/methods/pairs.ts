/** @file Two ways to take single elements of one model into another: NearSwap and Arcee Fusion. */
import {
  type Arithmetic,
  abs,
  arithmeticOf,
  atLeast,
  clamped,
  elementsOfRank,
  max,
  type Session,
  signedValue,
  type Vector,
  where,
} from '../vector/index.ts'
import { define, numberOf } from './define.ts'
import { overRows } from './rows.ts'
import type { MergeMethod } from './types.ts'
import { f32 } from './vectors.ts'

const single = arithmeticOf('F32')
type Rounding = (x: number) => number

const nearswap = define({
  name: 'nearswap',
  title: 'NearSwap',
  source: 'alchemonaut 2024, QuartetAnemoi-70B',
  needsBase: true,
  maxModels: 1,
  missing: 'pass-base',
  reach: 'element',
  global: [
    {
      name: 't',
      type: 'number',
      doc: 'elements closer than this are swapped, others in proportion t / distance',
    },
  ],
  run({ base, models: [other], parameters, arithmetic }) {
    const { add, subtract, multiply, divide, number } = arithmetic
    const [a, b] = [base!, other!.values]
    const distance = max(abs(subtract(a, b)), number(1e-6))
    const share = clamped(multiply(divide(1, distance), numberOf(parameters, 't')), 0, 1)
    return add(multiply(b, share), multiply(a, subtract(1, share)))
  },
})

/** Softmax of one row, in f32 and rounded once. */
function softmax(x: Float32Array, from: number, to: number, number: Rounding): Float32Array {
  let top = -Infinity
  for (let i = from; i < to; i++) top = Math.max(top, x[i]!)
  const out = new Float32Array(to - from)
  let total = 0
  for (let i = from; i < to; i++) total += out[i - from] = f32(Math.exp(f32(x[i]! - top)))
  for (let i = 0; i < out.length; i++) out[i] = number(out[i]! / f32(total))
  return out
}

/** KL(p ‖ q) of two rows, with 1e-8 added to every probability. */
function divergence(p: Float32Array, q: Float32Array, number: Rounding): number {
  let total = 0
  for (let i = 0; i < p.length; i++) {
    const [a, b] = [number(f32(p[i]! + f32(1e-8))), number(f32(q[i]! + f32(1e-8)))]
    total += number(a * number(f32(Math.log(number(a / b)))))
  }
  return number(f32(total))
}

/** The divergence of the softmax of every row of the two. */
function divergences(
  session: Session,
  { number }: Arithmetic,
  tuned: Vector,
  base: Vector,
  row: number,
): Float32Array {
  const found = new Float32Array(session.length / row)
  session.align(row)
  session.visit([tuned, base], ([p, q], start) => {
    for (let from = 0; from < p!.length; from += row)
      found[(start + from) / row] = divergence(
        softmax(p!, from, from + row, number),
        softmax(q!, from, from + row, number),
        number,
      )
  })
  return found
}

/** median + 1.5 (Q3 − Q1), from all elements. mergekit draws a million at random from larger tensors. */
function threshold(session: Session, { number }: Arithmetic, scores: Vector): number {
  const ranks = [0.25, 0.5, 0.75].map((q) => Math.trunc(f32(q * (session.length - 1))))
  const [found] = elementsOfRank(session, [{ of: scores, ranks }], 'signed')
  const [first, median, third] = found!.map(({ bits }) => signedValue(bits))
  return number(median! + number(1.5 * number(third! - first!)))
}

const arceeFusion = define({
  name: 'arcee_fusion',
  title: 'Arcee Fusion',
  source: 'Arcee AI 2025, mergekit',
  needsBase: true,
  maxModels: 1,
  missing: 'pass-single',
  run({ base, models: [other], shape, session, arithmetic }) {
    const [a, b] = [base!, other!.values]
    if (session.length === 0) return a
    const row = shape.at(-1) ?? 1
    const delta = arithmetic.subtract(b, a)
    const weights = overRows(divergences(session, arithmetic, b, a, row), row)
    const scores = arithmetic.multiply(abs(delta), weights)
    const least = threshold(session, arithmetic, scores)
    // the mask is f32 in mergekit, and so is the sum
    const taken = single.add(a, delta)
    return arithmetic.vector(where(atLeast(scores, least), taken, a))
  },
})

export const pairMethods: readonly MergeMethod[] = [nearswap, arceeFusion]
