/** @file Matrices as programs take them: several side by side, of formats that differ. */
import { describe, expect, it } from 'vitest'
import { decodeQ4_0, decodeQ4_1 } from '../../src/checkpoint/gguf/smallBlocks.ts'
import type { CheckpointTensor } from '../../src/checkpoint/index.ts'
import type { Part } from '../../src/lm/blocks.ts'
import { blockMatrix } from '../../src/lm/matrix.ts'
import { compile, grad, quantizedMatmul, sum, type Tensor, tensor } from '../../src/tensor/index.ts'

const block = 32
const range = (n: number, f: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => f(i))
const floats = (values: Float32Array, inputs: number): Part => ({
  source: { dtype: 'F32', f32: () => values } as unknown as CheckpointTensor,
  ...{ inputs, outputs: values.length / inputs, transposed: false },
})

describe('matrices side by side', () => {
  it('of different formats are the numbers of each', () => {
    const K = 64
    const small = floats(
      Float32Array.from({ length: 2 * K }, (_, i) => Math.sin(i * 1.9)),
      K,
    )
    // one row each: two blocks of Q4_1 (d = 0.25, m = −1.5 and −1.4375), two of Q8_0 (d = 0.125)
    const q41 = Uint8Array.from(
      [0, 1].flatMap((b) => [0, 0x34, b ? 0xc0 : 0, b ? 0xbd : 0xbe, ...range(16, (j) => j * 17 + b)]),
    )
    const q80 = Uint8Array.from([0, 1].flatMap((b) => [0, 0x30, ...range(32, (j) => (j * 9 + b) % 256)]))
    const stored = (dtype: string, bytes: Uint8Array): Part => ({
      source: { dtype, bytes: () => bytes } as unknown as CheckpointTensor,
      ...{ inputs: K, outputs: 1, transposed: false },
    })
    const { bits, scales, packed, sums } = blockMatrix([stored('Q4_1', q41), small, stored('Q8_0', q80)], 4)
    expect([bits, sums]).toEqual([8, 17])
    // two blocks of weights and two of sums: columns 64 … 97 are those of both blocks, seventeen times
    const got = (n: number, k: number): number =>
      scales[n * 4 + Math.floor(k / block)]! * (packed[n * 4 * block + k]! - 128)
    const offset = (n: number, b: number): number =>
      range(17, (c) => got(n, K + 2 * c + b)).reduce((x, y) => x + y)
    for (let k = 0; k < K; k++) {
      const [b, j] = [Math.floor(k / block), k % block]
      const byte = q41[b * 20 + 4 + (j % 16)]!
      const least = b ? -1.4375 : -1.5
      const want = 0.25 * (j < 16 ? byte & 15 : byte >> 4) + least
      expect(Math.abs(got(0, k) + offset(0, b) - want)).toBeLessThan(0.5625 / 195.9)
      for (const row of [0, 1])
        expect(Math.abs(got(1 + row, k) - Math.sin((row * K + k) * 1.9))).toBeLessThan(0.5 / 127)
      expect(got(3, k)).toBe(0.125 * ((q80[b * 34 + 2 + j]! << 24) >> 24))
    }
    // floats have 8 bits where the others have; only Q4_1 has anything to add for sums
    for (const row of [1, 2, 3]) for (const b of [0, 1]) expect(Math.abs(offset(row, b))).toBe(0)
  })

  it('of floats in 4 bits have offsets, as weights of sums', () => {
    const values = Float32Array.from({ length: 2 * 64 }, (_, i) => Math.sin(i * 1.9))
    const { bits, sums, scales, packed } = blockMatrix([floats(values, 64)], 4)
    expect([bits, sums]).toEqual([4, 17])
    const got = (at: number): number =>
      scales[Math.floor(at / block)]! * ((at % 2 ? packed[at >> 1]! >> 4 : packed[at >> 1]! & 15) - 8)
    // a range of 2 in 15 steps: where least squares cut an end off, a weight there is off by more than half of one
    let squares = 0
    for (const [i, value] of values.entries()) {
      const [row, k] = [Math.floor(i / 64), i % 64]
      let sum = got(row * 128 + k)
      for (let c = 0; c < 34; c += 2) sum += got(row * 128 + 64 + c + Math.floor(k / block))
      expect(Math.abs(sum - value)).toBeLessThan(2 / 15)
      squares += (sum - value) ** 2
    }
    expect(Math.sqrt(squares / values.length)).toBeLessThan((1.1 * 2) / 15 / Math.sqrt(12))
  })

  it('exact ones keep their offsets', () => {
    const bytes = Uint8Array.from(range(4 * 20, (i) => (i % 20 === 1 ? 0x34 : i % 20 === 3 ? 0xbe : i % 256)))
    const part: Part = {
      source: { dtype: 'Q4_1', bytes: () => bytes } as unknown as CheckpointTensor,
      ...{ inputs: 128, outputs: 1, transposed: false },
    }
    const exact = blockMatrix([part, part], 4, 'exact')
    expect(exact).toMatchObject({ bits: 4, exact: true, sums: 0 })
    expect(exact.offsets!.length).toBe(8)
  })

  /** Rows of perRow blocks, their numbers beside them: Q4_0 and Q4_1 by the decoders of checkpoints. */
  const drawn = (dtype: 'Q4_0' | 'Q4_1', perRow: number, order: readonly number[], seed: number) => {
    const [n, size] = [order.length, dtype === 'Q4_0' ? 18 : 20]
    // scales of both signs between 1/32 and 1/16, least weights between −1/4 and −1/8
    const bytes = Uint8Array.from(
      range(n * perRow * size, (i) => {
        const hash = (i * 97 + seed * 31) % 256
        return i % size === 1
          ? 0x28 + (hash % 4) + (hash & 128)
          : dtype === 'Q4_1' && i % size === 3
            ? 0xb0 + (hash % 4)
            : hash
      }),
    )
    const stored = new Float32Array(n * perRow * block)
    if (dtype === 'Q4_0') decodeQ4_0(bytes, n * perRow, stored)
    else decodeQ4_1(bytes, n * perRow, stored)
    const part: Part = {
      source: { dtype, bytes: () => bytes } as unknown as CheckpointTensor,
      ...{ inputs: perRow * block, outputs: n, transposed: false, order: Int32Array.from(order) },
    }
    const rows = order.map((r) => [...stored.subarray(r * perRow * block, (r + 1) * perRow * block)])
    return { part, rows }
  }

  it.each([1, 3])(
    'exact ones of %i blocks a row, with offsets and without, are the numbers of a file',
    async (perRow) => {
      const [first, second, third] = [
        drawn('Q4_1', perRow, [2, 0, 1], 1),
        drawn('Q4_0', perRow, [0], 2),
        drawn('Q4_1', perRow, [1, 0], 3),
      ]
      const K = perRow * block
      const matrix = blockMatrix([first.part, second.part, third.part], 4, 'exact')
      const rows = [...first.rows, ...second.rows, ...third.rows]
      const x = Float32Array.from(range(2 * K, (i) => Math.sin(i * 1.1)))
      const got = (await compile((v: Tensor) => quantizedMatmul(v, matrix))(tensor(x, { shape: [2, K] })))
        .data
      for (let s = 0; s < 2; s++)
        for (const [n, row] of rows.entries()) {
          const want = row.reduce((total, w, k) => total + w * x[s * K + k]!, 0)
          expect(Number(got[s * rows.length + n])).toBeCloseTo(want, 4)
        }
    },
  )

  it.each([1, 3, 18, 48])(
    "fine ones of %i blocks a row keep activations in f32, and offsets to a 2744th of a row's largest",
    async (perRow) => {
      const { part, rows } = drawn('Q4_1', perRow, [2, 0, 1], 1)
      const K = perRow * block
      const matrix = blockMatrix([part], 4, 'fine')
      expect(matrix).toMatchObject({ bits: 4, exact: true })
      // one number in each block is far larger: what 8 bits make of the others would show
      const x = Float32Array.from(range(K, (i) => Math.sin(i * 1.1) * (i % block === 7 ? 500 : 1)))
      const got = (await compile((v: Tensor) => quantizedMatmul(v, matrix))(tensor(x, { shape: [1, K] })))
        .data
      const sums = range(perRow, (b) => x.subarray(b * block, (b + 1) * block).reduce((p, q) => p + q))
      const most = sums.reduce((total, sum) => total + Math.abs(sum), 0)
      for (const [n, row] of rows.entries()) {
        const want = row.reduce((total, w, k) => total + w * x[k]!, 0)
        const size = row.reduce((total, w, k) => total + Math.abs(w * x[k]!), 0)
        // offsets are at most 1/4 + 8/16
        const bound = (0.75 / 2744) * most + 32 * 2 ** -24 * size
        expect(Math.abs(Number(got[n]) - want)).toBeLessThan(bound)
      }
    },
  )

  it.each([1, 2, 33])(
    'of %i blocks a row: derivatives are those of weights with their offsets',
    async (perRow) => {
      const { part, rows } = drawn('Q4_1', perRow, [1, 0], 4)
      const K = perRow * block
      const matrix = blockMatrix([part], 4)
      const gradient = grad((v: Tensor) => sum(quantizedMatmul(v, matrix)))
      for (const backend of ['reference', 'onnx'] as const) {
        const x = tensor(new Float32Array(K), { shape: [1, K] })
        const { data } = await compile(gradient, { backend })(x)
        // offsets m + 8 d are below 0.75
        for (let k = 0; k < K; k++)
          expect(Math.abs(Number(data[k]) - rows[0]![k]! - rows[1]![k]!)).toBeLessThan((2 * 0.75) / 195)
      }
    },
  )

  it('of other block formats have 8 bits, whatever floats have', () => {
    const values = Float32Array.from(range(2 * 64, (i) => Math.sin(i * 1.9)))
    const { source, ...rest } = floats(values, 64)
    const part = { ...rest, source: { ...source, dtype: 'Q6_K' } as CheckpointTensor }
    for (const parts of [[part], [part, floats(values, 64)]]) {
      const { bits, sums, scales, packed } = blockMatrix(parts, 4)
      expect([bits, sums]).toEqual([8, 0])
      for (const [i, q] of packed.entries())
        expect(Math.abs(scales[Math.floor(i / block)]! * (q - 128) - values[i % 128]!)).toBeLessThan(
          0.51 / 127,
        )
    }
  })

  it('of floats in 8 bits, or of formats without offsets, have no columns for sums', () => {
    const part = floats(Float32Array.from(range(64, Math.sin)), 64)
    for (const [parts, bits] of [
      [[part], 8],
      [[part, drawn('Q4_0', 2, [0, 1], 5).part], 8],
      [[drawn('Q4_0', 2, [0, 1], 5).part], 4],
    ] as const)
      expect(blockMatrix(parts, bits).sums).toBe(0)
  })
})
