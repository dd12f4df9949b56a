/**
 * @file The loss of predicting the last token with a context cut at s^ℓ − 1 tokens: the steps down which a learner goes. A bound
 * and its limit in closed form, and the exact value for one grammar.
 */
import { fail, finish, type Steps } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import type { Grammar, Shape } from '../grammar.ts'
import { checkHeight, checkTheory, legalShare } from './fractions.ts'
import { nodeMarginal, ruleProbabilities } from './transfer.ts'

/**
 * N̄_ℓ, mean number of last tokens that are compatible with the s^ℓ − 1 tokens before, over random grammars and their
 * strings: 1 + A a^ℓ + B with a = m(v − 1)/(v^s − 1), B = (v − 1)(m − 1)/(v^s − 1 − m(v − 1)), A = n − 1 − B. The symbol at height ℓ
 * may be any of n: v, or the classes at ℓ = L. height 0 gives v. (Cagnetta & Wyart 2024, Eq. 11)
 */
export function compatibleTokens(shape: Shape, height: number): number {
  checkTheory(shape)
  checkHeight(shape, height, 0)
  const { v, m, s, L, classes } = shape
  const tuples = v ** s - 1
  const a = (m * (v - 1)) / tuples
  const B = ((v - 1) * (m - 1)) / (tuples - m * (v - 1))
  const top = height === L ? classes : v
  return 1 + (top - 1 - B) * a ** height + B
}

/** Upper bound of the plateau at height ℓ, ln N̄_ℓ in nats. (ibid., Eq. 11) */
export const plateauBound = (shape: Shape, height: number): number =>
  Math.log(compatibleTokens(shape, height))

/**
 * ln N̄_ℓ for large v, m and ℓ: ln[1/(1 − f)] + (1 − f) v f^ℓ in nats, f = m/v^{s−1}. (The paper writes the last term v f^ℓ, which is
 * the same to leading order in f.) Infinity at f = 1. (ibid., Eqs. 11–13)
 */
export function plateauLimit(shape: Shape, height: number): number {
  checkTheory(shape)
  checkHeight(shape, height, 0)
  const f = legalShare(shape)
  return f === 1 ? Infinity : -Math.log(1 - f) + (1 - f) * shape.v * f ** height
}

/** A conditional entropy in nats. */
export interface Plateau {
  readonly loss: number
  /** Whether all contexts were listed. */
  readonly exact: boolean
  /** Standard error of `loss`; 0 when it is exact, and where all sampled contexts leave the same uncertainty. */
  readonly standardError: number
}

export interface PlateauOptions {
  /** Contexts to enumerate before sampling them instead (default 2^20). */
  limit?: number
  /** Contexts to sample when there are more (default 4096). */
  samples?: number
  /** Key of the sampling (default key 0). */
  key?: random.Key
}

/** Weights of the symbols that a node of the rightmost path may have, given what was seen above: parallel arrays. */
interface Candidates {
  readonly symbols: readonly number[]
  readonly weights: readonly number[]
}

/** The next level's candidates for each tuple of siblings that can be seen; total weights sum to the candidates' own. */
type Branches = readonly (Candidates & { readonly total: number })[]

/**
 * Siblings of the rightmost path are all that the context says: a subtree that is seen whole has one possible symbol on top
 * (every legal tuple has one parent). So contexts are few, and a context is a sequence of sibling tuples from the top.
 */
function branchesOf(grammar: Grammar, level: number, { symbols, weights }: Candidates): Branches {
  const { v, m, s } = grammar
  const rules = grammar.rules[level]!
  const probabilities = ruleProbabilities(grammar, level)
  const seen = new Map<number, { symbols: number[]; weights: number[]; total: number }>()
  for (const [i, symbol] of symbols.entries())
    for (let rule = symbol * m; rule < (symbol + 1) * m; rule++) {
      const weight = weights[i]! * probabilities[rule]!
      if (weight === 0) continue
      let siblings = 0
      for (let j = 0; j < s - 1; j++) siblings = siblings * v + rules[rule * s + j]!
      const branch = seen.get(siblings) ?? { symbols: [], weights: [], total: 0 }
      seen.set(siblings, branch)
      // With its siblings fixed, a child comes from one rule only: no symbol enters twice.
      branch.symbols.push(rules[rule * s + s - 1]!)
      branch.weights.push(weight)
      branch.total += weight
    }
  return [...seen.values()]
}

/** −Σ w ln(w / Σ w): the entropy of normalized weights, times their sum. */
function weightedEntropy(weights: readonly number[]): number {
  const total = weights.reduce((a, w) => a + w, 0)
  return weights.reduce((sum, w) => (w > 0 ? sum - w * Math.log(w / total) : sum), 0)
}

