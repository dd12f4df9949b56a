/** @file Drawing rules: without replacement, so that no tuple has two parents. */
import { fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { checkShape, type Grammar, parentsAt, type Shape, writeTuple } from './grammar.ts'
import { shuffledNumbers } from './shuffle.ts'

/** What kind of rules to draw. */
export interface MakeOptions {
  /**
   * `random`: any tuples. `uncorrelated`: every symbol's tuples hold each symbol equally often at each position, so that
   * no single node below the root says anything of the class (the parity-like control of Cagnetta et al. 2024, Fig. 9);
   * needs m to be a multiple of v.
   */
  rules?: 'random' | 'uncorrelated'
  /**
   * `uniform` (nothing is stored), or Zipf's law: the k-th rule of every symbol has probability ∝ k^{−zipf}, as for words
   * (Cagnetta, Kang & Wyart 2025, with zipf = 1 + a). Rules are in random order, so which one is common is random.
   */
  probabilities?: 'uniform' | { readonly zipf: number }
}

/** Zipf's law over m ranks: Float64Array [m] summing to 1, ∝ k^{−exponent} for k = 1 … m. */
export function zipf(m: number, exponent: number): Float64Array {
  if (!(Number.isFinite(exponent) && exponent >= 0))
    fail(
      'TL_BAD_CONFIG',
      `config.probabilities.zipf: expected an exponent ≥ 0, got ${exponent} (0 is uniform, 1 is Zipf's law of words)`,
    )
  const weights = Float64Array.from({ length: m }, (_, k) => (k + 1) ** -exponent)
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}

/** Tuples up to which all of them are put in order; beyond, only those that are used. */
const maxOrdered = 2 ** 16

/** `count` distinct numbers below `total`, in random order. */
const distinctNumbers = (key: random.Key, count: number, total: number): ArrayLike<number> =>
  total <= maxOrdered ? random.samplePermutation(key, total) : shuffledNumbers(key, count, total)

function randomRules({ v, m, s }: Shape, parents: number, key: random.Key): Int32Array {
  const tuples = distinctNumbers(key, parents * m, v ** s)
  const out = new Int32Array(parents * m * s)
  for (let i = 0; i < parents * m; i++) writeTuple(tuples[i]!, v, s, out, i * s)
  return out
}

/**
 * Tuples fall into orbits of the shift (x_1 + t, …, x_s + t) mod v; an orbit holds every symbol once at every position.
 * Each parent gets m/v orbits. A random relabelling at each position hides the order of the symbols.
 */
function uncorrelatedRules({ v, m, s }: Shape, parents: number, key: random.Key): Int32Array {
  const [forOrbits, forLabels] = random.split(key)
  const orbits = distinctNumbers(forOrbits, (parents * m) / v, v ** (s - 1))
  const labels = random.split(forLabels, s).map((k) => random.samplePermutation(k, v))
  const out = new Int32Array(parents * m * s)
  for (let i = 0; i < (parents * m) / v; i++)
    for (let t = 0; t < v; t++) {
      const at = (i * v + t) * s
      writeTuple(orbits[i]!, v, s, out, at)
      for (let j = 0; j < s; j++) out[at + j] = labels[j]![(out[at + j]! + t) % v]!
    }
  return out
}

/**
 * Draw a grammar. Levels are independent; at each the tuples are drawn uniformly without replacement from the v^s possible
 * ones and cut into blocks of m (Cagnetta et al. 2024, section II). Throws TL_BAD_CONFIG for sizes that cannot be.
 */
export function makeGrammar(
  shape: Shape,
  key: random.Key,
  { rules = 'random', probabilities = 'uniform' }: MakeOptions = {},
): Grammar {
  checkShape(shape)
  const { v, classes, m, s, L } = shape
  if (rules === 'uncorrelated' && m % v !== 0)
    fail(
      'TL_BAD_CONFIG',
      `config.m: expected a multiple of v = ${v} for uncorrelated rules, got ${m} (each symbol must appear equally often at each position)`,
    )
  const draw = rules === 'random' ? randomRules : uncorrelatedRules
  const tables = random.split(key, L).map((k, level) => draw(shape, parentsAt(shape, level), k))
  const grammar = { v, classes, m, s, L, d: s ** L, rules: tables }
  if (probabilities === 'uniform') return grammar
  const row = zipf(m, probabilities.zipf)
  const rows = (level: number): Float64Array =>
    Float64Array.from({ length: parentsAt(shape, level) * m }, (_, rule) => row[rule % m]!)
  return { ...grammar, probabilities: tables.map((_, level) => rows(level)) }
}
