/** @file The vote on signs of TIES. */
import { type Arithmetic, arithmeticOf, equal, keep, sameSign, type Vector, where } from '../vector/index.ts'

const { total, multiply } = arithmeticOf('F32')

/**
 * Σ wᵢδᵢ over the models whose wᵢδᵢ has the sign of the sum (≥ 0 counts as +), divided by Σ wᵢ of those if `normalize`.
 * `deltas` are weighted already. In the order of the models.
 */
export function votedSum(
  arithmetic: Arithmetic,
  deltas: readonly Vector[],
  weights: readonly number[],
  normalize: boolean,
): Vector {
  const elected = total(deltas)
  const agrees = deltas.map((delta) => sameSign(delta, elected))
  // a product, so that NaN stays where a selection would lose it
  const mixed = arithmetic.total(deltas.map((delta, i) => multiply(delta, keep(1, agrees[i]!))))
  if (!normalize) return mixed
  const divisor = arithmetic.total(agrees.map((mask, i) => keep(weights[i]!, mask)))
  return arithmetic.divide(mixed, where(equal(divisor, 0), 1, divisor))
}