/** Nodes between two places at which a listing may be left. */
const nodesOfStep = 1024

/** Sum over contexts of weight × entropy of the last token, or `undefined` when there are more contexts than `limit`. */
function* enumeratingContexts(
  grammar: Grammar,
  top: number,
  start: Candidates,
  limit: number,
): Steps<number | undefined> {
  const { L } = grammar
  let contexts = 0
  let nodes = 0
  // A symbol known for certain leaves the same uncertainty wherever it occurs.
  const known = Array.from({ length: L + 1 }, () => new Map<number, number>())
  function* walk(level: number, candidates: Candidates): Steps<number> {
    if (level === L) {
      contexts++
      return weightedEntropy(candidates.weights)
    }
    if (contexts > limit) return 0
    const certain = candidates.symbols.length === 1
    const symbol = candidates.symbols[0]!
    if (certain) {
      const before = known[level]!.get(symbol)
      if (before !== undefined) return before * candidates.weights[0]!
    }
    if (++nodes % nodesOfStep === 0) yield
    let sum = 0
    for (const branch of branchesOf(grammar, level, candidates)) sum += yield* walk(level + 1, branch)
    if (certain) known[level]!.set(symbol, sum / candidates.weights[0]!)
    return sum
  }
  const sum = yield* walk(top, start)
  return contexts > limit ? undefined : sum
}

/** The branch that a uniform number in [0, 1) falls into. */
function drawBranch(branches: Branches, unit: number): Branches[number] {
  let rest = unit * branches.reduce((sum, branch) => sum + branch.total, 0)
  for (const branch of branches) {
    rest -= branch.total
    if (rest < 0) return branch
  }
  return branches.at(-1)!
}

/** Mean and standard error of the last token's entropy over contexts drawn from the grammar. */
function* samplingContexts(
  grammar: Grammar,
  top: number,
  start: Candidates,
  samples: number,
  key: random.Key,
): Steps<Plateau> {
  const { L } = grammar
  const steps = L - top
  const units = random.sampleUniform(key, samples * steps)
  const entropies = new Float64Array(samples)
  let sum = 0
  for (let i = 0; i < samples; i++) {
    if (i % 64 === 63) yield
    let candidates: Candidates = start
    for (let level = top; level < L; level++) {
      const branches = branchesOf(grammar, level, candidates)
      const chosen = drawBranch(branches, units[i * steps + level - top]!)
      candidates = { symbols: chosen.symbols, weights: chosen.weights.map((w) => w / chosen.total) }
    }
    entropies[i] = weightedEntropy(candidates.weights)
    sum += entropies[i]!
  }
  const loss = sum / samples
  const variance = entropies.reduce((squares, entropy) => squares + (entropy - loss) ** 2, 0) / (samples - 1)
  return { loss, exact: false, standardError: Math.sqrt(variance / samples) }
}

/**
 * The plateau at height ℓ of one grammar: the entropy of the last token given the s^ℓ − 1 tokens before it, in nats; the lowest
 * cross-entropy that any predictor with this context reaches. height 0: no context; height L: all tokens. Exact, by enumeration
 * of contexts, while these are at most `limit`; else the mean over `samples` contexts with its standard error.
 * Throws TL_BAD_CONFIG for a height outside 0 … L or fewer than 2 samples. (Cagnetta & Wyart 2024, section 4)
 */
export const exactPlateau = (grammar: Grammar, height: number, options: PlateauOptions = {}): Plateau =>
  finish(findingPlateau(grammar, height, options))

/** `exactPlateau` in steps: large grammars take seconds. */
export function* findingPlateau(
  grammar: Grammar,
  height: number,
  options: PlateauOptions = {},
): Steps<Plateau> {
  checkTheory(grammar)
  checkHeight(grammar, height, 0)
  const { limit = 2 ** 20, samples = 4096, key = random.key(0) } = options
  if (!(Number.isInteger(samples) && samples >= 2))
    fail('TL_BAD_CONFIG', `samples: expected an integer ≥ 2, got ${samples} (an error needs two)`)
  const { s, L } = grammar
  const top = L - height
  const prior = nodeMarginal(grammar, { level: top, index: s ** top - 1 })
  const symbols = [...prior.keys()].filter((symbol) => prior[symbol]! > 0)
  const start: Candidates = { symbols, weights: symbols.map((symbol) => prior[symbol]!) }
  const sum = yield* enumeratingContexts(grammar, top, start, limit)
  if (sum !== undefined) return { loss: sum, exact: true, standardError: 0 }
  return yield* samplingContexts(grammar, top, start, samples, key)
}
