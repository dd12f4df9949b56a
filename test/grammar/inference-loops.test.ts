/** @file The fast loops of inference against plain ones, and their random words against those of the library. */
import { describe, expect, it } from 'vitest'
import { type Grammar, inferUp, type Shape } from '../../src/grammar/index.ts'
import { combinePairs } from '../../src/grammar/inference/combine.ts'
import { distinctRows } from '../../src/grammar/inference/distinct.ts'
import { plainSampler } from '../../src/grammar/inference/draw.ts'
import { drawKernels } from '../../src/grammar/inference/drawCode.ts'
import { pairSampler } from '../../src/grammar/inference/drawPairs.ts'
import type { Upward } from '../../src/grammar/inference/up.ts'
import { writeBars } from '../../src/grammar/inference/weigh.ts'
import { fillWords, sampleKeys } from '../../src/grammar/inference/words.ts'
import { random } from '../../src/tensor/index.ts'
import { grow, withProbabilities } from './enumerate.ts'

const shapes: Shape[] = [
  { v: 4, classes: 4, m: 1, s: 2, L: 2 },
  { v: 5, classes: 3, m: 4, s: 2, L: 3 },
  { v: 32, classes: 32, m: 8, s: 2, L: 4 },
  { v: 6, classes: 2, m: 6, s: 2, L: 5 },
  { v: 20, classes: 7, m: 20, s: 2, L: 1 },
  { v: 3, classes: 9, m: 1, s: 2, L: 6 },
]

/** Messages of random evidence for some data; some of its entries 0, some rows alike. */
function messages(grammar: Grammar, batch: number, isSingle: boolean): Upward {
  const { d, v } = grammar
  const u = random.sampleUniform(random.key(batch), batch * d * v)
  const likelihood = Float64Array.from(u, (x, k) =>
    k % (5 * v) < v || x > 0.5 / d ? 1 + Math.floor(8 * x) : 0,
  )
  return inferUp(grammar, isSingle ? Float32Array.from(likelihood) : likelihood, batch)
}

describe('equal rows', () => {
  it('are found in any precision and width, also beyond the memory looked at together', () => {
    for (const Numbers of [Float32Array, Float64Array])
      for (const width of [4, 5, 7, 32]) {
        const count = 3000
        const u = random.sampleUniform(random.key(width), count)
        // few different rows, differing in one place only
        const rows = new Numbers(count * width)
        const kinds = Array.from(u, (x) => Math.floor(x * 6 * width))
        for (const [n, kind] of kinds.entries())
          rows[n * width + (kind % width)] = 1 + Math.floor(kind / width)
        const order = [...new Set(kinds)]
        const { index, first } = distinctRows(rows, count, width)
        expect([...index]).toEqual(kinds.map((kind) => order.indexOf(kind)))
        expect([...first]).toEqual(order.map((kind) => kinds.indexOf(kind)))
      }
  })

  it('more than are kept, or too short ones, are their own', () => {
    const rows = Float64Array.from({ length: 3000 * 2 }, (_, i) => Math.floor(i / 2) % 1500)
    const { index, first } = distinctRows(rows, 3000, 2)
    expect([...index.subarray(0, 1500)]).toEqual(Array.from({ length: 1500 }, (_, n) => n))
    expect([...index.subarray(1500, 2524)]).toEqual(Array.from({ length: 1024 }, (_, n) => n))
    expect([...index.subarray(2524)]).toEqual(Array.from({ length: 476 }, (_, n) => 1500 + n))
    expect(first.length).toBe(1976)
    expect([...distinctRows(Float32Array.from([1, 1, 1, 1, 1, 1]), 2, 3).index]).toEqual([0, 1])
  })
})

