/** Context vectors, their contrast and what the rules say of it: by hand, against all strings, against many counts. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  climbScores,
  clusterTuples,
  contextFrequencies,
  contrastOf,
  enumerate,
  exactTupleCorrelation,
  expectedContrast,
  firstSymbols,
  type Grammar,
  makeGrammar,
  meanInverse,
  type TupleContext,
  tupleCorrelationNoise,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

const shapeOf = (v: number, m: number, s: number, L: number, classes = v) => ({ v, classes, m, s, L })
const grammarOf = (shape: ReturnType<typeof shapeOf>, seed = 1): Grammar =>
  makeGrammar(shape, random.key(seed))

test('conditional frequencies and contrast worked by hand', () => {
  const { rows, vectors } = contextFrequencies(Float64Array.of(3, 1, 0, 0, 1, 3), 2)
  expect(rows).toEqual([0, 2])
  expect([...vectors]).toEqual([0.25, -0.25, -0.25, 0.25])
  // distances: 0–1 (synonyms) 1, 0–2 and 1–2 (others) 9 and 4
  expect(contrastOf(Float64Array.of(0, 1, 3), 1, [0, 0, 1])).toBeCloseTo(6.5 / 1 - 1, 12)
  expect(contrastOf(Float64Array.of(0, 1), 1, [0, 1])).toBeNull()
})

test('the mean inverse of a binomial number is the sum over its values', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      (P, p) => {
        let expected = 0
        let chance = (1 - p) ** P
        for (let N = 1; N <= P; N++) {
          chance *= ((P - N + 1) / N) * (p / (1 - p))
          expected += chance / N
        }
        expect(meanInverse(P, p) / expected).toBeCloseTo(1, 9)
      },
    ),
  )
  // many: 1/(P p) and the first correction, (1 − p)/(P p)²
  expect(meanInverse(1e6, 0.01)).toBeCloseTo(1e-4 + 0.99e-8, 10)
})

/** Joint table of (first tuple, last leaf) from every string: mass, parent and P(leaf | tuple) of each tuple. */
function fromAllStrings(grammar: Grammar) {
  const { v, d } = grammar
  const { count, levels } = enumerate(grammar)
  const table = new Map<number, { mass: number; parent: number; leaves: number[] }>()
  for (let i = 0; i < count; i++) {
    const tuple = levels[2]![i * d]! * v + levels[2]![i * d + 1]!
    const row = table.get(tuple) ?? {
      mass: 0,
      parent: levels[1]![i * 2]!,
      leaves: new Array<number>(v).fill(0),
    }
    row.mass += 1 / count
    row.leaves[levels[2]![i * d + d - 1]!]! += 1 / count
    table.set(tuple, row)
  }
  return [...table.values()]
}

test('with many data the expected contrast is that of all strings', () => {
  const grammar = grammarOf(shapeOf(5, 2, 2, 2))
  const rows = fromAllStrings(grammar)
  const given = rows.map(({ mass, leaves }) => leaves.map((p) => p / mass))
  const noise = rows.map(({ mass }, i) => given[i]!.reduce((sum, p) => sum + p * (1 - p), 0) / mass)
  const [A, B, S] = [[], [], []] as [number[], number[], number[]]
  for (const [i, a] of rows.entries())
    for (const [j, b] of rows.entries()) {
      if (i === j) continue
      const both = noise[i]! + noise[j]!
      if (a.parent === b.parent) A.push(both)
      else {
        B.push(both)
        S.push(given[i]!.reduce((sum, p, x) => sum + (p - given[j]![x]!) ** 2, 0))
      }
    }
  const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length
  const P = 1e6
  const expected = (P * mean(S) + mean(B)) / mean(A) - 1
  expect(expectedContrast(grammar, 'leaf')(P) / expected).toBeCloseTo(1, 4)
  // and the parents that can stand first are those of the strings
  const there = firstSymbols(grammar, 1)
  expect([...there.keys()].filter((x) => there[x])).toEqual(
    [...new Set(rows.map(({ parent }) => parent))].sort(),
  )
})

