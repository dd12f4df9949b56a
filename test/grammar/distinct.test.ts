import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  enumerate,
  type Grammar,
  logProbability,
  makeGrammar,
  possibleTrees,
  rank,
  sampleDistinct,
  sampleTrees,
  type Trees,
  trainTest,
  treeCount,
  unrank,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { smallShapes } from './shapes.ts'

const strings = (trees: Trees): string[] => {
  const leaves = trees.levels.at(-1)!
  const d = leaves.length / trees.count
  return Array.from({ length: trees.count }, (_, i) => leaves.subarray(i * d, (i + 1) * d).join(' '))
}
const distinct = (trees: Trees): number => new Set(strings(trees)).size
const tiny = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))
/** Zero for one rule in three. */
const withZeros = (grammar: Grammar): Grammar => ({
  ...grammar,
  probabilities: grammar.rules.map((table) =>
    Float64Array.from({ length: table.length / grammar.s }, (_, i) => [0.7, 0.3, 0][i % 3]!),
  ),
})

describe('counting', () => {
  it.each([
    [{ v: 8, classes: 8, m: 3, s: 2, L: 3 }, 17_496n],
    [{ v: 16, classes: 16, m: 4, s: 2, L: 3 }, 262_144n],
    [{ v: 8, classes: 8, m: 4, s: 2, L: 3 }, 131_072n],
    [{ v: 16, classes: 16, m: 4, s: 2, L: 4 }, 17_179_869_184n],
    [{ v: 32, classes: 32, m: 8, s: 2, L: 3 }, 67_108_864n],
    [{ v: 4, classes: 4, m: 2, s: 2, L: 2 }, 32n],
  ])('%j has %d strings', (shape, expected) => {
    expect(treeCount(shape)).toBe(expected)
  })

  it('enumeration: as many distinct strings as counted, all grown by the rules', () => {
    fc.assert(
      fc.property(smallShapes, fc.nat(99), (shape, seed) => {
        fc.pre(treeCount(shape) < 3000n)
        const grammar = makeGrammar(shape, random.key(seed))
        const all = enumerate(grammar)
        expect(BigInt(all.count)).toBe(treeCount(shape))
        expect(distinct(all)).toBe(all.count)
        expect(rank(grammar, all)).toEqual(Array.from({ length: all.count }, (_, i) => BigInt(i)))
      }),
      { numRuns: 60 },
    )
    expect(distinct(enumerate(tiny))).toBe(32)
  })

  it('refuses to enumerate what is too large', () => {
    const big = makeGrammar({ v: 16, classes: 16, m: 4, s: 2, L: 4 }, random.key(1))
    expect(() => enumerate(big)).toThrow('at most 1048576 strings, this one has 1.7e10; sample it instead')
    const huge = makeGrammar({ v: 16, classes: 16, m: 4, s: 2, L: 12 }, random.key(1))
    expect(() => enumerate(huge)).toThrow('this one has 4.4e2466;')
  })

  it('possible strings leave out rules of probability 0', () => {
    const grammar = withZeros(makeGrammar({ v: 5, classes: 3, m: 3, s: 2, L: 2 }, random.key(2)))
    expect(possibleTrees(grammar)).toBe(3n * 2n ** 3n)
    const positive = logProbability(grammar, enumerate(grammar)).filter((log) => log > -Infinity)
    expect(BigInt(positive.length)).toBe(possibleTrees(grammar))
    expect(positive.reduce((sum, log) => sum + Math.exp(log), 0)).toBeCloseTo(1, 12)
  })
})

