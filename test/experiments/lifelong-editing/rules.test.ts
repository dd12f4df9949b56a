/** @file Rules of the editing methods against their formulas, on numbers. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { adam } from '../../../src/experiments/lifelong-editing/methods/adam.ts'
import { fineTuningRows } from '../../../src/experiments/lifelong-editing/methods/fineTuning.ts'
import {
  type Entry,
  enterEdit,
  nearestEntry,
} from '../../../src/experiments/lifelong-editing/methods/grace.ts'
import { scaledLayer } from '../../../src/experiments/lifelong-editing/methods/method.ts'
import { methodOf } from '../../../src/experiments/lifelong-editing/methods/methods.ts'
import { rankOne } from '../../../src/experiments/lifelong-editing/methods/rome.ts'
import { projectToBall, subjectToken } from '../../../src/experiments/lifelong-editing/methods/value.ts'
import {
  activation,
  activationNorms,
  gate,
  marginLoss,
  mergeSides,
  wiseConstants,
  wiseStep,
} from '../../../src/experiments/lifelong-editing/methods/wise.ts'
import { furthest } from '../../lm/fixtures.ts'
import { words } from './characters.ts'

const numbers = (length: number) =>
  fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: length, maxLength: length })

describe('rules', () => {
  it('Adam: the first step moves by the rate against the sign; more steps as PyTorch', () => {
    const w = Float32Array.of(1, -1, 0.5)
    const optimizer = adam(3)
    optimizer.step(w, [3, -0.25, 0], 0.1)
    expect(furthest(w, [0.9, -0.9, 0.5])).toBeLessThan(1e-6)
    // torch.optim.Adam([1.], lr=.1), gradients 3, 1, -2
    const one = Float32Array.of(1)
    const again = adam(1)
    for (const g of [3, 1, -2]) again.step(one, [g], 0.1)
    const m = 0.9 * (0.9 * 0.3 + 0.1) - 0.2
    const v = 0.999 * (0.999 * 0.009 + 0.001) + 0.004
    const second = 0.9 * 0.3 + 0.1
    const secondV = 0.999 * 0.009 + 0.001
    const expected =
      0.9 -
      (0.1 * (second / (1 - 0.9 ** 2))) / Math.sqrt(secondV / (1 - 0.999 ** 2)) -
      (0.1 * (m / (1 - 0.9 ** 3))) / Math.sqrt(v / (1 - 0.999 ** 3))
    expect(one[0]).toBeCloseTo(expected, 5)
  })

  it('ROME: whatever W was, its key is sent to v*, and keys at right angles to u stay', () => {
    fc.assert(
      fc.property(numbers(5), numbers(5), numbers(3), numbers(5), (u, k, delta, other) => {
        const dot = (a: readonly number[], b: readonly number[]) => a.reduce((s, v, i) => s + v * b[i]!, 0)
        fc.pre(Math.abs(dot(u, k)) > 0.1 && dot(u, u) > 0.1)
        const change = rankOne(u, k, delta)
        const sent = (x: readonly number[]) =>
          delta.map((_, j) =>
            dot(
              x,
              u.map((_, i) => change[i * 3 + j]!),
            ),
          )
        expect(furthest(sent(k), delta)).toBeLessThan(1e-4)
        const across = other.map((x, i) => x - (dot(other, u) / dot(u, u)) * u[i]!)
        expect(furthest(sent(across), [0, 0, 0])).toBeLessThan(2e-4)
      }),
    )
    expect(() => rankOne([0, 0], [1, 1], [1])).toThrow(/along itself/)
    const far = Float32Array.of(3, 4)
    projectToBall(far, 2.5)
    expect(furthest(far, [1.5, 2])).toBeLessThan(1e-6)
    projectToBall(far, 9)
    expect(furthest(far, [1.5, 2])).toBeLessThan(1e-6)
  })

  it('ROME: the subject ends at its last token', () => {
    expect(subjectToken(words, 'who is abc?', 'ABC')).toBe(9)
    expect(subjectToken(words, 'who is abc?', 'nobody')).toBe(10)
    expect(subjectToken(words, 'who is abc?', undefined)).toBe(10)
  })

  it('GRACE: new keys, split and grown radii', () => {
    const book: Entry[] = []
    const add = (x: number, label: string, edit: number) =>
      enterEdit(book, Float32Array.of(x, 0), label, edit, Float32Array.of(edit))
    add(0, 'a', 1)
    expect(add(5, 'b', 2).radius).toBe(1)
    // within ε₀ + ε of edit 2, another label: both get half the distance
    const third = add(6.5, 'c', 3)
    expect(third.radius).toBeCloseTo(0.75, 6)
    expect(book[1]!.radius).toBeCloseTo(0.75 - 1e-5, 6)
    // the same label: no new entry, the radius reaches the query
    expect(add(-1.5, 'a', 4)).toBe(book[0])
    expect(book.map(({ radius }) => radius)[0]).toBeCloseTo(1.5, 6)
    expect(book.length).toBe(3)
    expect(nearestEntry(book, [4.4, 0])!.entry.edit).toBe(2)
    expect(nearestEntry(book, [9, 0])!.distance).toBeGreaterThan(third.radius)
  })

  it('GRACE: after a split no query is claimed by both', () => {
    fc.assert(
      fc.property(fc.array(numbers(2), { minLength: 2, maxLength: 12 }), (keys) => {
        const book: Entry[] = []
        for (const [i, key] of keys.entries())
          enterEdit(book, Float32Array.from(key), `${i}`, i, new Float32Array())
        const [last, before] = [book.at(-1)!, book.slice(0, -1)]
        const near = nearestEntry(before, last.key)!
        if (last.radius < 1) expect(near.entry.radius + last.radius).toBeLessThanOrEqual(near.distance)
        else expect(near.distance).toBeGreaterThan(1)
      }),
    )
  })

  it('WISE: one step decays, masks and clamps', () => {
    const { rate, decay } = wiseConstants
    const change = Float32Array.of(0.5, 0.5, 0.9)
    const weight = Float32Array.of(2, 2, 2)
    wiseStep(change, weight, Float32Array.of(0.1, 0.1, -5), Uint8Array.of(1, 0, 1))
    const still = 0.5 - rate * decay * 2.5
    expect(furthest(change, [still - rate * 0.1, still, 1])).toBeLessThan(1e-6)
  })

  it('WISE: margins and their slopes, by hand and by differences', () => {
    // Δ_in 5 and 30, Δ_out 4: terms 9 and (4 − 30 + 10 < 0); 15 and (−10); 2
    const { loss, inside, outside } = marginLoss([5, 30], 4)
    expect(loss).toBeCloseTo(9 + 15 + 2, 10)
    expect(inside).toEqual([-2, 0])
    expect(outside).toBe(2)
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 40, noNaN: true }), { minLength: 1, maxLength: 4 }),
        (list) => {
          const at = 7.3
          const h = 1e-6
          const kinks = list.some((own) => Math.abs(at - own + 10) < 1e-3 || Math.abs(20 - own) < 1e-3)
          fc.pre(!kinks)
          const slopes = marginLoss(list, at)
          const numeric = (marginLoss(list, at + h).loss - marginLoss(list, at - h).loss) / (2 * h)
          expect(slopes.outside).toBeCloseTo(numeric, 4)
        },
      ),
    )
  })

  it('WISE: activations and the gate', () => {
    const silu = (x: number) => x / (1 + Math.exp(-x))
    const norms = activationNorms(Float32Array.of(1, 2, 0, 0), Float32Array.of(0, 0, 3, -1), 2)
    expect(furthest(norms, [0, Math.hypot(silu(3), silu(-1))])).toBeLessThan(1e-6)
    expect(activation(norms)).toBeCloseTo(norms[1]! / 2, 10)
    expect(activation(new Float64Array(101).fill(1).with(7, 5))).toBe(5)
    const [current, old] = [{ least: 10 }, { least: 4 }]
    const of = (now: number, then: number) =>
      gate({ side: current, moves: now }, [{ side: old, moves: then }])
    expect(of(4.9, 1.9)).toBeUndefined()
    expect(of(5, 1.9)).toBe(current)
    expect(of(1, 2.1)).toBe(old)
    expect(of(6, 5.5)).toBe(current)
    expect(of(6, 6.5)).toBe(old)
  })

  it('WISE: side memories are merged by TIES', () => {
    // five of ten stay of each, the largest; at place 3 the signs disagree
    const one = Float32Array.of(1, 2, 3, 4, 5, 0.1, 0.2, 0.3, 0.4, 0.5)
    const two = Float32Array.of(0.1, 0.1, 0.1, -6, 7, -8, -9, 0.1, 0.1, -10)
    const { change, least } = mergeSides([
      { change: one, least: 8 },
      { change: two, least: 3 },
    ])
    expect(furthest(change, [1, 2, 3, -6, 6, -8, -9, 0, 0, -10])).toBeLessThan(1e-6)
    expect(least).toBe(3)
  })

  it('FT-L predicts every token from the last of the prompt, FT-M each from its own place', () => {
    expect(fineTuningRows('prompt-last', 4, [7, 8]).map(({ at }) => at)).toEqual([3, 3])
    expect(fineTuningRows('target', 4, [7, 8]).map(({ at, label }) => [at, label])).toEqual([
      [3, 7],
      [4, 8],
    ])
  })

  it('blocks are taken at their share of the depth', () => {
    expect([5, 21, 27, 29].map((of32) => scaledLayer(of32, 30))).toEqual([5, 20, 25, 27])
    expect(scaledLayer(27, 32)).toBe(27)
    expect(scaledLayer(29, 2)).toBe(0)
    expect(() => methodOf('memoire')).toThrow(/did you mean "memoir"/)
  })
})