describe('loop of the upward pass', () => {
  it('vectors give the bits of plain sums, for any number of nodes', () => {
    for (const [i, { v, classes, m }] of shapes.entries())
      for (const count of [1, 3, 4, 6])
        for (const Numbers of [Float32Array, Float64Array]) {
          const u = (n: number, label: number) => random.sampleUniform(random.key(label), n)
          const integers = (n: number, below: number, label: number) =>
            Int32Array.from(u(n, label), (x) => Math.floor(x * below))
          const rows = Numbers.from(u(5 * v, 1))
          // the last message is 0
          rows.fill(0, 4 * v)
          const pairs = integers(2 * count, 5, count)
          const table = integers(classes * m * 2, v, i)
          const probabilities = count % 2 ? undefined : Float64Array.from(u(classes * m, 3))
          const found = combinePairs(rows, v, pairs, table, m, probabilities)!
          for (let n = 0; n < count; n++) {
            const [left, right] = [pairs[2 * n]! * v, pairs[2 * n + 1]! * v]
            const sums = Array.from({ length: classes }, (_, y) => {
              let sum = 0
              for (let r = y * m; r < (y + 1) * m; r++)
                sum +=
                  (probabilities?.[r] ?? 1) * rows[left + table[2 * r]!]! * rows[right + table[2 * r + 1]!]!
              return sum
            })
            const max = Math.max(...sums)
            expect(found.maxima[n]).toBe(max)
            const expected = new Numbers(sums.map((x) => (max > 0 ? x / max : 0)))
            expect(found.rows.subarray(n * classes, (n + 1) * classes)).toEqual(expected)
          }
        }
  })
})

describe('loops of sampling', () => {
  it('vectors give the bits of plain loops: any precision, probabilities and number of samples', () => {
    for (const [i, shape] of shapes.entries())
      for (const samples of [1, 2, 5, 48]) {
        const isSingle = (i + samples) % 2 === 0
        const plainRules = grow(shape, 1)
        const grammar = samples % 3 === 0 ? plainRules : withProbabilities(plainRules, random.key(i), true)
        const up = messages(grammar, 5, isSingle)
        const plain = plainSampler(grammar, up, samples)
        // data 2 … 4: their rows begin in the middle of those of the batch
        const fast = pairSampler(grammar, up, 2, 5, samples)!
        let drawn = 0
        for (const b of [2, 4, 3]) {
          if (up.impossible[b]) continue
          const keys = sampleKeys(random.key(3), b, 2, samples)
          fast.draw(b, keys)
          plain.draw(b, keys)
          expect(fast.levels).toEqual(plain.levels)
          drawn++
        }
        expect(drawn).toBeGreaterThan(0)
      }
  })

  it('only for pairs', () => {
    const grammar = grow({ v: 3, classes: 3, m: 2, s: 3, L: 2 }, 1)
    expect(pairSampler(grammar, messages(grammar, 1, false), 0, 1, 4)).toBeUndefined()
  })

  it('words are those of foldIn', () => {
    const key = random.key(11)
    const keys = sampleKeys(key, 4, 10, 6)
    const { memory, functions } = drawKernels(1024)!
    new Int32Array(memory.buffer, 0, 12).set(keys)
    const words = new Int32Array(12)
    for (const block of [0, 4, 300]) {
      functions.words(0, 48, 48, block)
      const fast = new Int32Array(memory.buffer, 48, 48)
      for (let i = 0; i < 4; i++) {
        fillWords(keys, block + i, words)
        for (let t = 0; t < 6; t++) {
          const own = random.foldIn(random.foldIn(random.foldIn(key, 4), 10 + t), block + i)
          const expected = [own[0] >>> 1, own[1] >>> 1]
          expect([words[t], words[6 + t]]).toEqual(expected)
          expect([...fast.subarray(8 * t + 2 * i, 8 * t + 2 * i + 2)]).toEqual(expected)
        }
      }
    }
  })

  it('bars: shares of the words to a rounding, none for weight 0', () => {
    const bars = new Int32Array(8)
    writeBars(Float64Array.from([0, 1, 1, 4, 4]), 5, bars, 0)
    expect([...bars.subarray(0, 5)]).toEqual([-1, 2 ** 29 - 1, 2 ** 29 - 1, 2 ** 31 - 1, 2 ** 31 - 1])
  })

  it('bars lie in their range whatever the sums', () => {
    for (const total of [1e-290, 0.1, 1 / 3, 7, 1e300]) {
      const bars = new Int32Array(8)
      writeBars(Float64Array.from([0, total * 1e-12, total * (1 - 2 ** -53), total]), 4, bars, 0)
      expect([...bars.subarray(0, 4)]).toEqual([-1, -1, 2 ** 31 - 1, 2 ** 31 - 1])
    }
  })
})
