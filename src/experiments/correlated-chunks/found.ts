/** @file What the rows say, in numbers with errors, beside the theory: what claims, words and figures are made from. */
import { type ControlName, controlDistances, controlNames, controls } from '../../diffusion/index.ts'
import { correlationExponent, epsStar, pairStatistics } from '../../grammar/index.ts'
import { type Estimate, jackknife, peakOf } from '../../lab/index.ts'
import { noisesOf, type Rows } from './cells.ts'
import { type Config, depthsOf, shapeOf } from './config.ts'
import {
  alongNoise,
  atLargest,
  chiOf,
  collapse,
  collapseCurves,
  collapsePlaces,
  controlExponent,
  controlTheory,
  decayExponent,
  endOf,
  fineNoises,
  interiorOf,
  isControl,
  lengthExponent,
  lengthOf,
  meanFieldCurve,
  meanFieldLength,
  relativeOf,
  resolvedPlaces,
} from './estimates.ts'

/** χ(ε) of one depth: its peak, and that of mean field. */
function peakAt(config: Config, L: number, rows: Rows) {
  const peak = (of: 'at' | 'height') => jackknife(rows, (some) => peakOf(alongNoise(some, chiOf))[of])
  return { L, at: peak('at'), height: peak('height'), theory: peakOf(meanFieldCurve(config, L, fineNoises)) }
}

/** A control: χ at the end over the largest, the same of the exact χ where it is known, and how C(r) falls at the largest. */
function controlOf(config: Config, name: ControlName, rows: Rows) {
  const { line, susceptibility, title } = controls[name]
  const theory = controlTheory(config, susceptibility)
  const end = jackknife(rows, (some) => endOf(alongNoise(some, chiOf)))
  const exponent: Estimate | null = line
    ? jackknife(atLargest(rows), (some) => controlExponent(some, controlDistances(config.controls.d)))
    : null
  return { name, title, end, theory, endTheory: theory && endOf(theory), exponent }
}

/** All numbers of the run. */
export function findAll(rows: Rows, config: Config) {
  const { s, L, grammars, sampled, masking } = config
  const shape = shapeOf(config, L)
  const critical = epsStar(shape)!
  const nu = correlationExponent(shape)!
  // |p − p*| grows by F′ at each level and a tuple has s members, so that C ~ (F′/s)^{2ℓ}, F′ = s^{1/ν}
  const decay = 2 - 2 / nu
  const noises = noisesOf(config, 'exact')
  const nearest = (wanted: number): number =>
    noises.reduce((best, eps) => (Math.abs(eps - wanted) < Math.abs(best - wanted) ? eps : best))
  const exact = (depth: number): Rows => rows.filter((row) => row.part === 'exact' && row.L === depth)
  const main = exact(L)
  const trips = rows.filter(({ part }) => part === 'epsilon')
  const masked = rows.filter(({ part }) => part === 'masking')
  const controlRows = rows.filter(({ part }) => part === 'control')
  const atStar = nearest(critical)
  const tripNoises = new Set(noisesOf(config, 'epsilon'))
  const places = collapsePlaces(main, config, critical)
  const spread = (of: 'before' | 'after' | 'ratio') =>
    jackknife(main, (some) => {
      const { before, after } = collapse(collapseCurves(some, s, { decay, places }), critical, nu)
      return { before, after, ratio: after / before }[of]
    })
  const resolved = resolvedPlaces(config, noises, critical)
  const deepest = depthsOf(config).at(-1)!
  const meanField = meanFieldCurve(config, deepest, noises)
  const seeds = new Set(rows.map(({ seed }) => seed)).size
  return {
    ...{ critical, nu, decay, places, nearest, exact, main, trips, masked, controlRows },
    matching: main.filter(({ noise }) => tripNoises.has(noise)),
    tripCount: seeds * grammars * sampled.data * sampled.trajectories,
    maskedCount: seeds * grammars * masking.data * masking.trajectories,
    peaks: depthsOf(config).map((depth) => peakAt(config, depth, exact(depth))),
    worst: jackknife(exact(deepest), (some) =>
      Math.max(...alongNoise(some, chiOf).y.map((chi, i) => Math.abs(chi / meanField.y[i]! - 1))),
    ),
    // round trips and exact covariances of the same grammars: their fluctuations are shared
    tripRatio: jackknife(
      [...trips, ...main].filter(({ noise }) => noise === atStar),
      (some) =>
        chiOf(some.filter(({ part }) => part === 'epsilon')) /
        chiOf(some.filter(({ part }) => part === 'exact')),
    ),
    exponent: jackknife(
      main.filter(({ noise }) => noise === atStar),
      (some) => decayExponent(relativeOf(some, s), s),
    ),
    exponentMeanField: decayExponent([...pairStatistics(shape, atStar).relative], s),
    length: jackknife(main, (some) =>
      lengthExponent(
        alongNoise(some, (own) => lengthOf(own, s)),
        critical,
        resolved,
      ),
    ),
    lengthMeanField: lengthExponent(
      { x: noises, y: noises.map((eps) => meanFieldLength(config, eps)) },
      critical,
      resolved,
    ),
    ...{ before: spread('before'), after: spread('after'), collapsed: spread('ratio') },
    interior: jackknife(masked, interiorOf),
    maskedPeak: {
      at: jackknife(masked, (some) => peakOf(alongNoise(some, chiOf)).at),
      height: jackknife(masked, (some) => peakOf(alongNoise(some, chiOf)).height),
    },
    controls: controlNames.map((name) => controlOf(config, name, controlRows.filter(isControl(name)))),
  }
}

export type Found = ReturnType<typeof findAll>
