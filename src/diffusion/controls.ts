/** @file Controls: data without a hierarchy, with exact round trips; one row each, and the exact χ of some. */
import { random } from '../tensor/index.ts'
import { fieldSusceptibility, modesSusceptibility } from './controlTheory.ts'
import { covarianceByDistance, covarianceSums, distancesOf } from './correlations.ts'
import { fieldRoundTrips, gaussianField, sampleField } from './gaussianField.ts'
import { type MixtureShape, makeMixture, mixtureRoundTrips, sampleMixture } from './mixture.ts'

/** Data of a control, and round trips of one datum. */
interface Process {
  readonly draw: (key: random.Key, count: number) => Float64Array
  readonly trips: (x0: Float64Array, alphaBar: number, key: random.Key, count: number) => Float64Array
}

/** A control: points of `d` coordinates. */
interface Control {
  readonly title: string
  /** Whether places are on a line, so that C(r) has a meaning beyond "all pairs". */
  readonly line: boolean
  /** The process; where it is drawn itself, from the key. */
  readonly process: (d: number, key: random.Key) => Process
  /** χ of |x_0 − x̂_0| at a size, averaged over data; null where it has no closed form. */
  readonly susceptibility: ((d: number, alphaBar: number) => number) | null
}

function field(dimensions: number, exponent: number): Pick<Control, 'process' | 'susceptibility'> {
  const make = (d: number) => gaussianField({ side: Math.round(d ** (1 / dimensions)), dimensions, exponent })
  return {
    process(d) {
      const made = make(d)
      return {
        draw: (key, count) => sampleField(made, key, count),
        trips: (x0, alphaBar, key, count) => fieldRoundTrips(made, x0, alphaBar, key, count),
      }
    },
    susceptibility: (d, alphaBar) => fieldSusceptibility(make(d), alphaBar),
  }
}

/** ‖μ‖² = d/16 and s0² = 0.01: modes much farther apart than they are wide. */
const shapeOf = (d: number, modes: number): MixtureShape => ({ d, modes, separation: d / 16, variance: 0.01 })

const mixture =
  (modes: number): Control['process'] =>
  (d, key) => {
    const made = makeMixture(shapeOf(d, modes), key)
    return {
      draw: (own, count) => sampleMixture(made, own, count).points,
      trips: (x0, alphaBar, own, count) => mixtureRoundTrips(made, x0, alphaBar, own, count).points,
    }
  }

/** The table of controls; a new one is a row here. */
export const controls = {
  field: { title: 'Gaussian field, 1-D, k^−0.9', line: true, ...field(1, 0.9) },
  plane: { title: 'Gaussian field, 2-D, k^−1.5', line: false, ...field(2, 1.5) },
  two: {
    title: 'two modes',
    line: true,
    process: mixture(2),
    susceptibility: (d, alphaBar) => modesSusceptibility(shapeOf(d, 2), alphaBar),
  },
  many: { title: '32 modes without structure', line: true, process: mixture(32), susceptibility: null },
} satisfies Record<string, Control>

export type ControlName = keyof typeof controls
export const controlNames = Object.keys(controls) as ControlName[]

/** Sums over some data of a control at one noise level. */
export interface ControlCovariances {
  /** Σ_i Var and Σ_{i≠j} Cov of |x_0 − x̂_0|: what `susceptibility` takes. */
  readonly pairs: Float64Array
  /** C(r) at r = 0, 1, 2, 4, … d/2 (`controlDistances`); zeros where places are not on a line. */
  readonly distances: Float64Array
}

/** Distances at which C(r) of a control is kept: 0, 1, 2, 4 … d/2. */
export const controlDistances = (d: number): number[] => [
  0,
  ...Array.from({ length: Math.log2(d) }, (_, i) => 2 ** i),
]

/** Covariances of `data` points of a control from round trips to each ᾱ. `forProcess` draws the process, `forData` the rest. */
export function controlCovariances(
  name: ControlName,
  alphaBars: readonly number[],
  options: { d: number; data: number; trajectories: number; forProcess: random.Key; forData: random.Key },
): ControlCovariances[] {
  const { d, data, trajectories: n, forProcess, forData } = options
  const { process, line } = controls[name]
  const { draw, trips } = process(d, forProcess)
  const [forPoints, forNoise] = random.split(forData)
  const points = draw(forPoints, data)
  return alphaBars.map((alphaBar, i) => {
    const pairs = new Float64Array(2)
    const distances = new Float64Array(controlDistances(d).length)
    for (let b = 0; b < data; b++) {
      const x0 = points.subarray(b * d, (b + 1) * d)
      const key = random.foldIn(random.foldIn(forNoise, i), b)
      const values = distancesOf(x0, trips(x0, alphaBar, key, n), d)
      for (const [place, sum] of covarianceSums({ values, n, d, s: d }).entries()) pairs[place]! += sum
      if (!line) continue
      const covariances = covarianceByDistance({ values, n, d, s: d })
      for (const [place, r] of controlDistances(d).entries()) distances[place]! += covariances[r]!
    }
    return { pairs, distances }
  })
}
