/** @file Blocks of weights in the forms that programs take. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { absorbed } from '../../src/lm/blocks.ts'
import {
  compileDynamic,
  quantizedMatmul,
  quantizedMatrix,
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

describe('4-bit blocks with offsets as 8-bit blocks with zeros', () => {
  it('are off by at most 1/32 of a step, or by half of the 8-bit step where 0 is far away', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.oneof(number, fc.constant(0)),
            // most offsets are within reach, some are not
            fc.oneof(
              fc.float({ min: -8, max: 8, noNaN: true }),
              number.map((x) => x * 100),
            ),
            fc.uint8Array({ minLength: 16, maxLength: 16 }),
          ),
          { minLength: 1, maxLength: 6 },
        ),
        (blocks) => {
          const packed = Uint8Array.from(blocks.flatMap(([, , bytes]) => [...bytes]))
          const scales = Float32Array.from(blocks, ([scale]) => scale)
          const offsets = Float32Array.from(blocks, ([scale, ratio]) => (scale === 0 ? ratio : scale * ratio))
          const wanted = weightsOf(packed, scales, offsets)
          const own = absorbed({ bits: 4, packed, scales, offsets })
          expect(own.bits).toBe(8)
          for (const [i, w] of wanted.entries()) {
            const b = Math.floor(i / block)
            const got = own.scales[b]! * (own.packed[i]! - own.zeros![b]!)
            const [scale, offset] = [scales[b]!, offsets[b]!]
            const ends = [0, offset - 8 * scale, offset + 7 * scale]
            const reach = Math.max(...ends) - Math.min(...ends)
            // the zero and the level are rounded: half a step each
            const bound = Math.max(Math.abs(scale) / 32, reach / 255)
            expect(Math.abs(got - w)).toBeLessThanOrEqual(bound * (1 + 1e-5) + 1e-30)
          }
        },
      ),
    )
  })

  it('give the same product as their own numbers', async () => {
    const [K, N] = [64, 6]
    const packed = Uint8Array.from({ length: K * N }, (_, i) => (i * 37 + 11) % 256)
    const scales = Float32Array.from({ length: (K / block) * N }, (_, i) => 0.01 * (1 + i))
    const zeros = Uint8Array.from({ length: (K / block) * N }, (_, i) => (i * 53) % 256)
    const matrix = quantizedMatrix({ bits: 8, inputs: K, outputs: N, packed, scales, zeros })
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
          for (let k = 0; k < K; k++) {
            const b = n * 2 + Math.floor(k / block)
            want += x[s * K + k]! * scales[b]! * (packed[n * K + k]! - zeros[b]!)
          }
          expect(Math.abs(Number(got![s * N + n]) - want)).toBeLessThan(1e-5 * 127 * K)
        }
    }
    program.dispose()
  })

  it('only 8-bit blocks have zeros of their own', () => {
    const parts = { inputs: 32, outputs: 1, scales: new Float32Array(1), zeros: new Uint8Array(1) }
    expect(() => quantizedMatrix({ ...parts, bits: 4, packed: new Uint8Array(16) })).toThrow(/8 bits only/)
    expect(() =>
      quantizedMatrix({ ...parts, bits: 8, packed: new Uint8Array(32), zeros: new Uint8Array(2) }),
    ).toThrow(/2 zeros/)
  })
})
