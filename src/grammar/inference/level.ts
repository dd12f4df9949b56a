/** @file Messages of one level of the tree, equal ones kept once, and the test for messages that repeat. */
import type { Grammar } from '../grammar.ts'

/** Numbers in single or double precision. */
export type Floats = Float32Array | Float64Array

/**
 * Messages from below at one level. Nodes whose subtrees have the same evidence share a row: in the ε-process a leaf's row
 * depends on its symbol alone, a row above leaves on their tuple.
 */
export interface Level {
  /** Nodes of one tree at this level, s^level. */
  readonly nodes: number
  /** Symbols: classes at level 0, v below. */
  readonly width: number
  /** Distinct rows. */
  readonly count: number
  /** The row of each node: [batch, nodes], numbers below `count`. */
  readonly index: Int32Array
  /** Likelihood of the evidence below a node for each symbol [count, width], in units that make the largest 1 (or all 0). */
  readonly rows: Floats
  /**
   * ln of those units, [count], −Infinity where a row is 0; above the leaves relative to the units of the leaves, which may be
   * enormous and are added last.
   */
  readonly scale: Float64Array
  /** The least product of largest entries before scaling along a path from the row to a leaf, [count]: see `safeReach`. */
  readonly reach: Float64Array
}

/**
 * What a row leaves out is below the smallest normal number. Dividing by largest entries on the way up can raise it by 1/reach
 * times the number of rules on a path; above these bounds it stays below the rounding of what is kept.
 */
export const safeReach = (rows: Floats): number => (rows instanceof Float32Array ? 1e-15 : 1e-200)

/** Space for numbers of the same precision. */
export const floatsLike = (like: Floats, length: number): Floats =>
  like instanceof Float32Array ? new Float32Array(length) : new Float64Array(length)

/** Places of a hash table for `items` items: a power of two, at most half full; −1 is empty. */
export const emptyTable = (items: number): Int32Array =>
  new Int32Array(2 ** Math.ceil(Math.log2(Math.max(2, 2 * items)))).fill(-1)

/** Distinct tuples of child rows: which one each node has, and the first node that has each. */
interface Tuples {
  readonly index: Int32Array
  readonly first: Int32Array
}

/** Find nodes with the same rows below them; `below` is [nodes, s]. */
export function distinctTuples(below: Level, nodes: number, s: number): Tuples {
  const { index: children } = below
  const index = new Int32Array(nodes)
  if (below.count === children.length) {
    // every row below is one node's own: nothing repeats
    for (let n = 0; n < nodes; n++) index[n] = n
    return { index, first: index }
  }
  const table = emptyTable(nodes)
  const mask = table.length - 1
  const first = new Int32Array(nodes)
  let count = 0
  for (let n = 0; n < nodes; n++) {
    let hash = 0
    for (let i = 0; i < s; i++) hash = Math.imul(hash ^ children[n * s + i]!, 0x9e3779b1)
    let place = (hash ^ (hash >>> 15)) & mask
    for (;;) {
      const found = table[place]!
      if (found < 0) {
        table[place] = count
        first[count] = n
        index[n] = count++
        break
      }
      const other = first[found]!
      let i = 0
      while (i < s && children[other * s + i] === children[n * s + i]) i++
      if (i === s) {
        index[n] = found
        break
      }
      place = (place + 1) & mask
    }
  }
  return { index, first: first.subarray(0, count) }
}

/** Production probabilities of a level [parents, m], absent when they are uniform. */
export const probabilitiesAt = (grammar: Grammar, level: number): Float64Array | undefined =>
  grammar.probabilities?.[level]
