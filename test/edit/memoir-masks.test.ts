/** @file TopHash, overlaps, routing and calibration, against plain sets. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  defaultLayer,
  defaultOnes,
  drawPermutation,
  maskText,
  numbersOf,
  parseMask,
  placesOf,
  sharedOnes,
  topHash,
} from '../../src/edit/memoir/masks.ts'
import { calibrate, matches, route, routerOf, routers } from '../../src/edit/memoir/router.ts'
import { gateOf, guessSubject } from '../../src/edit/memoir/subject.ts'
import { random } from '../../src/tensor/index.ts'

const feature = (d: number) => fc.array(fc.integer({ min: -4, max: 4 }), { minLength: d, maxLength: d })
const identity = (d: number): number[] => Array.from({ length: d }, (_, i) => i)

describe('masks', () => {
  it('have k ones, the largest, the lower place first, whatever the permutation overlaps agree', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 70 })
          .chain((d) => fc.tuple(feature(d), feature(d), fc.integer({ min: 1, max: d }), fc.nat(1000))),
        ([x, y, k, seed]) => {
          const d = x.length
          const permutation = drawPermutation(random.key(seed), d)
          const plain = topHash(x, k, identity(d))
          // by brute force: a place is in when fewer than k stand before it
          const before = (i: number): number =>
            x.filter((v, j) => Math.abs(v) > Math.abs(x[i]!) || (Math.abs(v) === Math.abs(x[i]!) && j < i))
              .length
          expect([...placesOf(plain)]).toEqual(identity(d).filter((i) => before(i) < k))
          const [a, b] = [topHash(x, k, permutation), topHash(y, k, permutation)]
          expect(placesOf(a).length).toBe(k)
          const inB = new Set(placesOf(b))
          expect(sharedOnes(a, b)).toBe([...placesOf(a)].filter((i) => inB.has(i)).length)
          expect(sharedOnes(a, b)).toBe(sharedOnes(plain, topHash(y, k, identity(d))))
          expect([...parseMask(maskText(a), d, k)!]).toEqual([...a])
          expect(parseMask(maskText(a), d, k + 1)).toBeUndefined()
          expect(numbersOf(a, d).reduce((s, v) => s + v, 0)).toBe(k)
        },
      ),
    )
  })
  it('are scaled as in the paper', () => {
    expect([defaultOnes(14336), defaultOnes(1536)]).toEqual([4096, 439])
    expect([defaultLayer(32), defaultLayer(30)]).toEqual([27, 25])
  })
  it('of features that are no numbers are refused', () =>
    expect(() => topHash([1, Number.NaN], 1, [0, 1])).toThrow(/feature 1 is NaN/))
})

describe('routing', () => {
  const edits = [
    { number: 1, mask: Uint32Array.of(0b1111), subject: 'Ada Lovelace' },
    { number: 2, mask: Uint32Array.of(0b1111) },
    { number: 3, mask: Uint32Array.of(0b11110), subject: 'Turing' },
  ]
  it('takes the nearest at or above the threshold, of equal ones the later', () => {
    const list = matches(Uint32Array.of(0b1111), edits, 4)
    expect(list.map(({ number, overlap }) => [number, overlap])).toEqual([
      [2, 1],
      [1, 1],
      [3, 0.75],
    ])
    expect(route(list, 1)?.number).toBe(2)
    expect(route(list, 1.01)).toBeUndefined()
  })
  it('the gate lets pass what names the subject', () => {
    const list = matches(Uint32Array.of(0b11110), edits, 4, { text: 'Where was ada  lovelace, born?' })
    expect(route(list, 0.5)?.number).toBe(2)
    expect(list.map(({ passes }) => passes)).toEqual([false, true, true])
    expect([gateOf('a turingery')({ subject: 'Turing' }), gateOf('x')({})]).toEqual([false, true])
  })
  it('where nobody says what an edit is about, its longest name is taken', () => {
    const guesses: [string, string | undefined][] = [
      ["What is the name of Henrik Solberg's sister?", 'Henrik Solberg'],
      ['In which city did Queen Anna of the Isles die?', 'Queen Anna of the Isles'],
      ['When did Apollo 11 land?', 'Apollo 11'],
      ['What is the twin city of Lyon? It is', 'Lyon'],
      ['Élodie Marchand, who plays the', 'Élodie Marchand'],
      ['Who directed The Long Corridor?', 'The Long Corridor'],
      ['what is it', undefined],
      ['The weather tomorrow', undefined],
    ]
    for (const [prompt, subject] of guesses) expect(guessSubject(prompt)).toBe(subject)
    // whatever was guessed, the prompt itself names it
    fc.assert(
      fc.property(fc.string(), (prompt) => {
        const subject = guessSubject(prompt)
        expect(gateOf(prompt)(subject === undefined ? {} : { subject })).toBe(true)
      }),
    )
  })
  it('features', () => {
    const trace = { activations: Float32Array.of(1, 2, 3, 4, 5, 9), hidden: 2 }
    expect([...routers['mean']!.feature(trace)]).toEqual([3, 5])
    expect([...routers['last']!.feature(trace)]).toEqual([5, 9])
    const [a, b] = routers['surprisal']!.feature({ ...trace, surprisals: [0, 3, 0] })
    expect([a, b]).toEqual([expect.closeTo(4, 5), expect.closeTo(6.5, 5)])
    expect(() => routerOf('toString')).toThrow(/known: mean-centred/)
  })
  it('calibration keeps the false positives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 0, max: 99 }),
        (counts, percent) => {
          const overlaps = counts.map((c) => c / 20)
          const threshold = calibrate(overlaps, percent / 100, 20)
          const answered = (t: number): number => overlaps.filter((r) => r >= t).length / overlaps.length
          expect(answered(threshold)).toBeLessThanOrEqual(percent / 100)
          expect(answered((Math.round(threshold * 20) - 1) / 20)).toBeGreaterThan(percent / 100 - 1e-12)
        },
      ),
    )
  })
})
