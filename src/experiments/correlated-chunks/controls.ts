/** @file Controls: data without a hierarchy, with exact round trips; one row each. A worker thread runs them. */
import {
  covarianceByDistance,
  covarianceSums,
  distancesOf,
  fieldRoundTrips,
  gaussianField,
  makeMixture,
  makeSchedule,
  mixtureRoundTrips,
  sampleField,
  sampleMixture,
} from '../../diffusion/index.ts'
import { random } from '../../tensor/index.ts'

/** Data of a control, and round trips of one datum. */
interface Process {
  readonly draw: (key: random.Key, count: number) => Float64Array
  readonly trips: (x0: Float64Array, alphaBar: number, key: random.Key, count: number) => Float64Array
}

/** A control. */
interface Control {
  readonly title: string
  /** What the paper, or its reviewers, say of its χ(t). */
  readonly expected: 'rises to the end' | 'may peak'
  /** Whether places are on a line, so that C(r) has a meaning beyond "all pairs". */
  readonly line: boolean
  readonly process: (d: number, key: random.Key) => Process
}

const field =
  (dimensions: number, exponent: number): Control['process'] =>
  (d) => {
    const made = gaussianField({ side: Math.round(d ** (1 / dimensions)), dimensions, exponent })
    return {
      draw: (key, count) => sampleField(made, key, count),
      trips: (x0, alphaBar, key, count) => fieldRoundTrips(made, x0, alphaBar, key, count),
    }
  }

const mixture =
  (modes: number): Control['process'] =>
  (d, key) => {
    // ‖μ‖² = d/16 and s0² = 0.01: modes much farther apart than they are wide
    const made = makeMixture({ d, modes, separation: d / 16, variance: 0.01 }, key)
    return {
      draw: (key, count) => sampleMixture(made, key, count).points,
      trips: (x0, alphaBar, key, count) => mixtureRoundTrips(made, x0, alphaBar, key, count).points,
    }
  }

/** The table of controls; a new one is a row here. */
export const controls = {
  field: {
    title: 'Gaussian field, 1-D, k^−0.9',
    expected: 'rises to the end',
    line: true,
    process: field(1, 0.9),
  },
  plane: {
    title: 'Gaussian field, 2-D, k^−1.5',
    expected: 'rises to the end',
    line: false,
    process: field(2, 1.5),
  },
  two: { title: 'two modes', expected: 'rises to the end', line: true, process: mixture(2) },
  many: { title: '32 modes without structure', expected: 'may peak', line: true, process: mixture(32) },
} satisfies Record<string, Control>

export type ControlName = keyof typeof controls

/** One group of data of a control at all times. */
export interface ControlJob {
  readonly part: 'control'
  readonly control: ControlName
  readonly seed: number
  /** Number of the group; groups are independent data of the same process. */
  readonly group: number
  readonly data: number
  readonly trajectories: number
  readonly d: number
  /** Times t/T of the schedule. */
  readonly times: readonly number[]
}

/** Sums over the data of the group, at each time. */
export interface ControlSums {
  /** Σ_i Var and Σ_{i≠j} Cov of |x_0 − x̂_0|. */
  readonly pairs: readonly (readonly number[])[]
  /** C(r) summed over data at r = 0, 1, 2, 4, … d/2 of those on a line. */
  readonly distances: readonly (readonly number[])[]
}

/** T of the schedule that gives times a meaning. */
export const controlSteps = 1000
/** β from 1e-4 to 0.02 over T = 1000 steps: the schedule of the controls. */
export const controlAlphaBar = (time: number): number =>
  makeSchedule('ddpm', controlSteps).alphaBar(Math.round(time * controlSteps))

/** Distances at which C(r) of a control is kept: 0, 1, 2, 4 … d/2. */
export const controlDistances = (d: number): number[] => [
  0,
  ...Array.from({ length: Math.log2(d) }, (_, i) => 2 ** i),
]

/** Covariances of a control from its round trips. */
export function controlPart({
  control,
  seed,
  group,
  data,
  trajectories: n,
  d,
  times,
}: ControlJob): ControlSums {
  const { process, line } = controls[control]
  const own = random.foldIn(random.foldIn(random.key(seed), 0x7fff), Object.keys(controls).indexOf(control))
  const [forProcess, forGroup] = random.split(own) as [random.Key, random.Key]
  const { draw, trips } = process(d, forProcess)
  const [forData, forNoise] = random.split(random.foldIn(forGroup, group)) as [random.Key, random.Key]
  const points = draw(forData, data)
  const pairs: number[][] = []
  const distances: number[][] = []
  for (const [i, time] of times.entries()) {
    const sums = new Float64Array(2)
    const byDistance = controlDistances(d).map(() => 0)
    for (let b = 0; b < data; b++) {
      const x0 = points.subarray(b * d, (b + 1) * d)
      const key = random.foldIn(random.foldIn(forNoise, i), b)
      const values = distancesOf(x0, trips(x0, controlAlphaBar(time), key, n), d)
      for (const [place, sum] of covarianceSums({ values, n, d, s: d }).entries()) sums[place]! += sum
      if (!line) continue
      const covariances = covarianceByDistance({ values, n, d, s: d })
      for (const [place, r] of controlDistances(d).entries()) byDistance[place]! += covariances[r]!
    }
    pairs.push(Array.from(sums, (x) => Number(x.toPrecision(6))))
    distances.push(byDistance.map((x) => Number(x.toPrecision(6))))
  }
  return { pairs, distances }
}
