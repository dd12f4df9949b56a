/** @file Blocks of weights in the forms that programs take. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeQ4_0, decodeQ4_1, decodeQ8_0 } from '../../src/checkpoint/gguf/smallBlocks.ts'
import type { CheckpointTensor } from '../../src/checkpoint/index.ts'
import {
  type Blocks,
  fittedBlocks,
  kept,
  type Part,
  roomForSums,
  roundedBlocks,
  splitOffsets,
  storedBlocks,
  sumsOf,
} from '../../src/lm/blocks.ts'
import { blockMatrix, denseMatrix } from '../../src/lm/matrix.ts'
import {
  compileDynamic,
  mul,
  type QuantizedMatrix,
  quantizedMatmul,
  quantizedMatrix,
  random,
  reshape,
  spec,
  type Tensor,
} from '../../src/tensor/index.ts'

const block = 32
const range = (n: number, f: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => f(i))

/** The bits of a finite f16 number, and its value. */
const half = fc
  .tuple(fc.integer({ min: 0, max: 0x7bff }), fc.boolean())
  .map(([bits, isNegative]) => bits | (isNegative ? 0x8000 : 0))
const numberOf = (bits: number): number => {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24)
}
/** Blocks of Q4_1: step, least weight, and what they hold. Usually of one size, sometimes of very different ones. */
const smallStep = fc.integer({ min: 0x2000, max: 0x2c00 })
const stored = fc.tuple(
  fc.oneof({ weight: 3, arbitrary: smallStep }, { weight: 1, arbitrary: half }),
  fc.oneof({ weight: 3, arbitrary: smallStep.map((bits) => bits | 0x8000) }, { weight: 1, arbitrary: half }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
)

describe('blocks as a file stores them', () => {
  it.each([
    ['Q4_0', 18, decodeQ4_0],
    ['Q4_1', 20, decodeQ4_1],
    ['Q8_0', 34, decodeQ8_0],
  ] as const)(
    '%s: rows in an order, with room behind them, are the numbers of the decoder',
    (dtype, size, decode) => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 3 }).chain((perRow) => {
            const length = 3 * perRow * size
            return fc.tuple(fc.constant(perRow), fc.uint8Array({ minLength: length, maxLength: length }))
          }),
          fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
          fc.nat(2),
          fc.nat(3),
          ([perRow, given], order, room, odd) => {
            // scales and offsets that are numbers: no infinity
            const raw = new Uint8Array(odd + given.length)
            raw.set(given, odd)
            for (let at = odd; at < raw.length; at += size)
              for (const i of dtype === 'Q4_1' ? [1, 3] : [1]) raw[at + i]! &= 0xbb
            const bytes = raw.subarray(odd)
            const numbers = new Float32Array(3 * perRow * block)
            decode(bytes, 3 * perRow, numbers)
            const source = { dtype, bytes: () => bytes } as unknown as CheckpointTensor
            const part = {
              source,
              inputs: perRow * block,
              outputs: 3,
              transposed: false,
              order: Int32Array.from(order),
            }
            const { bits, packed, scales, offsets } = storedBlocks(part, kept[dtype]!, room)
            expect(scales.length).toBe(3 * (perRow + room))
            for (const [r, row] of order.entries())
              for (let k = 0; k < (perRow + room) * block; k++) {
                const b = Math.floor(k / block)
                const at = r * (perRow + room) * block + k
                const q = bits === 8 ? packed[at]! - 128 : ((packed[at >> 1]! >> (at % 2 ? 4 : 0)) & 15) - 8
                const scale = scales[r * (perRow + room) + b]!
                if (b >= perRow) {
                  expect(scale).toBe(0)
                  continue
                }
                const offset = offsets?.[r * perRow + b] ?? 0
                const want = numbers[row * perRow * block + k]!
                expect(Math.abs(scale * q + offset - want)).toBeLessThanOrEqual(
                  1e-6 * (Math.abs(offset) + 8 * Math.abs(scale)),
                )
              }
          },
        ),
      )
    },
  )
})

