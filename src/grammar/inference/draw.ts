/** @file The inner loops of sampling: random words for all samples of a datum, and the rules they choose at a node. */
import type { Grammar } from '../grammar.ts'
import { simdDrawing } from './simd.ts'
import { emptyBars, placesFor } from './weigh.ts'
import { fillWords } from './words.ts'

/** Space for the samples of a datum and the loops over it. Symbols of a level are [nodes, samples]. */
export interface Drawing {
  /** Bars of the rules of one node, [symbols, placesFor(m)]; see `writeBars`. */
  readonly bars: Int32Array
  /** Symbols of the levels L, L − 2, … and of L − 1, L − 3, …, in turn. */
  readonly symbols: readonly [Int32Array, Int32Array]
  /** Words of 31 bits 2·block and 2·block + 1 of every sample: [2, stride]. */
  readonly words: Int32Array
  readonly stride: number
  /** Set the keys of the samples, [samples, 2]. */
  setKeys(keys: Int32Array): void
  /** Make the words of a block. */
  fill(block: number): void
  /**
   * Choose rules for all samples of a node of a level and write the symbols below. `turn` says in which of `symbols` the
   * level lies; words are those of half 0 or 1 of the block.
   */
  draw(level: number, turn: number, node: number, half: number): void
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

/** The loops in plain JavaScript, for tuples of any length. */
export function plainDrawing({ v, classes, m, s, d, rules }: Grammar, samples: number): Drawing {
  const symbols = [new Int32Array(d * samples), new Int32Array((d / s) * samples)] as const
  const bars = emptyBars(Math.max(classes, v), m)
  const words = new Int32Array(2 * samples)
  const places = placesFor(m)
  let own: Int32Array = new Int32Array(0)
  return {
    bars,
    symbols,
    words,
    stride: samples,
    setKeys: (keys) => {
      own = keys
    },
    fill: (block) => fillWords(own, block, words),
    draw: (level, turn, node, half) => {
      const table = rules[level]!
      const above = symbols[turn]!
      const below = symbols[1 - turn]!
      const from = node * samples
      for (let t = 0; t < samples; t++) {
        const y = above[from + t]!
        const r = y * m + choose(bars, y * places, places, words[half * samples + t]!)
        for (let i = 0; i < s; i++) below[from * s + i * samples + t] = table[r * s + i]!
      }
    },
  }
}

/** The fastest loops there are for a grammar; all give the same bits. */
export const drawingFor = (grammar: Grammar, samples: number): Drawing =>
  simdDrawing(grammar, samples) ?? plainDrawing(grammar, samples)
