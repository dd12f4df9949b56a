import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  beliefs,
  combineBeliefs,
  correlationExponent,
  correlationLength,
  downwardMap,
  epsStar,
  hasTransition,
  phase,
  pStar,
  type Shape,
  upwardMap,
  upwardSlope,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { averagedMap, digits, mean, standardError, tableWithTrueTuple } from './theory-reference.ts'

const shapeOf = (v: number, m: number, s = 2, L = 4): Shape => ({ v, classes: v, m, s, L })
const shapes = fc
  .record({ s: fc.integer({ min: 2, max: 4 }), v: fc.integer({ min: 2, max: 7 }) })
  .chain(({ s, v }) =>
    fc.record({ s: fc.constant(s), v: fc.constant(v), m: fc.integer({ min: 1, max: v ** (s - 1) }) }),
  )

/** Mean of a ratio of averages over tables, with the standard error of its numerator's residual. */
function ratioOfAverages(pairs: readonly (readonly [number, number])[]): { ratio: number; error: number } {
  const all = mean(pairs.map(([, b]) => b))
  const ratio = mean(pairs.map(([a]) => a)) / all
  return { ratio, error: standardError(pairs.map(([a, b]) => a - ratio * b)) / all }
}

describe('upward map', () => {
  it.each([
    [6, 3, 2, 6, 0.4],
    [6, 3, 2, 4, 0.7],
    [4, 5, 3, 4, 0.5],
  ])('v = %i, m = %i, s = %i, %i parents, p = %f: random rules, averaged', (v, m, s, parents, p) => {
    const keys = random.split(random.key(v + s), 4000)
    const pairs = keys.map((key) => {
      const weights = tableWithTrueTuple(v, m, s, parents, key).map((number) =>
        digits(v, s, number).reduce((product, x) => product * (x === 0 ? p : (1 - p) / (v - 1)), 1),
      )
      const sum = (xs: number[]): number => xs.reduce((a, b) => a + b, 0)
      return [sum(weights.slice(0, m)), sum(weights)] as const
    })
    const { ratio, error } = ratioOfAverages(pairs)
    expect(error).toBeLessThan(0.004)
    expect(Math.abs(upwardMap(shapeOf(v, m, s), p, parents) - ratio)).toBeLessThan(4 * error)
  })

  it('counts every tuple once', () => {
    fc.assert(
      fc.property(shapes, fc.double({ min: 0.01, max: 1, noNaN: true }), ({ v, m, s }, p) => {
        expect(upwardMap(shapeOf(v, m, s), p)).toBeCloseTo(averagedMap(v, m, s, v, p), 10)
      }),
      { numRuns: 60 },
    )
  })

  it('slope is the finite difference', () => {
    fc.assert(
      fc.property(shapes, fc.double({ min: 0.05, max: 0.95, noNaN: true }), ({ v, m, s }, p) => {
        const [low, high] = [averagedMap(v, m, s, v, p - 1e-5), averagedMap(v, m, s, v, p + 1e-5)]
        expect(upwardSlope(shapeOf(v, m, s), p)).toBeCloseTo((high - low) / 2e-5, 5)
      }),
      { numRuns: 40 },
    )
  })

  it('says which argument is impossible', () => {
    expect(() => upwardMap(shapeOf(8, 2), 1.5)).toThrow(/^p: expected a number in \[0, 1\], got 1.5/)
    expect(() => upwardMap(shapeOf(8, 9), 0.5)).toThrow('expected v·m ≤ v^s')
    expect(() => beliefs(shapeOf(8, 2), Number.NaN)).toThrow('eps: expected a number in [0, 1], got NaN')
    expect(() => pStar({ v: 1, classes: 1, m: 1, s: 2, L: 2 })).toThrow('expected at least 2 symbols')
  })
})