describe('Q4_1 with its offsets as weights of sums', () => {
  it('weights of the sums add up to the offset: of the largest in a row a 196th is left at most', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 70 })
          .chain((perRow) =>
            fc.tuple(fc.constant(perRow), fc.array(stored, { minLength: 2 * perRow, maxLength: 2 * perRow })),
          ),
        ([perRow, blocks]) => {
          const file = new Uint8Array(blocks.length * 20)
          for (const [b, [step, least, held]] of blocks.entries())
            file.set([step & 255, step >> 8, least & 255, least >> 8, ...held], b * 20)
          const source = { dtype: 'Q4_1', bytes: () => file } as unknown as CheckpointTensor
          const part = { source, inputs: perRow * block, outputs: 2, transposed: false }
          const [times, room] = [sumsOf(perRow), roomForSums(perRow)]
          expect(room).toBe(Math.ceil((times * perRow) / block))
          const plain = storedBlocks(part, kept['Q4_1']!, room)
          const [before, offsets] = [plain.packed.slice(), plain.offsets!]
          const { packed, scales } = splitOffsets(plain, perRow)
          const stride = perRow + room
          for (let row = 0; row < 2; row++) {
            // the weights themselves are as they were
            const [from, to] = [row * stride * 16, (row * stride + perRow) * 16]
            expect(packed.subarray(from, to)).toEqual(before.subarray(from, to))
            const own = offsets.subarray(row * perRow, (row + 1) * perRow)
            for (let b = 0; b < perRow; b++) {
              let sum = 0
              for (let c = b; c < times * perRow; c += perRow) {
                const at = (row * stride + perRow) * block + c
                const q = (c % 2 ? packed[at >> 1]! >> 4 : packed[at >> 1]! & 15) - 8
                sum += q * scales[Math.floor(at / block)]!
              }
              expect(Math.abs(sum - own[b]!)).toBeLessThanOrEqual(Math.max(...own.map(Math.abs)) / 195.9)
            }
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  it('one product gives what weights and offsets give, whatever the length', async () => {
    // rows of 40 blocks: two blocks of sums, the second not full
    const [perRow, N] = [40, 5]
    const K = perRow * block
    const bytes = Uint8Array.from(
      range(N * perRow * 20, (i) => {
        const b = Math.floor(i / 20)
        return [b % 200, 0x28 + (b % 5), (b * 7) % 256, 0xb0 + (b % 6)][i % 20] ?? (i * 37 + 11) % 256
      }),
    )
    const source = { dtype: 'Q4_1', bytes: () => bytes } as unknown as CheckpointTensor
    const part: Part = { source, inputs: K, outputs: N, transposed: false }
    const matrix = blockMatrix([part, part], 4)
    expect(matrix).toMatchObject({ bits: 4, sums: 3, outputs: 2 * N })
    const number = (at: number): number => numberOf(bytes[at]! | (bytes[at + 1]! << 8))
    const program = await compileDynamic(
      (x: Tensor) => quantizedMatmul(x, matrix),
      ({ S }) => [spec([1, S!, K])],
      { samples: [{ S: 101 }, { S: 103 }] },
    )
    for (const S of [1, 5]) {
      // whole numbers of which each block holds 127 pass the kernel's rounding to 8 bits unchanged, and so do the sums of blocks
      const x = new Float32Array(S * K)
      for (let b = 0; b < S * perRow; b++) {
        const values = [127, -127, ...range(14, (j) => ((b * 31 + j * 17) % 255) - 127)]
        for (const [j, v] of values.entries())
          x.set(j < 2 ? [v] : [v, -v], b * block + (j < 2 ? j : 2 * j - 2))
        x[b * block + 30] = b % block === 5 ? 127 : ((b * 53) % 255) - 127
      }
      const [got] = await program.run({ S }, [x])
      for (let s = 0; s < S; s++)
        for (let n = 0; n < N; n++) {
          let [want, slack] = [0, 0]
          for (let b = 0; b < perRow; b++) {
            const from = (n * perRow + b) * 20
            const [d, m] = [number(from), number(from + 2)]
            let sum = 0
            for (let j = 0; j < block; j++) {
              const v = x[(s * perRow + b) * block + j]!
              const byte = bytes[from + 4 + (j % 16)]!
              want += v * (d * (j < 16 ? byte & 15 : byte >> 4) + m)
              sum += v
            }
            slack += Math.abs(sum)
          }
          // offsets are below 3, off by a 196th of that at most
          const near = (slack * 3) / 196 + 1e-5 * 127 * K
          for (const half of [0, N])
            expect(Math.abs(Number(got![s * 2 * N + half + n]) - want)).toBeLessThan(near)
        }
    }
    program.dispose()
  })

  it('a matrix refuses what does not fit', () => {
    const parts = { inputs: 64, outputs: 1, scales: new Float32Array(2), packed: new Uint8Array(64) }
    expect(() => quantizedMatrix({ ...parts, bits: 4 })).toThrow(/2 blocks of 4 bits, got 64 bytes/)
    expect(() => quantizedMatrix({ ...parts, bits: 8, sums: 2 })).toThrow(/then sums 2 times\) as 3 blocks/)
    const wide = { ...parts, bits: 8 as const, exact: true }
    expect(() => quantizedMatrix({ ...wide, dense: new Float32Array(63) })).toThrow(/1 × 64 numbers/)
    expect(() => quantizedMatrix({ ...wide, offsets: new Float32Array(2) })).toThrow(/expected no offsets/)
    const small = { ...parts, scales: new Float32Array(3), packed: new Uint8Array(48), bits: 4 as const }
    expect(() => quantizedMatrix({ ...small, sums: 1, exact: true, twoTerms: true })).toThrow(/got both/)
    expect(() => quantizedMatrix({ ...small, sums: 1, offsets: new Float32Array(2) })).toThrow(/got both/)
  })
})

