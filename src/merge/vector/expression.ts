/**
 * @file Lazy vectors: the values of one tensor as an expression of inputs, of which nothing is computed yet. A pass
 * (`session.ts`) turns it into one loop and runs it block by block, so a formula holds no tensor whatever its length.
 */

/** Where values of one input come from, in the order of the flat tensor. */
export interface Source {
  /** How they lie in memory: floats, or U8 for masks (0 or not). */
  readonly dtype: 'F32' | 'BF16' | 'F16' | 'U8'
  /** Write elements [start, start + count) to `target`, which has exactly their bytes. */
  readonly fill?: (start: number, count: number, target: Uint8Array) => void
  /** In place of `fill`: elements [start, start + count), found in any way. */
  readonly values?: (start: number, count: number) => Float32Array | Uint8Array
}

/** Bytes of an element of a source. */
export const sourceBytes = { F32: 4, BF16: 2, F16: 2, U8: 1 } as const

/** The type that elementwise results are rounded to. */
export type NumberType = 'F32' | 'BF16' | 'F16'

/** A number that a formula reads: in every lane, as f32, as f64, as 32 bits, or as a place in the flat tensor. */
export interface Scalar {
  readonly as: 'f32' | 'f64' | 'bits' | 'place'
  readonly value: number
}

/** What is done element by element; `emit.ts` has the code of each. */
export type Operation =
  | 'source'
  | 'constant'
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'max'
  | 'min'
  | 'abs'
  | 'above'
  | 'atLeast'
  | 'atMost'
  | 'equal'
  | 'bitsAbove'
  | 'bitsEqual'
  | 'before'
  | 'sameSign'
  | 'and'
  | 'or'
  | 'not'
  | 'where'
  | 'keep'
  | 'fused'
  | 'blend'
  | 'variance'
  | 'asBF16'
  | 'asF16'

/** A vector (or a mask: all bits of a lane, or none) as it is computed. Equal parts should be the same object. */
export interface Vector {
  readonly operation: Operation
  readonly inputs: readonly Vector[]
  readonly scalars: readonly Scalar[]
  readonly source?: Source
}

/** A vector, or a number in every element. */
export type Operand = Vector | number

const node = (operation: Operation, inputs: readonly Vector[], scalars: readonly Scalar[] = []): Vector => ({
  operation,
  inputs,
  scalars,
})

/** The values of a source. */
export const vectorOf = (source: Source): Vector => ({
  operation: 'source',
  inputs: [],
  scalars: [],
  source,
})

/** A number in every element, rounded to f32. */
export const constant = (value: number): Vector => node('constant', [], [{ as: 'f32', value }])

const operand = (x: Operand): Vector => (typeof x === 'number' ? constant(x) : x)

/** |x|, exact. */
export const abs = (x: Vector): Vector => node('abs', [x])
/** The larger and the smaller of two, exact; NaN if either is. */
export const max = (a: Operand, b: Operand): Vector => node('max', [operand(a), operand(b)])
export const min = (a: Operand, b: Operand): Vector => node('min', [operand(a), operand(b)])
export const clamped = (x: Vector, low: number, high: number): Vector => min(max(x, low), high)

/** Masks of comparisons; false where a side is NaN. */
export const above = (a: Operand, b: Operand): Vector => node('above', [operand(a), operand(b)])
export const atLeast = (a: Operand, b: Operand): Vector => node('atLeast', [operand(a), operand(b)])
export const atMost = (a: Operand, b: Operand): Vector => node('atMost', [operand(a), operand(b)])
export const equal = (a: Operand, b: Operand): Vector => node('equal', [operand(a), operand(b)])

const bits = (value: number): Scalar => ({ as: 'bits', value })
/** Masks of |x| as an integer against bits of a magnitude: an order in which NaN is above all numbers. */
export const magnitudeAbove = (x: Vector, than: number): Vector => node('bitsAbove', [abs(x)], [bits(than)])
export const magnitudeIs = (x: Vector, what: number): Vector => node('bitsEqual', [abs(x)], [bits(what)])
/** Mask of the elements whose place in the flat tensor is before this one. */
export const before = (place: number): Vector => node('before', [], [{ as: 'place', value: place }])
/** Mask of the elements of x that are not 0 and have the sign bit of y. */
export const sameSign = (x: Vector, y: Vector): Vector => node('sameSign', [x, y])

export const and = (a: Vector, b: Vector): Vector => node('and', [a, b])
export const or = (a: Vector, b: Vector): Vector => node('or', [a, b])
export const not = (a: Vector): Vector => node('not', [a])
/** a where the mask is set, else b. */
export const where = (mask: Vector, a: Operand, b: Operand): Vector =>
  node('where', [mask, operand(a), operand(b)])
/** x where the mask is set, else +0. */
export const keep = (x: Operand, mask: Vector): Vector => node('keep', [operand(x), mask])

/** acc + x · w in double precision, rounded once to f32; w counts as f32. */
export const fused = (acc: Vector, x: Vector, w: number): Vector =>
  node('fused', [acc, x], [{ as: 'f64', value: Math.fround(w) }])
/** Σ cᵢ xᵢ in double precision, rounded once to f32. */
export const blend = (vectors: readonly Vector[], coefficients: readonly number[]): Vector =>
  node(
    'blend',
    vectors,
    coefficients.map((value) => ({ as: 'f64', value })),
  )
/** Variance over the vectors of every element, in double precision, rounded once to f32. */
export const variance = (vectors: readonly Vector[]): Vector =>
  node('variance', vectors, [{ as: 'f64', value: vectors.length }])

const roundings = { BF16: 'asBF16', F16: 'asF16' } as const
/** x rounded to nearest, ties to even. */
export const rounded = (x: Vector, type: NumberType): Vector =>
  type === 'F32' ? x : node(roundings[type], [x])
