/** @file The run: jobs for every grammar and control, and what their sums say, beside theory. */
import {
  correlationLength,
  distanceAt,
  jackknife,
  pairCounts,
  susceptibility,
} from '../../diffusion/index.ts'
import { correlationExponent, epsStar, meanFieldChi, pairStatistics } from '../../grammar/index.ts'
import { type RunContext, runJobs } from '../../lab/index.ts'
import { type CollapseCurve, collapse } from './collapse.ts'
import { type Config, checkConfig, depthsOf, shapeOf } from './config.ts'
import { type ControlResult, controlJobs, controlResult } from './controlResult.ts'
import type { ControlJob, ControlName, ControlSums } from './controls.ts'
import { controls } from './controls.ts'
import {
  type Curve,
  chiCurve,
  chiPeak,
  curveOf,
  decayAt,
  decayExponent,
  type Groups,
  lengthCurve,
  lengthExponent,
  lengthExponentOf,
  type Measured,
  peakOf,
  relativeAt,
  resolvedPlaces,
  short,
  shortEstimate,
  sidesOf,
} from './estimates.ts'
import type { ExactJob, GrammarSums, SampledJob } from './jobs.ts'
import { maskedShares, nearestIndex, noisesAround, sampledNoises } from './noises.ts'
import { task } from './parts.ts'

/** Place and height of a peak. */
export interface Peak {
  readonly at: Measured
  readonly height: Measured
}

/** χ(ε) of one depth. */
export interface ChiOfDepth {
  readonly L: number
  readonly noise: number[]
  readonly chi: Curve
  readonly meanField: number[]
  readonly peak: Peak
  readonly peakTheory: { at: number; height: number }
}

/** C(ℓ)/C(0) at one noise level, by height 0 … L. */
export interface Correlations {
  readonly eps: number
  readonly relative: Curve
  readonly meanField: number[]
}

/** Everything measured, every number drawn, and the theory beside it. */
export interface Result {
  readonly epsStar: number
  readonly nu: number
  /** Exponent a of C ~ r^−a at ε*. */
  readonly decay: number
  readonly L: number
  readonly depths: ChiOfDepth[]
  /** Mean-field χ on a fine grid, [depth][noise]. */
  readonly theory: { noise: number[]; chi: number[][] }
  /** Below ε*, at ε*, above. */
  readonly correlations: {
    r: number[]
    curves: Correlations[]
    exponent: Measured
    meanFieldExponent: number
  }
  readonly collapse: { curves: CollapseCurve[]; before: number | null; after: number | null }
  readonly length: {
    noise: number[]
    xi: Curve
    meanField: number[]
    nu: Measured
    meanFieldNu: number | null
  }
  /** Round trips: χ, the exact χ of the same noise levels, and C(r)/C(0) by distance at ε*. */
  readonly sampled: {
    noise: number[]
    chi: Curve
    exact: Curve
    roundTrips: number
    r: number[]
    byDistance: Curve
  }
  readonly masking: { share: number[]; chi: Curve; peak: Peak; interior: Measured; roundTrips: number }
  readonly controls: ControlResult[]
}

type Job = ExactJob | SampledJob | ControlJob
type Sums = GrammarSums | ControlSums

/** Seconds on one core, roughly: only ratios matter. */
export function costOf(job: Job): number {
  if (job.part === 'control') return 1e-6 * job.data * job.trajectories * job.d * job.times.length
  const { v, m, s, L } = job.shape
  const each = job.data * job.noises.length * s ** L
  if (job.part === 'exact') return 1e-7 * each * v * m
  return each * job.trajectories * (1.5e-7 + (job.part === 'masking' ? 6e-9 * v * m : 0))
}

/** All jobs of a config, the longest first so that threads end together. */
export function jobsOf(config: Config, critical: number): Job[] {
  const { seed, grammars, sampled, masking } = config
  const jobs: Job[] = []
  const deepest = Math.max(config.L, ...config.depths)
  // shallow trees are cheap, and their averages need more of them
  for (const L of new Set([...depthsOf(config), config.L]))
    for (let grammar = 0; grammar < grammars; grammar++)
      jobs.push({
        part: 'exact',
        shape: shapeOf(config, L),
        seed,
        grammar,
        data: config.data * Math.min(4, config.s ** (deepest - L)),
        noises: noisesAround(critical, config.step),
      })
  for (const [part, noises, sizes] of [
    ['epsilon', sampledNoises(critical), sampled],
    ['masking', maskedShares, masking],
  ] as const)
    for (let grammar = 0; grammar < grammars; grammar++)
      jobs.push({ part, shape: shapeOf(config, config.L), seed, grammar, noises, ...sizes })
  jobs.push(...controlJobs(config))
  return jobs.sort((a, b) => costOf(b) - costOf(a))
}