describe('downward map', () => {
  it.each([
    [6, 3, 2, 0.5, 0.4],
    [4, 5, 3, 0.8, 0.3],
  ])('v = %i, m = %i, s = %i, q = %f, p = %f: random rules, averaged', (v, m, s, q, p) => {
    const keys = random.split(random.key(10 * v + s), 6000)
    const pairs = keys.map((key) => {
      let [right, all] = [0, 0]
      for (const [rule, number] of tableWithTrueTuple(v, m, s, v, key).entries()) {
        const [child, ...siblings] = digits(v, s, number) as [number, ...number[]]
        const parent = rule < m ? q : (1 - q) / (v - 1)
        const weight = siblings.reduce((product, x) => product * (x === 0 ? p : (1 - p) / (v - 1)), parent)
        all += weight
        if (child === 0) right += weight
      }
      return [right, all] as const
    })
    const { ratio, error } = ratioOfAverages(pairs)
    expect(error).toBeLessThan(0.006)
    expect(Math.abs(downwardMap(shapeOf(v, m, s), q, p) - ratio)).toBeLessThan(4 * error)
  })
})

describe('beliefs', () => {
  it('a clean datum is certain, the root has its prior from above', () => {
    const { up, marginal, down } = beliefs({ v: 8, classes: 5, m: 3, s: 2, L: 4 }, 0)
    for (const p of [...up, ...marginal]) expect(p).toBeCloseTo(1, 12)
    expect(down[4]).toBe(1 / 5)
  })

  it('an erased one leaves the priors: 1/classes at the root', () => {
    const { up } = beliefs({ v: 8, classes: 5, m: 3, s: 2, L: 4 }, 1)
    for (const p of up.slice(0, 4)) expect(p).toBeCloseTo(1 / 8, 12)
    expect(up[4]).toBeCloseTo(1 / 5, 12)
  })

  it('two sources of evidence combine by Bayes', () => {
    // Symbol 0 true; likelihoods from below and above multiply.
    const below = [0.6, 0.2, 0.2]
    const around = [0.3, 0.35, 0.35]
    const products = below.map((p, i) => p * around[i]!)
    expect(combineBeliefs(0.6, 0.3, 3)).toBeCloseTo(products[0]! / products.reduce((a, b) => a + b), 12)
    expect(combineBeliefs(1, 0, 3)).toBe(0)
    expect(combineBeliefs(0.2, 0.9, 1)).toBe(1)
  })

  it('the class belief steepens with depth on both sides of the transition, and crosses the leaves there', () => {
    const root = (L: number, eps: number): number => beliefs(shapeOf(32, 8, 2, L), eps).marginal[L]!
    for (const L of [4, 6, 8]) {
      expect(root(L + 2, 0.7)).toBeGreaterThan(root(L, 0.7))
      expect(root(L + 2, 0.76)).toBeLessThan(root(L, 0.76))
    }
    const shape = shapeOf(32, 8, 2, 10)
    const crosses = (eps: number): number =>
      beliefs(shape, eps).marginal[10]! - beliefs(shape, eps).marginal[0]!
    expect(crosses(0.7)).toBeGreaterThan(0)
    expect(crosses(0.76)).toBeLessThan(0)
  })
})

/** Where the averaged map leads after many levels. */
const limitOf = (v: number, m: number, s: number, p: number, steps = 300): number => {
  let belief = p
  for (let i = 0; i < steps; i++) belief = averagedMap(v, m, s, v, belief)
  return belief
}

