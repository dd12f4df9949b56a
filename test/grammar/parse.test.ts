import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeGrammar, parse, sampleTrees, validity } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { smallShapes } from './shapes.ts'

describe('parse', () => {
  it('finds the tree that was grown', () => {
    fc.assert(
      fc.property(smallShapes, fc.nat(1000), (shape, seed) => {
        const grammar = makeGrammar(shape, random.key(seed))
        const trees = sampleTrees(grammar, random.key(seed + 1), 7)
        const parsed = parse(grammar, trees.levels.at(-1)!, 7)
        expect(parsed).toEqual(trees)
        expect(validity(parsed)).toEqual(new Array(shape.L + 1).fill(1))
      }),
      { numRuns: 60 },
    )
  })

  it('marks what no rule gives, and everything above it', () => {
    // 0 → (0,1) | (2,3), 1 → (1,0) | (3,2), 2 → (0,0) | (1,1), 3 → (2,2) | (3,3) at both levels
    const table = [0, 1, 2, 3, 1, 0, 3, 2, 0, 0, 1, 1, 2, 2, 3, 3]
    const grammar = {
      ...{ v: 4, classes: 4, m: 2, s: 2, L: 2, d: 4 },
      rules: [Int32Array.from(table), Int32Array.from(table)],
    }
    const parsed = parse(grammar, [0, 1, 1, 0, 0, 1, 0, 2, 0, 0, -1, 1, 2, 2, 0, 1], 4)
    expect([...parsed.levels[1]!]).toEqual([0, 1, 0, -1, 2, -1, 3, 0])
    expect([...parsed.levels[0]!]).toEqual([0, -1, -1, -1])
    expect(validity(parsed)).toEqual([15 / 16, 6 / 8, 1 / 4])
  })

  it('random strings are legal at height ℓ with probability f^{(s^ℓ − 1)/(s − 1)}, f = mv/v^s', () => {
    const grammar = makeGrammar({ v: 8, classes: 8, m: 3, s: 2, L: 3 }, random.key(3))
    const count = 60_000
    const shares = validity(parse(grammar, random.sampleIntegers(random.key(4), count * 8, 8), count))
    for (const [height, expected] of [1, 0.375, 0.0527, 0.00104].entries()) {
      const nodes = count * 2 ** (3 - height)
      // neighbours share nothing at a height, so shares are binomial: four deviations
      expect(Math.abs(shares[height]! - expected)).toBeLessThan(4 * Math.sqrt(expected / nodes) + 1e-12)
    }
  })

  it('large tables that are mostly empty parse as well', () => {
    const grammar = makeGrammar({ v: 300, classes: 3, m: 2, s: 2, L: 3 }, random.key(5))
    const trees = sampleTrees(grammar, random.key(6), 50)
    expect(parse(grammar, trees.levels[3]!, 50)).toEqual(trees)
  })

  it('refuses another length and symbols that do not exist, with the place', () => {
    const grammar = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(0))
    expect(() => parse(grammar, [0, 1, 2], 1)).toThrow('leaves: expected 1·4 = 4 symbols, got 3')
    expect(() => parse(grammar, [0, 1, 2, 3, 0, 4, 0, 0], 2)).toThrow(
      'leaves of string 1, position 1: expected a symbol 0 … 3 (or −1, not known), got 4',
    )
    expect(() => parse(grammar, [0, 1.5, 2, 3], 1)).toThrow('got 1.5')
    const twice = { ...grammar, rules: [grammar.rules[0]!, new Int32Array(16)] }
    expect(() => parse(twice, [0, 1, 2, 3], 1)).toThrow('grammar.rules[1]: rules 0 and 1 have the same tuple')
  })
})
