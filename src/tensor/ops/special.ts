/** @file erf in double precision (W. J. Cody, Math. Comp. 23, 1969), as coefficients shared by the reference and the f64 lowering. */
// biome-ignore-all lint/correctness/noPrecisionLoss: published coefficients, kept as printed

/** |x| ≤ 0.5: erf x = x P(x²)/Q(x²), coefficients highest power first. */
export const erfSmall = {
  p: [
    1.85777706184603153e-1, 3.1611237438705656, 1.138641541510501556e2, 3.77485237685302021e2,
    3.20937758913846947e3,
  ],
  q: [1, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3],
}
/** 0.46875 ≤ |x| ≤ 4: erfc x = exp(−x²) P(x)/Q(x). */
export const erfMiddle = {
  p: [
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
    2.98635138197400131e2, 8.8195222124176909e2, 1.71204761263407058e3, 2.05107837782607147e3,
    1.23033935479799725e3,
  ],
  q: [
    1, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
  ],
}
/** |x| > 4: erfc x = exp(−x²)/x · (1/√π − P(1/x²)/(x² Q(1/x²))). */
const erfLarge = {
  p: [
    1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
    1.60837851487422766e-2, 6.58749161529837803e-4,
  ],
  q: [
    1, 2.56852019228982242, 1.87295284992346047, 5.27905102951428412e-1, 6.05183413124413191e-2,
    2.33520497626869185e-3,
  ],
}

const horner = (c: readonly number[], x: number): number => c.reduce((sum, a) => sum * x + a, 0)

/** erf(x), accurate to about 1e-16. */
export function erf(x: number): number {
  const a = Math.abs(x)
  if (Number.isNaN(x)) return x
  if (a <= 0.46875) return (x * horner(erfSmall.p, x * x)) / horner(erfSmall.q, x * x)
  if (a > 6) return Math.sign(x)
  let erfc: number
  if (a <= 4) erfc = (Math.exp(-a * a) * horner(erfMiddle.p, a)) / horner(erfMiddle.q, a)
  else {
    const y = 1 / (a * a)
    erfc =
      (Math.exp(-a * a) / a) * (1 / Math.sqrt(Math.PI) - (y * horner(erfLarge.p, y)) / horner(erfLarge.q, y))
  }
  return Math.sign(x) * (1 - erfc)
}
