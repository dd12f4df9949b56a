/**
 * @file Trees as numbers. A tree is its class and one rule choice for each internal node, so the trees of a grammar are the
 * numbers 0 … P_max − 1 in mixed base: the class is the most significant digit, then the nodes level by level, left to right.
 */
import { fail } from '../base/index.ts'
import { type Grammar, internalNodes, type Shape, type Trees, tupleNumber } from './grammar.ts'
import { inverseRules } from './inverse.ts'
import { emptyTrees, expandLevel } from './sample.ts'

/** P_max = n_c · m^{(s^L − 1)/(s − 1)}: trees of a grammar, and so strings (Cagnetta et al. 2024, eq. 6). */
export const treeCount = (shape: Shape): bigint =>
  BigInt(shape.classes) * BigInt(shape.m) ** BigInt(internalNodes(shape))

/** Digits in base m that fit a double exactly. */
const digitsPerNumber = (m: number): number => (m === 1 ? 52 : Math.floor((52 * Math.LN2) / Math.log(m)))

/** Powers m^n, each computed once: halves of halves need few different ones. */
function powersOf(m: number): (n: number) => bigint {
  const known = new Map<number, bigint>()
  return (n) => {
    const power = known.get(n) ?? BigInt(m) ** BigInt(n)
    known.set(n, power)
    return power
  }
}

/** Digits base m, most significant first, to a number: halves are joined, so that a million digits take a moment. */
function fromDigits(digits: Int32Array, m: number, power: (n: number) => bigint): bigint {
  if (digits.length <= digitsPerNumber(m)) {
    let number = 0
    for (const digit of digits) number = number * m + digit
    return BigInt(number)
  }
  const low = Math.floor(digits.length / 2)
  const cut = digits.length - low
  return (
    fromDigits(digits.subarray(0, cut), m, power) * power(low) + fromDigits(digits.subarray(cut), m, power)
  )
}

/** The reverse: fills `digits`, most significant first, with the digits of a number below m^digits.length. */
function toDigits(number: bigint, digits: Int32Array, m: number, power: (n: number) => bigint): void {
  if (digits.length <= digitsPerNumber(m)) {
    let rest = Number(number)
    for (let i = digits.length - 1; i >= 0; i--) {
      digits[i] = rest % m
      rest = Math.floor(rest / m)
    }
    return
  }
  const low = Math.floor(digits.length / 2)
  const scale = power(low)
  const high = number / scale
  toDigits(high, digits.subarray(0, digits.length - low), m, power)
  toDigits(number - high * scale, digits.subarray(digits.length - low), m, power)
}

/** Grow trees from classes [count] and rule choices [count, nodes], the nodes of a tree in the order of its digits. */
export function growTrees(grammar: Grammar, classes: ArrayLike<number>, choices: Int32Array): Trees {
  const { s, L } = grammar
  const count = classes.length
  const nodes = internalNodes(grammar)
  const trees = emptyTrees(grammar, count)
  trees.levels[0]!.set(classes)
  let offset = 0
  for (let level = 0; level < L; level++) {
    const width = s ** level
    const ofLevel = new Int32Array(count * width)
    for (let i = 0; i < count; i++)
      ofLevel.set(choices.subarray(i * nodes + offset, i * nodes + offset + width), i * width)
    expandLevel(grammar, trees, level, ofLevel)
    offset += width
  }
  return trees
}

/**
 * Rule choices [count, nodes] of trees, the nodes of a tree in the order of its digits. Throws TL_BAD_ARGUMENT, with the
 * place, for a node whose symbols below are not one of its rules.
 */
export function ruleChoices(grammar: Grammar, trees: Trees): Int32Array {
  const { v, m, s, L } = grammar
  const inverse = inverseRules(grammar)
  const nodes = internalNodes(grammar)
  const choices = new Int32Array(trees.count * nodes)
  let offset = 0
  for (let level = 0; level < L; level++) {
    const width = s ** level
    const above = trees.levels[level]!
    const below = trees.levels[level + 1]!
    for (let node = 0; node < above.length; node++) {
      let legal = above[node]! >= 0
      for (let i = node * s; i < (node + 1) * s; i++) legal &&= below[i]! >= 0 && below[i]! < v
      const rule = legal ? inverse[level]!(tupleNumber(v, below, node * s, s)) : -1
      const tree = Math.floor(node / width)
      const place = node - tree * width
      if (rule < 0 || Math.floor(rule / m) !== above[node])
        fail(
          'TL_BAD_ARGUMENT',
          `tree ${tree}, level ${level}, node ${place}: symbol ${above[node]} has no rule that gives (${below.subarray(node * s, node * s + s).join(', ')})`,
        )
      choices[tree * nodes + offset + place] = rule - above[node]! * m
    }
    offset += width
  }
  return choices
}

/** The numbers of trees, each in [0, treeCount). Throws TL_BAD_ARGUMENT for trees that are not of this grammar. */
export function rank(grammar: Grammar, trees: Trees): bigint[] {
  const { m } = grammar
  const nodes = internalNodes(grammar)
  const choices = ruleChoices(grammar, trees)
  const power = powersOf(m)
  return Array.from(
    { length: trees.count },
    (_, i) =>
      BigInt(trees.levels[0]![i]!) * power(nodes) +
      fromDigits(choices.subarray(i * nodes, (i + 1) * nodes), m, power),
  )
}

/** The trees of numbers: the inverse of `rank`. Throws TL_BAD_ARGUMENT for a number outside [0, treeCount). */
export function unrank(grammar: Grammar, indices: readonly bigint[]): Trees {
  const { m } = grammar
  const nodes = internalNodes(grammar)
  const power = powersOf(m)
  const perClass = power(nodes)
  const total = BigInt(grammar.classes) * perClass
  const classes = new Int32Array(indices.length)
  const choices = new Int32Array(indices.length * nodes)
  for (const [i, index] of indices.entries()) {
    if (index < 0n || index >= total)
      fail(
        'TL_BAD_ARGUMENT',
        `index ${i}: expected a number from 0 to P_max − 1 = ${total - 1n}, got ${index}`,
      )
    classes[i] = Number(index / perClass)
    toDigits(index % perClass, choices.subarray(i * nodes, (i + 1) * nodes), m, power)
  }
  return growTrees(grammar, classes, choices)
}

/** `unrank` for numbers that are doubles, which is much faster. Needs treeCount ≤ 2^53; numbers are not checked. */
export function unrankSmall(grammar: Grammar, indices: ArrayLike<number>): Trees {
  const { m } = grammar
  const nodes = internalNodes(grammar)
  const classes = new Int32Array(indices.length)
  const choices = new Int32Array(indices.length * nodes)
  for (let i = 0; i < indices.length; i++) {
    let rest = indices[i]!
    for (let node = nodes - 1; node >= 0; node--) {
      choices[i * nodes + node] = rest % m
      rest = Math.floor(rest / m)
    }
    classes[i] = rest
  }
  return growTrees(grammar, classes, choices)
}
