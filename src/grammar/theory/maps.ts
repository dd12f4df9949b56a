/**
 * @file The mean-field maps of denoising: what a node believes of its true symbol, given what its children (up) or its parent
 * and siblings (down) believe of theirs, with the random rules averaged out.
 */
import type { Shape } from '../grammar.ts'
import { checkRange, checkTheory, otherLegalShare, synonymShare } from './fractions.ts'

/**
 * Up: children that believe in their true symbols with probability p give their parent the belief
 * F(p) = [p^s + b (1 − p^s)] / [p^s + f (1 − p^s)], b = (m − 1)/(v^s − 1), f = (m·parents − 1)/(v^s − 1). The true tuple weighs
 * p^s; the other v^s − 1 share the rest equally on average, m − 1 of them belong to the true parent, m·parents − 1 to any.
 * `parents` is v, or the number of classes when the parent is the root. p in [0, 1], result in [0, 1].
 * (Sclocchi et al. 2025, Eq. 8)
 */
export function upwardMap(shape: Shape, p: number, parents = shape.v): number {
  checkTheory(shape)
  checkRange('p', p, 0, 1, 'the belief in the true symbol')
  const whole = p ** shape.s
  const synonyms = synonymShare(shape) * (1 - whole)
  // Where nothing supports any tuple (p = 0 and a single legal one) the parent is certain for want of alternatives.
  const all = whole + otherLegalShare(shape, parents) * (1 - whole)
  return all === 0 ? 1 : (whole + synonyms) / all
}

/**
 * dF/dp of `upwardMap`: s p^{s−1} [(1 − b) − F(p) (1 − f)] / [p^s + f (1 − p^s)]. At p = 1 it is s·m·(v − 1)/(v^s − 1) ≈ s·f for
 * parents = v. p in [0, 1]. (Sclocchi et al. 2025, SI)
 */
export function upwardSlope(shape: Shape, p: number, parents = shape.v): number {
  const belief = upwardMap(shape, p, parents)
  const whole = p ** shape.s
  const f = otherLegalShare(shape, parents)
  const all = whole + f * (1 - whole)
  if (all === 0) return 0
  return (shape.s * p ** (shape.s - 1) * (1 - synonymShare(shape) - belief * (1 - f))) / all
}

/**
 * Down: a parent believed (from above) with probability q and siblings believed (from below) with p tell a child that its
 * true symbol has probability
 * G(q, p) = [q p^{s−1} + (m − q)(1 − p^{s−1})/Z] / [q p^{s−1} + (m − q)(v − p^{s−1})/Z], Z = v^s − 1.
 * p, q and the result in [0, 1]. (Sclocchi et al. 2025, SI Eqs. 43–59)
 */
export function downwardMap(shape: Shape, q: number, p: number): number {
  checkTheory(shape)
  checkRange('q', q, 0, 1, 'the belief in the parent from above')
  checkRange('p', p, 0, 1, 'the belief in a sibling from below')
  const { v, m, s } = shape
  const siblings = p ** (s - 1)
  const other = (m - q) / (v ** s - 1)
  const right = q * siblings + other * (1 - siblings)
  return right / (q * siblings + other * (v - siblings))
}

/** Belief in the true symbol of a leaf under the ε-process: 1 − ε + ε/v; ε in [0, 1]. (Sclocchi et al. 2025, Eq. 6) */
export const leafBelief = ({ v }: Shape, eps: number): number => 1 - eps + eps / v

/**
 * Belief in one of `symbols` symbols from the evidence below (p) and around (q) it, the wrong ones taken as equal:
 * p q / (p q + (1 − p)(1 − q)/(symbols − 1)). With one symbol, 1; where the two contradict each other (one certain for, one
 * against), 0.
 */
export function combineBeliefs(p: number, q: number, symbols: number): number {
  if (symbols === 1) return 1
  const wrong = ((1 - p) * (1 - q)) / (symbols - 1)
  return p * q === 0 && wrong === 0 ? 0 : (p * q) / (p * q + wrong)
}

/** Mean-field beliefs in the true symbol, by height: index 0 leaves … L root. */
export interface Beliefs {
  /** From the leaves below: p_0 = 1 − ε + ε/v, p_{ℓ+1} = F(p_ℓ). */
  readonly up: readonly number[]
  /** From everything else: the root's is its prior 1/classes, q_ℓ = G(q_{ℓ+1}, p_ℓ). */
  readonly down: readonly number[]
  /** From all leaves: the two combined. */
  readonly marginal: readonly number[]
}

/**
 * Beliefs at every height for the ε-process of strength eps in [0, 1] (0 keeps the leaves, 1 erases them): the up map from the
 * leaves, then the down map from the root. (Sclocchi et al. 2025, Eqs. 6–8 and SI)
 */
export function beliefs(shape: Shape, eps: number): Beliefs {
  checkTheory(shape)
  checkRange('eps', eps, 0, 1, 'the strength of the noise')
  const { v, classes, L } = shape
  const up = [leafBelief(shape, eps)]
  for (let height = 1; height <= L; height++)
    up.push(upwardMap(shape, up[height - 1]!, height === L ? classes : v))
  const down = new Array<number>(L + 1).fill(1 / classes)
  for (let height = L - 1; height >= 0; height--)
    down[height] = downwardMap(shape, down[height + 1]!, up[height]!)
  const marginal = up.map((p, height) => combineBeliefs(p, down[height]!, height === L ? classes : v))
  return { up, down, marginal }
}
