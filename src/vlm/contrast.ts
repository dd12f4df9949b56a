/**
 * @file Contrast rules: the next token from what a model expects with its condition (an image, a passage) and without. A rule is
 * a pure function of two rows of logits and of the place in the text. (Favero et al. 2024, arXiv 2403.14003, eqs. 4–7)
 */
import { fail } from '../base/index.ts'
import { logProbabilities } from '../lm/index.ts'

/**
 * Logits [vocabulary] with and without the condition, and the number t of tokens made before, from 0 ↦ scores [vocabulary]. They
 * are logits up to a constant: the temperature, cuts and penalties of sampling come after the contrast.
 */
export interface ContrastRule {
  (conditioned: ArrayLike<number>, unconditioned: ArrayLike<number>, t: number): Float64Array
  /** Does the row without the condition count here? Where it does not, any other may stand in its place. Absent: always. */
  readonly needs?: (conditioned: ArrayLike<number>, t: number) => boolean
  /** The scores of equal rows are their log-probabilities, not their logits. */
  readonly normalizes?: boolean
}

/** What every rule takes beside its own numbers. */
export interface ContrastLimits {
  /** Only where no token is as probable as this with the condition; above 1 always. Default: always. */
  readonly alpha?: number
  /** Tokens less probable than this share of the first, with the condition, are out. Default 0: none is. (Li et al. 2023) */
  readonly cutoff?: number
}

export interface M3idOptions extends ContrastLimits {
  /** How quickly the condition fades, for each token: γ_t = exp(−lambda t). The paper has 0.02. */
  readonly lambda: number
  /** The gate: only where no token is as probable as this with the condition. The paper has 0.3. */
  readonly alpha: number
  /** The most that the difference counts; without it long texts degenerate, for it grows as exp(lambda t). Default Infinity. */
  readonly maxWeight?: number
  /** Tokens that count as made before the first. Default 0: the first token is that of the model. */
  readonly t0?: number
}

interface Expected {
  readonly name: string
  readonly says: string
  readonly holds: (value: number) => boolean
}
const positive: Omit<Expected, 'name'> = { says: 'a number > 0', holds: (value) => value > 0 }
const notNegative: Omit<Expected, 'name'> = { says: 'a number >= 0', holds: (value) => value >= 0 }
const share: Omit<Expected, 'name'> = {
  says: 'a number from 0 to 1',
  holds: (value) => value >= 0 && value <= 1,
}

function check(name: string, value: number, { says, holds }: Omit<Expected, 'name'>): void {
  if (typeof value !== 'number' || !holds(value))
    fail('TL_BAD_ARGUMENT', `contrast.${name}: expected ${says}, got ${value}`)
}

function requireRows(conditioned: ArrayLike<number>, unconditioned: ArrayLike<number>): void {
  if (conditioned.length === unconditioned.length && conditioned.length > 0) return
  fail(
    'TL_SHAPE_MISMATCH',
    `contrast: expected two rows of as many logits, got ${conditioned.length} and ${unconditioned.length}`,
  )
}

/**
 * c + weight (c − u). A token that is impossible with the condition stays so; one that is impossible without it alone has no
 * difference: −∞ in either row never gives NaN.
 */
function amplified(
  conditioned: ArrayLike<number>,
  unconditioned: ArrayLike<number>,
  weight: number,
): Float64Array {
  const scores = Float64Array.from(conditioned)
  if (weight === 0) return scores
  for (let k = 0; k < scores.length; k++) {
    const difference = scores[k]! - unconditioned[k]!
    // an infinite weight on equal numbers leaves them equal
    if (Number.isFinite(difference) && difference !== 0) scores[k]! += weight * difference
  }
  return scores
}

/** Tokens below a share of the first's probability are out. `logits` may have any constant. */
function withoutImplausible(
  scores: Float64Array,
  logits: ArrayLike<number>,
  cutoff: number | undefined,
): Float64Array {
  if (!cutoff) return scores
  let top = -Infinity
  for (let k = 0; k < logits.length; k++) top = Math.max(top, logits[k]!)
  const least = top + Math.log(cutoff)
  for (let k = 0; k < scores.length; k++) if (!(logits[k]! >= least)) scores[k] = -Infinity
  return scores
}

const largestOf = (row: Float64Array): number => row.reduce((most, value) => Math.max(most, value), -Infinity)

