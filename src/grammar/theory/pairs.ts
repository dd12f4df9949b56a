/**
 * @file Mean-field statistics of pairs of tokens in a forward–backward experiment: which change together, how many at once.
 * States are 1 (reconstructed) and 0 (changed); heights count from the leaves.
 */
import type { Shape } from '../grammar.ts'
import { checkTheory } from './fractions.ts'
import { beliefs } from './maps.ts'

/** Probabilities of the states of two distinct children, given their parent's: [11, 10 = 01, 00]. */
type PairOfChildren = readonly [both: number, one: number, neither: number]

/**
 * Children of a node sampled top-down when they believe in their true symbols with probability x, Z = v^s − 1; the parent
 * reconstructed or not. Children beyond the pair are summed out. (Sclocchi et al. 2025b, Eqs. 36–51)
 *   parent 1: 11 ∝ x^s + (m − 1)(x² − x^s)/Z, 10 ∝ (m − 1) x(1 − x)/Z, 00 ∝ (m − 1)(1 − x)²/Z
 *   parent 0: 11 ∝ m (x² − x^s)/Z,           10 ∝ m x(1 − x)/Z,       00 ∝ m (1 − x)²/Z
 */
export function childPair({ v, m, s }: Shape, x: number, parent: 0 | 1): PairOfChildren {
  const rules = (m - parent) / (v ** s - 1)
  const both = parent * x ** s + rules * (x ** 2 - x ** s)
  const one = rules * x * (1 - x)
  const neither = rules * (1 - x) ** 2
  const all = both + 2 * one + neither
  // No tuple is left to choose (a certain child of a changed parent): such a parent has probability 0 itself.
  if (all === 0) return [parent, 0, 1 - parent]
  return [both / all, one / all, neither / all]
}

/** Pair statistics by height. Index 0 of `covariance` and `relative` is a token with itself. */
export interface PairStatistics {
  /** Probability that a node at each height (0 … L) is reconstructed. */
  readonly reconstructed: readonly number[]
  /** C(ℓ) of σ = ±1 for two tokens whose lowest common ancestor is at height ℓ, in [−1, 1]; C(0) = 4 q₀(1 − q₀). */
  readonly covariance: readonly number[]
  /** C(ℓ)/C(0); 0 where no token can change. */
  readonly relative: readonly number[]
  /** χ = 1 + Σ_ℓ (s − 1) s^{ℓ−1} C(ℓ)/C(0): how many tokens change together, 1 when each is on its own. */
  readonly chi: number
}

/**
 * Mean-field C(ℓ) and χ at noise eps in [0, 1] of the ε-process: the states of nodes are drawn top-down, a Markov chain with
 * the transition probabilities of `childPair`, the root reconstructed with its up-belief.
 * Tokens with ancestor at height ℓ are s^{ℓ−1} to s^ℓ − 1 apart. (Sclocchi et al. 2025b, Eqs. 36–51)
 */
export function pairStatistics(shape: Shape, eps: number): PairStatistics {
  checkTheory(shape)
  const { s, L } = shape
  const { up } = beliefs(shape, eps)
  // stay[h] = P(a child at height h is reconstructed | its parent is), gain[h] = the same | its parent is not.
  const pairs = Array.from({ length: L }, (_, h) => [
    childPair(shape, up[h]!, 0),
    childPair(shape, up[h]!, 1),
  ])
  const single = pairs.map((given) => given.map(([both, one]) => both + one))
  const reconstructed = [...up]
  for (let h = L - 1; h >= 0; h--) {
    const q = reconstructed[h + 1]!
    reconstructed[h] = (1 - q) * single[h]![0]! + q * single[h]![1]!
  }
  // leaf = P(a leaf below is reconstructed | the state of its ancestor at height h), h = 0 first.
  let leaf: readonly number[] = [0, 1]
  const q0 = reconstructed[0]!
  const covariance = [4 * q0 * (1 - q0)]
  for (let height = 1; height <= L; height++) {
    const [wrong, right] = leaf as [number, number]
    const given = pairs[height - 1]!.map(
      ([both, one, neither]) => both * right ** 2 + 2 * one * right * wrong + neither * wrong ** 2,
    )
    const q = reconstructed[height]!
    covariance.push(4 * ((1 - q) * given[0]! + q * given[1]! - q0 ** 2))
    leaf = single[height - 1]!.map((up1) => up1 * right + (1 - up1) * wrong)
  }
  const own = covariance[0]!
  const relative = covariance.map((c) => (own === 0 ? 0 : c / own))
  const chi = relative.reduce(
    (sum, c, height) => (height === 0 ? 1 : sum + (s - 1) * s ** (height - 1) * c),
    1,
  )
  return { reconstructed, covariance, relative, chi }
}

/** χ of `pairStatistics`: peaks at the transition and grows with L. */
export const meanFieldChi = (shape: Shape, eps: number): number => pairStatistics(shape, eps).chi
