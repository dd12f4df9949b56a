/** @file Number types: every code of the small floats, rounding against neighbours found by search, PyTorch's answers. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { convertibleDtypes, decodeF32, encodeF32 } from '../../src/checkpoint/index.ts'

const small = { F16: [16, 5, 10], BF16: [16, 8, 7], F8_E4M3: [8, 4, 3], F8_E5M2: [8, 5, 2] } as const
type Small = keyof typeof small
const smallTypes = Object.keys(small) as Small[]

/** Every code of a type, as its bytes. */
const allCodes = (dtype: Small): Uint16Array | Uint8Array =>
  small[dtype][0] === 16
    ? Uint16Array.from({ length: 65536 }, (_, i) => i)
    : Uint8Array.from({ length: 256 }, (_, i) => i)
const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
const codesOf = (dtype: Small, bytes: Uint8Array) =>
  small[dtype][0] === 16 ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2) : bytes

/** A code's value from its definition, in doubles and by strings of bits: nothing of the code under test. */
function definition(dtype: Small, code: number): number {
  const [width, exponentBits, mantissaBits] = small[dtype]
  const text = code.toString(2).padStart(width, '0')
  const sign = text[0] === '1' ? -1 : 1
  const exponent = Number.parseInt(text.slice(1, 1 + exponentBits), 2)
  const mantissa = Number.parseInt(text.slice(1 + exponentBits), 2)
  const bias = 2 ** (exponentBits - 1) - 1
  if (dtype === 'F8_E4M3') {
    if (/^1{7}$/.test(text.slice(1))) return Number.NaN
  } else if (exponent === 2 ** exponentBits - 1)
    return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  const fraction = mantissa / 2 ** mantissaBits
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias)
}

/** The nearest finite code of |value| by search, ties to the even code; undefined when the value is out of range. */
function nearestCode(
  dtype: Small,
  sorted: { code: number; value: number }[],
  value: number,
): number | undefined {
  const magnitude = Math.abs(value)
  let best: { code: number; value: number } | undefined
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]!.value <= magnitude) low = middle + 1
    else high = middle
  }
  for (const candidate of sorted.slice(Math.max(0, low - 1), low + 1)) {
    const distance = Math.abs(candidate.value - magnitude)
    const before = best === undefined ? Number.POSITIVE_INFINITY : Math.abs(best.value - magnitude)
    if (distance < before || (distance === before && candidate.code % 2 === 0)) best = candidate
  }
  const last = sorted.at(-1)!
  const step = last.value - sorted.at(-2)!.value
  // beyond half a step above the largest number, or exactly there when the largest code is odd
  const limit = last.value + step / 2
  if (magnitude > limit || (magnitude === limit && last.code % 2 === 1)) return undefined
  return best!.code | (Object.is(value, -0) || value < 0 ? 2 ** (small[dtype][0] - 1) : 0)
}

describe('small floats', () => {
  for (const dtype of smallTypes) {
    it(`${dtype}: every code decodes to its definition, and comes back`, () => {
      const codes = allCodes(dtype)
      const values = decodeF32(bytesOf(codes), dtype)
      const encoded = encodeF32(values, dtype)
      const back = codesOf(dtype, encoded)
      const again = decodeF32(encoded, dtype)
      let different = 0
      for (let i = 0; i < codes.length; i++) {
        const expected = definition(dtype, i)
        if (!Object.is(values[i], expected) || !Object.is(again[i], expected)) different++
        if (!Number.isNaN(expected) && back[i] !== i) different++
      }
      expect(different).toBe(0)
    })

    it(`${dtype}: values round to the nearest code, ties to even`, () => {
      const sorted = Array.from({ length: 2 ** (small[dtype][0] - 1) }, (_, code) => ({
        code,
        value: definition(dtype, code),
      }))
        .filter(({ value }) => Number.isFinite(value))
        .sort((a, b) => a.value - b.value)
      const values: number[] = []
      for (let i = 0; i + 1 < sorted.length; i += sorted.length > 1000 ? 7 : 1) {
        const middle = (sorted[i]!.value + sorted[i + 1]!.value) / 2
        const bits = new Uint32Array(Float32Array.of(middle).buffer)[0]!
        if (bits === 0) continue
        const around = [bits - 1, bits, bits + 1].map((b) => new Float32Array(Uint32Array.of(b).buffer)[0]!)
        values.push(...around, ...around.map((x) => -x))
      }
      const top = sorted.at(-1)!.value
      const step = top - sorted.at(-2)!.value
      values.push(top, top + step / 2, top + step / 4, top + step, 3e38, 0, -0, 1e-45, -1e-45)
      fc.assert(
        fc.property(
          fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 200 }),
          (more) => {
            const all = Float32Array.from([...values.splice(0), ...more])
            const codes = codesOf(dtype, encodeF32(all, dtype))
            const wrong = [...all].flatMap((value, i) => {
              const expected = nearestCode(dtype, sorted, value)
              const got = codes[i]!
              if (expected !== undefined) return got === expected ? [] : [[value, got, expected]]
              const over = definition(dtype, got)
              const right =
                dtype === 'F8_E4M3'
                  ? Number.isNaN(over)
                  : over === Math.sign(value) * Number.POSITIVE_INFINITY
              return right ? [] : [[value, got, 'out of range']]
            })
            expect(wrong).toEqual([])
          },
        ),
        { numRuns: 60 },
      )
    })

    it(`${dtype}: infinity and NaN`, () => {
      const values = Float32Array.of(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN)
      const back = decodeF32(encodeF32(values, dtype), dtype)
      if (dtype === 'F8_E4M3') expect([...back].every(Number.isNaN)).toBe(true)
      else expect([...back]).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN])
    })
  }
})

