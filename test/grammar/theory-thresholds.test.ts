import { describe, expect, it } from 'vitest'
import {
  branchingRatio,
  classificationThreshold,
  clusteringThreshold,
  compatibleTokens,
  effectiveContext,
  exactTokenCorrelation,
  exactTupleClassSignal,
  exponents,
  type Learner,
  legalShare,
  levelThreshold,
  logDataSize,
  makeGrammar,
  otherLegalShare,
  randomValidity,
  resolvedHeight,
  type Shape,
  synonymShare,
  validityOverChance,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { derivations, mean } from './theory-reference.ts'

const shapeOf = (v: number, m: number, s: number, L: number): Shape => ({ v, classes: v, m, s, L })

describe('fractions of legal tuples', () => {
  it('are what drawn tables have', () => {
    for (const shape of [shapeOf(6, 4, 2, 2), shapeOf(4, 3, 3, 2)]) {
      const { v, m, s } = shape
      const table = makeGrammar(shape, random.key(1)).rules[1]!
      const legal = new Set(
        Array.from({ length: v * m }, (_, rule) => table.subarray(rule * s, (rule + 1) * s).join()),
      )
      expect(legal.size / v ** s).toBeCloseTo(legalShare(shape), 14)
      // Of the tuples other than one of parent 0: those of any parent, and the others of parent 0.
      expect((legal.size - 1) / (v ** s - 1)).toBeCloseTo(otherLegalShare(shape), 14)
      expect((m - 1) / (v ** s - 1)).toBeCloseTo(synonymShare(shape), 14)
      expect(branchingRatio(shape)).toBeCloseTo((s * legal.size) / v ** s, 14)
    }
  })

  it('random leaves are legal at height ℓ as often as formula says', () => {
    const shape = shapeOf(8, 3, 2, 3)
    for (const [height, share] of [1, 0.375, 0.053, 0.001].entries())
      expect(Math.abs(randomValidity(shape, height) - share)).toBeLessThan(4e-4)
    // Strings below a node, over all strings of its length; any of the symbols may be on top.
    const { v, m, s } = shape
    for (let height = 1; height <= 2; height++) {
      const grammar = makeGrammar({ ...shape, L: height }, random.key(height))
      const strings = new Set(derivations(grammar).map(({ levels }) => levels[height]!.join()))
      expect(strings.size).toBe(v * m ** (s ** height - 1))
      expect(strings.size / v ** (s ** height)).toBeCloseTo(randomValidity(shape, height), 12)
      expect(validityOverChance(shape, height, strings.size / v ** (s ** height))).toBeCloseTo(0, 12)
      expect(validityOverChance(shape, height, 1)).toBe(1)
    }
  })
})

describe('numbers of data', () => {
  it.each([
    [8, 3, 2, 3, 17_496],
    [16, 4, 2, 3, 262_144],
    [8, 4, 2, 3, 131_072],
    [32, 8, 2, 3, 67_108_864],
  ])('v = %i, m = %i, s = %i, L = %i: P_max', (v, m, s, L, size) => {
    expect(Math.exp(logDataSize(shapeOf(v, m, s, L)))).toBeCloseTo(size, size > 1e7 ? -1 : 3)
  })

  it('P_max counts derivations', () => {
    for (const shape of [
      { v: 4, classes: 3, m: 2, s: 2, L: 3 },
      { v: 3, classes: 5, m: 2, s: 3, L: 2 },
    ])
      expect(logDataSize(shape)).toBeCloseTo(
        Math.log(derivations(makeGrammar(shape, random.key(0))).length),
        12,
      )
  })

  it('P*: where the exact signal of tuples meets the noise of counting them', () => {
    for (const [v, m, classes, L] of [
      [32, 8, 32, 3],
      [32, 8, 16, 3],
      [24, 12, 24, 3],
    ] as const) {
      const shape = { v, classes, m, s: 2, L }
      const keys = random.split(random.key(2), 8)
      const signal = mean(keys.map((key) => exactTupleClassSignal(makeGrammar(shape, key), 0)))
      // A tuple is in P/(v·m) data, and in P/(v·m·n_c) of each class: the relative variance of a Poisson count.
      const meets = (v * m * classes) / signal
      expect(Math.abs(meets / classificationThreshold(shape) - 1)).toBeLessThan(0.25)
    }
    expect(classificationThreshold(shapeOf(8, 4, 2, 3))).toBe(512)
    expect(clusteringThreshold({ v: 8, classes: 16, m: 4, s: 2, L: 3 })).toBe(256)
  })

  it.each([
    ['transformer', 12, 3, 4, [48, 432, 3888, 34_992]],
    ['cnn', 12, 3, 4, [48, 432, 1296, 3888]],
    ['diffusion', 16, 4, 4, [Number.NaN, 1365.3, 5461.3, 21_845.3]],
    ['diffusion', 32, 8, 3, [Number.NaN, 21_845.3, 174_762.7]],
  ] as [Learner, number, number, number, number[]][])(
    'P_ℓ of a %s, v = %i, m = %i',
    (learner, v, m, L, expected) => {
      const shape = shapeOf(v, m, 2, L)
      for (const [i, P] of expected.entries()) {
        if (Number.isNaN(P)) {
          expect(() => levelThreshold(shape, learner, i + 1)).toThrow('height: expected an integer from 2')
          continue
        }
        expect(levelThreshold(shape, learner, i + 1)).toBeCloseTo(P, 1)
        expect(resolvedHeight(shape, learner, P * 1.001)).toBe(i + 1)
        expect(resolvedHeight(shape, learner, P * 0.999)).toBe(learner === 'diffusion' && i === 1 ? 0 : i)
      }
    },
  )

  it('P_ℓ of a transformer: where exact token correlations rise above what P data seem to have', () => {
    const shape = shapeOf(32, 8, 2, 2)
    const grammars = random.split(random.key(3), 6).map((key) => makeGrammar(shape, key))
    for (const height of [1, 2]) {
      const square = mean(grammars.map((grammar) => exactTokenCorrelation(grammar, height) ** 2))
      const P = 1 / (32 * 32 * square)
      expect(Math.abs(levelThreshold(shape, 'transformer', height) / P - 1)).toBeLessThan(0.12)
    }
  })

  it('context: s^ℓ at the threshold of height ℓ', () => {
    for (const shape of [shapeOf(12, 3, 2, 5), shapeOf(9, 5, 3, 4)])
      for (let height = 1; height <= shape.L; height++) {
        const { v, m, s } = shape
        const P = (v * m ** (2 * height - 1)) / (1 - m / v ** (s - 1))
        expect(effectiveContext(shape, P)).toBeCloseTo(s ** height, 8)
      }
    expect(effectiveContext(shapeOf(8, 1, 2, 3), 4)).toBe(0)
    expect(effectiveContext(shapeOf(8, 1, 2, 3), 100)).toBe(Infinity)
    expect(effectiveContext(shapeOf(8, 8, 2, 3), 100)).toBe(0)
    expect(levelThreshold(shapeOf(8, 8, 2, 3), 'cnn', 2)).toBe(Infinity)
    expect(() => effectiveContext(shapeOf(8, 3, 2, 3), 0)).toThrow('P: expected a number of data > 0, got 0')
  })
})

describe('exponents', () => {
  it.each([
    [32, 8, 0.333, 0.667],
    [16, 4, 0.5, 1.0],
    [12, 3, 0.63, 1.26],
    [16, 3, 0.76, 1.52],
    [8, 3, 0.45, 0.89],
  ])('v = %i, m = %i: α of a transformer and of a CNN', (v, m, transformer, cnn) => {
    const { alphaTransformer, alphaCnn } = exponents(shapeOf(v, m, 2, 4))
    expect(Math.abs(alphaTransformer! - transformer)).toBeLessThan(6e-3)
    expect(Math.abs(alphaCnn! - cnn)).toBeLessThan(6e-3)
  })

  it('α is the slope of the excess loss between thresholds, γ between contexts', () => {
    for (const shape of [shapeOf(4096, 512, 2, 10), shapeOf(64, 512, 3, 10)]) {
      // Excess of ln N̄ over its last value; heights at which it is small already.
      const bound = (height: number): number =>
        Math.log(compatibleTokens({ ...shape, classes: shape.v, L: 14 }, height))
      const fall = Math.log((bound(7) - bound(14)) / (bound(8) - bound(14)))
      const { alphaTransformer, alphaCnn, gamma, z } = exponents(shape)
      const growth = (learner: Learner): number =>
        Math.log(levelThreshold(shape, learner, 8) / levelThreshold(shape, learner, 7))
      expect(fall / growth('transformer') / alphaTransformer!).toBeCloseTo(1, 1)
      expect(fall / growth('cnn') / alphaCnn!).toBeCloseTo(1, 1)
      expect(fall / Math.log(shape.s) / gamma).toBeCloseTo(1, 1)
      expect(alphaTransformer! * z).toBeCloseTo(gamma, 12)
    }
  })

  it('β is the decay of exact correlations with distance', () => {
    for (const shape of [shapeOf(32, 4, 2, 4), shapeOf(10, 8, 3, 4)]) {
      const grammars = random.split(random.key(5), 10).map((key) => makeGrammar(shape, key))
      const strength = (height: number): number => mean(grammars.map((g) => exactTokenCorrelation(g, height)))
      const slope = Math.log(strength(1) / strength(3)) / (2 * Math.log(shape.s))
      expect(Math.abs(slope / exponents(shape).beta - 1)).toBeLessThan(0.1)
    }
  })

  it('d^β · classes is the classification threshold; one rule has no exponent in P', () => {
    const shape = { v: 8, classes: 5, m: 3, s: 2, L: 4 }
    expect(5 * 16 ** exponents(shape).beta).toBeCloseTo(classificationThreshold(shape), 8)
    expect(exponents(shapeOf(8, 1, 2, 3)).alphaCnn).toBeUndefined()
  })
})
