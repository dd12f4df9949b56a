/** @file The fast loops of sampling against the plain ones, and their random words against those of the library. */
import { describe, expect, it } from 'vitest'
import type { Grammar, Shape } from '../../src/grammar/index.ts'
import { type Drawing, plainDrawing } from '../../src/grammar/inference/draw.ts'
import { simdDrawing } from '../../src/grammar/inference/simd.ts'
import { writeBars } from '../../src/grammar/inference/weigh.ts'
import { sampleKeys } from '../../src/grammar/inference/words.ts'
import { random } from '../../src/tensor/index.ts'
import { grow } from './enumerate.ts'

const shapes: Shape[] = [
  { v: 4, classes: 4, m: 1, s: 2, L: 2 },
  { v: 5, classes: 3, m: 4, s: 2, L: 3 },
  { v: 32, classes: 32, m: 8, s: 2, L: 2 },
  { v: 6, classes: 2, m: 6, s: 2, L: 4 },
  { v: 20, classes: 7, m: 20, s: 2, L: 1 },
]

/** Everything a drawing does with given keys and random bars, in plain arrays. */
function drive(drawing: Drawing, { v, classes, m, L }: Grammar, samples: number): number[][] {
  const seen: number[][] = []
  drawing.setKeys(sampleKeys(random.key(3), 5, 2, samples))
  const places = drawing.bars.length / Math.max(v, classes)
  const u = random.sampleUniform(random.key(samples), Math.max(v, classes) * m)
  for (let y = 0; y < Math.max(v, classes); y++) {
    let sum = 0
    writeBars(
      Float64Array.from(u.subarray(y * m, (y + 1) * m), (x) => {
        sum += x < 0.3 ? 0 : x
        return sum + 1e-30
      }),
      m,
      drawing.bars,
      y * places,
    )
  }
  let turn = L % 2
  for (let t = 0; t < samples; t++) drawing.symbols[turn]![t] = t % classes
  for (let level = 0; level < L; level++) {
    for (let node = 0; node < 2 ** level; node++) {
      drawing.fill(node + 7 * level)
      for (const half of [0, 1])
        seen.push([...drawing.words.subarray(half * drawing.stride, half * drawing.stride + samples)])
      drawing.draw(level, turn, node, node % 2)
    }
    turn = 1 - turn
    seen.push([...drawing.symbols[turn]!.subarray(0, 2 ** (level + 1) * samples)])
  }
  return seen
}

describe('loops of sampling', () => {
  it('vectors give the bits of plain loops, for any number of samples', () => {
    for (const shape of shapes)
      for (const samples of [1, 2, 4, 5, 48, 63]) {
        const grammar = grow(shape, 1)
        const fast = simdDrawing(grammar, samples)
        expect(fast).toBeDefined()
        expect(drive(fast!, grammar, samples)).toEqual(
          drive(plainDrawing(grammar, samples), grammar, samples),
        )
      }
  })

  it('only for pairs', () => {
    expect(simdDrawing(grow({ v: 3, classes: 3, m: 2, s: 3, L: 2 }, 1), 4)).toBeUndefined()
  })

  it('words are those of foldIn', () => {
    const grammar = grow(shapes[1]!, 1)
    const key = random.key(11)
    for (const drawing of [plainDrawing(grammar, 6), simdDrawing(grammar, 6)!]) {
      drawing.setKeys(sampleKeys(key, 4, 10, 6))
      for (const block of [0, 1, 300]) {
        drawing.fill(block)
        for (let t = 0; t < 6; t++) {
          const words = random.foldIn(random.foldIn(random.foldIn(key, 4), 10 + t), block)
          expect(drawing.words[t]).toBe(words[0] >>> 1)
          expect(drawing.words[drawing.stride + t]).toBe(words[1] >>> 1)
        }
      }
    }
  })

  it('bars: shares of the words to a rounding, none for weight 0', () => {
    const bars = new Int32Array(8)
    writeBars(Float64Array.from([0, 1, 1, 4, 4]), 5, bars, 0)
    expect([...bars.subarray(0, 4)]).toEqual([-1, 2 ** 29 - 1, 2 ** 29 - 1, 2 ** 31 - 1])
  })
})
