/** @file From the answers of all jobs to the numbers of the report: curves, thresholds, laws. */
import type { Shape } from '../../grammar/index.ts'
import { geometricMean } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import type { Config } from './config.ts'
import {
  type CnnCurve,
  type Curve,
  chanceOf,
  cnnPointOf,
  type Group,
  groupsOf,
  learned,
  type Measured,
  measured,
  pointOf,
  sameShape,
  secondLayer,
  settingOf,
} from './curves.ts'
import type { CorrelationsJob, Found, Job } from './jobs.ts'
import { controlShapes, correlationShapes, scaleOf, shallowShapes, shapesOf, stringsOf } from './plan.ts'
import {
  collapseOf,
  crossing,
  type PowerLaw,
  powerLaw,
  type Setting,
  type Spread,
  type Threshold,
  thresholdOf,
} from './statistics.ts'

/** Tuple–class correlations of one grammar shape, relative variances. */
export interface Correlations {
  shape: Shape
  scale: number
  signal: Measured
  noise: { P: number; noise: Measured }[]
  /** P at which noise and signal are equal. */
  crossing: Threshold
}

export interface Result {
  cnn: {
    curves: CnnCurve[]
    law: PowerLaw | null
    collapse: Spread | null
    sensitivityCollapse: Spread | null
    /** Invariance threshold over half-error threshold, geometric mean over the curves. */
    invarianceRatio: Measured | null
    invarianceLaw: PowerLaw | null
  } | null
  correlations: { curves: Correlations[]; law: PowerLaw | null } | null
  shallow: { curves: Curve[]; law: PowerLaw | null } | null
  lazy: { curves: Curve[] } | null
  control: { random: Curve; uncorrelated: Curve }[] | null
}

/** Heights at which the spread of curves is measured, as shares of the chance error and of no invariance. */
const levels = [0.2, 0.3, 0.4, 0.5, 0.6]

