/** @file Numbers that several methods measure. Sums accumulate in double precision and are rounded once. */
import { type Arithmetic, abs, keep, type Measure, type Session, type Vector } from '../vector/index.ts'

/** Rounds to f32. */
export const f32 = Math.fround

/** Σ x². */
export const squares = (x: Vector): Measure => ({ kind: 'product', of: x, and: x })
export const sumOf = (x: Vector): Measure => ({ kind: 'sum', of: x })
export const countOf = (mask: Vector): Measure => ({ kind: 'count', of: mask })

/** ‖xᵢ‖₂ in the type of the arithmetic. */
export const norms = (session: Session, { number }: Arithmetic, ...vectors: readonly Vector[]): number[] =>
  session.measure(...vectors.map(squares)).map((total) => number(f32(Math.sqrt(total))))

/** ‖xᵢ‖₁, likewise. */
export const l1Norms = (session: Session, { number }: Arithmetic, ...vectors: readonly Vector[]): number[] =>
  session.measure(...vectors.map((x) => sumOf(abs(x)))).map((total) => number(f32(total)))

/** 0 in every element. */
export const zeros = (like: Vector): Vector =>
  keep(like, { operation: 'before', inputs: [], scalars: [{ as: 'place', value: 0 }] })

export const clamp = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x))