describe('rank and unrank', () => {
  it('undo each other, whatever the size', () => {
    fc.assert(
      fc.property(
        smallShapes,
        fc.nat(99),
        fc.array(fc.bigInt({ min: 0n }), { maxLength: 4 }),
        (shape, seed, n) => {
          const grammar = makeGrammar(shape, random.key(seed))
          const total = treeCount(shape)
          const indices = [...n.map((index) => index % total), 0n, total - 1n]
          expect(rank(grammar, unrank(grammar, indices))).toEqual(indices)
          const trees = sampleTrees(grammar, random.key(seed), 5)
          expect(unrank(grammar, rank(grammar, trees))).toEqual(trees)
        },
      ),
      { numRuns: 60 },
    )
    const big = makeGrammar({ v: 32, classes: 32, m: 31, s: 2, L: 14 }, random.key(3))
    const index = treeCount(big) - 987_654_321n ** 9n
    expect(rank(big, unrank(big, [index]))).toEqual([index])
  })

  it('the class is the most significant digit, then nodes from the root to the right', () => {
    // digits (class; root; two nodes) of 8c + 4r + 2a + b
    const trees = unrank(tiny, [8n * 3n + 4n + 1n])
    expect(trees.levels[0]![0]).toBe(3)
    const symbols = tiny.rules[0]!.subarray((3 * 2 + 1) * 2, (3 * 2 + 1) * 2 + 2)
    expect(trees.levels[1]).toEqual(symbols)
    const [a, b] = symbols as unknown as [number, number]
    const below = tiny.rules[1]!
    expect([...trees.levels[2]!]).toEqual([
      ...below.subarray(a * 4, a * 4 + 2),
      ...below.subarray((b * 2 + 1) * 2, (b * 2 + 1) * 2 + 2),
    ])
  })

  it('refuse numbers out of range and trees of another grammar', () => {
    expect(() => unrank(tiny, [32n])).toThrow('index 0: expected a number from 0 to P_max − 1 = 31, got 32')
    expect(() => unrank(tiny, [0n, -1n])).toThrow('index 1:')
    const trees = unrank(tiny, [5n])
    const wrong = { ...trees, levels: [Int32Array.of(3), trees.levels[1]!, trees.levels[2]!] }
    expect(() => rank(tiny, wrong)).toThrow('tree 0, level 0, node 0: symbol 3 has no rule that gives (')
  })
})