/** Everything that the report shows, from the answers in the order of the jobs. */
export function assemble(config: Config, jobs: readonly Job[], found: readonly Found[]): Result {
  const key = random.foldIn(random.key(config.seed), 0x5c)
  const keyOf = (...numbers: number[]): random.Key => numbers.reduce(random.foldIn, key)
  const has = (part: Config['parts'][number]): boolean => config.parts.includes(part)

  const curveOf = (shape: Shape, groups: Group[], share: number, stream: number): Curve => ({
    shape,
    scale: scaleOf(shape),
    strings: stringsOf(shape),
    points: groups.map(pointOf),
    threshold: thresholdOf(
      settingOf(shape, groups, 0),
      share * chanceOf(shape),
      keyOf(stream, shape.m, shape.L),
    ),
  })

  const ofCnn = (shape: Shape, rules: string, probed: boolean): Group[] =>
    groupsOf(
      jobs,
      found,
      (job) =>
        job.kind === 'cnn' && sameShape(job.shape, shape) && job.rules === rules && job.probes > 0 === probed,
    )

  const cnn = (): Result['cnn'] => {
    const all = shapesOf(config).map((shape) => ({ shape, groups: ofCnn(shape, 'random', true) }))
    const curves = all.map(({ shape, groups }): CnnCurve => {
      const half = chanceOf(shape) / 2
      const s21 = settingOf(shape, groups, 0.5, undefined, secondLayer)
      return {
        ...curveOf(shape, groups, learned.deep, 1),
        points: groups.map(cnnPointOf),
        invariance: thresholdOf(s21, 0.5, keyOf(2, shape.m, shape.L)),
        halfError: thresholdOf(settingOf(shape, groups, 0), half, keyOf(3, shape.m, shape.L)),
      }
    })
    const errorCurves = (share: number): Setting[] =>
      all.map(({ shape, groups }) => settingOf(shape, groups, share * chanceOf(shape)))
    const sensitivityCurves = (height: number): Setting[] =>
      all.map(({ shape, groups }) => settingOf(shape, groups, height, undefined, secondLayer))
    const ratios = curves.flatMap(({ invariance, halfError }) =>
      invariance.value === null || halfError.value === null ? [] : [invariance.value / halfError.value],
    )
    return {
      curves,
      law: powerLaw(errorCurves(learned.deep), keyOf(4)),
      collapse: collapseOf(errorCurves(1), levels),
      sensitivityCollapse: collapseOf(sensitivityCurves(1), levels),
      invarianceRatio:
        ratios.length === 0
          ? null
          : { value: geometricMean(ratios).value, error: geometricMean(ratios).error ?? 0 },
      invarianceLaw: powerLaw(sensitivityCurves(0.5), keyOf(5)),
    }
  }

  const correlations = (): NonNullable<Result['correlations']> => {
    const curves = correlationShapes(config).map((shape) => {
      const own = jobs.flatMap((job, i) =>
        job.kind === 'correlations' && sameShape(job.shape, shape)
          ? [{ job, ...(found[i] as Found<CorrelationsJob>) }]
          : [],
      )
      own.sort((a, b) => a.job.replica - b.job.replica)
      const counts = own[0]!.job.counts
      // noise over signal falls through 1 at the threshold
      const setting: Setting = {
        x: counts,
        values: own.map(({ noise, signal }) => noise.map((value) => value / signal)),
        scale: scaleOf(shape),
        threshold: 1,
      }
      return { shape, own, counts, setting }
    })
    return {
      curves: curves.map(({ shape, own, counts, setting }) => ({
        shape,
        scale: scaleOf(shape),
        signal: measured(own.map(({ signal }) => signal)),
        noise: counts.map((P, i) => ({ P, noise: measured(own.map(({ noise }) => noise[i]!)) })),
        crossing: thresholdOf(setting, 1, keyOf(6, shape.m, shape.L)),
      })),
      law: powerLaw(
        curves.map(({ setting }) => setting),
        keyOf(7),
      ),
    }
  }

  const shallow = (): NonNullable<Result['shallow']> => {
    const all = shallowShapes(config).map((shape) => ({
      shape,
      groups: groupsOf(jobs, found, (job) => job.kind === 'shallow' && sameShape(job.shape, shape)),
    }))
    return {
      curves: all.map(({ shape, groups }) => curveOf(shape, groups, learned.shallow, 8)),
      law: powerLaw(
        all.map(({ shape, groups }) =>
          settingOf(shape, groups, learned.shallow * chanceOf(shape), stringsOf(shape)),
        ),
        keyOf(9),
      ),
    }
  }

  const lazy = (): NonNullable<Result['lazy']> => ({
    curves: shapesOf(config).flatMap((shape) => {
      const groups = groupsOf(jobs, found, (job) => job.kind === 'lazy' && sameShape(job.shape, shape))
      return groups.length === 0 ? [] : [curveOf(shape, groups, learned.deep, 10)]
    }),
  })

  const control = (): NonNullable<Result['control']> =>
    controlShapes(config).map((shape) => ({
      random: curveOf(shape, ofCnn(shape, 'random', false), learned.deep, 11),
      uncorrelated: curveOf(shape, ofCnn(shape, 'uncorrelated', false), learned.deep, 12),
    }))

  return {
    cnn: has('cnn') ? cnn() : null,
    correlations: has('correlations') ? correlations() : null,
    shallow: has('shallow') ? shallow() : null,
    lazy: has('lazy') ? lazy() : null,
    control: has('control') ? control() : null,
  }
}

/** Of a lazy curve: the smallest P at which the CNN has learned and the lazy network was measured, with both errors. */
export function lazyContrast(
  curve: Curve,
  cnn: CnnCurve | undefined,
): { P: number; lazy: Measured; cnn: Measured } | null {
  const goal = learned.deep * chanceOf(curve.shape)
  for (const { P, error } of curve.points) {
    const deep = cnn?.points.find((point) => point.P === P)
    if (deep && deep.error.value < goal) return { P, lazy: error, cnn: deep.error }
  }
  return null
}

/** Where the lazy curve reaches the error that the CNN has at its threshold; null when it never does. */
export const lazyThreshold = (curve: Curve): number | null =>
  crossing(
    curve.points.map(({ P, error }) => ({ x: P, y: error.value })),
    learned.deep * chanceOf(curve.shape),
  )
