/** @file A grammar, a tree of it, and what noise leaves of it: the numbers behind the first two figures, without a page. */
import { channels, leafEvidence, survivalOf } from '../../../src/diffusion/index.ts'
import {
  beliefs,
  epsStar,
  type Grammar,
  infer,
  makeGrammar,
  phase,
  sampleTrees,
  type Trees,
  treeCount,
} from '../../../src/grammar/index.ts'
import { random } from '../../../src/tensor/index.ts'

/** What a figure's grammar is made of. */
export interface Sizes {
  readonly v: number
  readonly m: number
  readonly s: number
  readonly L: number
  readonly seed: number
}

export const grammarOf = ({ v, m, s, L, seed }: Sizes): Grammar =>
  makeGrammar({ v, classes: v, m, s, L }, random.key(seed))

/** Why no grammar has these sizes; undefined where one has. */
export const impossible = ({ v, m, s }: Pick<Sizes, 'v' | 'm' | 's'>): string | undefined =>
  v * m > v ** s ? `v·m = ${v * m} tuples are wanted, but only v^s = ${v ** s} exist` : undefined

/** The n-th tree that a seed draws. */
export const treeOf = (grammar: Grammar, seed: number, n: number): Trees =>
  sampleTrees(grammar, random.foldIn(random.key(seed), 1), 1, n)

/** Rule of a node among those of its symbol: the place of its tuple. */
export function ruleAt(grammar: Grammar, trees: Trees, level: number, node: number): number {
  const { m, s } = grammar
  const symbol = trees.levels[level]![node]!
  const rules = grammar.rules[level]!
  for (let k = 0; k < m; k++) {
    const at = (symbol * m + k) * s
    if (
      Array.from({ length: s }, (_, i) => i).every(
        (i) => rules[at + i] === trees.levels[level + 1]![node * s + i],
      )
    )
      return k
  }
  return -1
}

/** The tree with another rule at one node, and its new children grown by their first rules from there on. */
export function withRule(grammar: Grammar, trees: Trees, level: number, node: number, rule: number): Trees {
  const { m, s, L } = grammar
  const levels = trees.levels.map((symbols) => symbols.slice())
  const choices = trees.levels
    .slice(0, L)
    .map((symbols, at) => Array.from(symbols, (_, i) => ruleAt(grammar, trees, at, i)))
  choices[level]![node] = rule
  let nodes = [node]
  for (let at = level; at < L; at++) {
    for (const i of nodes)
      for (let k = 0; k < s; k++)
        levels[at + 1]![i * s + k] = grammar.rules[at]![(levels[at]![i]! * m + choices[at]![i]!) * s + k]!
    nodes = nodes.flatMap((i) => Array.from({ length: s }, (_, k) => i * s + k))
  }
  return { count: 1, levels }
}

/** Numbers of a grammar that theory gives in closed form. */
export function factsOf(grammar: Grammar): { strings: bigint; tuples: number; used: number; f: number } {
  const { v, m, s } = grammar
  return { strings: BigInt(treeCount(grammar)), tuples: v ** s, used: v * m, f: m / v ** (s - 1) }
}

/** Posterior probability of every node's true symbol at noise ε, levels from the root. */
export function beliefIn(grammar: Grammar, trees: Trees, eps: number): number[][] {
  const leaves = trees.levels[grammar.L]!
  const evidence = leafEvidence(channels.epsilon, leaves, { v: grammar.v, noise: eps, key: random.key(0) })
  const { marginals } = infer(grammar, evidence, 1, { marginals: true })
  return trees.levels.map((symbols, level) => {
    const rows = marginals![level]!
    const width = rows.length / symbols.length
    return Array.from(symbols, (symbol, node) => rows[node * width + symbol]!)
  })
}

/** The class's whole posterior. */
export function classPosteriorOf(grammar: Grammar, trees: Trees, eps: number): number[] {
  const leaves = trees.levels[grammar.L]!
  const evidence = leafEvidence(channels.epsilon, leaves, { v: grammar.v, noise: eps, key: random.key(0) })
  return Array.from(infer(grammar, evidence, 1, { marginals: true }).marginals![0]!)
}

/** What theory says of the class and of a leaf at noise ε, and where the class is lost. */
export function theoryOf(sizes: Sizes, eps: number): { root: number; leaf: number } {
  const { marginal } = beliefs({ ...sizes, classes: sizes.v }, eps)
  return { root: marginal.at(-1)!, leaf: marginal[0]! }
}
export const criticalOf = (sizes: Sizes): { star: number | undefined; phase: string } => ({
  star: epsStar({ ...sizes, classes: sizes.v }),
  phase: phase({ ...sizes, classes: sizes.v }),
})

/** Mean and standard error of what survives at each noise level: trees of grammars that `seed` and their number draw. */
export interface SurvivalPoint {
  readonly eps: number
  readonly root: number
  readonly rootError: number
  readonly leaf: number
  readonly leafError: number
}

const meanAndError = (values: readonly number[]): [number, number] => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const squares = values.reduce((a, b) => a + (b - mean) ** 2, 0)
  return [mean, values.length > 1 ? Math.sqrt(squares / (values.length - 1) / values.length) : 0]
}

/** Survival of the class and of leaves, over `grammars` grammars with `each` trees of each; errors are over grammars. */
export function* survivalPoints(
  sizes: Sizes,
  {
    eps,
    grammars,
    each,
    first = 0,
  }: { eps: readonly number[]; grammars: number; each: number; first?: number },
): Generator<SurvivalPoint> {
  const drawn = Array.from({ length: grammars }, (_, g) => {
    const grammar = grammarOf({ ...sizes, seed: sizes.seed + 1000 * (first + g) })
    return {
      grammar,
      trees: sampleTrees(grammar, random.foldIn(random.key(sizes.seed), 2 + first + g), each),
    }
  })
  for (const at of eps) {
    const found = drawn.map(
      ({ grammar, trees }) =>
        survivalOf(grammar, trees, channels.epsilon, { noise: at, key: random.key(0) }).levels,
    )
    const [root, rootError] = meanAndError(found.map((levels) => levels[0]!))
    const [leaf, leafError] = meanAndError(found.map((levels) => levels.at(-1)!))
    yield { eps: at, root, rootError, leaf, leafError }
  }
}
