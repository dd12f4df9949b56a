/** @file Seeded random shapes and values for tests, and index arithmetic written plainly: what expectations are made of. */
import { type Dtype, fromFloat64, isFloat, sizeOf } from '../../src/tensor/dtype.ts'
import { type Tensor, tensor } from '../../src/tensor/index.ts'

/** A concrete tensor as plain numbers. */
export interface Value {
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly values: readonly number[]
}

export interface Draw {
  real(low: number, high: number): number
  /** Both ends included. */
  int(low: number, high: number): number
  chance(p: number): boolean
  pick<T>(list: readonly T[]): T
  shuffle<T>(list: readonly T[]): T[]
  /** A shape of at most `limit` elements; axes of size 0 and 1 are common. */
  shape(options?: {
    rank?: number
    minRank?: number
    maxRank?: number
    limit?: number
    empty?: boolean
  }): number[]
}

/** mulberry32: small, and nothing of ours is in it. */
export function drawFrom(seed: number): Draw {
  let state = seed >>> 0
  const unit = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (low: number, high: number): number => low + Math.floor(unit() * (high - low + 1))
  return {
    real: (low, high) => low + unit() * (high - low),
    int,
    chance: (p) => unit() < p,
    pick: (list) => list[int(0, list.length - 1)]!,
    shuffle: (list) => {
      const out = [...list]
      for (let i = out.length - 1; i > 0; i--) {
        const j = int(0, i)
        ;[out[i], out[j]] = [out[j]!, out[i]!]
      }
      return out
    },
    shape({ rank, minRank = 0, maxRank = 4, limit = 48, empty = true } = {}) {
      const r = rank ?? int(minRank, maxRank)
      const shape: number[] = []
      for (let i = 0; i < r; i++) {
        const x = unit()
        const n = empty && x < 0.06 ? 0 : x < 0.3 ? 1 : int(2, 4)
        shape.push(n > 1 && sizeOf(shape) * n > limit ? 1 : n)
      }
      return shape
    },
  }
}

/** A seed from words, so that every operation has its own numbers. */
export const seedOf = (text: string): number =>
  [...text].reduce((h, c) => Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0, 0x811c9dc5)

/** The value nearest to x that the element type holds (floats are rounded to f32, so that every program gets the same). */
export const representable = (x: number, dtype: Dtype): number => (isFloat(dtype) ? Math.fround(x) : x)

/** Numbers of a type: reals in the range for floats, integers for the others, 0 or 1 for bool. */
export function numbers(draw: Draw, shape: readonly number[], dtype: Dtype, low = -2, high = 2): number[] {
  return Array.from({ length: sizeOf(shape) }, () => {
    if (isFloat(dtype)) return Math.fround(draw.real(low, high))
    if (dtype === 'bool') return draw.int(0, 1)
    const bound = Math.max(3, Math.ceil(high))
    return dtype === 'u32' ? draw.int(0, bound) : draw.int(Math.min(-3, Math.floor(low)), bound)
  })
}

/** Distinct numbers at least `gap` apart, in random order: no ties, and none nearby. */
export function distinct(draw: Draw, shape: readonly number[], dtype: Dtype, gap = 0.1): number[] {
  const n = sizeOf(shape)
  const offset = dtype === 'u32' ? 0 : Math.floor(n / 2)
  const step = isFloat(dtype) ? gap : 1
  return draw.shuffle(
    Array.from({ length: n }, (_, i) =>
      representable((i - offset) * step + (isFloat(dtype) ? gap / 3 : 0), dtype),
    ),
  )
}

export const toTensor = ({ values, shape, dtype }: Value): Tensor =>
  tensor(fromFloat64(values, dtype), { shape })

/** Every multi-index of a shape, in row-major order. */
export function* indices(shape: readonly number[]): Generator<number[]> {
  if (shape.includes(0)) return
  const index = shape.map(() => 0)
  for (;;) {
    yield [...index]
    let axis = shape.length - 1
    while (axis >= 0 && ++index[axis]! === shape[axis]!) index[axis--] = 0
    if (axis < 0) return
  }
}

/** Row-major values of a function of the multi-index. */
export const build = (shape: readonly number[], f: (index: number[]) => number): number[] =>
  Array.from(indices(shape), f)

/** One element. */
export const at = ({ shape, values }: Omit<Value, 'dtype'>, index: readonly number[]): number =>
  values[shape.reduce((flat, n, axis) => flat * n + index[axis]!, 0)]!

/** One element as broadcasting sees it. */
export const atBroadcast = (x: Omit<Value, 'dtype'>, index: readonly number[]): number =>
  at(
    x,
    x.shape.map((n, axis) => (n === 1 ? 0 : index[index.length - x.shape.length + axis]!)),
  )

/** Shape without some axes, and the index with others put back. */
export const without = <T>(list: readonly T[], axes: readonly number[]): T[] =>
  list.filter((_, i) => !axes.includes(i))

/** erf by its Taylor series, good to about 1e-12 for |x| ≤ 3. */
export function erfSeries(x: number): number {
  let [term, total] = [x, x]
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n
    total += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * total
}
