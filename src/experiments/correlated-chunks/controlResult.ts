/** @file Controls: their jobs, and what their sums say. */
import { jackknife, susceptibility } from '../../diffusion/index.ts'
import { slopeOf } from '../../lab/index.ts'
import type { Config } from './config.ts'
import {
  type ControlJob,
  type ControlName,
  type ControlSums,
  controlAlphaBar,
  controlDistances,
  controls,
} from './controls.ts'
import { type Curve, curveOf, type Measured, placeOfLargest, shortEstimate } from './estimates.ts'

/** A control: χ against time, and C(r) where χ is largest. */
export interface ControlResult {
  readonly name: ControlName
  readonly title: string
  readonly time: number[]
  readonly alphaBar: number[]
  readonly chi: Curve
  /** Time at which χ is largest. */
  readonly top: number
  /** χ at the last time over the largest χ: 1 when it rises to the end. */
  readonly end: Measured
  /** C(r)/C(0) at that time, r = 1, 2, 4 …; empty where places are not on a line. */
  readonly r: number[]
  readonly decay: Curve
  /** Exponent a of C ~ r^−a there, over r = 1 … d/8. */
  readonly exponent: Measured | null
}

const groupsOf = ({ data }: Config['controls']): number => Math.min(8, data)

/** Times t/T, the last 1. */
const timesOf = ({ points }: Config['controls']): number[] =>
  Array.from({ length: points }, (_, i) => Number(((i + 1) / points).toFixed(6)))

/** Jobs of all controls: groups of independent data. */
export function controlJobs({ seed, controls: sizes }: Config): ControlJob[] {
  const { data, trajectories, d } = sizes
  const groups = groupsOf(sizes)
  return (Object.keys(controls) as ControlName[]).flatMap((control) =>
    Array.from({ length: groups }, (_, group) => ({
      part: 'control' as const,
      control,
      seed,
      group,
      data: Math.ceil(data / groups),
      trajectories,
      d,
      times: timesOf(sizes),
    })),
  )
}

/** What the sums of a control's groups say. */
export function controlResult(
  config: Config,
  name: ControlName,
  groups: readonly ControlSums[],
): ControlResult {
  const time = timesOf(config.controls)
  const chi = curveOf(
    time.map((_, i) =>
      jackknife(
        groups.map(({ pairs }) => pairs[i]!),
        susceptibility,
      ),
    ),
  )
  const top = placeOfLargest(chi)
  const end = jackknife(
    groups.map(({ pairs }) => [...pairs[top]!, ...pairs.at(-1)!]),
    (flat) => susceptibility(flat.subarray(2)) / susceptibility(flat.subarray(0, 2)),
  )
  const all = controlDistances(config.controls.d)
  const line = controls[name].line
  const rows = groups.map(({ distances }) => distances[top]!)
  const last = Math.log2(config.controls.d) - 2
  return {
    name,
    title: controls[name].title,
    time,
    alphaBar: time.map((t) => Number(controlAlphaBar(t).toPrecision(6))),
    chi,
    top: time[top]!,
    end: shortEstimate(end),
    r: line ? all.slice(1) : [],
    decay: line
      ? curveOf(all.slice(1).map((_, i) => jackknife(rows, (sums) => sums[i + 1]! / sums[0]!)))
      : { value: [], error: [] },
    exponent: line
      ? shortEstimate(
          jackknife(
            rows,
            (sums) =>
              -slopeOf(
                all
                  .slice(1, last)
                  .flatMap((r, i) =>
                    sums[i + 1]! > 0 ? [[Math.log(r), Math.log(sums[i + 1]! / sums[0]!)] as const] : [],
                  ),
              ).value,
          ),
        )
      : null,
  }
}
