/** @file Scaling exponents: how correlations decay and how the loss falls with data. */
import type { Shape } from '../grammar.ts'
import { checkTheory, legalShare } from './fractions.ts'

/** Exponents of a shape; all ≥ 0. `undefined` where m = 1 makes one infinite. */
export interface Exponents {
  /** Token correlations decay as t^{−β}, β = ln m/ln s; also P* = classes·d^β. (Cagnetta & Wyart 2024, Eq. 8) */
  readonly beta: number
  /** Data that resolve distance t grow as t^z, z = 2β. (ibid., Fig. 4) */
  readonly z: number
  /** The loss with context t falls as t^{−γ}, γ = |ln f|/ln s: its excess is f^ℓ at t = s^ℓ. (ibid., Eqs. 11, 13) */
  readonly gamma: number
  /** Without weight sharing the loss falls as P^{−α}, α = γ/(2β) = |ln f|/(2 ln m). (ibid., Eq. 13) */
  readonly alphaTransformer: number | undefined
  /** With weight sharing, α = γ/β = |ln f|/ln m, twice as fast. (Cagnetta et al. 2025) */
  readonly alphaCnn: number | undefined
}

/** Scaling exponents of a shape, f = m/v^{s−1}. Losses of contexts t collapse as t^{−αz} Φ(P/t^z), αz = γ. */
export function exponents(shape: Shape): Exponents {
  checkTheory(shape)
  const { m, s } = shape
  const fall = Math.abs(Math.log(legalShare(shape)))
  const beta = Math.log(m) / Math.log(s)
  const perData = m === 1 ? undefined : fall / Math.log(m)
  return {
    beta,
    z: 2 * beta,
    gamma: fall / Math.log(s),
    alphaTransformer: perData === undefined ? undefined : perData / 2,
    alphaCnn: perData,
  }
}