describe('PyTorch', () => {
  const fixture = JSON.parse(readFileSync(new URL('../fixtures/dtypes.json', import.meta.url), 'utf8')) as {
    input: string
    encoded: Record<string, string>
    decoded: Record<string, { bytes: string; f32: string }>
  }
  const fromHex = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))
  const input = new Float32Array(fromHex(fixture.input).buffer)

  for (const [dtype, hex] of Object.entries(fixture.encoded))
    it(`rounds f32 to ${dtype} the same way`, () => {
      const got = encodeF32(input, dtype)
      const want = fromHex(hex)
      expect(got.length).toBe(want.length)
      const [ours, theirs] = [decodeF32(got, dtype), decodeF32(want, dtype)]
      const width = got.length / input.length
      for (const [i, value] of input.entries()) {
        if (Number.isNaN(theirs[i])) expect([value, ours[i]]).toEqual([value, Number.NaN])
        else
          expect([value, Buffer.from(got.subarray(i * width, (i + 1) * width)).toString('hex')]).toEqual([
            value,
            Buffer.from(want.subarray(i * width, (i + 1) * width)).toString('hex'),
          ])
      }
    })

  for (const [dtype, { bytes, f32 }] of Object.entries(fixture.decoded))
    it(`reads ${dtype} as f32 the same way`, () => {
      expect(decodeF32(fromHex(bytes), dtype)).toEqual(new Float32Array(fromHex(f32).buffer))
    })
})

describe('wide types', () => {
  it('I64 and U64 are rounded once, whatever their size', () => {
    const big = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    // halfway cases of f32 with something far below: rounding to double first would lose it
    const near = fc
      .tuple(
        fc.bigInt({ min: 2n ** 23n, max: 2n ** 24n - 1n }),
        fc.integer({ min: 1, max: 38 }),
        fc.bigInt({ min: -2n, max: 2n }),
      )
      .map(([mantissa, shift, delta]) => ((mantissa * 2n + 1n) << BigInt(shift)) + delta)
    fc.assert(
      fc.property(fc.oneof(big, near), (value) => {
        const got = decodeF32(new Uint8Array(BigInt64Array.of(value).buffer), 'I64')[0]!
        const distance = (x: number) => (BigInt(x) - value < 0n ? value - BigInt(x) : BigInt(x) - value)
        const bits = new Uint32Array(Float32Array.of(got).buffer)[0]!
        for (const step of [-1, 1]) {
          const neighbour = new Float32Array(Uint32Array.of(bits + step).buffer)[0]!
          if (value === 0n || !Number.isFinite(neighbour)) continue
          if (Math.abs(got) < 2 ** 24) expect(BigInt(got)).toBe(value)
          else {
            const [own, other] = [distance(got), distance(neighbour)]
            expect(own < other || (own === other && bits % 2 === 0)).toBe(true)
          }
        }
        if (value >= 0n)
          expect(decodeF32(new Uint8Array(BigUint64Array.of(value).buffer), 'U64')[0]).toBe(got)
      }),
      { numRuns: 3000 },
    )
    expect(decodeF32(new Uint8Array(BigUint64Array.of(2n ** 64n - 1n).buffer), 'U64')[0]).toBe(2 ** 64)
  })

  it('F64 is rounded once; integers round half to even and refuse what they cannot hold', () => {
    expect([
      ...decodeF32(bytesOf(Float64Array.of(1 + 2 ** -24, 1 + 2 ** -24 + 2 ** -50, 1e300)), 'F64'),
    ]).toEqual([1, 1 + 2 ** -23, Number.POSITIVE_INFINITY])
    expect([...encodeF32(Float32Array.of(0.5, 1.5, 2.5, -0, 254.6), 'U8')]).toEqual([0, 2, 2, 0, 255])
    expect([...new Int8Array(encodeF32(Float32Array.of(-0.5, -1.5, -128.5), 'I8').buffer)]).toEqual([
      0, -2, -128,
    ])
    expect([...new BigInt64Array(encodeF32(Float32Array.of(-(2 ** 63), 2 ** 62), 'I64').buffer)]).toEqual([
      -(2n ** 63n),
      2n ** 62n,
    ])
    const refused = (values: number[], dtype: string): string => {
      try {
        encodeF32(Float32Array.from(values), dtype)
      } catch (error) {
        expect(error).toBeInstanceOf(TreelineError)
        return (error as TreelineError).message
      }
      return expect.fail('nothing was thrown')
    }
    expect(refused([1, 255.5], 'U8')).toBe('element 1 is 255.5, which U8 cannot hold (0 to 255)')
    expect(refused([Number.NaN], 'I32')).toMatch(/element 0 is NaN/)
    expect(refused([2 ** 63], 'I64')).toMatch(/I64 cannot hold/)
    expect(refused([2], 'BOOL')).toMatch(/BOOL cannot hold \(0 to 1\)/)
    expect(refused([2], 'BF61')).toMatch(/did you mean "BF16"/)
  })

  it('bytes that begin anywhere in a buffer, empty ones, and parts of an element', () => {
    for (const dtype of convertibleDtypes) {
      const values = Float32Array.of(0, 1, 1, 0, 1)
      const bytes = encodeF32(values, dtype)
      const moved = new Uint8Array(bytes.length + 3)
      moved.set(bytes, 3)
      expect(decodeF32(moved.subarray(3), dtype)).toEqual(values)
      expect(decodeF32(Buffer.from(moved.buffer).subarray(3), dtype)).toEqual(values)
      expect(decodeF32(new Uint8Array(0), dtype)).toEqual(new Float32Array(0))
      if (bytes.length > values.length)
        expect(() => decodeF32(bytes.subarray(1), dtype)).toThrow(/no whole number of/)
    }
  })
})