/** Seconds of a run on one core, roughly. */
export const secondsOf = (config: Config): number =>
  jobsOf(config, epsStar(shapeOf(config, config.L)) ?? 0.7).reduce((sum, job) => sum + costOf(job), 0)

const labelOf = (job: Job): string => {
  if (job.part === 'control') return controls[job.control].title
  const names = { exact: 'exact', epsilon: 'round trips', masking: 'masking' }
  return `${names[job.part]}, L = ${job.shape.L}`
}

/** χ against noise at one depth. */
function chiOfDepth(config: Config, L: number, noise: number[], groups: Groups): ChiOfDepth {
  const shape = shapeOf(config, L)
  const meanField = noise.map((eps) => meanFieldChi(shape, eps))
  const fine = Array.from({ length: 1901 }, (_, i) => 0.04 + i * 0.0005)
  const { at, height } = peakOf(
    fine,
    fine.map((eps) => meanFieldChi(shape, eps)),
  )
  return {
    L,
    noise,
    chi: chiCurve(groups),
    meanField,
    peak: chiPeak(groups, noise),
    peakTheory: { at, height },
  }
}

/** Mean-field covariances summed over ordered pairs at each height, in units of C(0). */
function meanFieldSums(config: Config, L: number, eps: number): number[] {
  const { relative } = pairStatistics(shapeOf(config, L), eps)
  return pairCounts(config.s ** L, config.s).map((pairs, height) => pairs * relative[height]!)
}

/** C(r) below, at and above ε*. */
function correlationsOf(
  config: Config,
  noise: number[],
  groups: Groups,
  critical: number,
): Result['correlations'] {
  const { s, L } = config
  const wanted = [critical - 0.08, critical, critical + 0.07]
  const curves = wanted.map((eps) => {
    const place = nearestIndex(noise, eps)
    return {
      eps: noise[place]!,
      relative: relativeAt(groups, place, s),
      meanField: [...pairStatistics(shapeOf(config, L), noise[place]!).relative],
    }
  })
  return {
    r: Array.from({ length: L + 1 }, (_, height) => distanceAt(height, s)),
    curves,
    exponent: decayAt(groups, nearestIndex(noise, critical), s),
    meanFieldExponent: decayExponent(curves[1]!.meanField, s),
  }
}

/** Curves C(r)·r^a from 0.14 below ε* to 0.17 above it (the paper's .60 to .90), where ξ is smaller than the tree. */
function collapseOf(
  config: Config,
  noise: number[],
  groups: Groups,
  { critical, nu, decay }: { critical: number; nu: number; decay: number },
): Result['collapse'] {
  const { s, L } = config
  const xi = lengthCurve(groups, s)
  const curves = noise.flatMap((eps, place) => {
    const off = eps - critical
    if (off < -0.14 || off > 0.17 || xi.value[place]! > s ** L / 4) return []
    const { value } = relativeAt(groups, place, s)
    // correlations below a ten-thousandth are noise
    const heights = Array.from({ length: L - 1 }, (_, i) => i + 1).filter((height) => value[height]! > 1e-4)
    const r = heights.map((height) => distanceAt(height, s))
    return r.length < 2 ? [] : [{ eps, r, y: heights.map((height, i) => value[height]! * r[i]! ** decay) }]
  })
  const { before, after } = collapse(curves, critical, nu)
  return { curves, before: short(before), after: short(after) }
}

function lengthOf(config: Config, noise: number[], groups: Groups, critical: number): Result['length'] {
  const { s, L } = config
  const meanField = noise.map((eps) => correlationLength(meanFieldSums(config, L, eps), s))
  const places = resolvedPlaces(noise, meanField, critical, s ** L)
  return {
    noise,
    xi: lengthCurve(groups, s),
    meanField,
    nu: lengthExponentOf(groups, noise, critical, { s, places }),
    meanFieldNu: short(lengthExponent(sidesOf(noise, meanField, critical, places))),
  }
}