describe('distinct strings', () => {
  it('are distinct, of the grammar, and the first ones of a larger draw', () => {
    const shapes = [
      { v: 4, classes: 4, m: 2, s: 2, L: 2 },
      { v: 8, classes: 8, m: 3, s: 2, L: 3 },
      { v: 16, classes: 16, m: 4, s: 2, L: 5 },
    ]
    for (const shape of shapes)
      for (const grammar of [0, 1].map((skew) => ({
        ...makeGrammar(shape, random.key(7)),
        ...(skew && {
          probabilities: Array.from({ length: shape.L }, () =>
            Float64Array.from({ length: shape.v * shape.m }, (_, i) =>
              i % shape.m === 0 ? 0.9 : 0.1 / (shape.m - 1),
            ),
          ),
        }),
      }))) {
        const count = Number(treeCount(shape) > 2000n ? 1500n : treeCount(shape))
        const all = sampleDistinct(grammar, random.key(8), count)
        expect(distinct(all)).toBe(count)
        expect(rank(grammar, all)).toHaveLength(count)
        const few = sampleDistinct(grammar, random.key(8), 20)
        expect(strings(few)).toEqual(strings(all).slice(0, 20))
        expect(strings(sampleDistinct(grammar, random.key(9), 20))).not.toEqual(strings(few))
      }
  })

  it('every ordered pair of a small grammar is equally likely', () => {
    const grammar = makeGrammar({ v: 2, classes: 2, m: 2, s: 2, L: 1 }, random.key(1))
    const counts = new Map<string, number>()
    const draws = 6000
    for (let i = 0; i < draws; i++) {
      const pair = rank(grammar, sampleDistinct(grammar, random.foldIn(random.key(5), i), 2)).join()
      counts.set(pair, (counts.get(pair) ?? 0) + 1)
    }
    expect(counts.size).toBe(12)
    const chiSquared = [...counts.values()].reduce((sum, n) => sum + (n - draws / 12) ** 2 / (draws / 12), 0)
    // 11 degrees of freedom: 31.3 is exceeded once in a thousand draws
    expect(chiSquared).toBeLessThan(31.3)
  })

  it('with probabilities, draws follow them one after the other', () => {
    const grammar: Grammar = {
      ...makeGrammar({ v: 3, classes: 1, m: 3, s: 2, L: 1 }, random.key(1)),
      probabilities: [Float64Array.of(0.6, 0.3, 0.1)],
    }
    const draws = 6000
    const counts = new Float64Array(9)
    for (let i = 0; i < draws; i++) {
      const [a, b] = rank(grammar, sampleDistinct(grammar, random.foldIn(random.key(6), i), 2))
      counts[Number(a! * 3n + b!)]!++
    }
    const p = [0.6, 0.3, 0.1]
    for (let a = 0; a < 3; a++)
      for (let b = 0; b < 3; b++) {
        const expected = a === b ? 0 : p[a]! * (p[b]! / (1 - p[a]!))
        expect(Math.abs(counts[a * 3 + b]! / draws - expected)).toBeLessThan(
          4 * Math.sqrt((expected * (1 - expected)) / draws) + 1e-12,
        )
      }
  })

  it('nearly all, and a few of astronomically many', () => {
    const grammar = makeGrammar({ v: 16, classes: 16, m: 4, s: 2, L: 3 }, random.key(1))
    expect(distinct(sampleDistinct(grammar, random.key(2), 262_144))).toBe(262_144)
    const deep = makeGrammar({ v: 32, classes: 32, m: 8, s: 2, L: 10 }, random.key(1))
    expect(distinct(sampleDistinct(deep, random.key(2), 20))).toBe(20)
    // independent draws of so skew a grammar are often equal
    const draws = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 5 }, random.key(1))
    const skewed = {
      ...draws,
      probabilities: draws.rules.map((table) =>
        Float64Array.from({ length: table.length / 2 }, (_, i) => [0.97, 0.03][i % 2]!),
      ),
    }
    expect(distinct(sampleTrees(skewed, random.key(2), 400))).toBeLessThan(400)
    expect(distinct(sampleDistinct(skewed, random.key(2), 400))).toBe(400)
  })

  it('says how many there are when asked for more', () => {
    expect(() => sampleDistinct(tiny, random.key(0), 33)).toThrow(
      'count: expected at most 32 distinct strings (all that the grammar has), got 33',
    )
    expect(() => sampleDistinct(tiny, random.key(0), 1.5)).toThrow('count: expected an integer ≥ 0, got 1.5')
    expect(() => trainTest(tiny, random.key(0), 30, 3)).toThrow('got 30 + 3')
    const deep = makeGrammar({ v: 32, classes: 32, m: 8, s: 2, L: 20 }, random.key(1))
    expect(() => sampleDistinct(deep, random.key(0), 1000)).toThrow('count: expected at most 512 trees')
    const zeros = withZeros(makeGrammar({ v: 5, classes: 3, m: 3, s: 2, L: 2 }, random.key(2)))
    expect(distinct(sampleDistinct(zeros, random.key(2), 24))).toBe(24)
    expect(() => sampleDistinct(zeros, random.key(0), 25)).toThrow('at most 24 distinct strings')
    const steep: Grammar = {
      ...makeGrammar({ v: 4, classes: 1, m: 2, s: 2, L: 5 }, random.key(1)),
      probabilities: Array.from({ length: 5 }, (_, level) =>
        Float64Array.from({ length: level === 0 ? 2 : 8 }, (_, i) => [1 - 1e-9, 1e-9][i % 2]!),
      ),
    }
    expect(() => sampleDistinct(steep, random.key(0), 9)).toThrow('count: only 1 different strings in')
  })

  it('training and test sets share nothing; the test set stays, training sets grow', () => {
    const grammar = makeGrammar({ v: 8, classes: 8, m: 3, s: 2, L: 3 }, random.key(3))
    const { train, test } = trainTest(grammar, random.key(4), 17_000, 496)
    expect([train.count, test.count]).toEqual([17_000, 496])
    expect(new Set([...strings(train), ...strings(test)]).size).toBe(17_496)
    const small = trainTest(grammar, random.key(4), 100, 496)
    expect(small.test).toEqual(test)
    expect(strings(small.train)).toEqual(strings(train).slice(0, 100))
  })
})
