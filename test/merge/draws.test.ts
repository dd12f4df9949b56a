/** Masks that are drawn in WebAssembly against the words of `random`, one by one, and ranks against sorting. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byRank, drawKept } from '../../src/merge/vector/index.ts'
import { random } from '../../src/tensor/index.ts'

/** The mask as its definition says. */
function slowly(key: random.Key, chance: (i: number) => number, start: number, count: number): number[] {
  const blocks = new Map<number, Uint8Array>()
  return Array.from({ length: count }, (_, at) => {
    const block = Math.floor((start + at) / 65536)
    const i = (start + at) % 65536
    const bytes =
      blocks.get(block) ?? new Uint8Array(random.sampleBits(random.foldIn(key, block), 16384).buffer)
    blocks.set(block, bytes)
    const rest = chance(at) * 256 - bytes[i]!
    const closer = random.foldIn(random.foldIn(key, 2 ** 31 + block), i)
    return rest >= 1 || (rest > 0 && random.sampleUniform(closer, 1)[0]! < rest) ? 1 : 0
  })
}
const asBits = (kept: Uint8Array): number[] => Array.from(kept, (x) => (x === 0 ? 0 : 1))

describe('drawn masks', () => {
  it.each([
    [0.5, 0, 65536],
    [0.3, 65533, 1007],
    [0.7001, 2 * 65536 + 3, 65536 + 9],
    [1 - 2 ** -30, 17, 5000],
    [2 ** -9, 1, 70001],
  ])('density %d from element %d, %d of them', (density, start, count) => {
    const key = random.key(7)
    const wanted = slowly(key, () => density, start, count)
    expect(
      Buffer.compare(Buffer.from(asBits(drawKept(key, density, start, count))), Buffer.from(wanted)),
    ).toBe(0)
  })

  it('any key, any place, a probability for each', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.nat({ max: 140000 }),
        fc.array(fc.oneof(fc.float({ min: 0, max: 1, noNaN: true }), fc.constant(0.5)), { minLength: 1 }),
        (seed, start, list) => {
          const key = random.key(seed)
          const chances = Float32Array.from(list)
          const wanted = slowly(key, (i) => chances[i]!, start, chances.length)
          expect(asBits(drawKept(key, chances, start, chances.length))).toEqual(wanted)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('probabilities whose first byte is the byte drawn are decided by more bits', () => {
    const key = random.key(11)
    const bytes = new Uint8Array(random.sampleBits(random.foldIn(key, 0), 1024).buffer)
    const chances = Float32Array.from(bytes, (byte, i) => (byte + (i % 100) / 100) / 256)
    const kept = asBits(drawKept(key, chances, 0, 4096))
    expect(kept).toEqual(slowly(key, (i) => chances[i]!, 0, 4096))
    const share = kept.reduce((sum, x) => sum + x, 0) / 4096
    expect(Math.abs(share - 0.495)).toBeLessThan(0.04)
  })
})

describe('numbers by rank', () => {
  it('are those of a stable sort by magnitude, along axis 1', () => {
    const value = fc.oneof(fc.float(), fc.constantFrom(0, -0, 1, -1, 1e-40, Infinity, Number.NaN))
    fc.assert(
      fc.property(
        fc.tuple(
          fc.integer({ min: 1, max: 3 }),
          fc.integer({ min: 1, max: 40 }),
          fc.integer({ min: 1, max: 3 }),
        ),
        fc.array(value, { minLength: 360, maxLength: 360 }),
        ([rows, n, inner], list) => {
          const values = Float32Array.from(list.slice(0, rows * n * inner))
          const table = Float32Array.from({ length: n }, (_, rank) => rank + 0.5)
          const wanted = new Float32Array(values.length)
          const isAbove = (a: number, b: number): number =>
            Number.isNaN(a) || Number.isNaN(b)
              ? Number(Number.isNaN(a)) - Number(Number.isNaN(b))
              : Number(Math.abs(a) > Math.abs(b)) - Number(Math.abs(a) < Math.abs(b))
          for (let row = 0; row < rows; row++)
            for (let i = 0; i < inner; i++) {
              const place = (j: number): number => (row * n + j) * inner + i
              const order = Array.from({ length: n }, (_, j) => j)
              order.sort((a, b) => isAbove(values[place(a)]!, values[place(b)]!) || a - b)
              for (const [rank, j] of order.entries()) wanted[place(j)] = table[rank]!
            }
          expect(byRank(values, [rows, n, inner], table)).toEqual(wanted)
        },
      ),
    )
  })
})
