/** @file Texts as symbols, their correlations and their entropies, against direct counting and chains whose statistics are known. */
import { describe, expect, it } from 'vitest'
import {
  backOffLosses,
  blockProducts,
  mostContext,
  normalizeText,
  rare,
  sequenceOf,
  squaresOf,
} from '../../src/data/index.ts'
import { random } from '../../src/tensor/index.ts'
import { refusal } from './helpers.ts'

/** A Markov chain over three symbols: rows of transitions. */
const transitions = [
  [0.7, 0.2, 0.1],
  [0.1, 0.6, 0.3],
  [0.3, 0.1, 0.6],
]
const v = transitions.length

const pick = (p: readonly number[], unit: number): number => {
  let left = unit
  for (const [x, q] of p.entries()) {
    left -= q
    if (left < 0) return x
  }
  return p.length - 1
}

function chain(length: number, key: random.Key): Uint16Array {
  const units = random.sampleUniform(key, length)
  const ids = new Uint16Array(length)
  for (let i = 1; i < length; i++) ids[i] = pick(transitions[ids[i - 1]!]!, units[i]!)
  return ids
}

const times = (a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number[][] =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)))

/** T^t, and the stationary distribution. */
const powerOf = (t: number): number[][] => {
  let result: number[][] = transitions.map((_, i) => transitions.map((__, j) => (i === j ? 1 : 0)))
  for (let k = 0; k < t; k++) result = times(result, transitions)
  return result
}
const stationary = powerOf(200)[0]!

/** Mean over pairs of symbols of the squared covariance at distance t. */
const exactSquare = (t: number): number => {
  const joint = powerOf(t)
  let sum = 0
  for (let x = 0; x < v; x++)
    for (let y = 0; y < v; y++) sum += (stationary[x]! * joint[x]![y]! - stationary[x]! * stationary[y]!) ** 2
  return sum / v ** 2
}

const entropyOf = (p: readonly number[]): number => p.reduce((sum, q) => sum - q * Math.log(q), 0)

const errorOf = (values: readonly number[]): number => {
  const centre = values.reduce((a, b) => a + b, 0) / values.length
  const squares = values.reduce((sum, x) => sum + (x - centre) ** 2, 0)
  return Math.sqrt((squares * (values.length - 1)) / values.length)
}

describe('a text as symbols', () => {
  it('has keyboard quotes and dashes and single spaces, or letters alone', () => {
    const text = '  “Él—no”, said\r\n the ‘Señor’… 42\t'
    expect(normalizeText(text)).toBe('"Él--no", said the \'Señor\'… 42')
    expect(normalizeText(text, 'letters')).toBe('el no said the senor')
  })

  it('orders symbols by how frequent they are, and joins the rarest', () => {
    expect(sequenceOf('abcabac', 64)).toEqual({
      ids: Uint16Array.of(0, 1, 2, 0, 1, 0, 2),
      symbols: ['a', 'b', 'c'],
    })
    const { ids, symbols } = sequenceOf('aaabbcd', 3)
    expect(symbols).toEqual(['a', 'b', rare])
    expect([...ids]).toEqual([0, 0, 0, 1, 1, 2, 2])
    // characters beyond the first plane are one symbol
    expect([...sequenceOf('𝛼𝛽𝛼', 8).ids]).toEqual([0, 1, 0])
    expect(refusal(() => sequenceOf('aaa', 8)).message).toBe(
      'text: expected at least two kinds of symbols, got 1 in 3 symbols',
    )
  })
})

