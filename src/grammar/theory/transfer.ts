/**
 * @file Exact joint distributions of two nodes of a random tree of one grammar, by transfer matrices: the symbol of a child at
 * a position is a Markov step from its parent's. Levels count from the root, as in `Grammar`.
 */
import { fail } from '../../base/index.ts'
import type { Grammar } from '../grammar.ts'

/** A node of a tree: `index` from 0 to s^level − 1 at `level` 0 (root) … L (leaves). */
export interface TreeNode {
  readonly level: number
  readonly index: number
}

/** A table of numbers [rows, columns], row after row. */
export interface PairTable {
  readonly rows: number
  readonly columns: number
  readonly values: Float64Array
}

/** Production probability of each rule of a level [parents·m]. */
export function ruleProbabilities(grammar: Grammar, level: number): Float64Array {
  const given = grammar.probabilities?.[level]
  return given ?? new Float64Array(grammar.rules[level]!.length / grammar.s).fill(1 / grammar.m)
}

/** Replace the columns of a table, symbols of nodes at `level`, by those of their children at `position`. */
export function stepDown(grammar: Grammar, table: PairTable, level: number, position: number): PairTable {
  const { v, m, s } = grammar
  const rules = grammar.rules[level]!
  const probabilities = ruleProbabilities(grammar, level)
  const { rows, columns, values } = table
  const out = new Float64Array(rows * v)
  for (let rule = 0; rule < columns * m; rule++) {
    const [parent, child] = [Math.floor(rule / m), rules[rule * s + position]!]
    for (let row = 0; row < rows; row++)
      out[row * v + child]! += values[row * columns + parent]! * probabilities[rule]!
  }
  return { rows, columns: v, values: out }
}

export function transpose({ rows, columns, values }: PairTable): PairTable {
  const out = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j]!
  return { rows: columns, columns: rows, values: out }
}

/** Which child of its ancestor at `level` the node is below. */
const positionBelow = ({ s }: Grammar, node: TreeNode, level: number): number =>
  Math.floor(node.index / s ** (node.level - level - 1)) % s

/** Carry columns that are symbols at `from` down the path to the node's. */
function descend(grammar: Grammar, table: PairTable, from: number, node: TreeNode): PairTable {
  let result = table
  for (let level = from; level < node.level; level++)
    result = stepDown(grammar, result, level, positionBelow(grammar, node, level))
  return result
}

function checkNode({ s, L }: Grammar, { level, index }: TreeNode): void {
  const isNode =
    Number.isInteger(level) &&
    level >= 0 &&
    level <= L &&
    Number.isInteger(index) &&
    index >= 0 &&
    index < s ** level
  if (!isNode)
    fail(
      'TL_BAD_ARGUMENT',
      `node: expected a level from 0 to ${L} and an index below s^level, got level ${level}, index ${index}`,
    )
}

/** Probability of each symbol at a node [symbols], with uniform classes. Throws TL_BAD_ARGUMENT for a node that is not there. */
export function nodeMarginal(grammar: Grammar, node: TreeNode): Float64Array {
  checkNode(grammar, node)
  const { classes } = grammar
  const root: PairTable = { rows: 1, columns: classes, values: new Float64Array(classes).fill(1 / classes) }
  return descend(grammar, root, 0, node).values
}

/** The level of the lowest common ancestor of two nodes. */
function commonLevel({ s }: Grammar, a: TreeNode, b: TreeNode): number {
  let level = Math.min(a.level, b.level)
  while (Math.floor(a.index / s ** (a.level - level)) !== Math.floor(b.index / s ** (b.level - level)))
    level--
  return level
}

/** Joint of two children of a node with marginal `prior`, from the rules of its level. */
export function childrenJoint(
  grammar: Grammar,
  prior: Float64Array,
  level: number,
  first: number,
  second: number,
): PairTable {
  const { v, m, s } = grammar
  const rules = grammar.rules[level]!
  const probabilities = ruleProbabilities(grammar, level)
  const values = new Float64Array(v * v)
  for (let rule = 0; rule < prior.length * m; rule++)
    values[rules[rule * s + first]! * v + rules[rule * s + second]!]! +=
      prior[Math.floor(rule / m)]! * probabilities[rule]!
  return { rows: v, columns: v, values }
}

/**
 * Exact joint distribution of the symbols of nodes a (rows) and b (columns), summing to 1; a node with itself or with its
 * ancestor is allowed. Leaf i is `{ level: L, index: i }`. Throws TL_BAD_ARGUMENT for a node that is not there.
 * (Cagnetta & Wyart 2024, Eq. 6: P = (Π left)ᵀ J (Π right), J from the rules of the lowest common ancestor)
 */
export function nodeJoint(grammar: Grammar, a: TreeNode, b: TreeNode): PairTable {
  checkNode(grammar, a)
  checkNode(grammar, b)
  const level = commonLevel(grammar, a, b)
  const prior = nodeMarginal(grammar, { level, index: Math.floor(a.index / grammar.s ** (a.level - level)) })
  if (level === a.level || level === b.level) {
    const size = prior.length
    const values = new Float64Array(size * size)
    for (let x = 0; x < size; x++) values[x * size + x] = prior[x]!
    const both: PairTable = { rows: size, columns: size, values }
    if (level === a.level) return descend(grammar, both, level, b)
    return transpose(descend(grammar, both, level, a))
  }
  const [left, right] = [positionBelow(grammar, a, level), positionBelow(grammar, b, level)]
  const pair = childrenJoint(grammar, prior, level, left, right)
  const withB = descend(grammar, pair, level + 1, b)
  return transpose(descend(grammar, transpose(withB), level + 1, a))
}

/**
 * Exact joint distribution of the tuple below node a and the symbol of node b: rows are the rules of a's level [symbols·m] (a
 * tuple is one rule), columns b's symbols. Node b must not be below a. Throws TL_BAD_ARGUMENT otherwise.
 */
export function tupleJoint(grammar: Grammar, a: TreeNode, b: TreeNode): PairTable {
  const { rows, columns, values } = nodeJoint(grammar, a, b)
  const { m, L } = grammar
  if (a.level === L)
    fail(
      'TL_BAD_ARGUMENT',
      `node: expected a level below L = ${L}, got ${a.level} (a leaf has no tuple below it)`,
    )
  if (b.level > a.level && commonLevel(grammar, a, b) === a.level)
    fail(
      'TL_BAD_ARGUMENT',
      `node: expected a second node outside the tree of the first, got level ${b.level}, index ${b.index} below level ${a.level}, index ${a.index}`,
    )
  const probabilities = ruleProbabilities(grammar, a.level)
  const out = new Float64Array(rows * m * columns)
  for (let at = 0; at < out.length; at++) {
    const rule = Math.floor(at / columns)
    out[at] = values[Math.floor(rule / m) * columns + (at % columns)]! * probabilities[rule]!
  }
  return { rows: rows * m, columns, values: out }
}

/** C(μ, ν) = P(μ, ν) − P(μ) P(ν) of a joint distribution. */
export function covarianceOf({ rows, columns, values }: PairTable): PairTable {
  const [byRow, byColumn] = [new Float64Array(rows), new Float64Array(columns)]
  for (let at = 0; at < values.length; at++) {
    byRow[Math.floor(at / columns)]! += values[at]!
    byColumn[at % columns]! += values[at]!
  }
  const out = values.map((p, at) => p - byRow[Math.floor(at / columns)]! * byColumn[at % columns]!)
  return { rows, columns, values: out }
}
