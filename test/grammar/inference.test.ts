import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Grammar,
  inferUp,
  lastToken,
  mapTree,
  marginals,
  type Shape,
  samplePosterior,
  sampleTrees,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { enumerate, grow, jointWith, type Tree, truth, withProbabilities } from './enumerate.ts'

const strings = ({ classes, m, s, L }: Shape): number => classes * m ** ((s ** L - 1) / (s - 1))

/** Sizes with at most `most` strings. */
const shapes = (most: number): fc.Arbitrary<Shape> =>
  fc
    .record({
      v: fc.integer({ min: 1, max: 6 }),
      classes: fc.integer({ min: 1, max: 5 }),
      m: fc.integer({ min: 1, max: 6 }),
      s: fc.integer({ min: 2, max: 3 }),
      L: fc.integer({ min: 1, max: 3 }),
    })
    .filter(({ v, classes, m, s, L }) => classes * m <= v ** s && (L === 1 || v * m <= v ** s))
    .filter((shape) => strings(shape) <= most)

/** Leaf likelihoods of each channel for clean leaves, written here a second time on purpose. */
const channels: Record<string, (leaves: Int32Array, v: number, key: random.Key) => Float64Array> = {
  epsilon: (leaves, v) => rows(leaves, v, (_, a, x) => (a === x ? 1 - 0.6 + 0.6 / v : 0.6 / v)),
  uniform: (leaves, v, key) => {
    const u = random.sampleUniform(key, leaves.length * 2)
    return rows(leaves, v, (i, a, x) => {
      const seen = u[2 * i]! < 0.5 ? x : Math.floor(u[2 * i + 1]! * v)
      return 0.5 * (a === seen ? 1 : 0) + 0.5 / v
    })
  },
  masking: (leaves, v, key) => {
    const u = random.sampleUniform(key, leaves.length)
    return rows(leaves, v, (i, a, x) => (u[i]! < 0.5 ? 1 : Number(a === x)))
  },
  gaussian: (leaves, v, key) => {
    const noise = random.sampleNormal(key, leaves.length * v)
    const alphaBar = 0.4
    return rows(leaves, v, (i, a, x) => {
      const seen = Math.sqrt(alphaBar) * Number(a === x) + Math.sqrt(1 - alphaBar) * noise[i * v + a]!
      return Math.exp((seen * Math.sqrt(alphaBar)) / (1 - alphaBar))
    })
  },
  hard: (leaves, v) => rows(leaves, v, (_, a, x) => Number(a === x)),
  // tokens of no tree in particular: often impossible
  noise: (leaves, v, key) => {
    const u = random.sampleUniform(key, leaves.length)
    return rows(leaves, v, (i, a) => Number(Math.floor(u[i]! * v) === a))
  },
}

function rows(
  leaves: Int32Array,
  v: number,
  entry: (i: number, a: number, x: number) => number,
): Float64Array {
  return Float64Array.from({ length: leaves.length * v }, (_, k) => {
    const i = Math.floor(k / v)
    return entry(i, k % v, leaves[i]!)
  })
}

/** Symbols of one tree of a batch. */
const treeAt = ({ s }: Shape, levels: readonly Int32Array[], i: number): number[][] =>
  levels.map((row, level) => Array.from(row.subarray(i * s ** level, (i + 1) * s ** level)))

const isNear = (actual: number, expected: number, tolerance = 1e-12): boolean =>
  Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected))