describe('the expected contrast is the mean of many counts', () => {
  const options = (context: TupleContext, P: number) => ({ context, sizes: [P], enough: 2, restarts: 1 })
  // from tuples seen twice or so, where a formula with 1/(P p) is off by a third, to tuples seen often
  test.each([
    ['class', 120],
    ['class', 300],
    ['class', 3000],
    ['leaf', 150],
    ['leaf', 1500],
    ['shuffled', 150],
  ] as const)('%s, P = %i', (context, P) => {
    const grammar = grammarOf(shapeOf(16, 4, 2, 2), 5)
    // synonyms over others: the distance of others, of which there are many pairs, hardly varies
    const inverses = random
      .split(random.key(6), 150)
      .map((key) => 1 / (1 + clusterTuples(grammar, key, options(context, P))[0]!.contrast!))
    const mean = inverses.reduce((a, b) => a + b, 0) / inverses.length
    const squares = inverses.reduce((sum, x) => sum + (x - mean) ** 2, 0)
    const error = Math.sqrt(squares / (inverses.length - 1) / inverses.length)
    const expected = 1 / (1 + expectedContrast(grammar, context)(P))
    expect(error / expected).toBeLessThan(0.03)
    expect(Math.abs(mean - expected) / error).toBeLessThan(3)
  })
})

test('k-means finds most parents once the contrast is well above 1', () => {
  const grammar = grammarOf(shapeOf(12, 4, 2, 2))
  const options = { context: 'leaf', sizes: [2000, 60000], enough: 2, restarts: 6 } as const
  const looks = clusterTuples(grammar, random.key(2), options)
  expect(looks[1]!.adjustedRand).toBeGreaterThan(0.8)
  expect(clusterTuples(grammar, random.key(2), options)).toEqual(looks)
})

test('controls: uncorrelated rules and the leaf of another string have no contrast and no score', () => {
  const shape = shapeOf(4, 4, 3, 2)
  const options = { context: 'leaf', sizes: [20000], enough: 2, restarts: 6 } as const
  const mean = (scores: number[]) => scores.reduce((a, b) => a + b, 0) / scores.length
  const scores = [0, 1, 2, 3].map((seed) => {
    const key = random.key(seed)
    const plain = makeGrammar(shape, key)
    const uncorrelated = makeGrammar(shape, key, { rules: 'uncorrelated' })
    expect(Math.abs(expectedContrast(uncorrelated, 'leaf')(20000))).toBeLessThan(1e-9)
    expect(Math.abs(expectedContrast(plain, 'shuffled')(20000))).toBeLessThan(0.2)
    return {
      uncorrelated: clusterTuples(uncorrelated, key, options)[0]!.adjustedRand,
      shuffled: clusterTuples(plain, key, { ...options, context: 'shuffled' })[0]!.adjustedRand,
      random: clusterTuples(plain, key, options)[0]!.adjustedRand,
    }
  })
  expect(mean(scores.map(({ uncorrelated }) => uncorrelated))).toBeLessThan(0.2)
  expect(mean(scores.map(({ shuffled }) => shuffled))).toBeLessThan(0.2)
  expect(mean(scores.map(({ random: score }) => score))).toBeGreaterThan(0.6)
})

test('exact covariances of 20 grammars cross their noise at the known values of the theory', () => {
  const thresholds = (v: number, m: number, L: number): number[] => {
    const shape = shapeOf(v, m, 2, L)
    const grammars = random.split(random.key(0), 20).map((key) => makeGrammar(shape, key))
    return Array.from({ length: L - 1 }, (_, below) => {
      const squares = grammars.map((one) => exactTupleCorrelation(one, below + 2, below + 1) ** 2)
      return tupleCorrelationNoise(shape, 1) ** 2 / (squares.reduce((a, b) => a + b, 0) / 20)
    })
  }
  const known = [
    [thresholds(32, 8, 3), [21200, 206000]],
    [thresholds(16, 4, 4), [1339, 5666, 30300]],
  ] as const
  for (const [found, expected] of known)
    for (const [i, P] of expected.entries()) expect(Math.abs(found[i]! / P - 1)).toBeLessThan(0.2)
})

test('climbing finds more heights with more data', () => {
  const grammar = grammarOf(shapeOf(8, 2, 2, 4), 0)
  const scores = (P: number) => climbScores(grammar, random.key(4), { P, context: 'latents', restarts: 6 })
  const many = scores(4096)
  expect(many).toHaveLength(3)
  expect(Math.min(...many)).toBeGreaterThan(0.8)
  expect(scores(32)[2]).toBeLessThan(0.5)
})
