/** Counted and exact covariances against the enumeration of every string; noise against every outcome of two draws. */
import { expect, test } from 'vitest'
import {
  ancestorHeight,
  countCorrelations,
  enumerate,
  exactMeanSquares,
  makeGrammar,
  nodeMarginal,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

const [v, m, s, L] = [4, 2, 2, 3]
const grammar = makeGrammar({ v, classes: v, m, s, L }, random.key(3))

test('heights of distances', () => {
  expect([1, 2, 3, 4, 7, 8].map((t) => ancestorHeight(t, 2))).toEqual([1, 2, 2, 3, 3, 4])
  expect([1, 2, 3, 8, 9].map((t) => ancestorHeight(t, 3))).toEqual([1, 1, 2, 2, 3])
})

/** Mean squares over symbol pairs from every string of the grammar, which are all equally likely. */
function fromAllStrings() {
  const { d } = grammar
  const { count, levels } = enumerate(grammar)
  const leaves = levels[L]!
  expect(count).toBe(4 * 2 ** 7)
  const meanSquare = (of: (string: number) => number, size: number): number => {
    const joint = new Map<string, number>()
    const rows = new Map<number, number>()
    const columns = new Map<number, number>()
    const add = <K>(map: Map<K, number>, key: K) => map.set(key, (map.get(key) ?? 0) + 1 / count)
    for (let i = 0; i < count; i++) {
      const [a, b] = [of(i), leaves[i * d + d - 1]!]
      add(joint, `${a} ${b}`)
      add(rows, a)
      add(columns, b)
    }
    let sum = 0
    for (const [a, p] of rows)
      for (const [b, q] of columns) sum += ((joint.get(`${a} ${b}`) ?? 0) - p * q) ** 2
    return sum / size
  }
  return {
    tokens: Array.from({ length: d - 1 }, (_, k) => meanSquare((i) => leaves[i * d + d - 2 - k]!, v * v)),
    tuples: Array.from({ length: d / s - 1 }, (_, b) =>
      meanSquare(
        (i) => {
          const at = i * d + d - (b + 2) * s
          return leaves[at]! * v + leaves[at + 1]!
        },
        v * m * v,
      ),
    ),
  }
}

test('exact covariances equal those of all strings', () => {
  const all = fromAllStrings()
  const exact = exactMeanSquares(grammar)
  for (const kind of ['tokens', 'tuples'] as const)
    for (const [place, value] of all[kind].entries())
      expect(exact[kind][place]!.signal).toBeCloseTo(value, 14)
})

test('the noise is that of all outcomes of two independent draws', () => {
  const { d } = grammar
  const { tokens } = exactMeanSquares(grammar)
  const last = nodeMarginal(grammar, { level: L, index: d - 1 })
  for (const [place, { noise }] of tokens.entries()) {
    const other = nodeMarginal(grammar, { level: L, index: d - 2 - place })
    // two draws of (x, y): the covariance counted is (1_x1 − 1_x2)(1_y1 − 1_y2)/4 at every pair of symbols
    let expected = 0
    for (const [x1, a] of other.entries())
      for (const [x2, b] of other.entries())
        for (const [y1, p] of last.entries())
          for (const [y2, q] of last.entries())
            if (x1 !== x2 && y1 !== y2) expected += (a * b * p * q * 4) / 16 / v ** 2
    // of P draws it is (P − 1)/P² of what stands for large P as 1/P
    expect(noise / 4).toBeCloseTo(expected, 14)
  }
})

test('counted covariances come to those of all strings, and between strings there is only noise', () => {
  const all = fromAllStrings()
  const key = random.key(9)
  const looks = countCorrelations(grammar, key, [1000, 2 ** 16])
  const { P, tokens, tuples } = looks[1]!
  expect(P).toBe(2 ** 16)
  for (const [place, value] of all.tokens.entries()) {
    // of 16 entries of about 1/4 each, with a deviation of 1/√(16 P) at most
    const error = 2 * Math.sqrt(value / (16 * P)) + 1 / (16 * P)
    expect(Math.abs(tokens.within[place]! - value)).toBeLessThan(4 * error)
  }
  for (const [place, value] of all.tuples.entries())
    expect(Math.abs(tuples.within[place]! - value)).toBeLessThan(
      4 * (2 * Math.sqrt(value / (32 * P)) + 1 / (32 * P)),
    )
  for (const look of looks)
    for (const square of look.tokens.between) expect(square * 16 * look.P).toBeLessThan(4)
  expect(countCorrelations(grammar, key, [1000, 2 ** 16])).toEqual(looks)
})
