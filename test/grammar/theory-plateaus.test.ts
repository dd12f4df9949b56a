import { describe, expect, it } from 'vitest'
import {
  compatibleTokens,
  exactCrossEntropy,
  exactPlateau,
  type Grammar,
  makeGrammar,
  plateauBound,
  plateauLimit,
  type Shape,
  sampleTrees,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { listedEntropy, mean, standardError, unequal } from './theory-reference.ts'

const shapeOf = (v: number, m: number, s: number, L: number): Shape => ({ v, classes: v, m, s, L })
const grammarsOf = (shape: Shape, count: number, seed = 0): Grammar[] =>
  random.split(random.key(seed), count).map((key) => makeGrammar(shape, key))

/** Whether tokens can come from one node, by replacing tuples with their parents from the leaves up. */
function derives(
  { rules, s, m, L }: Grammar,
  tokens: readonly number[],
  parents: readonly Map<string, number>[],
): boolean {
  let row = [...tokens]
  for (let level = L - 1; row.length > 1; level--) {
    const above: number[] = []
    for (let i = 0; i < row.length; i += s) {
      const parent = parents[level]!.get(row.slice(i, i + s).join())
      if (parent === undefined) return false
      above.push(Math.floor(parent / m))
    }
    row = above
  }
  return rules.length > 0
}

const parentsOf = ({ rules, s }: Grammar): Map<string, number>[] =>
  rules.map(
    (table) =>
      new Map(
        Array.from({ length: table.length / s }, (_, rule) => [
          table.subarray(rule * s, (rule + 1) * s).join(),
          rule,
        ]),
      ),
  )

describe('compatible last tokens', () => {
  it.each([
    [{ v: 8, classes: 8, m: 3, s: 2, L: 3 }, 60],
    [{ v: 6, classes: 3, m: 3, s: 2, L: 3 }, 60],
    [{ v: 4, classes: 4, m: 5, s: 3, L: 2 }, 60],
  ] as [Shape, number][])('%o: every last token tried, over random grammars', (shape, many) => {
    const { v, s, L } = shape
    const d = s ** L
    const strings = 25
    const counts = Array.from({ length: L + 1 }, () => [] as number[])
    for (const [i, grammar] of grammarsOf(shape, many, 9).entries()) {
      const parents = parentsOf(grammar)
      const leaves = sampleTrees(grammar, random.key(i), strings).levels[L]!
      const found = new Array<number>(L + 1).fill(0)
      for (let n = 0; n < strings; n++)
        for (let height = 0; height <= L; height++)
          for (let token = 0; token < v; token++) {
            const tokens = [...leaves.subarray((n + 1) * d - s ** height, (n + 1) * d - 1), token]
            if (derives(grammar, tokens, parents)) found[height]! += 1 / strings
          }
      for (let height = 0; height <= L; height++) counts[height]!.push(found[height]!)
    }
    for (let height = 0; height <= L; height++) {
      const difference = compatibleTokens(shape, height) - mean(counts[height]!)
      expect(Math.abs(difference), `height ${height}`).toBeLessThanOrEqual(
        4 * standardError(counts[height]!) + 1e-9,
      )
    }
  })

  it.each([
    [16, 4, 4, [2.77, 1.55, 0.717, 0.353, 0.244]],
    [32, 8, 3, [3.47, 2.17, 1.13, 0.541]],
  ])('bound for v = %i, m = %i, L = %i', (v, m, L, bounds) => {
    for (const [height, bound] of bounds.entries())
      expect(Math.abs(plateauBound(shapeOf(v, m, 2, L), height) - bound)).toBeLessThan(6e-3)
  })

  it('the limit is reached as v and m grow with f fixed', () => {
    // Height so great that what is left are corrections in 1/v.
    const gap = (v: number): number => {
      const shape = { v, classes: v, m: v / 4, s: 2, L: 12 }
      return plateauLimit(shape, 12) - plateauBound(shape, 12)
    }
    expect(gap(64) / gap(1024)).toBeGreaterThan(14)
    expect(gap(64) / gap(1024)).toBeLessThan(18)
    const excess = (height: number): number =>
      plateauBound(shapeOf(4096, 1024, 2, 12), height) - Math.log(4 / 3)
    expect(excess(9) / (0.75 * 4096 * 0.25 ** 9)).toBeCloseTo(1, 1)
    expect(plateauLimit(shapeOf(8, 8, 2, 3), 2)).toBe(Infinity)
  })
})

describe('exact plateau', () => {
  const small: [string, Grammar][] = [
    ['two levels', makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))],
    ['three levels', makeGrammar({ v: 4, classes: 3, m: 2, s: 2, L: 3 }, random.key(2))],
    ['triples', makeGrammar({ v: 3, classes: 5, m: 3, s: 3, L: 2 }, random.key(3))],
    ['unequal', unequal(makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 3 }, random.key(4)), random.key(5))],
    ['all legal', makeGrammar({ v: 3, classes: 3, m: 3, s: 2, L: 2 }, random.key(6))],
    [
      'unequal triples',
      unequal(makeGrammar({ v: 4, classes: 3, m: 2, s: 3, L: 2 }, random.key(8)), random.key(9)),
    ],
    ['one rule', makeGrammar({ v: 4, classes: 4, m: 1, s: 2, L: 3 }, random.key(7))],
  ]

  it.each(small)('equals the entropy of listed strings: %s', (_, grammar) => {
    for (let height = 0; height <= grammar.L; height++) {
      const { loss, exact, standardError: error } = exactPlateau(grammar, height)
      expect([exact, error]).toEqual([true, 0])
      expect(loss).toBeCloseTo(listedEntropy(grammar, height), 12)
    }
  })

  it.each([
    [16, 4, 2, 4, 30, [2.64, 1.4, 0.575, 0.245, 0.173]],
    [32, 8, 2, 3, 12, [3.42, 2.07, 0.944, 0.412]],
    [16, 3, 2, 4, 60, [2.51, 1.12, 0.317, 0.138, 0.098]],
    [12, 3, 2, 4, 60, [2.31, 1.06, 0.382, 0.141, 0.091]],
    [8, 3, 2, 3, 60, [1.91, 1.14, 0.592, 0.389]],
    [11, 8, 3, 3, 12, [2.32, 0.409, 0.072, 0.043]],
  ])('v = %i, m = %i, s = %i, L = %i: means over grammars', (v, m, s, L, many, losses) => {
    const grammars = grammarsOf(shapeOf(v, m, s, L), many)
    for (const [height, loss] of losses.entries()) {
      const found = grammars.map((grammar) => exactPlateau(grammar, height).loss)
      // Both are means over grammars: theirs over 6 (and rounded to 0.005 at worst), ours over `many`. 27 comparisons at 3.6
      // standard errors let one of a hundred sets fail by chance.
      const error = standardError(found) * Math.sqrt(1 + many / 6)
      expect(Math.abs(mean(found) - loss), `height ${height}`).toBeLessThan(3.6 * error + 0.005)
      expect(mean(found)).toBeLessThan(plateauBound(shapeOf(v, m, s, L), height))
    }
  })

  it('is what the exact last-token predictor loses', () => {
    const grammar = unequal(makeGrammar(shapeOf(8, 3, 2, 4), random.key(11)), random.key(12))
    const count = 4000
    const leaves = sampleTrees(grammar, random.key(13), count).levels[4]!
    for (let height = 0; height <= 4; height++) {
      const losses = Array.from({ length: 10 }, (_, i) =>
        exactCrossEntropy(
          grammar,
          leaves.subarray((i * count * 16) / 10, ((i + 1) * count * 16) / 10),
          2 ** height - 1,
        ),
      )
      const difference = mean(losses) - exactPlateau(grammar, height).loss
      expect(Math.abs(difference), `height ${height}`).toBeLessThan(4.5 * standardError(losses))
    }
  })

  it('sampled contexts agree within their error, and the same key gives the same bits', () => {
    const grammar = unequal(makeGrammar(shapeOf(16, 6, 2, 4), random.key(14)), random.key(15))
    const exact = exactPlateau(grammar, 3)
    const errors = Array.from({ length: 8 }, (_, i) => {
      const {
        loss,
        exact: listed,
        standardError: error,
      } = exactPlateau(grammar, 3, {
        limit: 4,
        samples: 500,
        key: random.key(i),
      })
      expect(listed).toBe(false)
      expect(error).toBeGreaterThan(0)
      return (loss - exact.loss) / error
    })
    expect(Math.abs(mean(errors))).toBeLessThan(4 / Math.sqrt(8))
    expect(Math.sqrt(mean(errors.map((e) => e * e)))).toBeLessThan(2)
    const again = { limit: 4, samples: 100 }
    expect(exactPlateau(grammar, 3, again)).toEqual(exactPlateau(grammar, 3, again))
  })

  it('contexts that all leave the same uncertainty have no error, and are sampled all the same', () => {
    const grammar = makeGrammar(shapeOf(4, 4, 2, 4), random.key(16))
    const sampled = exactPlateau(grammar, 4, { limit: 4, samples: 100 })
    expect(sampled.exact).toBe(false)
    expect(sampled.loss).toBeCloseTo(Math.log(4), 12)
    expect(sampled.standardError).toBeLessThan(1e-15)
  })

  it('refuses what is not a height or a number of samples', () => {
    const grammar = small[0]![1]
    expect(() => exactPlateau(grammar, 3)).toThrow('height: expected an integer from 0 to L = 2, got 3')
    expect(() => exactPlateau(grammar, 1, { samples: 1 })).toThrow('samples: expected an integer ≥ 2, got 1')
  })
})