describe('correlations at a distance', () => {
  /** Products of the covariances of two blocks, by counting pairs of symbols one by one. */
  function directly(ids: Uint16Array, kinds: number, t: number, blocks: number) {
    const length = Math.floor(ids.length / blocks)
    const tables = Array.from({ length: blocks }, (_, b) => {
      const own = [...ids.subarray(b * length, (b + 1) * length)]
      const pairs = own.slice(0, length - t).map((x, i) => [x, own[i + t]!] as const)
      const share = (is: (pair: readonly [number, number]) => boolean) =>
        pairs.filter(is).length / pairs.length
      return Array.from({ length: kinds }, (_x, x) =>
        Array.from(
          { length: kinds },
          (_y, y) =>
            share(([a, c]) => a === x && c === y) - share(([a]) => a === x) * share(([, c]) => c === y),
        ),
      ).flat()
    })
    const product = (a: readonly number[], b: readonly number[]) =>
      a.reduce((sum, x, i) => sum + x * b[i]!, 0) / kinds ** 2
    return (chosen: readonly number[]) => {
      let [signal, within, pairs] = [0, 0, 0]
      for (const a of chosen)
        for (const b of chosen)
          if (a === b) within += product(tables[a]!, tables[a]!) / chosen.length
          else {
            signal += product(tables[a]!, tables[b]!)
            pairs++
          }
      return { signal: signal / pairs, noise: (within - signal / pairs) / chosen.length }
    }
  }

  it.each([1, 2, 7])('are what counting says, with blocks left out or not: t = %i', (t) => {
    const ids = chain(403, random.key(1))
    const products = blockProducts(ids, v, t, 5)
    const direct = directly(ids, v, t, 5)
    const close = (found: { signal: number; noise: number }, expected: { signal: number; noise: number }) => {
      expect(found.signal).toBeCloseTo(expected.signal, 12)
      expect(found.noise).toBeCloseTo(expected.noise, 12)
    }
    close(squaresOf(products), direct([0, 1, 2, 3, 4]))
    for (let left = 0; left < 5; left++)
      close(squaresOf(products, left), direct([0, 1, 2, 3, 4].filter((b) => b !== left)))
    expect(products.pairs).toBe(80 - t)
  })

  it('are those of a chain, without its noise', () => {
    const ids = chain(400_000, random.key(2))
    for (const t of [1, 2, 4, 6]) {
      const products = blockProducts(ids, v, t, 32)
      const { signal } = squaresOf(products)
      const error = errorOf(Array.from({ length: 32 }, (_, left) => squaresOf(products, left).signal))
      expect(Math.abs(signal - exactSquare(t)), `t = ${t}`).toBeLessThan(4.5 * error)
      expect(signal / error).toBeGreaterThan(4.5)
    }
  })

  it('of independent symbols vanish, and their noise is that of a count', () => {
    const p = [0.5, 0.3, 0.15, 0.05]
    const ratios: number[] = []
    for (let draw = 0; draw < 12; draw++) {
      const units = random.sampleUniform(random.foldIn(random.key(3), draw), 40_000)
      const ids = Uint16Array.from(units, (unit) => pick(p, unit))
      const products = blockProducts(ids, p.length, 3, 16)
      const { signal, noise } = squaresOf(products)
      expect(Math.abs(signal)).toBeLessThan(noise)
      const spread = 1 - p.reduce((sum, q) => sum + q * q, 0)
      expect(products.varied).toBeCloseTo(spread ** 2, 2)
      ratios.push((noise * products.size * products.pairs * 16) / spread ** 2)
    }
    const mean = ratios.reduce((a, b) => a + b, 0) / ratios.length
    // 12 draws of 16 blocks with (1 − Σp²)²/Σ… effective degrees: one standard error is about 4 %
    expect(Math.abs(mean - 1)).toBeLessThan(0.16)
  })

  it('refuses distances that no block has', () => {
    expect(refusal(() => blockProducts(new Uint16Array(40), 2, 9, 4)).message).toBe(
      'distance 9: expected blocks of at least 11 symbols, got 4 of 10',
    )
  })
})

describe('loss of the back-off model', () => {
  const pieces = (ids: Uint16Array, length: number): Uint16Array[] =>
    Array.from({ length: Math.floor(ids.length / length) }, (_, i) =>
      ids.subarray(i * length, (i + 1) * length),
    )
  const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

  it('is the entropy of a chain from one symbol of context on, and never below it', () => {
    const all = pieces(chain(300_000, random.key(4)), 2000)
    const split = {
      train: all.slice(0, 100),
      validation: all.slice(100, 120),
      test: all.slice(120),
    }
    const losses = backOffLosses(split, v, 4)
    expect(losses.map((row) => row.length)).toEqual(new Array(5).fill(30))
    const conditional = transitions.reduce((sum, row, x) => sum + stationary[x]! * entropyOf(row), 0)
    const exact = [entropyOf(stationary), conditional, conditional, conditional, conditional]
    for (const [n, row] of losses.entries()) {
      const error = Math.sqrt(row.reduce((sum, x) => sum + (x - meanOf(row)) ** 2, 0) / 30 / 29)
      expect(meanOf(row) - exact[n]!, `n = ${n}`).toBeGreaterThan(-4.5 * error)
      expect(meanOf(row) - exact[n]!, `n = ${n}`).toBeLessThan(4.5 * error + 0.002)
    }
  })

  it('is that of probabilities that sum to 1', () => {
    const train = pieces(chain(3000, random.key(5)), 500)
    const validation = [chain(400, random.key(6))]
    for (const context of [[], [1], [0, 2], [2, 2, 1]]) {
      const test = [0, 1, 2].map((next) => Uint16Array.of(...context, next))
      const before = [Uint16Array.of(...context, 0).subarray(0, context.length)]
      const [longest, shorter] = [
        { train, validation, test },
        { train, validation, test: before },
      ].map((split) => backOffLosses(split, v, 3)[3]!)
      const known = context.length === 0 ? 0 : shorter![0]! * context.length
      const sum = longest!.reduce((total, loss) => total + Math.exp(known - loss * (context.length + 1)), 0)
      expect(sum).toBeCloseTo(1, 10)
    }
  })

  it('knows symbols that were never seen by the shortest context alone, finitely', () => {
    const train = [Uint16Array.from({ length: 64 }, (_, i) => i % 2)]
    const [none] = backOffLosses({ train, validation: train, test: [Uint16Array.of(2)] }, 3, 2)
    expect(none![0]).toBeGreaterThan(Math.log(64))
    expect(Number.isFinite(none![0])).toBe(true)
  })

  it('numbers contexts exactly up to the longest that it takes', () => {
    for (const kinds of [2, 27, 64, 1024])
      expect(kinds ** (mostContext(kinds) + 1)).toBeLessThanOrEqual(2 ** 53)
    expect(mostContext(64)).toBe(7)
  })
})
