/** @file Lazy vectors against plain loops, bit for bit, whatever the blocks; and how little memory they hold. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeF32, encodeF32 } from '../../src/checkpoint/index.ts'
import { mergeMethods, type Parameters } from '../../src/merge/index.ts'
import {
  abs,
  arithmeticOf,
  before,
  equal,
  fused,
  keep,
  type NumberType,
  not,
  openSession,
  sourceBytes,
  type Vector,
  vectorOf,
} from '../../src/merge/vector/index.ts'
import { random } from '../../src/tensor/index.ts'
import { elementOfRank } from './arrays.ts'

const f32 = Math.fround
const special = [
  0,
  -0,
  1e-40,
  -3e-39,
  6e-8,
  65504,
  65520,
  3e38,
  1e39,
  -1e39,
  Number.NaN,
  1.00390625,
  2 ** -24,
]
const values = fc
  .array(fc.oneof(fc.float(), fc.constantFrom(...special)), { maxLength: 70 })
  .map((list) => Float32Array.from(list))
const bits = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length)

/** Formula of stored values, in blocks of eight. */
function compute(
  stored: readonly { values: Float32Array; dtype: NumberType }[],
  formula: (...vectors: Vector[]) => Vector,
  dtype: NumberType = 'F32',
): Float32Array {
  const length = stored[0]!.values.length
  const session = openSession(length, 8)
  const vectors = stored.map(({ values: x, dtype: type }) =>
    vectorOf({
      dtype: type,
      values: (start, count) => encodeF32(x.slice(start, start + count), type),
    }),
  )
  const out = new Float32Array(length)
  session.write({ vector: formula(...vectors), dtype }, [], (bytes, start) =>
    out.set(decodeF32(bytes.slice(), dtype), start),
  )
  session.close()
  return out
}

/** Equal bits, and NaN where NaN. */
function expectSame(got: Float32Array, wanted: ArrayLike<number>): void {
  for (const [i, x] of Float32Array.from(wanted).entries())
    if (Number.isNaN(x)) expect(got[i]).toBeNaN()
    else expect(Object.is(got[i], x), `element ${i}: ${got[i]} for ${x}`).toBe(true)
}

it('a place in the tensor is met within the rows of a block', () => {
  const row = 8
  const values = Float32Array.from({ length: 5 * row }, (_, i) => i + 1)
  const x = vectorOf({ dtype: 'F32', values: (start, count) => values.subarray(start, start + count) })
  for (const place of [0, 3, row, 2 * row + 5, 5 * row]) {
    const session = openSession(values.length, 2 * row)
    session.align(row)
    const [sums] = session.measureRows(row, { kind: 'sum', of: keep(x, before(place)) })
    session.close()
    const expected = [0, 1, 2, 3, 4].map((r) =>
      values.subarray(r * row, Math.max(r * row, Math.min((r + 1) * row, place))).reduce((a, b) => a + b, 0),
    )
    expect([...sums!]).toEqual(expected)
  }
})

describe('kernels', () => {
  it.each(['F32', 'BF16', 'F16'] as const)('read, write and round %s as the codecs do', (dtype) => {
    fc.assert(
      fc.property(values, (x) => {
        const stored = decodeF32(encodeF32(x.slice(), dtype), dtype)
        expectSame(
          compute([{ values: x, dtype }], (v) => v),
          stored,
        )
        expectSame(
          compute([{ values: x, dtype: 'F32' }], (v) => v, dtype),
          stored,
        )
        const { vector, number } = arithmeticOf(dtype)
        expectSame(compute([{ values: x, dtype: 'F32' }], vector), stored)
        expectSame(Float32Array.from(x, number), stored)
      }),
    )
  })

  it('add, subtract, multiply and divide as JavaScript with fround, in every type', () => {
    const operations = {
      add: (a: number, b: number) => a + b,
      subtract: (a: number, b: number) => a - b,
      multiply: (a: number, b: number) => a * b,
      divide: (a: number, b: number) => a / b,
    }
    fc.assert(
      fc.property(values, fc.constantFrom('F32', 'BF16', 'F16'), fc.nat(), (a, type, shift) => {
        const b = a.map((_, i) => a[(i + shift) % a.length]!)
        const arithmetic = arithmeticOf(type)
        for (const [name, plain] of Object.entries(operations))
          expectSame(
            compute(
              [
                { values: a, dtype: 'F32' },
                { values: b, dtype: 'F32' },
              ],
              arithmetic[name as keyof typeof operations],
            ),
            a.map((x, i) => arithmetic.number(f32(plain(x, b[i]!)))),
          )
      }),
    )
  })

  it('a fused product and sum rounds once', () => {
    fc.assert(
      fc.property(values, fc.float({ noNaN: true }), (x, w) => {
        expectSame(
          compute([{ values: x, dtype: 'F32' }], (v) => fused(v, v, w)),
          x.map((a) => a + a * w),
        )
      }),
    )
  })

  it('measures: sums in double precision, counts, dot products, at any length', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 90 }), fc.nat(), fc.constantFrom(4, 8, 64), (n, seed, block) => {
        const x = random.sampleNormal(random.key(seed), n)
        const session = openSession(n, block)
        const v = vectorOf({ dtype: 'F32', values: (start, count) => x.subarray(start, start + count) })
        const [sum, squares, zeros] = session.measure(
          { kind: 'sum', of: abs(v) },
          { kind: 'product', of: v, and: v },
          { kind: 'count', of: equal(keep(v, not(v)), 0) },
        )
        session.close()
        expect(sum).toBeCloseTo(
          x.reduce((total, a) => total + Math.abs(a), 0),
          10,
        )
        expect(squares).toBeCloseTo(
          x.reduce((total, a) => total + a * a, 0),
          10,
        )
        expect(zeros).toBe(n)
      }),
    )
  })

  it('ranks of a long vector with few distinct values are those of a sort', () => {
    const x = random.sampleNormal(random.key(3), 5000).map((a) => Math.round(a * 8) / 64)
    const magnitudes = x.map(Math.abs).sort()
    for (const rank of [0, 1, 2500, 4998, 4999]) {
      const { bits: found, below } = elementOfRank(x, rank)
      expect(found).toBe(bits(magnitudes)[rank])
      expect(below).toBe(magnitudes.indexOf(magnitudes[rank]!))
    }
  })
})