/** A part of a file that holds f32 numbers. */
const floats = (values: Float32Array, inputs: number): Part => ({
  source: { dtype: 'F32', f32: () => values } as unknown as CheckpointTensor,
  ...{ inputs, outputs: values.length / inputs, transposed: false },
})

describe('floats rounded to blocks', () => {
  const row = fc.array(fc.oneof(fc.float({ min: -4, max: 4, noNaN: true }), fc.constant(0)), {
    ...{ minLength: block, maxLength: block },
  })
  it('of 8 bits are off by half a step at most, and keep a zero', () => {
    fc.assert(
      fc.property(row, (values) => {
        const { scales, packed } = roundedBlocks(floats(Float32Array.from(values), block))
        const step = Math.max(...values.map(Math.abs)) / 127
        for (const [i, value] of values.entries()) {
          const got = scales[0]! * (packed[i]! - 128)
          expect(Math.abs(got - value)).toBeLessThanOrEqual(step * (0.5 + 1e-4) + 1e-44)
          if (value === 0) expect(Math.abs(got)).toBe(0)
        }
      }),
    )
  })

  /** The numbers of one block of 4 bits. */
  const numbersIn = ({ scales, packed, offsets }: Blocks): number[] =>
    range(block, (i) => {
      const q = i % 2 ? packed[i >> 1]! >> 4 : packed[i >> 1]! & 15
      return scales[0]! * (q - 8) + offsets![0]!
    })
  it('of 4 bits are no farther away than between the least and the greatest, and often nearer', () => {
    let nearer = 0
    fc.assert(
      fc.property(row, (values) => {
        const [low, high] = [Math.min(...values), Math.max(...values)]
        const step = (high - low) / 15
        const away = (got: readonly number[]): number =>
          got.reduce((sum, value, i) => sum + (value - values[i]!) ** 2, 0)
        const plain = away(values.map((v) => low + (step > 0 ? Math.round((v - low) / step) * step : 0)))
        const fitted = away(numbersIn(fittedBlocks(floats(Float32Array.from(values), block))))
        expect(fitted).toBeLessThanOrEqual(plain * (1 + 1e-5) + 1e-11)
        if (fitted < 0.9 * plain) nearer++
      }),
      { numRuns: 200 },
    )
    expect(nearer).toBeGreaterThan(20)
  })

  it('of 4 bits depend on nothing but their own weights', () => {
    const [steep, level] = [range(block, (i) => i), range(block, () => 2)]
    const both = fittedBlocks(floats(Float32Array.from([...steep, ...level]), block))
    for (const [b, own] of [steep, level].entries())
      expect(both.packed.subarray(16 * b, 16 * b + 16)).toEqual(
        fittedBlocks(floats(Float32Array.from(own), block)).packed,
      )
  })

  it.each([
    ['8', roundedBlocks],
    ['4', fittedBlocks],
  ] as const)('of %s bits: rows in an order, or stored the other way around', (_, blocksOf) => {
    const [inputs, outputs] = [2 * block, 3]
    const number = (r: number, k: number): number => Math.sin(1.7 * r + 0.9 * k * (r + 1))
    const partOf = (f: (i: number) => number): Part => ({
      ...floats(Float32Array.from(range(inputs * outputs, f)), inputs),
      outputs,
    })
    const rows = partOf((i) => number(Math.floor(i / inputs), i % inputs))
    const columns = { ...partOf((i) => number(i % outputs, Math.floor(i / outputs))), transposed: true }
    const order = Int32Array.of(2, 0, 1)
    const turned = partOf((i) => number(order[Math.floor(i / inputs)]!, i % inputs))
    expect(blocksOf(columns)).toEqual(blocksOf(rows))
    for (const part of [rows, columns]) expect(blocksOf({ ...part, order })).toEqual(blocksOf(turned))
  })

  it('of 4 bits have the scale and offset of least squares for their levels, which are chosen twice', () => {
    let [fitted, plain] = [0, 0]
    for (const seed of range(200, (i) => i)) {
      const values = Float32Array.from(random.sampleNormal(random.key(seed), block))
      const blocks = fittedBlocks(floats(values, block))
      const away = numbersIn(blocks).map((got, i) => got - values[i]!)
      // what is left is orthogonal to ones and to the levels
      const levels = range(block, (i) => (blocks.packed[i >> 1]! >> (i % 2 ? 4 : 0)) & 15)
      for (const along of [levels.map(() => 1), levels])
        expect(Math.abs(along.reduce((sum, a, i) => sum + a * away[i]!, 0))).toBeLessThan(1e-4)
      fitted += away.reduce((sum, a) => sum + a * a, 0)
      const low = Math.min(...values)
      const step = (Math.max(...values) - low) / 15
      for (const v of values) plain += (low + Math.round((v - low) / step) * step - v) ** 2
    }
    // 0.94 for levels chosen once
    expect(fitted / plain).toBeLessThan(0.91)
  })

  it('of 4 bits keep what is on sixteen levels, and blocks of one number', () => {
    const levels = range(block, (i) => 0.125 * ((i * 7) % 16) - 0.9)
    // also far from zero
    const far = levels.map((level) => level + 2)
    for (const values of [levels, far, range(block, () => 0.3), range(block, () => 0)])
      for (const [i, got] of numbersIn(fittedBlocks(floats(Float32Array.from(values), block))).entries())
        expect(got).toBeCloseTo(values[i]!, 6)
  })
})

