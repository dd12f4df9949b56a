/** @file Correlations of changes: estimators against loops over pairs, exact values against enumeration, and their traps. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  changesOf,
  channels,
  correlationLength,
  covarianceByDistance,
  covarianceSums,
  distancesOf,
  exactCovarianceSums,
  jackknife,
  leafEvidence,
  meanAndError,
  pairCounts,
  relativeCorrelations,
  susceptibility,
  uTurn,
} from '../../src/diffusion/index.ts'
import { type Grammar, inferUp, makeGrammar, sampleTrees } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { allStrings, posteriorOver, smallGrammar } from './helpers.ts'

/** Height of the lowest common ancestor of leaves i and j. */
function ancestorHeight(i: number, j: number, s: number): number {
  let height = 0
  for (let [a, b] = [i, j]; a !== b; height++) [a, b] = [Math.floor(a / s), Math.floor(b / s)]
  return height
}

/** Sample covariance of columns i and j, n/(n − 1). */
function columnCovariance(values: ArrayLike<number>, n: number, d: number, i: number, j: number): number {
  let [a, b, ab] = [0, 0, 0]
  for (let k = 0; k < n; k++) {
    a += values[k * d + i]! / n
    b += values[k * d + j]! / n
    ab += (values[k * d + i]! * values[k * d + j]!) / n
  }
  return ((ab - a * b) * n) / (n - 1)
}

const shapes = fc.constantFrom([2, 8], [3, 9], [2, 16], [4, 4], [2, 2]) // s, d
const table = shapes.chain(([s, d]) =>
  fc
    .integer({ min: 2, max: 6 })
    .chain((n) =>
      fc
        .array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: n * d!, maxLength: n * d! })
        .map((values) => ({ values, n, d: d!, s: s! })),
    ),
)

test('sums by height are sums over pairs', () => {
  fc.assert(
    fc.property(table, (changes) => {
      const { values, n, d, s } = changes
      const found = covarianceSums(changes)
      const expected = new Array<number>(found.length).fill(0)
      for (let i = 0; i < d; i++)
        for (let j = 0; j < d; j++) expected[ancestorHeight(i, j, s)]! += columnCovariance(values, n, d, i, j)
      for (const [height, sum] of expected.entries()) expect(found[height]).toBeCloseTo(sum, 8)
    }),
    { numRuns: 60 },
  )
})

test('covariances by distance are means over pairs, on a line and on a ring', () => {
  fc.assert(
    fc.property(
      table.filter(({ s }) => s !== 3),
      (changes) => {
        const { values, n, d } = changes
        for (const ring of [false, true]) {
          const found = covarianceByDistance(changes, { ring })
          for (let r = 0; r < d; r++) {
            let [sum, pairs] = [0, 0]
            for (let i = 0; i < d; i++) {
              if (!ring && i + r >= d) continue
              sum += columnCovariance(values, n, d, i, (i + r) % d)
              pairs++
            }
            expect(found[r]).toBeCloseTo(sum / pairs, 8)
          }
        }
      },
    ),
    { numRuns: 40 },
  )
})

test.each([
  [2, 16],
  [3, 27],
])('pairs at each height, s = %i, d = %i', (s, d) => {
  const counts = new Array<number>(pairCounts(d, s).length).fill(0)
  for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) counts[ancestorHeight(i, j, s)]!++
  expect(pairCounts(d, s)).toEqual(counts)
})

/** Signs ±1 [n, d]: each is that of its trajectory with probability `shared`, its own otherwise. */
function signs(n: number, d: number, seed: number, shared: number, bias: number): Float64Array {
  const own = random.sampleUniform(random.key(seed), n * d)
  const common = random.sampleUniform(random.key(seed + 1), n)
  const which = random.sampleUniform(random.key(seed + 2), n * d)
  return Float64Array.from(own, (unit, at) =>
    (which[at]! < shared ? common[Math.floor(at / d)]! : unit) < bias ? 1 : -1,
  )
}

test('χ is 1 when tokens change independently, and 1 + (d − 1)ρ when every pair has correlation ρ', () => {
  const [n, d, data] = [8, 16, 600]
  const chiOf = (shared: number) =>
    jackknife(
      Array.from({ length: data }, (_, b) =>
        covarianceSums({ values: signs(n, d, 3 * b, shared, 0.3), n, d, s: 2 }),
      ),
      susceptibility,
    )
  const independent = chiOf(0)
  expect(Math.abs(independent.value - 1)).toBeLessThan(4 * independent.error!)
  expect(independent.error!).toBeLessThan(0.05)
  const together = chiOf(0.5)
  // both signs are the trajectory's with probability 1/4: ρ = 1/4
  expect(Math.abs(together.value - (1 + 15 / 4))).toBeLessThan(4 * together.error!)
})

