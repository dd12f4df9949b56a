/** @file Blocks of weights in the forms that programs take. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CheckpointTensor } from '../../src/checkpoint/index.ts'
import { mergedBlocks, mergedCount, type Part, roundedBlocks, widened } from '../../src/lm/blocks.ts'
import { blockMatrix } from '../../src/lm/matrix.ts'
import {
  compileDynamic,
  mul,
  quantizedMatmul,
  quantizedMatrix,
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

describe('Q4_1 as 8-bit blocks with zeros', () => {
  it.each([1, 2, 4])('%i merged into one: weights are off by at most a step', (merge) => {
    fc.assert(
      fc.property(
        fc.array(stored, { minLength: 2 * merge, maxLength: 2 * merge }),
        fc.boolean(),
        fc.boolean(),
        (blocks, isTurned, isOdd) => {
          const bytes = new Uint8Array(blocks.length * 20 + 1)
          // a file may hold a tensor at an odd place
          const file = bytes.subarray(isOdd ? 1 : 0, blocks.length * 20 + (isOdd ? 1 : 0))
          for (const [b, [step, least, held]] of blocks.entries())
            file.set([step & 255, step >> 8, least & 255, least >> 8, ...held], b * 20)
          const order = isTurned ? Int32Array.of(1, 0) : undefined
          const part = { inputs: merge * block, outputs: 2, transposed: false, ...(order && { order }) }
          const source = { dtype: 'Q4_1', bytes: () => file } as unknown as CheckpointTensor
          const own = mergedBlocks({ ...part, source }, merge)
          expect(own).toMatchObject({ bits: 8, block: merge * block })
          expect(own.scales.length).toBe(2)
          for (let row = 0; row < 2; row++) {
            const from = (order ? order[row]! : row) * merge
            const mine = blocks
              .slice(from, from + merge)
              .map(([d, m, held]) => [numberOf(d), numberOf(m), held] as const)
            const ends = mine.flatMap(([d, m]) => [m, m + 15 * d])
            const step = (Math.max(0, ...ends) - Math.min(0, ...ends)) / 255
            for (const [i, [d, m, held]] of mine.entries())
              for (let j = 0; j < block; j++) {
                const want = m + d * (j < 16 ? held[j]! & 15 : held[j - 16]! >> 4)
                const at = row * merge * block + i * block + j
                const got = own.scales[row]! * (own.packed[at]! - own.zeros![row]!)
                // the zero and the level are rounded: half a step each
                expect(Math.abs(got - want)).toBeLessThanOrEqual(step * (1 + 1e-3))
              }
          }
        },
      ),
    )
  })

  it('as many are merged as divide a row, at most 4', () => {
    expect([48, 18, 9, 1, 4].map(mergedCount)).toEqual([4, 2, 1, 1, 4])
  })

  it.each([
    [8, 32],
    [8, 64],
    [8, 128],
    [4, 32],
    [4, 64],
  ] as const)('%i bits in blocks of %i give the same product as their own numbers', async (bits, size) => {
    const [K, N] = [size === 32 ? 96 : 256, 6]
    const perRow = K / size
    const packed = Uint8Array.from({ length: (K * N * bits) / 8 }, (_, i) => (i * 37 + 11) % 256)
    const scales = Float32Array.from({ length: perRow * N }, (_, i) => 0.01 * (1 + i))
    const zeros = Uint8Array.from({ length: perRow * N }, (_, i) => (i * 53) % 2 ** bits)
    const matrix = quantizedMatrix({ bits, inputs: K, outputs: N, block: size, packed, scales, zeros })
    const weight = (n: number, k: number): number => {
      const at = n * K + k
      const q = bits === 8 ? packed[at]! : (packed[at >> 1]! >> (at % 2 ? 4 : 0)) & 15
      const b = n * perRow + Math.floor(k / size)
      return scales[b]! * (q - zeros[b]!)
    }
    const program = await compileDynamic(
      (x: Tensor) => quantizedMatmul(x, matrix),
      ({ S }) => [spec([1, S!, K])],
      { samples: [{ S: 101 }, { S: 103 }] },
    )
    for (const S of [1, 5]) {
      // whole numbers of which each block holds 127 pass the kernel's rounding to 8 bits unchanged
      const x = Float32Array.from({ length: S * K }, (_, i) => (i % 32 === 3 ? 127 : ((i * 29) % 255) - 127))
      const [got] = await program.run({ S }, [x])
      for (let s = 0; s < S; s++)
        for (let n = 0; n < N; n++) {
          let want = 0
          for (let k = 0; k < K; k++) want += x[s * K + k]! * weight(n, k)
          expect(Math.abs(Number(got![s * N + n]) - want)).toBeLessThan(1e-5 * 127 * K)
        }
    }
    program.dispose()
  })

  it('a matrix refuses what does not fit', () => {
    const parts = { inputs: 64, outputs: 1, scales: new Float32Array(2), packed: new Uint8Array(64) }
    expect(() => quantizedMatrix({ ...parts, bits: 8, zeros: new Uint8Array(3) })).toThrow(/3 zeros/)
    expect(() => quantizedMatrix({ ...parts, bits: 8, block: 48 })).toThrow(/block: expected 32, 64/)
    expect(() => quantizedMatrix({ ...parts, bits: 8, block: 64 })).toThrow(/2 scales/)
    expect(() => quantizedMatrix({ ...parts, bits: 8, exact: true })).toThrow(/1 × 64 numbers as dense/)
    const small = { ...parts, packed: new Uint8Array(32), bits: 4 as const, zeros: new Uint8Array(2) }
    expect(() => quantizedMatrix({ ...small, exact: true })).toThrow(/no zeros/)
    const wide = { ...small, scales: new Float32Array(1), block: 64, offsets: new Float32Array(1) }
    expect(() => quantizedMatrix({ ...wide, zeros: new Uint8Array(1) })).toThrow(/blocks of 32 only/)
  })
})

/** A part of a file that holds f32 numbers. */
const floats = (values: Float32Array, inputs: number): Part => ({
  source: { dtype: 'F32', f32: () => values } as unknown as CheckpointTensor,
  ...{ inputs, outputs: values.length / inputs, transposed: false },
})