describe('an exact product with 8-bit blocks', () => {
  const [K, N] = [96, 7]
  const packed = Uint8Array.from({ length: K * N }, (_, i) => (i * 89 + 5) % 256)
  const scales = Float32Array.from({ length: (K / block) * N }, (_, i) => 0.001 * (1 + ((i * 7) % 11)))
  const weight = (n: number, k: number): number =>
    scales[n * (K / block) + Math.floor(k / block)]! * (packed[n * K + k]! - 128)
  const dense = Float32Array.from({ length: K * N }, (_, i) => weight(Math.floor(i / K), i % K))
  const parts = { bits: 8 as const, inputs: K, outputs: N, packed, scales, exact: true }
  const matrix = quantizedMatrix({ ...parts, dense })

  it.each([
    ['its numbers', { dense }],
    ['its blocks alone', {}],
  ])('is exact to f32 for few rows and many, whatever their size, with %s', async (_, numbers) => {
    const own = quantizedMatrix({ ...parts, ...numbers })
    const program = await compileDynamic(
      (x: Tensor) => quantizedMatmul(x, own),
      ({ R }) => [spec([R!, K])],
      { samples: [{ R: 101 }, { R: 103 }] },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: -20, max: 20 }),
        fc.integer(),
        async (R, exponent, seed) => {
          // numbers of very different size side by side, and blocks of zeros
          const x = Float32Array.from({ length: R * K }, (_, i) =>
            Math.floor(i / block) % 4 === 1
              ? 0
              : Math.sin(seed + i * 12.9) * 2 ** (exponent + 6 * Math.sin(i * 3.1)),
          )
          const [got] = await program.run({ R }, [x])
          for (let r = 0; r < R; r++)
            for (let n = 0; n < N; n++) {
              let [want, size] = [0, 0]
              for (let k = 0; k < K; k++) {
                want += x[r * K + k]! * weight(n, k)
                size += Math.abs(x[r * K + k]! * weight(n, k))
              }
              expect(Math.abs(Number(got![r * N + n]) - want)).toBeLessThanOrEqual(2e-6 * size)
            }
        },
      ),
      { numRuns: 60 },
    )
    program.dispose()
  })

  it('takes another way for few rows than for many', async () => {
    const program = await compileDynamic(
      (x: Tensor) => quantizedMatmul(x, matrix),
      ({ R }) => [spec([R!, K])],
      { samples: [{ R: 101 }, { R: 103 }] },
    )
    const row = Float32Array.from({ length: K }, (_, i) => Math.sin(i * 2.3))
    const many = new Float32Array(5 * K)
    for (let r = 0; r < 5; r++) many.set(row, r * K)
    const [alone, among] = [
      (await program.run({ R: 1 }, [row]))[0]!,
      (await program.run({ R: 5 }, [many]))[0]!,
    ]
    expect([...alone]).not.toEqual([...among.subarray(0, N)])
    for (let n = 0; n < N; n++) expect(Number(alone[n])).toBeCloseTo(Number(among[n]), 5)
    program.dispose()
  })

  it('may be an output beside another reader of its input, and have more axes', async () => {
    const program = await compileDynamic(
      (x: Tensor) => {
        const y = mul(x, 2)
        return [y, quantizedMatmul(y, matrix), quantizedMatmul(reshape(y, [1, 2, K]), matrix)]
      },
      () => [spec([2, K])],
      { samples: [{ R: 101 }, { R: 103 }] },
    )
    const x = Float32Array.from({ length: 2 * K }, (_, i) => Math.cos(i * 1.3))
    const [y, flat, cube] = await program.run({ R: 2 }, [x])
    expect([...y!]).toEqual([...x].map((v) => 2 * v))
    for (let i = 0; i < 2 * N; i++) {
      let want = 0
      for (let k = 0; k < K; k++) want += 2 * x[Math.floor(i / N) * K + k]! * weight(i % N, k)
      for (const got of [flat, cube]) expect(Math.abs(Number(got![i]) - want)).toBeLessThan(1e-4)
    }
    program.dispose()
  })
})