test('pooling over data adds the variance of their means, averaging over data does not', () => {
  const [n, d, data] = [50, 16, 40]
  const all = Array.from({ length: data }, (_, b) => signs(n, d, 3 * b + 1000, 0, b % 2 ? 0.2 : 0.8))
  const averaged = jackknife(
    all.map((values) => covarianceSums({ values, n, d, s: 2 })),
    susceptibility,
  )
  expect(Math.abs(averaged.value - 1)).toBeLessThan(4 * averaged.error!)
  const pooled = Float64Array.from(all.flatMap((values) => Array.from(values)))
  // every pair shares the datum's mean ±0.6: correlation 0.36
  expect(susceptibility(covarianceSums({ values: pooled, n: n * data, d, s: 2 }))).toBeCloseTo(
    1 + 15 * 0.36,
    0,
  )
})

test('changes', () => {
  expect(Array.from(changesOf([1, 2], [1, 3, 0, 2], 2))).toEqual([-1, 1, 1, -1])
  expect(Array.from(distancesOf([1, 2], [1, 3.5, 0, 2], 2))).toEqual([0, 1.5, 1, 0])
})

test('correlations and length of a known law', () => {
  const [s, L, d] = [2, 12, 4096]
  const counts = pairCounts(d, s)
  const law = (xi: number) =>
    counts.map((pairs, h) => pairs * (h === 0 ? 1 : Math.exp(-(2 ** h - 1) / xi) / (2 ** h - 1)))
  const relative = relativeCorrelations(law(30), s)
  expect(relative[0]).toBe(1)
  for (let h = 1; h <= L; h++) expect(relative[h]).toBeCloseTo(law(30)[h]! / counts[h]!, 12)
  // proportional to ξ, the same factor at every scale
  const [a, b, c] = [8, 32, 128].map((xi) => correlationLength(law(xi), s) / xi) as [number, number, number]
  expect(b / a).toBeCloseTo(1, 1)
  expect(c / b).toBeCloseTo(1, 1)
})

describe('exact covariances', () => {
  const families: [string, Grammar][] = [
    ['v=3 m=2 s=2 L=2', smallGrammar(4)],
    ['v=4 m=2 s=2 L=3', makeGrammar({ v: 4, classes: 3, m: 2, s: 2, L: 3 }, random.key(8))],
    ['v=3 m=3 s=3 L=2', makeGrammar({ v: 3, classes: 2, m: 3, s: 3, L: 2 }, random.key(9))],
    ['non-uniform', unevenGrammar()],
  ]

  test.each(families)('are those of enumeration, every channel: %s', (_, grammar) => {
    const { d, v, s, L } = grammar
    const strings = allStrings(grammar)
    const truth = sampleTrees(grammar, random.key(2), 2).levels[L]!
    for (const channel of Object.values(channels)) {
      const likelihood = leafEvidence(channel, truth, { v, noise: 0.55, key: random.key(3) })
      const found = exactCovarianceSums(grammar, inferUp(grammar, likelihood, 2), truth)
      for (let b = 0; b < 2; b++) {
        const leaves = truth.subarray(b * d, (b + 1) * d)
        const weights = strings.map((string) => prior(grammar, string))
        const raw = posteriorOver(strings, likelihood.subarray(b * d * v, (b + 1) * d * v), v).map(
          (p, i) => p * weights[i]!,
        )
        const sum = raw.reduce((x, y) => x + y, 0)
        const p = raw.map((x) => x / sum)
        const changed = (i: number, k: number) => (strings[i]![k] === leaves[k] ? -1 : 1)
        const mean = Array.from({ length: d }, (_, k) => p.reduce((m, pi, i) => m + pi * changed(i, k), 0))
        const expected = new Array<number>(L + 1).fill(0)
        for (let j = 0; j < d; j++)
          for (let k = 0; k < d; k++)
            expected[ancestorHeight(j, k, s)]! +=
              p.reduce((c, pi, i) => c + pi * changed(i, j) * changed(i, k), 0) - mean[j]! * mean[k]!
        for (const [height, value] of expected.entries()) expect(found[b]![height]).toBeCloseTo(value, 10)
      }
    }
  })

  test('are what samples tend to', () => {
    const grammar = makeGrammar({ v: 16, classes: 16, m: 4, s: 2, L: 5 }, random.key(1))
    const [data, n, noise] = [6, 400, 0.7]
    const truth = sampleTrees(grammar, random.key(2), data).levels[5]!
    const evidence = leafEvidence(channels.epsilon, truth, { v: 16, noise, key: random.key(0) })
    const exact = exactCovarianceSums(grammar, inferUp(grammar, evidence, data), truth)
    const samples = uTurn(grammar, channels.epsilon, truth, { noise, samples: n, key: random.key(3) })
      .levels[5]!
    const sampled = Array.from({ length: data }, (_, b) => {
      const leaves = truth.subarray(b * 32, (b + 1) * 32)
      return covarianceSums({
        values: changesOf(leaves, samples.subarray(b * n * 32, (b + 1) * n * 32), 32),
        n,
        d: 32,
        s: 2,
      })
    })
    const difference = susceptibilityOf(sampled) / susceptibilityOf(exact) - 1
    expect(Math.abs(difference)).toBeLessThan(0.1)
  })

  test('impossible evidence is refused', () => {
    const grammar = smallGrammar()
    const none = new Float64Array(grammar.d * grammar.v)
    expect(() => exactCovarianceSums(grammar, inferUp(grammar, none, 1), new Int32Array(4))).toThrow(
      /datum 0: expected evidence that the grammar allows/,
    )
  })
})

