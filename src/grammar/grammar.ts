/** @file A grammar of the Random Hierarchy Model as data, and trees grown from it. */
import { fail } from '../base/index.ts'

/**
 * The sizes of a grammar (Cagnetta et al. 2024): v symbols at every level, `classes` root symbols (n_c), m rules for each
 * symbol, tuples of s symbols, L levels of rules.
 */
export interface Shape {
  readonly v: number
  readonly classes: number
  readonly m: number
  readonly s: number
  readonly L: number
}

/**
 * A grammar. Level 0 expands classes, level L − 1 gives leaves; all positions of a level use the same table, and every
 * legal tuple has one parent.
 */
export interface Grammar extends Shape {
  /** Leaves of a tree: s^L. */
  readonly d: number
  /** Of each level: tuples [parents, m, s], parents = classes at level 0 and v below. */
  readonly rules: readonly Int32Array[]
  /** Of each level: production probabilities [parents, m], each parent's summing to 1; uniform 1/m when absent. */
  readonly probabilities?: readonly Float64Array[]
}

/** A batch of trees: `levels[0]` [count] are classes, `levels[k]` [count, s^k] symbols, `levels[L]` the leaves. */
export interface Trees {
  readonly count: number
  readonly levels: readonly Int32Array[]
}

/** Symbols that are expanded at a level: classes at level 0, v below. */
export const parentsAt = ({ v, classes }: Shape, level: number): number => (level === 0 ? classes : v)

/** Internal nodes of a tree: (s^L − 1)/(s − 1), one rule choice each. */
export const internalNodes = ({ s, L }: Shape): number => (s ** L - 1) / (s - 1)

/** A tuple as one number in [0, v^s), its first symbol the most significant digit. */
export function tupleNumber(v: number, tuple: ArrayLike<number>, at: number, s: number): number {
  let number = 0
  for (let i = 0; i < s; i++) number = number * v + tuple[at + i]!
  return number
}

/** Write a tuple's number in base v into `out` at `at`. */
export function writeTuple(number: number, v: number, s: number, out: Int32Array, at: number): void {
  let rest = number
  for (let i = s - 1; i >= 0; i--) {
    out[at + i] = rest % v
    rest = Math.floor(rest / v)
  }
}

/** Tuples beyond which a table of them all no longer fits a reasonable memory. */
const maxTuples = 2 ** 26
/** Leaves beyond which a single tree no longer does. */
const maxLeaves = 2 ** 24

/** Throws TL_BAD_CONFIG naming the size that is impossible and why. */
export function checkShape(shape: Shape, where = 'config'): void {
  const least: Record<keyof Shape, [number, string]> = {
    v: [1, 'the vocabulary of a level'],
    classes: [1, 'root symbols'],
    m: [1, 'rules of each symbol'],
    s: [2, 'a rule needs at least two symbols'],
    L: [1, 'levels of rules'],
  }
  for (const [name, [low, about]] of Object.entries(least) as [keyof Shape, [number, string]][])
    if (!(Number.isSafeInteger(shape[name]) && shape[name] >= low))
      fail('TL_BAD_CONFIG', `${where}.${name}: expected an integer ≥ ${low}, got ${shape[name]} (${about})`)
  const { v, classes, m, s, L } = shape
  const tuples = v ** s
  if (tuples > maxTuples)
    fail(
      'TL_BAD_CONFIG',
      `${where}: v^s = ${v}^${s} tuples are too many to tabulate (at most 2^26); lower s or v`,
    )
  if (s ** L > maxLeaves)
    fail('TL_BAD_CONFIG', `${where}: s^L = ${s}^${L} leaves are too many (at most 2^24); lower L`)
  for (const [name, parents] of [
    ['v', v],
    ['classes', classes],
  ] as const)
    if (parents * m > tuples && !(name === 'v' && L === 1))
      fail(
        'TL_BAD_CONFIG',
        `${where}.m: expected ${name}·m ≤ v^s, got ${parents}·${m} = ${parents * m} > ${tuples} (every tuple has at most one parent; at most m = ${Math.floor(tuples / parents)} here)`,
      )
}

/** The grammar made of the lowest `depth` tables of another: what its subtrees of that height are drawn from. */
export const lowestLevels = (grammar: Grammar, depth: number): Grammar => ({
  ...grammar,
  classes: depth === grammar.L ? grammar.classes : grammar.v,
  L: depth,
  d: grammar.s ** depth,
  rules: grammar.rules.slice(grammar.L - depth),
  ...(grammar.probabilities && { probabilities: grammar.probabilities.slice(grammar.L - depth) }),
})
