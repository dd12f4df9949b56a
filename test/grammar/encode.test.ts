import { describe, expect, it } from 'vitest'
import {
  entropy,
  entropyGivenClass,
  enumerate,
  lastTokenInputs,
  logProbability,
  makeGrammar,
  meanOccurrences,
  nextTokenInputs,
  oneHot,
  sampleTrees,
  treeCount,
  whiten,
  zipf,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

describe('encodings', () => {
  it('one-hot rows, zeros for what is not known', () => {
    expect([...oneHot([2, 0, -1, 1], 3)]).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0])
    expect(() => oneHot([0, 3], 3)).toThrow('leaves[1]: expected a symbol 0 … 2 (or −1, not known), got 3')
  })

  it('whitened rows sum to zero and have unit norm', () => {
    for (const v of [2, 5, 32]) {
      const rows = whiten(oneHot([0, v - 1, 1], v), v)
      for (let i = 0; i < 3; i++) {
        const row = rows.subarray(i * v, (i + 1) * v)
        expect(row.reduce((sum, x) => sum + x, 0)).toBeCloseTo(0, 6)
        expect(row.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 6)
      }
    }
    expect(() => whiten([1], 1)).toThrow('expected v ≥ 2')
  })

  it('the last tokens as inputs: the last of them unseen and wanted, the others of norm √v', () => {
    const leaves = Int32Array.of(0, 1, 2, 3, 3, 2, 1, 0)
    const { x, last } = lastTokenInputs(leaves, { d: 4, v: 4, width: 2 })
    expect([...last]).toEqual([3, 0])
    const [none, two, one] = [
      [0, 0, 0, 0],
      [0, 0, 2, 0],
      [0, 2, 0, 0],
    ]
    expect([...x]).toEqual([...two!, ...none!, ...one!, ...none!])
    expect(() => lastTokenInputs(leaves, { d: 4, v: 4, width: 5 })).toThrow(
      'width: expected an integer from 1 to 4 tokens, got 5',
    )
  })

  it('every token with the one after it', () => {
    const leaves = Int32Array.of(0, 1, 2, 3, 3, 2, 1, 0)
    const { tokens, next } = nextTokenInputs(leaves, { d: 4, width: 3 })
    expect([...tokens]).toEqual([1, 2, 2, 1])
    expect([...next]).toEqual([2, 3, 1, 0])
    for (const width of [1, 5])
      expect(() => nextTokenInputs(leaves, { d: 4, width })).toThrow(
        `width: expected an integer from 2 to 4 tokens, got ${width}`,
      )
  })
})

describe('entropies and probabilities', () => {
  it('uniform productions: ln P_max', () => {
    for (const shape of [
      { v: 8, classes: 6, m: 3, s: 2, L: 3 },
      { v: 4, classes: 2, m: 4, s: 3, L: 2 },
    ]) {
      const grammar = makeGrammar(shape, random.key(1))
      expect(entropy(grammar)).toBeCloseTo(Math.log(Number(treeCount(shape))), 10)
      expect(entropyGivenClass(grammar)).toBeCloseTo(Math.log(Number(treeCount(shape)) / shape.classes), 10)
    }
  })

  it('any productions: −Σ p ln p over all strings', () => {
    for (const [seed, exponent] of [0.5, 1, 2.5].entries()) {
      const grammar = makeGrammar({ v: 4, classes: 3, m: 3, s: 2, L: 3 }, random.key(seed), {
        probabilities: { zipf: exponent },
      })
      const logs = logProbability(grammar, enumerate(grammar))
      expect(logs.reduce((sum, log) => sum + Math.exp(log), 0)).toBeCloseTo(1, 10)
      expect(entropy(grammar)).toBeCloseTo(
        logs.reduce((sum, log) => sum - Math.exp(log) * log, 0),
        10,
      )
      expect(entropy(grammar)).toBeLessThan(Math.log(Number(treeCount(grammar))))
    }
  })

  it('occurrences agree with counting', () => {
    const grammar = makeGrammar({ v: 5, classes: 3, m: 3, s: 2, L: 3 }, random.key(4), {
      probabilities: { zipf: 1.5 },
    })
    const trees = sampleTrees(grammar, random.key(5), 20_000)
    for (const [level, expected] of meanOccurrences(grammar).entries()) {
      const counts = new Float64Array(expected.length)
      for (const symbol of trees.levels[level]!) counts[symbol]! += 1 / 20_000
      for (const [symbol, mean] of expected.entries())
        expect(Math.abs(counts[symbol]! - mean)).toBeLessThan(0.06)
      expect(expected.reduce((a, b) => a + b, 0)).toBeCloseTo(2 ** level, 12)
    }
  })

  it("Zipf's law: ratios are powers, exponent 0 is uniform", () => {
    const weights = zipf(5, 1.5)
    expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 14)
    for (let k = 1; k < 5; k++) expect(weights[0]! / weights[k]!).toBeCloseTo((k + 1) ** 1.5, 10)
    expect([...zipf(4, 0)]).toEqual([0.25, 0.25, 0.25, 0.25])
    const shape = { v: 4, classes: 3, m: 2, s: 2, L: 2 }
    expect(makeGrammar(shape, random.key(0)).probabilities).toBeUndefined()
    const skewed = makeGrammar(shape, random.key(0), { probabilities: { zipf: 1 } })
    expect(skewed.rules).toEqual(makeGrammar(shape, random.key(0)).rules)
    expect([...skewed.probabilities![0]!]).toEqual([2 / 3, 1 / 3, 2 / 3, 1 / 3, 2 / 3, 1 / 3])
    for (const exponent of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => makeGrammar(shape, random.key(0), { probabilities: { zipf: exponent } })).toThrow(
        'config.probabilities.zipf: expected an exponent ≥ 0',
      )
  })
})