describe('transition', () => {
  it.each([
    [32, 8, 2, 0.2917, 0.7312, 1.4422, 1.893],
    [16, 4, 2, 0.25, 0.8, 1.36, 2.254],
    [16, 3, 2, 0.1538, 0.9026, 1.31, 2.57],
    [16, 6, 2, 0.5, 0.533, 1.259, 3.01],
    [8, 3, 2, 0.4, 0.686, 1.224, 3.42],
    [12, 3, 2, 0.222, 0.849, 1.289, 2.73],
    [24, 6, 2, 0.278, 0.754, 1.418, 1.99],
    [8, 8, 3, 0.354, 0.739, 1.565, 2.45],
  ])('v = %i, m = %i, s = %i: p*, ε*, slope, ν', (v, m, s, p, eps, slope, nu) => {
    const shape = shapeOf(v, m, s)
    expect(hasTransition(shape)).toBe(true)
    expect(Math.abs(pStar(shape)! - p)).toBeLessThan(6e-4)
    expect(Math.abs(epsStar(shape)! - eps)).toBeLessThan(6e-4)
    expect(Math.abs(upwardSlope(shape, pStar(shape)!) - slope)).toBeLessThan(6e-4)
    expect(Math.abs(correlationExponent(shape)! - nu)).toBeLessThan(6e-3)
  })

  it.each([
    [6, 2, 2],
    [4, 5, 3],
    [5, 7, 3],
    [3, 6, 4],
  ])('v = %i, m = %i, s = %i: p* separates what iteration recovers, ν is its rate of escape', (v, m, s) => {
    let [low, high] = [1 / v + 1e-4, 1 - 1e-4]
    for (let i = 0; i < 30; i++) {
      const middle = (low + high) / 2
      if (limitOf(v, m, s, middle) > (1 + 1 / v) / 2) high = middle
      else low = middle
    }
    const shape = shapeOf(v, m, s)
    const star = pStar(shape)!
    expect(Math.abs(star - low)).toBeLessThan(1e-6)
    const rate = limitOf(v, m, s, star + 1e-7, 4) - star
    expect(correlationExponent(shape)!).toBeCloseTo(Math.log(s) / (Math.log(rate / 1e-7) / 4), 3)
  })

  it('the phase tells what iteration does with a little and with much noise', () => {
    fc.assert(
      fc.property(shapes, ({ v, m, s }) => {
        const shape = shapeOf(v, m, s)
        const [much, little] = [limitOf(v, m, s, 1 / v + 1e-3, 200), limitOf(v, m, s, 1 - 1e-3, 200)]
        const kind = phase(shape)
        // Iteration is slow where a fixed point is almost marginal; those shapes say nothing.
        fc.pre(Math.abs(upwardSlope(shape, 1) - 1) > 0.05 && Math.abs(upwardSlope(shape, 1 / v) - 1) > 0.05)
        fc.pre(pStar(shape) === undefined || (pStar(shape)! > 1 / v + 2e-3 && pStar(shape)! < 1 - 2e-3))
        expect(little > 0.999, 'little noise').toBe(kind !== 'lost')
        expect(much > 0.999, 'much noise').toBe(kind === 'kept')
        expect(hasTransition(shape)).toBe(kind === 'transition')
        expect(epsStar(shape) === undefined).toBe(kind !== 'transition')
      }),
      { numRuns: 60 },
    )
  })

  it('ξ: ten times closer to ε*, the departure takes ln 10/ln F′ more levels to grow', () => {
    const [v, m, s] = [8, 3, 2] as const
    const shape = shapeOf(v, m, s)
    const critical = epsStar(shape)!
    const levelsToLeave = (distance: number): number => {
      let p = 1 - (critical + distance) * (1 - 1 / v)
      let levels = 0
      let before = p
      while (p > 0.3) {
        before = p
        p = averagedMap(v, m, s, v, p)
        levels++
      }
      return levels - (0.3 - p) / (before - p)
    }
    const more = levelsToLeave(1e-6) - levelsToLeave(1e-4)
    const ratio = correlationLength(shape, critical + 1e-6) / correlationLength(shape, critical + 1e-4)
    expect(Math.log(ratio) / Math.log(s)).toBeCloseTo(more, 1)
    expect(correlationLength(shape, critical)).toBe(Infinity)
    expect(() => correlationLength(shapeOf(8, 5), 0.5)).toThrow('(the class is lost at every noise)')
  })
})