/** Round trips beside the exact χ at the same noise levels. */
function sampledOf(
  config: Config,
  found: readonly GrammarSums[],
  exact: { noise: number[]; chi: Curve },
  critical: number,
): Result['sampled'] {
  const noise = sampledNoises(critical)
  const groups = found.map(({ heights }) => heights)
  const places = noise.map((eps) => nearestIndex(exact.noise, eps))
  const at = nearestIndex(noise, critical)
  const rows = found.map(({ distances }) => distances?.[at] ?? [])
  const bins = distanceBins(rows[0]!.length)
  const meanOver = (sums: Float64Array, [from, to]: readonly [number, number]): number =>
    sums.subarray(from, to).reduce((a, b) => a + b, 0) / (to - from) / sums[0]!
  return {
    noise,
    chi: chiCurve(groups),
    exact: {
      value: places.map((place) => exact.chi.value[place]!),
      error: places.map((place) => exact.chi.error[place]!),
    },
    roundTrips: config.grammars * config.sampled.data * config.sampled.trajectories,
    r: bins.map(([from, to]) => Number(Math.sqrt(from * (to - 1)).toFixed(3))),
    byDistance: curveOf(bins.map((bin) => jackknife(rows, (sums) => meanOver(sums, bin)))),
  }
}

/** Ranges of distances 1 … d/2, each about √2 times as far as the one before. */
function distanceBins(d: number): [number, number][] {
  const bins: [number, number][] = []
  for (let from = 1; from < d / 2; ) {
    const to = Math.max(from + 1, Math.round(from * Math.SQRT2))
    bins.push([from, to])
    from = to
  }
  return bins
}

function maskingOf(config: Config, found: readonly GrammarSums[]): Result['masking'] {
  const groups = found.map(({ heights }) => heights)
  const share = [...maskedShares]
  const chi = chiCurve(groups)
  const ratio = (flat: Float64Array): number => {
    const width = config.L + 1
    const values = share.map((_, i) => susceptibility(flat.subarray(i * width, (i + 1) * width)))
    // where no token changed at all there is no χ
    const largest = (some: number[]): number => Math.max(...some.filter(Number.isFinite))
    return largest(values) / largest([values[0]!, values.at(-1)!])
  }
  return {
    share,
    chi,
    peak: chiPeak(groups, share),
    interior: shortEstimate(
      jackknife(
        groups.map((group) => group.flat()),
        ratio,
      ),
    ),
    roundTrips: config.grammars * config.masking.data * config.masking.trajectories,
  }
}

/** Measure all parts. */
export async function measure(context: RunContext<Config>): Promise<Result> {
  const { config } = context
  checkConfig(config)
  const { L } = config
  const critical = epsStar(shapeOf(config, L))!
  const nu = correlationExponent(shapeOf(config, L))!
  // |p − p*| grows by F′ at each level and a tuple has s members, so that C ~ (F′/s)^{2ℓ}, F′ = s^{1/ν}
  const decay = 2 - 2 / nu
  const jobs = jobsOf(config, critical)
  const sums = await runJobs<Job, Sums>(context, task, jobs, {
    cost: costOf,
    label: labelOf,
  })
  const grammarSums = (part: ExactJob['part'] | SampledJob['part'], depth: number): GrammarSums[] =>
    jobs
      .flatMap((job, i) =>
        job.part === part && job.shape.L === depth ? [{ job, sums: sums[i] as GrammarSums }] : [],
      )
      .sort((a, b) => a.job.grammar - b.job.grammar)
      .map((found) => found.sums)
  const controlSums = (name: ControlName): ControlSums[] =>
    jobs
      .flatMap((job, i) =>
        job.part === 'control' && job.control === name ? [{ job, sums: sums[i] as ControlSums }] : [],
      )
      .sort((a, b) => a.job.group - b.job.group)
      .map((found) => found.sums)

  const noise = noisesAround(critical, config.step)
  const exactGroups = (depth: number): Groups => grammarSums('exact', depth).map(({ heights }) => heights)
  const main = exactGroups(L)
  const fine = Array.from({ length: 181 }, (_, i) => noise[0]! + ((noise.at(-1)! - noise[0]!) * i) / 180)
  return {
    epsStar: critical,
    nu,
    decay,
    L,
    depths: depthsOf(config).map((depth) => chiOfDepth(config, depth, noise, exactGroups(depth))),
    theory: {
      noise: fine,
      chi: depthsOf(config).map((depth) => fine.map((eps) => meanFieldChi(shapeOf(config, depth), eps))),
    },
    correlations: correlationsOf(config, noise, main, critical),
    collapse: collapseOf(config, noise, main, { critical, nu, decay }),
    length: lengthOf(config, noise, main, critical),
    sampled: sampledOf(config, grammarSums('epsilon', L), { noise, chi: chiCurve(main) }, critical),
    masking: maskingOf(config, grammarSums('masking', L)),
    controls: (Object.keys(controls) as ControlName[]).map((name) =>
      controlResult(config, name, controlSums(name)),
    ),
  }
}
