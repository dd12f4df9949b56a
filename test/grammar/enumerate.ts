/** @file Every tree of a small grammar with its probability, one by one: the oracle of exact inference. */
import { type Grammar, makeGrammar, parentsAt, type Shape } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

/** One tree: symbols of levels 0 … L, and its probability. */
export interface Tree {
  levels: number[][]
  probability: number
}

/** All derivations, by expanding level after level. */
export function enumerate(grammar: Grammar): Tree[] {
  const { classes, m, s, L } = grammar
  let trees: Tree[] = Array.from({ length: classes }, (_, y) => ({ levels: [[y]], probability: 1 / classes }))
  for (let level = 0; level < L; level++) {
    const table = grammar.rules[level]!
    for (let node = 0; node < s ** level; node++)
      trees = trees.flatMap(({ levels, probability }) =>
        Array.from({ length: m }, (_, k) => {
          const r = levels[level]![node]! * m + k
          const below = node === 0 ? [] : levels[level + 1]!
          const tuple = Array.from(table.subarray(r * s, (r + 1) * s))
          return {
            levels: [...levels.slice(0, level + 1), [...below, ...tuple]],
            probability: probability * (grammar.probabilities?.[level]?.[r] ?? 1 / m),
          }
        }),
      )
  }
  return trees
}

/** What enumeration says of the evidence: everything exact inference should say. */
export interface Truth {
  evidence: number
  /** [level][node·symbols + symbol] */
  marginals: number[][]
  map: Tree | undefined
  mapPosterior: number
}

export function jointWith({ v }: Shape, likelihood: ArrayLike<number>, tree: Tree): number {
  const leaves = tree.levels.at(-1)!
  let p = tree.probability
  for (let i = 0; i < leaves.length && p > 0; i++) p *= likelihood[i * v + leaves[i]!]!
  return p
}

/** A sum of many terms without accumulating their rounding (Neumaier). */
const exactSum = (n: number): { add: (i: number, x: number) => void; total: () => number[] } => {
  const sums = new Float64Array(n)
  const lost = new Float64Array(n)
  return {
    add: (i, x) => {
      const sum = sums[i]! + x
      lost[i]! += Math.abs(sums[i]!) >= Math.abs(x) ? sums[i]! - sum + x : x - sum + sums[i]!
      sums[i] = sum
    },
    total: () => Array.from(sums, (sum, i) => sum + lost[i]!),
  }
}

export function truth(grammar: Grammar, trees: readonly Tree[], likelihood: ArrayLike<number>): Truth {
  const { L, s, v } = grammar
  const widths = Array.from({ length: L + 1 }, (_, level) => (level < L ? parentsAt(grammar, level) : v))
  const sums = widths.map((width, level) => exactSum(s ** level * width))
  let best = 0
  let map: Tree | undefined
  for (const tree of trees) {
    const joint = jointWith(grammar, likelihood, tree)
    // adds nothing to any sum
    if (joint === 0) continue
    if (joint > best) {
      best = joint
      map = tree
    }
    for (const [level, symbols] of tree.levels.entries()) {
      const { add } = sums[level]!
      const width = widths[level]!
      for (let n = 0; n < symbols.length; n++) add(n * width + symbols[n]!, joint)
    }
  }
  const masses = sums.map(({ total }) => total())
  const evidence = masses[0]!.reduce((a, mass) => a + mass, 0)
  const marginals = masses.map((row) => row.map((mass) => (evidence > 0 ? mass / evidence : 0)))
  return { evidence, marginals, map, mapPosterior: evidence > 0 ? best / evidence : 0 }
}

/** Production probabilities from uniform numbers; some exactly 0 when `zeros`. */
export function withProbabilities(grammar: Grammar, key: random.Key, zeros = false): Grammar {
  const { m } = grammar
  const probabilities = grammar.rules.map((table, level) => {
    const parents = table.length / m / grammar.s
    const weights = Float64Array.from(random.sampleUniform(random.foldIn(key, level), parents * m))
    for (let y = 0; y < parents; y++) {
      const own = weights.subarray(y * m, (y + 1) * m)
      if (zeros && m > 1) own[y % m] = 0
      else own[0]! += 0.01
      const sum = own.reduce((a, b) => a + b, 0)
      for (let k = 0; k < m; k++) own[k] = sum > 0 ? own[k]! / sum : 1 / m
    }
    return weights
  })
  return { ...grammar, probabilities }
}

export const grow = (shape: Shape, seed: number, options = {}): Grammar =>
  makeGrammar(shape, random.key(seed), options)
