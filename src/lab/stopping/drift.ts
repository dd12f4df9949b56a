/**
 * @file Laws whose exponent changes with P: ln(tau) as a Gaussian process in ln(P), given values and bounds, over a table of how
 * much and how quickly exponents change. (Rasmussen & Williams 2006, sections 2.7, 3.4 and 5.4)
 */
import { cholesky, solveCholesky } from '../../base/index.ts'
import { fitLine, lineAt, logTail, mostSteps, type Observation, standsFor } from './censored.ts'

/** How the local exponent d ln(tau)/d ln(P) varies: a Gaussian process in ln(P) about `centre`. */
interface Exponents {
  /** Its standard deviation. */
  readonly spread: number
  /** Doublings of P over which its correlation falls by e; infinite for a straight law. */
  readonly memory: number
}

/** tau in proportion to P, as gradient descent on a kernel has it. (Bonnaire et al. 2025) */
const centre = 1

/**
 * What is known of exponents before any is measured. They lie about 1, by 0.5 on trainings of images and grammars, up or down by
 * a factor 1.4, and forget themselves in 1.5 doublings; one law in four is straight. docs/stopping.md says where this is from.
 */
export const priors: readonly (Exponents & { readonly weight: number })[] = [0.35, 0.5, 0.7].flatMap(
  (spread) => [
    { spread, memory: 1.5, weight: 0.75 / 3 },
    { spread, memory: Number.POSITIVE_INFINITY, weight: 0.25 / 3 },
  ],
)

/** A normal distribution. */
interface Normal {
  readonly mean: number
  readonly variance: number
}

/** The law under one prior. */
interface Drift {
  /** ln(tau) at ln(P) = x. */
  at(x: number): Normal
  /** How well the prior foretold the observations: logarithm of their probability, up to a constant of the observations. */
  readonly logEvidence: number
}

/** Half the variance of the change of ln(tau) over `distance` in ln(P), about the mean exponent. */
function variogram({ spread, memory }: Exponents, distance: number): number {
  const doublings = Math.abs(distance) / Math.LN2
  // in units of ln(tau) per doubling
  const scale = (spread * Math.LN2) ** 2
  if (memory === Number.POSITIVE_INFINITY) return (scale * doublings ** 2) / 2
  return scale * memory * (doublings + memory * Math.expm1(-doublings / memory))
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0)

/** ln of the probability of an observation, its constant left out. */
function logLikelihood({ y, error, isBound }: Observation, mean: number): number {
  const z = (y - mean) / error
  return isBound ? logTail(z) : -(z * z) / 2
}

/** The process given normal observations, one at each place; the level of ln(tau) is free. */
function condition(prior: Exponents, xs: readonly number[], values: Float64Array, weights: Float64Array) {
  const n = xs.length
  const origin = xs[0]!
  const covariance = (x: number, other: number): number =>
    variogram(prior, x - origin) + variogram(prior, other - origin) - variogram(prior, x - other)
  const factor = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++)
      factor[i * n + j] = covariance(xs[i]!, xs[j]!) + (i === j ? 1 / weights[i]! : 0)
  cholesky(factor, n)
  const solved = (y: Float64Array): Float64Array => {
    const x = y.slice()
    solveCholesky(factor, n, x)
    return x
  }
  const ones = solved(new Float64Array(n).fill(1))
  const total = ones.reduce((sum, value) => sum + value, 0)
  const level =
    dot(
      ones,
      values.map((value, i) => value - centre * (xs[i]! - origin)),
    ) / total
  const pull = solved(values.map((value, i) => value - centre * (xs[i]! - origin) - level))
  const at = (x: number): Normal => {
    const along = Float64Array.from(xs, (other) => covariance(x, other))
    const free = 1 - dot(along, ones)
    return {
      mean: level + centre * (x - origin) + dot(along, pull),
      variance: covariance(x, x) - dot(along, solved(along)) + free ** 2 / total,
    }
  }
  let logDeterminant = Math.log(total)
  for (let i = 0; i < n; i++) logDeterminant += 2 * Math.log(factor[i * n + i]!) + Math.log(weights[i]!)
  // what the process itself pays for its changes of exponent
  const cost = xs.reduce((sum, x, i) => sum + pull[i]! * (at(x).mean - level - centre * (x - origin)), 0)
  return { at, logDeterminant, cost }
}

/** The law under one prior: exact for values; bounds enter by Laplace's approximation about the most likely law. */
export function driftOf(observations: readonly Observation[], prior: Exponents): Drift {
  const xs = [...new Set(observations.map(({ x }) => x))].sort((a, b) => a - b)
  const line = fitLine(observations)
  let means = xs.map((x) => lineAt(line, x))
  for (let step = 0; ; step++) {
    const [values, weights] = [new Float64Array(xs.length), new Float64Array(xs.length)]
    for (const one of observations) {
      const place = xs.indexOf(one.x)
      const { weight, value } = standsFor(one, means[place]!)
      values[place]! += weight * value
      weights[place]! += weight
    }
    const given = condition(
      prior,
      xs,
      values.map((sum, i) => sum / weights[i]!),
      weights,
    )
    const next = xs.map((x) => given.at(x).mean)
    const moved = Math.max(...next.map((mean, i) => Math.abs(mean - means[i]!)))
    means = next
    if (moved > 1e-10 && step < mostSteps) continue
    const likelihood = observations.reduce(
      (sum, one) => sum + logLikelihood(one, means[xs.indexOf(one.x)]!),
      0,
    )
    return { at: given.at, logEvidence: likelihood - (given.cost + given.logDeterminant) / 2 }
  }
}

/** The law under all priors. */
interface Mixture {
  /** ln(tau) at ln(P) = x, with what `extra` variance adds: its mean and the ends of its 95 % interval. */
  at(x: number, extra: number): { mean: number; low: number; high: number }
  /** Probability that the law is straight. */
  readonly straight: number
}

/** Where the probability below is `share`, by bisection. */
function quantile(parts: readonly { weight: number; mean: number; error: number }[], share: number): number {
  let low = Math.min(...parts.map(({ mean, error }) => mean - 10 * error))
  let high = Math.max(...parts.map(({ mean, error }) => mean + 10 * error))
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2
    const below = parts.reduce(
      (sum, { weight, mean, error }) => sum + weight * Math.exp(logTail((mean - middle) / error)),
      0,
    )
    if (below < share) low = middle
    else high = middle
  }
  return (low + high) / 2
}

export function mixtureOf(observations: readonly Observation[]): Mixture {
  const drifts = priors.map((prior) => driftOf(observations, prior))
  const best = Math.max(...drifts.map(({ logEvidence }) => logEvidence))
  const raw = drifts.map(({ logEvidence }, i) => priors[i]!.weight * Math.exp(logEvidence - best))
  const total = raw.reduce((sum, weight) => sum + weight, 0)
  const weights = raw.map((weight) => weight / total)
  return {
    at(x, extra) {
      const parts = drifts.map((drift, i) => {
        const { mean, variance } = drift.at(x)
        return { weight: weights[i]!, mean, error: Math.sqrt(variance + extra) }
      })
      return {
        mean: parts.reduce((sum, { weight, mean }) => sum + weight * mean, 0),
        ...{ low: quantile(parts, 0.025), high: quantile(parts, 0.975) },
      }
    },
    straight: weights.reduce((sum, weight, i) => sum + (Number.isFinite(priors[i]!.memory) ? 0 : weight), 0),
  }
}