describe('a matrix of more than a million weights', () => {
  const [inputs, outputs] = [block, 40_000]
  /** A source that can only be read in parts; and the largest of them. */
  function inParts(dtype: string, bytes: Uint8Array) {
    const seen = { most: 0 }
    const whole = (): never => {
      throw new Error('read whole')
    }
    const source = {
      ...{ name: 'w', dtype, shape: [outputs, inputs], byteLength: bytes.length, bytes: whole },
      readInto(begin: number, into: Uint8Array) {
        seen.most = Math.max(seen.most, into.length)
        into.set(bytes.subarray(begin, begin + into.length))
      },
      f32(start = 0, count = outputs * inputs) {
        seen.most = Math.max(seen.most, 4 * count)
        return new Float32Array(bytes.buffer, bytes.byteOffset + 4 * start, count).slice()
      },
    } as CheckpointTensor
    return { part: { source, inputs, outputs, transposed: false } as Part, seen }
  }
  const partOf = (source: Partial<CheckpointTensor>): Part => ({
    source: source as CheckpointTensor,
    ...{ inputs, outputs: 1, transposed: false },
  })
  /** Rows at the ends of runs are those of matrices of one row. */
  function expectRows(got: QuantizedMatrix, bits: 4 | 8, rowOf: (row: number) => Part): void {
    const [bytes, blocks] = [got.packed.length / outputs, got.scales.length / outputs]
    for (const row of [0, 4095, 4096, outputs - 1]) {
      const want = blockMatrix([rowOf(row)], bits)
      expect(got.packed.slice(row * bytes, (row + 1) * bytes)).toEqual(want.packed)
      expect(got.scales.slice(row * blocks, (row + 1) * blocks)).toEqual(want.scales)
    }
  }

  it('is read some rows at a time, as it is stored', () => {
    const bytes = Uint8Array.from({ length: outputs * 18 }, (_, i) =>
      i % 18 === 1 ? 0x2c : (i * 89 + 5) % 256,
    )
    const { part, seen } = inParts('Q4_0', bytes)
    const got = blockMatrix([part], 4)
    expect(seen.most).toBeLessThan(bytes.length / 4)
    expectRows(got, 4, (row) => partOf({ dtype: 'Q4_0', bytes: () => bytes.slice(row * 18, (row + 1) * 18) }))
  })

  it.each([4, 8] as const)('is rounded to %i bits some rows at a time', (bits) => {
    const values = Float32Array.from(
      { length: outputs * inputs },
      (_, i) => Math.sin(i * 1.9) * (1 + (i % 7)),
    )
    const { part, seen } = inParts('F32', new Uint8Array(values.buffer))
    const got = blockMatrix([part], bits)
    expect(seen.most).toBeLessThan(values.byteLength / 4)
    expectRows(got, bits, (row) =>
      partOf({ dtype: 'F32', f32: () => values.slice(row * block, (row + 1) * block) }),
    )
  })

  it('is turned some rows at a time', () => {
    const values = Float32Array.from({ length: outputs * inputs }, (_, i) => i)
    const { part, seen } = inParts('F32', new Uint8Array(values.buffer))
    const { data } = denseMatrix([part])
    expect(seen.most).toBeLessThan(values.byteLength / 4)
    for (const row of [0, 4095, 4096, outputs - 1])
      for (const k of [0, inputs - 1]) expect(data[k * outputs + row]).toBe(row * inputs + k)
  })
})

