/** @file Slow and direct versions of what the theory states in closed form, for the tests of `theory-*.test.ts`. */
import { type Grammar, parentsAt } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

export const mean = (xs: readonly number[]): number => xs.reduce((sum, x) => sum + x, 0) / xs.length

export const standardError = (xs: readonly number[]): number => {
  const average = mean(xs)
  return Math.sqrt(mean(xs.map((x) => (x - average) ** 2)) / (xs.length - 1))
}

/** Symbols of a tuple's number in base v. */
export const digits = (v: number, s: number, number: number): number[] =>
  Array.from({ length: s }, (_, i) => Math.floor(number / v ** (s - 1 - i)) % v)

/** Every derivation: symbols of all levels, and its probability. For grammars with few strings. */
export function derivations(grammar: Grammar): { levels: number[][]; p: number }[] {
  const { classes, m, s, L, rules, probabilities } = grammar
  const done: { levels: number[][]; p: number }[] = []
  const grow = (levels: number[][], row: number[], p: number): void => {
    const level = levels.length - 1
    if (level === L) {
      done.push({ levels, p })
      return
    }
    const above = levels[level]!
    if (row.length === above.length * s) {
      grow([...levels, row], [], p)
      return
    }
    const symbol = above[row.length / s]!
    for (let k = 0; k < m; k++) {
      const rule = symbol * m + k
      const tuple = Array.from(rules[level]!.subarray(rule * s, (rule + 1) * s))
      grow(levels, [...row, ...tuple], p * (probabilities ? probabilities[level]![rule]! : 1 / m))
    }
  }
  for (let c = 0; c < classes; c++) grow([[c]], [], 1 / classes)
  return done
}

/** H(last token | the tokens of the window before it), by listing every string. */
export function listedEntropy(grammar: Grammar, height: number): number {
  const { s, v, L } = grammar
  const contexts = new Map<string, Float64Array>()
  for (const { levels, p } of derivations(grammar)) {
    const window = levels[L]!.slice(grammar.d - s ** height)
    const last = window.pop()!
    const row = contexts.get(window.join()) ?? new Float64Array(v)
    row[last]! += p
    contexts.set(window.join(), row)
  }
  let entropy = 0
  for (const row of contexts.values()) {
    const total = row.reduce((a, b) => a + b, 0)
    for (const p of row) if (p > 0) entropy -= p * Math.log(p / total)
  }
  return entropy
}

/** A grammar with random production probabilities, none 0. */
export function unequal(grammar: Grammar, key: random.Key): Grammar {
  const { m } = grammar
  const probabilities = grammar.rules.map((_, level) => {
    const count = parentsAt(grammar, level) * m
    const raw = Float64Array.from(random.sampleUniform(random.foldIn(key, level), count), (u) => 0.2 + u)
    return raw.map((u, at) => {
      const first = at - (at % m)
      return u / raw.subarray(first, first + m).reduce((a, b) => a + b, 0)
    })
  })
  return { ...grammar, probabilities }
}

const histograms = new Map<string, number[]>()

/** How many of the v^s tuples have each number (0 … s) of symbols 0, by counting them. */
function zeros(v: number, s: number): number[] {
  const known = histograms.get(`${v},${s}`)
  if (known) return known
  const counts = new Array<number>(s + 1).fill(0)
  for (let number = 0; number < v ** s; number++) {
    let found = 0
    for (let rest = number, i = 0; i < s; i++, rest = Math.floor(rest / v)) if (rest % v === 0) found++
    counts[found]!++
  }
  histograms.set(`${v},${s}`, counts)
  return counts
}

/**
 * The average over random rules of what children of belief p say of a parent: the weight of every tuple that is not the true
 * one (all zeros), counted with its chance to be a rule of the true parent, or of any of `parents`.
 */
export function averagedMap(v: number, m: number, s: number, parents: number, p: number): number {
  let [right, all] = [p ** s, p ** s]
  for (const [found, tuples] of zeros(v, s).entries()) {
    if (found === s) continue
    const weight = (tuples * p ** found * ((1 - p) / (v - 1)) ** (s - found)) / (v ** s - 1)
    right += weight * (m - 1)
    all += weight * (parents * m - 1)
  }
  return right / all
}

/** A random table of rules [parents·m] of tuple numbers in which parent 0 owns tuple 0, by relabelling the symbols. */
export function tableWithTrueTuple(
  v: number,
  m: number,
  s: number,
  parents: number,
  key: random.Key,
): number[] {
  const numbers = Array.from(random.samplePermutation(key, v ** s).subarray(0, parents * m))
  const truth = digits(v, s, numbers[0]!)
  return numbers.map((number) =>
    digits(v, s, number).reduce((sum, symbol, i) => {
      const swapped = symbol === truth[i] ? 0 : symbol === 0 ? truth[i]! : symbol
      return sum * v + swapped
    }, 0),
  )
}