/** Compare everything with enumeration for a batch of two data of every channel. */
function compare(grammar: Grammar, trees: readonly Tree[], seed: number): void {
  const { v, d } = grammar
  const byLeaves = new Map(trees.map((tree) => [tree.levels.at(-1)!.join(), tree]))
  expect(byLeaves.size).toBe(trees.length)
  const clean = sampleTrees(grammar, random.key(seed), 2).levels.at(-1)!
  for (const [name, channel] of Object.entries(channels)) {
    const likelihood = channel(clean, v, random.key(seed + 1))
    const up = inferUp(grammar, likelihood, 2)
    const found = marginals(grammar, up)
    const truths = [0, 1].map((b) => truth(grammar, trees, likelihood.subarray(b * d * v, (b + 1) * d * v)))
    for (let b = 0; b < 2; b++) {
      const expected = truths[b]!
      expect(up.impossible[b], name).toBe(Number(expected.evidence === 0))
      if (expected.evidence === 0) expect(up.logEvidence[b]).toBe(-Infinity)
      else if (!isNear(up.logEvidence[b]!, Math.log(expected.evidence)))
        expect(up.logEvidence[b], name).toBe(Math.log(expected.evidence))
      for (const [level, row] of expected.marginals.entries()) {
        const at = found[level]!.subarray(b * row.length, (b + 1) * row.length)
        const wrong = row.findIndex((p, i) => !(Math.abs(p - at[i]!) <= 1e-12))
        if (wrong >= 0) expect(at[wrong], `${name} level ${level} place ${wrong}`).toBe(row[wrong])
      }
    }
    const { trees: best, logPosterior } = mapTree(grammar, up)
    for (let b = 0; b < 2; b++) {
      const own = likelihood.subarray(b * d * v, (b + 1) * d * v)
      const levels = treeAt(grammar, best.levels, b)
      if (up.impossible[b]) {
        expect(levels.flat().every((x) => x === -1)).toBe(true)
        expect(logPosterior[b]).toBe(-Infinity)
        continue
      }
      // ties may be broken either way: what counts is that no tree is more probable
      const { evidence, mapPosterior } = truths[b]!
      const found = byLeaves.get(levels.at(-1)!.join())
      expect(found!.levels).toEqual(levels)
      expect(isNear(jointWith(grammar, own, found!) / evidence, mapPosterior)).toBe(true)
      expect(isNear(logPosterior[b]!, Math.log(mapPosterior))).toBe(true)
    }
    const drawn = samplePosterior(grammar, up, random.key(seed + 2), 3)
    expect(drawn.count).toBe(6)
    for (let i = 0; i < 6; i++) {
      const b = Math.floor(i / 3)
      const levels = treeAt(grammar, drawn.levels, i)
      if (up.impossible[b]) expect(levels.flat().every((x) => x === -1)).toBe(true)
      else {
        const own = likelihood.subarray(b * d * v, (b + 1) * d * v)
        const found = byLeaves.get(levels.at(-1)!.join())
        expect(found!.levels).toEqual(levels)
        expect(jointWith(grammar, own, found!)).toBeGreaterThan(0)
      }
    }
  }
}

/** The exact predictive of the last token by summing over all trees that agree on the window. */
function comparePredictions(grammar: Grammar, trees: readonly Tree[], seed: number): void {
  const { v, d } = grammar
  const some = sampleTrees(grammar, random.key(seed), 2).levels.at(-1)!
  // the second string has a foreign token: often nothing agrees with it
  some[d] = (some[d]! + 1) % v
  for (const window of new Set([0, 1, d >> 1, d - 1])) {
    const predictive = lastToken(grammar, some, window)
    for (let b = 0; b < 2; b++) {
      const string = some.subarray(b * d, (b + 1) * d)
      const mass = new Array<number>(v).fill(0)
      for (const { levels, probability } of trees) {
        const leaves = levels.at(-1)!
        let agrees = true
        for (let i = d - 1 - window; i < d - 1; i++) agrees &&= leaves[i] === string[i]
        if (agrees) mass[leaves[d - 1]!]! += probability
      }
      const total = mass.reduce((a, p) => a + p, 0)
      for (let x = 0; x < v; x++) {
        const expected = total > 0 ? mass[x]! / total : 0
        expect(Math.abs(predictive[b * v + x]! - expected)).toBeLessThanOrEqual(1e-12)
      }
    }
  }
}

describe('against enumeration', () => {
  it('random grammars, random and uncorrelated rules, any production probabilities, every channel', () => {
    fc.assert(
      fc.property(
        shapes(2500),
        fc.nat(1e6),
        fc.constantFrom('uniform', 'weighted', 'zeros'),
        fc.boolean(),
        (shape, seed, kind, wishes) => {
          const rules = wishes && shape.m % shape.v === 0 ? 'uncorrelated' : 'random'
          const plain = grow(shape, seed, { rules })
          const grammar =
            kind === 'uniform' ? plain : withProbabilities(plain, random.key(seed), kind === 'zeros')
          const trees = enumerate(grammar)
          compare(grammar, trees, seed)
          comparePredictions(grammar, trees, seed)
        },
      ),
      { numRuns: 100 },
    )
  })

  it.each([
    { v: 4, classes: 3, m: 4, s: 2, L: 3 },
    { v: 3, classes: 2, m: 9, s: 3, L: 2 },
    { v: 3, classes: 3, m: 2, s: 2, L: 4 },
  ])('grammars with up to 1e5 strings: %o', (shape) => {
    const plain = grow(shape, 7)
    for (const grammar of [plain, withProbabilities(plain, random.key(8))]) {
      const trees = enumerate(grammar)
      expect(trees.length).toBe(strings(shape))
      compare(grammar, trees, 9)
    }
  })

  it('uncorrelated rules', () => {
    const grammar = grow({ v: 3, classes: 3, m: 3, s: 2, L: 3 }, 3, { rules: 'uncorrelated' })
    const trees = enumerate(grammar)
    compare(grammar, trees, 5)
    comparePredictions(grammar, trees, 5)
  })
})