const susceptibilityOf = (rows: readonly Float64Array[]): number => jackknife(rows, susceptibility).value

/** Production probabilities 1/3 and 2/3 everywhere. */
function unevenGrammar(): Grammar {
  const grammar = smallGrammar(5)
  return {
    ...grammar,
    probabilities: grammar.rules.map(() => Float64Array.of(1 / 3, 2 / 3, 1 / 3, 2 / 3, 1 / 3, 2 / 3)),
  }
}

/** Prior weight of a string: the product of its rules' probabilities, by looking its tuples up. */
function prior(grammar: Grammar, string: Int32Array): number {
  if (!grammar.probabilities) return 1
  let symbols = Array.from(string)
  let weight = 1
  for (let level = grammar.L - 1; level >= 0; level--) {
    const above: number[] = []
    for (let at = 0; at < symbols.length; at += grammar.s)
      for (let rule = 0; rule < grammar.rules[level]!.length / grammar.s; rule++)
        if (
          symbols.slice(at, at + grammar.s).every((x, i) => grammar.rules[level]![rule * grammar.s + i] === x)
        ) {
          above.push(Math.floor(rule / grammar.m))
          weight *= grammar.probabilities[level]![rule]!
        }
    symbols = above
  }
  return weight
}

describe('error bars', () => {
  test('of a mean: the jackknife gives the usual standard error', () => {
    const rows = Array.from(random.sampleNormal(random.key(1), 50), (x) => [x, 1])
    const usual = meanAndError(rows.map(([x]) => x!))
    const found = jackknife(rows, (sum) => sum[0]! / sum[1]!)
    expect(found.value).toBeCloseTo(usual.value, 12)
    expect(found.error).toBeCloseTo(usual.error!, 12)
  })

  test('of a ratio: the error is the spread over repetitions', () => {
    const ratios: number[] = []
    let errors = 0
    for (let k = 0; k < 200; k++) {
      const x = random.sampleNormal(random.foldIn(random.key(2), k), 60)
      const rows = Array.from({ length: 30 }, (_, i) => [3 + x[2 * i]!, 2 + 0.5 * x[2 * i + 1]!])
      const { value, error } = jackknife(rows, (sum) => sum[0]! / sum[1]!)
      ratios.push(value)
      errors += error! / 200
    }
    const spread = meanAndError(ratios).error! * Math.sqrt(200)
    expect(errors / spread).toBeGreaterThan(0.85)
    expect(errors / spread).toBeLessThan(1.15)
  })

  test('a single group has no error', () => {
    expect(jackknife([[2, 1]], ([a, b]) => a! / b!)).toEqual({ value: 2, error: null })
    expect(meanAndError([5])).toEqual({ value: 5, error: null })
  })
})

test('messages', () => {
  expect(() => covarianceSums({ values: [1, 2], n: 1, d: 2, s: 2 })).toThrow(
    'trajectories: expected at least 2',
  )
  expect(() => covarianceSums({ values: [1, 2, 3], n: 2, d: 2, s: 2 })).toThrow(
    'values: expected n·d = 2·2 numbers',
  )
  expect(() => pairCounts(12, 2)).toThrow('d: expected a power of s = 2, got 12')
  expect(() => jackknife([], () => 0)).toThrow('expected at least one row')
})
