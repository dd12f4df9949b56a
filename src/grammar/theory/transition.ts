/** @file Where the class is lost: fixed points of the mean-field map, the critical noise and the exponent around it. */
import { fail } from '../../base/index.ts'
import type { Shape } from '../grammar.ts'
import { checkRange, checkTheory, otherLegalShare, synonymShare } from './fractions.ts'
import { upwardSlope } from './maps.ts'

/**
 * What a growing tree does with the class. `transition`: kept below a critical noise, lost above. `lost`: no noise is small
 * enough (s·f ≳ 1). `kept`: any information in the leaves is enough (few synonyms: m ≲ s).
 */
export type Phase = 'transition' | 'lost' | 'kept'

/** s·f with f = m/v^{s−1}: the large-v form of F′(1). The class survives some noise only below 1. (Sclocchi et al. 2025) */
export const branchingRatio = ({ v, m, s }: Shape): number => (s * m) / v ** (s - 1)

/**
 * The phase, from the slope of F at its two trivial fixed points: F′(1) = s·m·(v − 1)/(v^s − 1) (≈ s·f; ≥ 1 is `lost`) and
 * F′(1/v) = (s/m)(1 − 1/v)/(1 − v^{−s}) (≥ 1 is `kept`). Never both.
 */
export function phase(shape: Shape): Phase {
  checkTheory(shape)
  if (upwardSlope(shape, 1) >= 1) return 'lost'
  return upwardSlope(shape, 1 / shape.v) >= 1 ? 'kept' : 'transition'
}

/** Whether a repulsive fixed point lies strictly between 1/v and 1, so that there is a critical noise. */
export const hasTransition = (shape: Shape): boolean => phase(shape) === 'transition'

/**
 * The repulsive fixed point p* of F in (1/v, 1): leaves believed more than this give a certain class, leaves believed less
 * give none, as L → ∞. `undefined` without a transition (see `phase`).
 *
 * F(p) = p is a polynomial of degree s + 1 with roots 1 and 1/v; divided by both it is (1 − f) p^{s−1} + c_{s−2} p^{s−2} + … +
 * c_0, c_{k−1} = c_k/v − (f − b), whose only positive root is p*. For s = 2: p* = (m − 1)/(v − m).
 */
export function pStar(shape: Shape): number | undefined {
  if (!hasTransition(shape)) return undefined
  const { v, m, s } = shape
  if (s === 2) return (m - 1) / (v - m)
  const f = otherLegalShare(shape)
  const b = synonymShare(shape)
  const excess = (p: number): number => {
    let coefficient = 1 - f
    let value = coefficient
    for (let k = s - 1; k > 0; k--) {
      coefficient = coefficient / v - (f - b)
      value = value * p + coefficient
    }
    return value
  }
  let [low, high] = [1 / v, 1]
  for (;;) {
    const middle = (low + high) / 2
    if (middle <= low || middle >= high) return middle
    if (excess(middle) < 0) low = middle
    else high = middle
  }
}

/**
 * The critical noise ε* of the ε-process: 1 − (1 − 1/v) ε* = p*. For s = 2: v (v − 2m + 1)/((v − m)(v − 1)). `undefined` without
 * a transition: the class is then lost at any ε > 0 (phase `lost`) or kept at any ε < 1 (phase `kept`).
 */
export function epsStar(shape: Shape): number | undefined {
  const p = pStar(shape)
  return p === undefined ? undefined : (1 - p) / (1 - 1 / shape.v)
}

/**
 * Exponent of the correlation length, ν = ln s / ln F′(p*): the distance from p* grows by F′(p*) at each level and lengths by
 * s. `undefined` without a transition. (Sclocchi et al. 2025b, section 4)
 */
export function correlationExponent(shape: Shape): number | undefined {
  const p = pStar(shape)
  return p === undefined ? undefined : Math.log(shape.s) / Math.log(upwardSlope(shape, p))
}

/**
 * Correlation length ξ = |ε − ε*|^{−ν} in tokens, up to a constant factor of order 1: the distance over which the noise's
 * departure from ε* has grown to order 1 on its way up. Infinity at ε*. eps in [0, 1]. Throws TL_BAD_CONFIG without a
 * transition. (ibid.)
 */
export function correlationLength(shape: Shape, eps: number): number {
  checkRange('eps', eps, 0, 1, 'the strength of the noise')
  const critical = epsStar(shape)
  const exponent = correlationExponent(shape)
  if (critical === undefined || exponent === undefined)
    return fail(
      'TL_BAD_CONFIG',
      `config: expected a grammar with a transition, got v = ${shape.v}, m = ${shape.m}, s = ${shape.s} (the class is ${phase(shape)} at every noise); take s·m < v^{s−1} and m > s`,
    )
  return Math.abs(eps - critical) ** -exponent
}
