/** @file IDX: every type against an encoder of its own, gzip, one clear message for each mistake, fuzz. */
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { readIdx } from '../../src/data/index.ts'
import { idx, refusal } from './helpers.ts'

const types = {
  u8: {
    code: 0x08,
    size: 1,
    array: Uint8Array,
    put: (v: DataView, at: number, x: number) => v.setUint8(at, x),
  },
  i8: {
    code: 0x09,
    size: 1,
    array: Int8Array,
    put: (v: DataView, at: number, x: number) => v.setInt8(at, x),
  },
  i16: {
    code: 0x0b,
    size: 2,
    array: Int16Array,
    put: (v: DataView, at: number, x: number) => v.setInt16(at, x),
  },
  i32: {
    code: 0x0c,
    size: 4,
    array: Int32Array,
    put: (v: DataView, at: number, x: number) => v.setInt32(at, x),
  },
  f32: {
    code: 0x0d,
    size: 4,
    array: Float32Array,
    put: (v: DataView, at: number, x: number) => v.setFloat32(at, x),
  },
  f64: {
    code: 0x0e,
    size: 8,
    array: Float64Array,
    put: (v: DataView, at: number, x: number) => v.setFloat64(at, x),
  },
}
type Name = keyof typeof types

function encode(name: Name, shape: number[], values: number[]): Uint8Array {
  const { code, size, put } = types[name]
  const header = 4 + 4 * shape.length
  const bytes = new Uint8Array(header + values.length * size)
  const view = new DataView(bytes.buffer)
  bytes.set([0, 0, code, shape.length])
  shape.forEach((length, axis) => {
    view.setUint32(4 + 4 * axis, length)
  })
  values.forEach((value, index) => {
    put(view, header + index * size, value)
  })
  return bytes
}

const anyFile = fc
  .tuple(
    fc.constantFrom(...(Object.keys(types) as Name[])),
    fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }),
  )
  .chain(([name, shape]) => {
    const count = shape.reduce((product, length) => product * length, 1)
    const value =
      name === 'f32'
        ? fc.float()
        : name === 'f64'
          ? fc.double()
          : name === 'u8'
            ? fc.nat(255)
            : fc.integer({ min: -128, max: 127 })
    return fc.record({
      name: fc.constant(name),
      shape: fc.constant(shape),
      values: fc.array(value, { minLength: count, maxLength: count }),
    })
  })

describe('readIdx', () => {
  it('gives back every type, rank and value, plain, gzipped, and from the middle of a buffer', () => {
    fc.assert(
      fc.property(anyFile, ({ name, shape, values }) => {
        const bytes = encode(name, shape, values)
        const shifted = new Uint8Array(bytes.length + 3)
        shifted.set(bytes, 3)
        const before = Buffer.from(bytes)
        for (const input of [bytes, gzipSync(bytes), shifted.subarray(3)]) {
          const array = readIdx(input)
          expect([array.dtype, array.shape]).toEqual([name, shape])
          expect(array.data).toBeInstanceOf(types[name].array)
          expect([...array.data]).toEqual(values)
        }
        expect(before.equals(bytes)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('does not copy bytes', () => {
    const bytes = idx([2, 2], [1, 2, 3, 4])
    expect(readIdx(bytes).data.buffer).toBe(bytes.buffer)
  })

  const good = idx(
    [3, 2, 2],
    Array.from({ length: 12 }, (_, i) => i),
  )
  const zipped = gzipSync(good)
  const large = gzipSync(idx([100_000], new Array(100_000).fill(7)))
  const cases: [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(0), /0 bytes, an IDX header takes at least 4/],
    [
      'a PNG',
      new Uint8Array([0x89, 0x50, 0x4e, 0x47]),
      /begins with 89 50 4e 47, expected 00 00, a type.*not an IDX file/,
    ],
    ['an unknown type', new Uint8Array([0, 0, 10, 1, 0, 0, 0, 0]), /begins with 00 00 0a 01/],
    ['no dimensions', new Uint8Array([0, 0, 8, 0]), /0 dimensions, expected 1 to 8/],
    ['too many dimensions', new Uint8Array([0, 0, 8, 255]), /255 dimensions/],
    ['a cut header', good.subarray(0, 10), /ends inside its header of 16 bytes \(truncated\?\)/],
    [
      'cut data',
      good.subarray(0, 20),
      /u8 \[3, 2, 2\] takes 12 bytes, only 4 follow the header \(truncated\?\)/,
    ],
    ['too much data', Buffer.concat([good, Buffer.alloc(1)]), /takes 12 bytes, 13 follow the header/],
    ['sizes beyond any file', idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []), /too large for any file/],
    ['sizes beyond this file', idx([2 ** 31, 1], []), /takes 2147483648 bytes, only 0 follow/],
    ['cut gzip data', zipped.subarray(0, zipped.length - 12), /gzip data end too soon \(truncated\?\)/],
    [
      'cut gzip data of a large file',
      large.subarray(0, large.length - 12),
      /gzip data end too soon \(truncated\?\)/,
    ],
    [
      'damaged gzip data',
      Buffer.concat([zipped.subarray(0, 30), Buffer.from([zipped[30]! ^ 255]), zipped.subarray(31)]),
      /gzip data/,
    ],
    ['gzip that promises too much', gzipSync(idx([2 ** 31], [])), /more than \d+ gzipped bytes can hold/],
    [
      'a gzip bomb',
      gzipSync(Buffer.concat([idx([10], []), Buffer.alloc(50_000_000)])),
      /holds more data than its header says/,
    ],
  ]
  for (const [what, bytes, message] of cases)
    it(`refuses ${what}`, () => {
      const refused = refusal(() => readIdx(bytes, 'train.idx'))
      expect(refused.code).toBe('TL_BAD_FILE')
      expect(refused.message).toMatch(message)
      expect(refused.message).toMatch(/^train\.idx: /)
    })

  it('mutated bytes give an array that fits its shape, or one TreelineError', () => {
    const seeds = [
      good,
      zipped,
      encode('f64', [2, 3], [1, 2, 3, 4, 5, 6]),
      gzipSync(encode('i16', [5], [1, 2, 3, 4, 5])),
    ]
    const edit = fc.record({ at: fc.nat(60), value: fc.nat(255), cut: fc.boolean() })
    let refused = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        (seed, edits) => {
          let bytes = Buffer.from(seed)
          for (const { at, value, cut } of edits) {
            if (cut && value > 200) bytes = bytes.subarray(0, at)
            else if (bytes.length) bytes[at % bytes.length] = value
          }
          try {
            const { shape, data } = readIdx(bytes)
            expect(data.length).toBe(shape.reduce((product, length) => product * length, 1))
          } catch (error) {
            if (!(error instanceof TreelineError) || error.code !== 'TL_BAD_FILE') throw error
            expect(error.message).not.toMatch(/[\r\n]/)
            refused++
          }
        },
      ),
      { numRuns: 3000 },
    )
    expect(refused).toBeGreaterThan(500)
  })
})
