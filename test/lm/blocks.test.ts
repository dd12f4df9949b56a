/** @file Blocks of weights in the forms that programs take. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CheckpointTensor } from '../../src/checkpoint/index.ts'
import { absorbed, mergedBlocks, type Part, roundedBlocks, widened } from '../../src/lm/blocks.ts'
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

/** w = scale · (q − zero) + offset of 4-bit blocks, written out. */
const weightsOf = (packed: Uint8Array, scales: Float32Array, offsets: Float32Array): number[] =>
  Array.from({ length: scales.length * block }, (_, i) => {
    const byte = packed[i >> 1]!
    const b = Math.floor(i / block)
    return scales[b]! * ((i % 2 ? byte >> 4 : byte & 15) - 8) + offsets[b]!
  })

const number = fc.float({ min: -4, max: 4, noNaN: true })

/** Blocks of a row: scale, offset in scales, bytes. Most offsets leave 0 within the block, some do not; scales may be 0. */
const offsetBlock = fc.tuple(
  fc.oneof(number, fc.constant(0)),
  fc.oneof(
    fc.float({ min: -8, max: 8, noNaN: true }),
    number.map((x) => x * 100),
  ),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
)

describe('4-bit blocks with offsets as 8-bit blocks with zeros', () => {
  it.each([1, 2, 4])('%i merged into one: weights are off by at most a step', (merge) => {
    fc.assert(
      fc.property(fc.array(offsetBlock, { minLength: merge, maxLength: 3 * merge }), (drawn) => {
        const blocks = drawn.slice(0, drawn.length - (drawn.length % merge))
        const packed = Uint8Array.from(blocks.flatMap(([, , bytes]) => [...bytes]))
        const scales = Float32Array.from(blocks, ([scale]) => scale)
        const offsets = Float32Array.from(blocks, ([scale, ratio]) => (scale === 0 ? ratio : scale * ratio))
        const wanted = weightsOf(packed, scales, offsets)
        const own = absorbed({ bits: 4, packed, scales, offsets }, merge)
        expect(own).toMatchObject({ bits: 8, block: merge * block })
        expect(own.scales.length).toBe(blocks.length / merge)
        for (const [i, w] of wanted.entries()) {
          const b = Math.floor(i / (merge * block))
          const got = own.scales[b]! * (own.packed[i]! - own.zeros![b]!)
          const ends = [...scales.subarray(b * merge, (b + 1) * merge)].flatMap((scale, k) => {
            const offset = offsets[b * merge + k]!
            return [offset - 8 * scale, offset + 7 * scale]
          })
          // the zero and the level are rounded: half a step each
          const step = (Math.max(0, ...ends) - Math.min(0, ...ends)) / 255
          expect(Math.abs(got - w)).toBeLessThanOrEqual(step * (1 + 1e-4) + 1e-30)
        }
      }),
    )
  })

  it('as many are merged as divide a row, at most 4', () => {
    expect([48, 18, 9, 1, 4].map(mergedBlocks)).toEqual([4, 2, 1, 1, 4])
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
