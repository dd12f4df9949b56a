import { describe, expect, it } from 'vitest'
import { checkShape, makeGrammar, sampleTrees, tupleNumber } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

const shape = { v: 8, classes: 6, m: 3, s: 2, L: 3 }

describe('rules', () => {
  it('no tuple has two parents', () => {
    for (const sizes of [
      shape,
      { v: 3, classes: 5, m: 5, s: 3, L: 2 },
      { v: 8, classes: 8, m: 8, s: 2, L: 4 },
      // more tuples than are put in order: few of them, and all of them
      { v: 4000, classes: 3, m: 2, s: 2, L: 2 },
      { v: 300, classes: 300, m: 300, s: 2, L: 1 },
    ]) {
      const grammar = makeGrammar(sizes, random.key(1))
      for (const [level, table] of grammar.rules.entries()) {
        const parents = level === 0 ? sizes.classes : sizes.v
        expect(table.length).toBe(parents * sizes.m * sizes.s)
        expect(table.every((symbol) => symbol >= 0 && symbol < sizes.v)).toBe(true)
        const numbers = Array.from({ length: parents * sizes.m }, (_, i) =>
          tupleNumber(sizes.v, table, i * sizes.s, sizes.s),
        )
        expect(new Set(numbers).size).toBe(parents * sizes.m)
      }
    }
  })

  it('the same key gives the same grammar, levels differ', () => {
    const a = makeGrammar(shape, random.key(4))
    expect(makeGrammar(shape, random.key(4))).toEqual(a)
    expect(makeGrammar(shape, random.key(5))).not.toEqual(a)
    expect(a.rules[1]).not.toEqual(a.rules[2])
  })

  it('uncorrelated: every symbol equally often at each position of each parent', () => {
    for (const sizes of [
      { v: 4, classes: 4, m: 4, s: 2, L: 2 },
      { v: 3, classes: 2, m: 6, s: 3, L: 2 },
      { v: 2, classes: 2, m: 2, s: 2, L: 3 },
    ]) {
      const { v, m, s } = sizes
      const grammar = makeGrammar(sizes, random.key(2), { rules: 'uncorrelated' })
      for (const table of grammar.rules) {
        const numbers = Array.from({ length: table.length / s }, (_, i) => tupleNumber(v, table, i * s, s))
        expect(new Set(numbers).size).toBe(numbers.length)
        for (let parent = 0; parent * m * s < table.length; parent++)
          for (let position = 0; position < s; position++) {
            const seen = new Array(v).fill(0)
            for (let k = 0; k < m; k++) seen[table[(parent * m + k) * s + position]!]++
            expect(seen).toEqual(new Array(v).fill(m / v))
          }
      }
    }
  })

  it.each([
    [{ s: 1 }, 'config.s: expected an integer ≥ 2, got 1 (a rule needs at least two symbols)'],
    [{ m: 9 }, 'config.m: expected v·m ≤ v^s, got 8·9 = 72 > 64'],
    [{ classes: 30 }, 'config.m: expected classes·m ≤ v^s, got 30·3 = 90 > 64'],
    [{ v: 2.5 }, 'config.v: expected an integer ≥ 1, got 2.5'],
    [{ L: 40 }, 's^L = 2^40 leaves are too many'],
    [{ s: 20 }, 'tuples are too many'],
  ])('refuses %o', (wrong, message) => {
    expect(() => checkShape({ ...shape, ...wrong })).toThrow(message)
  })

  it('refuses uncorrelated rules that cannot be balanced', () => {
    expect(() => makeGrammar(shape, random.key(0), { rules: 'uncorrelated' })).toThrow(/multiple of v = 8/)
  })
})

describe('trees', () => {
  const grammar = makeGrammar(shape, random.key(3))

  it('every tuple is a rule of its parent, and all rules are used equally often', () => {
    const trees = sampleTrees(grammar, random.key(9), 4000)
    const used = grammar.rules.map((table) => new Float64Array(table.length / shape.s))
    for (let level = 0; level < shape.L; level++) {
      const above = trees.levels[level]!
      const below = trees.levels[level + 1]!
      expect(below.length).toBe(4000 * shape.s ** (level + 1))
      for (let node = 0; node < above.length; node++) {
        const tuple = tupleNumber(shape.v, below, node * shape.s, shape.s)
        const rule = [0, 1, 2].find(
          (k) =>
            tupleNumber(shape.v, grammar.rules[level]!, (above[node]! * shape.m + k) * shape.s, shape.s) ===
            tuple,
        )
        expect(rule).toBeDefined()
        used[level]![above[node]! * shape.m + rule!]!++
      }
    }
    const root = used[0]!
    const expected = 4000 / root.length
    const chiSquared = root.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
    // 17 degrees of freedom: 40.8 is exceeded once in a thousand draws
    expect(chiSquared).toBeLessThan(40.8)
  })

  it('a larger batch begins with the trees of a smaller one', () => {
    const few = sampleTrees(grammar, random.key(1), 10)
    const many = sampleTrees(grammar, random.key(1), 30)
    for (let level = 0; level <= shape.L; level++)
      expect(many.levels[level]!.subarray(0, few.levels[level]!.length)).toEqual(few.levels[level])
  })

  it('production probabilities are followed', () => {
    const probabilities = grammar.rules.map((table) =>
      Float64Array.from({ length: table.length / shape.s }, (_, i) => [0.7, 0.3, 0][i % 3]!),
    )
    const trees = sampleTrees({ ...grammar, probabilities }, random.key(2), 3000)
    const counts = [0, 0, 0]
    for (let i = 0; i < 3000; i++) {
      const tuple = tupleNumber(shape.v, trees.levels[1]!, i * shape.s, shape.s)
      const parent = trees.levels[0]![i]!
      counts[
        [0, 1, 2].find(
          (k) => tupleNumber(shape.v, grammar.rules[0]!, (parent * 3 + k) * shape.s, shape.s) === tuple,
        )!
      ]!++
    }
    expect(counts[2]).toBe(0)
    expect(counts[0]! / 3000).toBeCloseTo(0.7, 1)
  })
})