describe('blocks', () => {
  const shape = [12, 10]
  const n = 120
  const [base, a, b, c] = [1, 2, 3, 4].map((seed) => random.sampleNormal(random.key(seed), n))
  const own: Parameters = { weight: 0.4, density: 0.6, gamma: 0.1, epsilon: 0.2, threshold: 0.3, cut: 0.5 }
  const shared: Parameters = { t: 0.3, task: 1, select_topk: 0.5, filter_wise: true, nuslerp_flatten: false }
  const types: NumberType[] = ['F32', 'BF16']

  it.each(Object.keys(mergeMethods).flatMap((name) => types.map((type) => [name, type] as const)))(
    '%s in %s: blocks of eight give the bits of one block',
    (name, arithmetic) => {
      const method = mergeMethods[name]!
      const count = Math.min(3, method.maxModels)
      const only = (all: Parameters, specs: readonly { name: string }[]): Parameters =>
        Object.fromEntries(Object.entries(all).filter(([key]) => specs.some((spec) => spec.name === key)))
      const weights: Parameters = name === 'rewarded_soup' ? { weight: 1 / 3 } : {}
      const merge = (block: number) =>
        method.merge({
          name: 'w',
          shape,
          ...(method.needsBase === false ? {} : { base: base! }),
          models: [a!, b!, c!].slice(0, count).map((values) => ({
            values,
            parameters: only({ ...own, ...weights }, method.parameters.perModel),
          })),
          parameters: only(shared, method.parameters.global),
          key: random.key(5),
          arithmetic,
          block,
        })
      expect(bits(merge(8))).toEqual(bits(merge(1 << 16)))
      expect(merge(8)).not.toEqual(new Float32Array(n))
    },
  )

  it.each(['linear', 'ties', 'dare_ties', 'slerp', 'karcher', 'multislerp'])(
    '%s of two million elements asks for no more than a block at once',
    (name) => {
      const length = 2 ** 21 + 5
      let largest = 0
      const session = openSession(length)
      const vector = (seed: number): Vector =>
        vectorOf({
          dtype: 'BF16',
          fill(start, count, target) {
            largest = Math.max(largest, count)
            expect(target.byteLength).toBe(count * sourceBytes.BF16)
            for (let i = 0; i < count; i++) target[2 * i + 1] = 0x3c + (((start + i) * seed) % 7)
          },
        })
      const method = mergeMethods[name]!
      const parameters: Parameters = method.parameters.perModel.some((spec) => spec.name === 'density')
        ? { weight: 0.5, density: 0.5 }
        : method.parameters.perModel.length
          ? { weight: 0.5 }
          : {}
      const merged = method.formula({
        name: 'w',
        shape: [length],
        base: method.needsBase === true ? vector(3) : undefined,
        models: [5, 11].slice(0, method.maxModels).map((seed) => ({ values: vector(seed), parameters })),
        parameters: name === 'slerp' ? { t: 0.5 } : {},
        key: random.key(0),
        session,
        arithmetic: arithmeticOf('F32'),
      })
      let written = 0
      session.write({ vector: merged, dtype: 'BF16' }, [], (bytes, _, count) => {
        expect(bytes.byteLength).toBe(2 * count)
        written += count
      })
      session.close()
      expect(written).toBe(length)
      expect(largest).toBeLessThanOrEqual(2 ** 16)
    },
  )
})