/** A rule on log-probabilities, gated and cut, whose difference counts `weightAt(t)` times; the whole counts `factor` times. */
function onLogProbabilities(
  name: string,
  { alpha, cutoff }: ContrastLimits,
  weightAt: (t: number) => number,
  factor = 1,
): ContrastRule {
  if (alpha !== undefined) check(`${name}: alpha`, alpha, positive)
  if (cutoff !== undefined) check(`${name}: cutoff`, cutoff, share)
  const gate = alpha === undefined ? Infinity : Math.log(alpha)
  const rule: ContrastRule = (conditioned, unconditioned, t) => {
    requireRows(conditioned, unconditioned)
    const [c, u] = [logProbabilities(conditioned), logProbabilities(unconditioned)]
    // where the model is sure, its own word stands
    if (!(largestOf(c) < gate)) return c
    const scores = amplified(c, u, weightAt(t))
    return withoutImplausible(factor === 1 ? scores : scores.map((score) => factor * score), c, cutoff)
  }
  const needs = (conditioned: ArrayLike<number>, t: number): boolean =>
    weightAt(t) !== 0 && (gate === Infinity || largestOf(logProbabilities(conditioned)) < gate)
  return Object.assign(rule, { needs, normalizes: true })
}

/**
 * M3ID: log p_c + ((1 − γ_t)/γ_t)(log p_c − log p_u) where the model is unsure, γ_t = exp(−lambda (t + t0)). lambda = 0, a gate
 * that never opens, or equal rows give the model's own order. (Favero et al. 2024, eq. 7)
 */
function m3id({ lambda, alpha, maxWeight = Infinity, t0 = 0, cutoff }: M3idOptions): ContrastRule {
  check('m3id: lambda', lambda, notNegative)
  check('m3id: alpha', alpha, positive)
  check('m3id: maxWeight', maxWeight, notNegative)
  check('m3id: t0', t0, notNegative)
  const weightAt = (t: number): number => Math.min(Math.expm1(lambda * (t + t0)), maxWeight)
  return onLogProbabilities('m3id', { alpha, ...(cutoff !== undefined && { cutoff }) }, weightAt)
}

/** Classifier-free guidance: log p_u + scale (log p_c − log p_u). (Ho and Salimans 2022; Sanchez et al. 2023) */
function cfg({ scale, ...limits }: ContrastLimits & { readonly scale: number }): ContrastRule {
  check('cfg: scale', scale, { says: 'a finite number', holds: Number.isFinite })
  return onLogProbabilities('cfg', limits, () => scale - 1)
}

/** Context-aware decoding: (1 + weight) log p_c − weight log p_u. (Shi et al. 2024) */
function cad({ weight, ...limits }: ContrastLimits & { readonly weight: number }): ContrastRule {
  check('cad: weight', weight, notNegative)
  return onLogProbabilities('cad', limits, () => weight)
}

/**
 * Pointwise mutual information: log p_c − beta log p_u, beta < 1 (the order of tokens is that of a guidance of 1/(1 − beta)). (Li et
 * al. 2016)
 */
function pmi({ beta, ...limits }: ContrastLimits & { readonly beta: number }): ContrastRule {
  check('pmi: beta', beta, { says: 'a number from 0 to below 1', holds: (value) => value >= 0 && value < 1 })
  return onLogProbabilities('pmi', limits, () => beta / (1 - beta), 1 - beta)
}

/**
 * Visual contrastive decoding: (1 + alpha) c − alpha u of raw logits, u those with a noised image; tokens less than beta times as
 * probable as the first are out. (Leng et al. 2024, eqs. 3 and 5)
 */
function vcd({
  alpha = 0.5,
  beta = 0.1,
}: {
  readonly alpha?: number
  readonly beta?: number
} = {}): ContrastRule {
  check('vcd: alpha', alpha, notNegative)
  check('vcd: beta', beta, share)
  return (conditioned, unconditioned) => {
    requireRows(conditioned, unconditioned)
    return withoutImplausible(amplified(conditioned, unconditioned, alpha), conditioned, beta)
  }
}

/**
 * No contrast but a constant on the log-probabilities of some tokens: those that open another sentence ("stop earlier"), or "yes".
 * What a rule does is worth only what this does not.
 */
function bias({ ids, add }: { readonly ids: readonly number[]; readonly add: number }): ContrastRule {
  check('bias: add', add, { says: 'a finite number', holds: Number.isFinite })
  const rule: ContrastRule = (conditioned) => {
    const scores = logProbabilities(conditioned)
    for (const id of ids) {
      if (!(Number.isInteger(id) && id >= 0 && id < scores.length))
        fail(
          'TL_BAD_ARGUMENT',
          `contrast.bias: ids: expected tokens from 0 to ${scores.length - 1}, got ${id}`,
        )
      scores[id]! += add
    }
    return scores
  }
  return Object.assign(rule, { needs: () => false, normalizes: true })
}

/** The rules, by their names. */
export const contrast = { m3id, cfg, cad, pmi, vcd, bias }