describe('floats rounded to blocks', () => {
  it.each([4, 8] as const)('of %i bits are off by at most a step, and keep a zero', (bits) => {
    const row = fc.array(fc.oneof(fc.float({ min: -4, max: 4, noNaN: true }), fc.constant(0)), {
      ...{ minLength: block, maxLength: block },
    })
    fc.assert(
      fc.property(row, (values) => {
        const blocks = roundedBlocks(floats(Float32Array.from(values), block), bits)
        const wide = bits === 4 ? widened(blocks) : blocks
        const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)]
        const step = bits === 4 ? (high - low) / 15 : Math.max(-low, high) / 127
        for (const [i, value] of values.entries()) {
          const got = wide.scales[0]! * (wide.packed[i]! - (wide.zeros?.[0] ?? 128))
          expect(Math.abs(got - value)).toBeLessThanOrEqual(step * (1 + 1e-4))
          if (value === 0) expect(Math.abs(got)).toBe(0)
        }
      }),
    )
  })
})

describe('an exact product with 8-bit blocks', () => {
  const [K, N] = [96, 7]
  const packed = Uint8Array.from({ length: K * N }, (_, i) => (i * 89 + 5) % 256)
  const scales = Float32Array.from({ length: (K / block) * N }, (_, i) => 0.001 * (1 + ((i * 7) % 11)))
  const weight = (n: number, k: number): number =>
    scales[n * (K / block) + Math.floor(k / block)]! * (packed[n * K + k]! - 128)
  const dense = Float32Array.from({ length: K * N }, (_, i) => weight(Math.floor(i / K), i % K))
  const matrix = quantizedMatrix({ bits: 8, inputs: K, outputs: N, packed, scales, exact: true, dense })

  it('is exact to f32 for few rows and many, whatever their size', async () => {
    const program = await compileDynamic(
      (x: Tensor) => quantizedMatmul(x, matrix),
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

describe('matrices side by side', () => {
  it('of different formats are the numbers of each, in blocks of one length', () => {
    const K = 64
    const small = floats(
      Float32Array.from({ length: 2 * K }, (_, i) => Math.sin(i * 1.9)),
      K,
    )
    // one row each: two blocks of Q4_1 (d = 0.25, m = −1.5), two of Q8_0 (d = 0.125)
    const q41 = Uint8Array.from([0, 1].flatMap((b) => [0, 0x34, 0, 0xbe, ...range(16, (j) => j * 17 + b)]))
    const q80 = Uint8Array.from([0, 1].flatMap((b) => [0, 0x30, ...range(32, (j) => (j * 9 + b) % 256)]))
    const stored = (dtype: string, bytes: Uint8Array): Part => ({
      source: { dtype, bytes: () => bytes } as unknown as CheckpointTensor,
      ...{ inputs: K, outputs: 1, transposed: false },
    })
    const {
      bits,
      block: size,
      scales,
      packed,
      zeros,
    } = blockMatrix([stored('Q4_1', q41), small, stored('Q8_0', q80)], 4)
    expect([bits, size]).toEqual([8, block])
    const got = (n: number, k: number): number => {
      const b = n * 2 + Math.floor(k / block)
      return scales[b]! * (packed[n * K + k]! - zeros![b]!)
    }
    for (let k = 0; k < K; k++) {
      const [b, j] = [Math.floor(k / block), k % block]
      const byte = q41[b * 20 + 4 + (j % 16)]!
      expect(Math.abs(got(0, k) - (0.25 * (j < 16 ? byte & 15 : byte >> 4) - 1.5))).toBeLessThan(3.75 / 255)
      for (const row of [0, 1])
        expect(Math.abs(got(1 + row, k) - Math.sin((row * K + k) * 1.9))).toBeLessThan(2 / 15)
      expect(got(3, k)).toBe(0.125 * ((q80[b * 34 + 2 + j]! << 24) >> 24))
    }
  })

  it('all of Q4_1 are in longer blocks', () => {
    const bytes = Uint8Array.from(range(4 * 20, (i) => (i % 20 === 1 ? 0x34 : i % 20 === 3 ? 0xbe : i % 256)))
    const part: Part = {
      source: { dtype: 'Q4_1', bytes: () => bytes } as unknown as CheckpointTensor,
      ...{ inputs: 128, outputs: 1, transposed: false },
    }
    expect(blockMatrix([part, part], 4)).toMatchObject({ bits: 8, block: 128, outputs: 2 })
    expect(blockMatrix([part, part], 4, true)).toMatchObject({ bits: 4, block: 32, exact: true })
  })
})
