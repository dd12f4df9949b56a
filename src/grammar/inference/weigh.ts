/** @file Posterior weights of the rules of a node's symbol, as bars for random words. */
import type { Grammar } from '../grammar.ts'
import { probabilitiesAt } from './level.ts'
import { logProbabilities } from './logs.ts'
import type { Upward } from './up.ts'

/** Bars of a symbol are counted eight at a time: m of them take this many places, those in excess never below a word. */
export const placesFor = (m: number): number => 8 * Math.ceil(m / 8)

/**
 * Write the bars of symbol y at a node into bars[y·placesFor(m) …]: of a random word w in [0, 2^31), choice k is the number of bars
 * below w, and has the share p_r Π_i U_i(r_i) of the words, to within 2^−32; a rule of weight 0 has none.
 */
type Weigh = (level: number, node: number, y: number, bars: Int32Array) => void

/** Added to a number of [0, 2^31], leaves the nearest integer less one in the lowest 32 bits (the last places of 2^52 are ones). */
export const barOffset = 1.5 * 2 ** 52 - 1

/**
 * Bars from the first n cumulative sums, whose last is the total. An integer bar is one below the first word of the next
 * choice, so that it lies in [−1, 2^31 − 1] and bar − word never overflows; the bar of the total is the largest word.
 */
export function writeBars(sums: Float64Array, n: number, bars: Int32Array, at: number): void {
  const unit = 2 ** 31 / sums[n - 1]!
  for (let k = 0; k < n; k++) bars[at + k] = sums[k]! * unit + barOffset - 1.5 * 2 ** 52
}

/** Space for the bars of `symbols` symbols with m choices each. */
export const emptyBars = (symbols: number, m: number): Int32Array =>
  new Int32Array(symbols * placesFor(m)).fill(2 ** 31 - 1)

/** From the messages of datum b. */
function weighRows(grammar: Grammar, up: Upward, b: number): Weigh {
  const { m, s } = grammar
  const sums = new Float64Array(m)
  const places = placesFor(m)
  return (level, node, y, bars) => {
    const rules = grammar.rules[level]!
    const probabilities = probabilitiesAt(grammar, level)
    const { rows, index, width, nodes } = up.levels[level + 1]!
    const first = b * nodes + node * s
    let sum = 0
    for (let k = 0; k < m; k++) {
      const r = y * m + k
      let product = probabilities ? probabilities[r]! : 1
      for (let i = 0; i < s; i++) product *= rows[index[first + i]! * width + rules[r * s + i]!]!
      sums[k] = sum += product
    }
    writeBars(sums, m, bars, y * places)
  }
}

/** From ln messages. */
function weighLogs(grammar: Grammar, logs: readonly Float64Array[]): Weigh {
  const { m, s, v, L } = grammar
  const priors = Array.from({ length: L }, (_, level) => logProbabilities(grammar, level))
  const sums = new Float64Array(m)
  const places = placesFor(m)
  return (level, node, y, bars) => {
    const rules = grammar.rules[level]!
    let max = -Infinity
    for (let k = 0; k < m; k++) {
      const r = y * m + k
      let term = priors[level]![r]!
      for (let i = 0; i < s; i++) term += logs[level + 1]![(node * s + i) * v + rules[r * s + i]!]!
      sums[k] = term
      if (term > max) max = term
    }
    let sum = 0
    for (let k = 0; k < m; k++) sums[k] = sum += Math.exp(sums[k]! - max)
    writeBars(sums, m, bars, y * places)
  }
}

/** How to weigh rules for datum b. */
export function weighFor(grammar: Grammar, up: Upward, b: number): Weigh {
  const logs = up.logs.get(b)
  return logs ? weighLogs(grammar, logs) : weighRows(grammar, up, b)
}

/** Bars of the classes at the root. */
export function rootBars({ classes }: Grammar, up: Upward, b: number): Int32Array {
  const logs = up.logs.get(b)
  const { rows, index } = up.levels[0]!
  const max = logs ? logs[0]!.reduce((a, x) => Math.max(a, x)) : 0
  let sum = 0
  const sums = Float64Array.from({ length: classes }, (_, y) => {
    sum += logs ? Math.exp(logs[0]![y]! - max) : rows[index[b]! * classes + y]!
    return sum
  })
  const bars = emptyBars(1, classes)
  writeBars(sums, classes, bars, 0)
  return bars
}
