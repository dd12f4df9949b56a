/** @file Two networks on disjoint data that see the same noise: what they generate alike is what they know, memories are their own. */
import { fixed } from '../../base/index.ts'
import {
  type Claim,
  chart,
  claim,
  type Drawn,
  difference,
  type Figure,
  groupBy,
  type LineSeries,
  meanAcross,
  overReplicas,
  pointOf,
} from '../../lab/index.ts'
import { stepsAxis } from './charts.ts'

/** Two networks trained on disjoint halves, at one look. */
export interface HalvesRow {
  readonly of: 'halves'
  readonly step: number
  /** How alike is what both generate from the same noise. */
  readonly agreement: number
  /** The same where each has its own noise. */
  readonly unpaired: number
  readonly copies: number
}

/** What a network generated at a look. */
export interface Generated<T> {
  readonly step: number
  readonly copies: number
  readonly generated: T
}

/** Rows of all looks that both networks had. Unpaired: samples of the same place in other noise, moved by one. */
const halvesRows = <T extends Int32Array | Float32Array>(
  [first, second]: readonly [readonly Generated<T>[], readonly Generated<T>[]],
  size: number,
  alike: (a: T, b: T) => number,
): HalvesRow[] =>
  first.slice(0, second.length).map(({ step, copies, generated }, i) => {
    const other = second[i]!
    const moved = generated.slice() as T
    moved.set(generated.subarray(size))
    moved.set(generated.subarray(0, size), generated.length - size)
    return {
      ...{ of: 'halves', step },
      agreement: alike(generated, other.generated),
      unpaired: alike(moved, other.generated),
      copies: (copies + other.copies) / 2,
    }
  })

/** The share of equal tokens. */
export const alikeTokens = (a: Int32Array, b: Int32Array): number =>
  a.reduce((n, token, i) => n + Number(token === b[i]), 0) / a.length

/** Train on one half, then on the other, and hold what both generate against each other, look by look while both go on. */
export async function halvesOf<D, T extends Int32Array | Float32Array>(
  halves: readonly [D, D],
  {
    train,
    progress,
    size,
    alike,
  }: {
    readonly train: (half: D, progress: (share: number) => void) => Promise<readonly Generated<T>[]>
    readonly progress: (share: number) => void
    /** Numbers of one sample. */
    readonly size: number
    readonly alike: (a: T, b: T) => number
  },
): Promise<HalvesRow[]> {
  const first = await train(halves[0], (share) => progress(share / 2))
  const second = await train(halves[1], (share) => progress((1 + share) / 2))
  return halvesRows([first, second], size, alike)
}

export type FoundHalves = HalvesRow & Drawn & { readonly P: number }

export const halvesChart = (
  rows: readonly FoundHalves[],
  { caption, yLabel }: { readonly caption: string; readonly yLabel: string },
): (() => Figure) =>
  chart(rows, {
    name: 'halves',
    title: 'Two networks that have seen nothing alike',
    caption,
    ...{ ...stepsAxis, y: 'agreement', yLabel, series: 'P', seriesName: (P) => `P = ${P}` },
    more: groupBy(rows, 'P').map(
      ({ rows: own }, hue): LineSeries => ({
        ...{ name: '', hue, dashed: true },
        points: groupBy(own, 'step').map(({ key, rows: at }) =>
          pointOf(
            key.step,
            meanAcross(at, ({ unpaired }) => unpaired),
          ),
        ),
      }),
    ),
  })

/** What two networks share, early and late, over what unpaired samples do. */
export const halvesClaims = (
  halves: readonly FoundHalves[],
  { data, what }: { readonly data: string; readonly what: string },
): Claim[] =>
  groupBy(halves, 'P').flatMap(({ key, rows }) => {
    const excess = ({ agreement, unpaired }: HalvesRow): number => agreement - unpaired
    const most = overReplicas(rows, (own) => Math.max(...own.map(excess)))
    const last = overReplicas(rows, (own) => {
      const end = own.reduce((a, b) => (b.step > a.step ? b : a))
      return excess(end)
    })
    return [
      claim(
        `two networks on disjoint ${data} (P = ${key.P}): ${what} beyond chance at their most, less at the end, when ${fixed(100 * Math.max(0, overReplicas(rows, (own) => own.at(-1)!.copies).value), 0)} % are copies`,
        difference(most, last),
      ).atLeast(0.02),
    ]
  })
