/** @file Samples of one datum at a time: what a sampler does, and one in plain JavaScript. */
import type { Grammar } from '../grammar.ts'
import { emptyTrees } from '../sample.ts'
import type { Upward } from './up.ts'
import { emptyBars, placesFor, rootBars, weighFor } from './weigh.ts'
import { fillWords } from './words.ts'

/** Draws whole trees of a datum, several at once. */
export interface Sampler {
  /** Symbols of the trees drawn last, levels 0 … L each [samples, nodes]. */
  readonly levels: readonly Int32Array[]
  /** Draw trees of datum b; `keys` [samples, 2] are those of the samples. */
  draw(b: number, keys: Int32Array): void
}

/** What a word chooses: the number of bars below it among `places` ones, without a branch for the processor to guess. */
export function choose(bars: Int32Array, at: number, places: number, word: number): number {
  let k = 0
  for (let i = at; i < at + places; i += 8)
    k +=
      ((bars[i]! - word) >>> 31) +
      ((bars[i + 1]! - word) >>> 31) +
      ((bars[i + 2]! - word) >>> 31) +
      ((bars[i + 3]! - word) >>> 31) +
      ((bars[i + 4]! - word) >>> 31) +
      ((bars[i + 5]! - word) >>> 31) +
      ((bars[i + 6]! - word) >>> 31) +
      ((bars[i + 7]! - word) >>> 31)
  return k
}

/**
 * For any grammar and any messages: level by level and node by node, all samples sharing the weights of a node's rules, which
 * are made for the symbols that occur.
 */
export function plainSampler(grammar: Grammar, up: Upward, samples: number): Sampler {
  const { L, v, classes, m, s, rules } = grammar
  const { levels } = emptyTrees(grammar, samples)
  const bars = emptyBars(Math.max(classes, v), m)
  const places = placesFor(m)
  const words = new Int32Array(2 * samples)
  return {
    levels,
    draw: (b, keys) => {
      const weigh = weighFor(grammar, up, b)
      const root = rootBars(grammar, up, b)
      const made = new Int32Array(Math.max(classes, v))
      fillWords(keys, 0, words)
      for (let t = 0; t < samples; t++) levels[0]![t] = choose(root, 0, root.length, words[t]!)
      let word = 1
      for (let level = 0; level < L; level++) {
        const nodes = s ** level
        const table = rules[level]!
        const above = levels[level]!
        const below = levels[level + 1]!
        for (let node = 0; node < nodes; node++, word++) {
          if (word % 2 === 0) fillWords(keys, word >> 1, words)
          const half = (word % 2) * samples
          for (let t = 0; t < samples; t++) {
            const y = above[t * nodes + node]!
            if (made[y] !== word) weigh(level, node, y, bars)
            made[y] = word
            const r = y * m + choose(bars, y * places, places, words[half + t]!)
            const to = (t * nodes + node) * s
            for (let i = 0; i < s; i++) below[to + i] = table[r * s + i]!
          }
        }
      }
    },
  }
}