describe.each([4, 8] as const)('a product with %i-bit blocks and activations in two terms', (bits) => {
  // three blocks and, in the second case, their sums twice: a row that ends within a block
  it.each([0, 2])('errs by a 254th of what one term may err by, sums %i times', async (sums) => {
    const [K, N] = [96, 7]
    const columns = K + (sums * K) / block
    const perRow = Math.ceil(columns / block)
    const packed = Uint8Array.from({ length: (perRow * block * N * bits) / 8 }, (_, i) => (i * 89 + 5) % 256)
    const scales = Float32Array.from({ length: perRow * N }, (_, i) => 0.001 * (1 + ((i * 7) % 11)))
    const parts = { bits, inputs: K, outputs: N, packed, scales, sums, twoTerms: true }
    const matrix = quantizedMatrix(parts)
    const level = (at: number): number =>
      bits === 8 ? packed[at]! - 128 : ((packed[at >> 1]! >> (at % 2 ? 4 : 0)) & 15) - 8
    const program = await compileDynamic(
      (x: Tensor) => quantizedMatmul(x, matrix),
      ({ B, S }) => [spec([B!, S!, K])],
      {
        samples: [
          { B: 11, S: 101 },
          { B: 13, S: 103 },
        ],
      },
    )
    // squares of errors in units of what one term may err by
    let [squares, count] = [0, 0]
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: -10, max: 10 }),
        fc.integer({ min: 0, max: 12 }),
        fc.integer(),
        async (S, exponent, outlier, seed) => {
          // in each block one number up to 4096 times as large as the others; one block of zeros
          const x = Float32Array.from({ length: S * K }, (_, i) =>
            Math.floor(i / block) % 4 === 1
              ? 0
              : Math.sin(seed + i * 12.9) * 2 ** (exponent + (i % block === 5 ? outlier : 0)),
          )
          const [got] = await program.run({ B: 1, S }, [x])
          for (let s = 0; s < S; s++) {
            const row = [...x.subarray(s * K, (s + 1) * K)]
            const ofBlocks = range(K / block, (b) =>
              row.slice(b * block, (b + 1) * block).reduce((p, q) => p + q),
            )
            const all = [...row, ...Array.from({ length: sums }, () => ofBlocks).flat()]
            for (let n = 0; n < N; n++) {
              let [want, steps, size, told] = [0, 0, 0, 0]
              for (let b = 0; b < perRow; b++) {
                const own = all.slice(b * block, (b + 1) * block)
                const largest = Math.max(...own.map(Math.abs))
                const scale = scales[n * perRow + b]!
                const sum = Math.abs(own.reduce((p, q) => p + q, 0))
                for (const [j, value] of own.entries()) {
                  const w = scale * level((n * perRow + b) * block + j)
                  // the kernel tells what it rounds to as a difference of two sums about the zero of the identity, in f32
                  told += Math.abs(w) * 4 * 2 ** -24 * 2 ** (bits - 1) * sum
                  want += value * w
                  // half a step of the second term, whose largest is half a step of the first
                  steps += (Math.abs(w) * largest) / 254 / 254
                  // what f32 sums go through: levels of either sign are sums about their zero
                  size += Math.abs(value) * scale * 2 ** bits
                }
              }
              const away = Math.abs(Number(got![s * N + n]) - want)
              expect(away).toBeLessThanOrEqual(1.01 * steps + (perRow + 8) * 2 ** -24 * size + told)
              squares += (away / (254 * steps)) ** 2
              count++
            }
          }
        },
      ),
      { numRuns: 40 },
    )
    // one term alone errs by about a tenth of what it may
    expect(Math.sqrt(squares / count)).toBeLessThan(0.01)
    program.dispose()
  })
})
