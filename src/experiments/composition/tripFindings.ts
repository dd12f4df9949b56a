/** @file What round trips of the long training say: its survival curves become those of exact inference level by level. */
import { meanDistance, susceptibility } from '../../diffusion/index.ts'
import {
  type Claim,
  chart,
  claim,
  distinct,
  type Estimate,
  type Figure,
  groupBy,
  jackknife,
  type LineSeries,
  meanAcross,
  pointOf,
  type ReportTable,
  shownWhole,
} from '../../lab/index.ts'
import { type Found, heightsOf, type LookFound, passes, stepsNeeded, unlessCut } from './levels.ts'
import type { TripRow } from './trips.ts'

export type TripFound = Found<TripRow>

const chiOf = ({ covariances }: TripFound): number => susceptibility(covariances)
const xiOf = ({ covariances, s }: TripFound): number => meanDistance(covariances, s)

/** The share of exact inference's kept nodes at which the round trips of a network count as agreeing. */
const half = 0.5

const byNetwork = (trips: readonly TripFound[]): TripFound[] => trips.filter(({ by }) => by === 'network')
const byInference = (trips: readonly TripFound[]): TripFound[] => trips.filter(({ by }) => by === 'exact')

/** Nodes of a height that a network keeps, over those that exact inference keeps, all noise levels together. */
function keptShare(network: readonly TripFound[], exact: readonly TripFound[], height: number): number {
  const kept = (rows: readonly TripFound[]): number =>
    rows.reduce((sum, row) => sum + row.kept[height]!, 0) / rows.length
  return kept(network) / kept(exact)
}

/** Steps until the network keeps half of the nodes of a height that exact inference keeps. */
function agreementSteps(trips: readonly TripFound[], height: number): number {
  const exact = byInference(trips)
  const points = groupBy(byNetwork(trips), 'step').map(({ key, rows }) => ({
    x: key.step,
    y: keptShare(rows, exact, height),
  }))
  return passes(
    points.sort((a, b) => a.x - b.x),
    half,
  )
}

/** A statistic of the looks and of the round trips of the same trainings. */
const ofBoth = (
  time: readonly LookFound[],
  trips: readonly TripFound[],
  statistic: (time: readonly LookFound[], trips: readonly TripFound[]) => number,
): Estimate =>
  jackknife<Found>([...time, ...trips], (rows) =>
    statistic(
      rows.filter((row): row is LookFound => row.of === 'look'),
      rows.filter((row): row is TripFound => row.of === 'trip'),
    ),
  )

/** The last round trips by the network over those by exact inference, where exact inference has most of it. */
function atPeak(
  trips: readonly TripFound[],
  of: (row: TripFound) => number,
): { at: number; share: Estimate } {
  const meanOf = (rows: readonly TripFound[]): number =>
    rows.reduce((sum, row) => sum + of(row), 0) / rows.length
  const { noise } = groupBy(byInference(trips), 'noise')
    .map(({ key, rows }) => ({ noise: key.noise, mean: meanOf(rows) }))
    .reduce((a, b) => (b.mean > a.mean ? b : a))
  const last = Math.max(...byNetwork(trips).map(({ step }) => step))
  const there = trips.filter((row) => row.noise === noise && (row.by === 'exact' || row.step === last))
  return {
    at: noise,
    share: jackknife(there, (rows) => meanOf(byNetwork(rows)) / meanOf(byInference(rows))),
  }
}

export function tripClaims(time: readonly LookFound[], trips: readonly TripFound[], isCut: boolean): Claim[] {
  if (trips.length === 0 || time.length === 0) return []
  const known = (...values: number[]): boolean => values.every(Number.isFinite)
  const heights = heightsOf(time)
  const learned = heights
    .filter((height) => known(agreementSteps(trips, height), stepsNeeded(time, height)))
    .map((height) =>
      claim(
        `steps until round trips by the network keep half of the nodes of height ${height} that exact inference keeps, over the steps that level ${height} takes`,
        ofBoth(time, trips, (looks, own) => agreementSteps(own, height) / stepsNeeded(looks, height)),
      ).atLeast(1),
    )
  const order = heights
    .slice(1)
    .filter((height) => known(agreementSteps(trips, height), agreementSteps(trips, height - 1)))
    .map((height) =>
      claim(
        `steps until round trips by the network keep half of the nodes of height ${height} that exact inference keeps, over those for height ${height - 1}`,
        jackknife(trips, (own) => agreementSteps(own, height) / agreementSteps(own, height - 1)),
      ).atLeast(1),
    )
  const peak = (name: string, of: (row: TripFound) => number): Claim => {
    const { at, share } = atPeak(trips, of)
    const text = `${name} of round trips by the network at the last look over that by exact inference, where that is largest (noise ${at})`
    return claim(...unlessCut(isCut, text, share)).equals(1, { by: 0.15 })
  }
  return [...learned, ...order, peak('χ', chiOf), peak('ξ', xiOf)]
}

/** Steps that are drawn: more lines are not read. */
const mostLines = 4

function shownSteps(trips: readonly TripFound[]): number[] {
  const steps = distinct(byNetwork(trips), 'step')
  const count = Math.min(mostLines, steps.length)
  return Array.from({ length: count }, (_, i) => steps[Math.round(((i + 1) * steps.length) / count) - 1]!)
}

/** Something of round trips against the noise, at some steps of training and by exact inference. */
function againstNoise(
  trips: readonly TripFound[],
  y: (row: TripFound) => number,
  text: { readonly name: string; readonly title: string; readonly caption: string; readonly yLabel: string },
): () => Figure {
  const steps = shownSteps(trips)
  const exact: LineSeries = {
    ...{ name: 'exact inference', hue: steps.length, dashed: true },
    points: groupBy(byInference(trips), 'noise').map(({ key, rows }) =>
      pointOf(key.noise, meanAcross(rows, y)),
    ),
  }
  return chart(
    byNetwork(trips).filter(({ step }) => steps.includes(step)),
    {
      ...text,
      caption: `${text.caption} By the network after some steps of training, and by exact inference on the same data (dashed). Bands: one standard error over grammars.`,
      ...{ x: 'noise', xLabel: 'noise level', y, marks: 'dots' },
      ...{ series: (row) => row.step, seriesName: (step) => `${step} steps` },
      more: [exact],
    },
  )
}

export function tripCharts(trips: readonly TripFound[]): (() => Figure)[] {
  if (trips.length === 0) return []
  const heights = trips[0]!.kept.map((_, height) => height).slice(1)
  const shares = heights.flatMap((height) =>
    groupBy(byNetwork(trips), 'seed', 'replica', 'step').map(({ key, rows }) => ({
      ...{ ...rows[0]!, height, step: key.step },
      share: keptShare(
        rows,
        byInference(trips).filter(({ seed, replica }) => seed === key.seed && replica === key.replica),
        height,
      ),
    })),
  )
  return [
    ...heights.map((height) =>
      againstNoise(trips, (row) => row.kept[height]!, {
        name: `survival-${height}`,
        title: `What round trips keep at height ${height}`,
        caption: `Share of nodes of height ${height} whose symbol is that of the datum after a round trip; a node that is not legal is not kept.`,
        yLabel: 'share of nodes kept',
      }),
    ),
    chart(shares, {
      name: 'survival-time',
      title: 'Round trips become exact, level by level',
      caption: `Nodes of each height that round trips by the network keep, over those that exact inference keeps, all noise levels together. Dotted: ${half}. Bands: one standard error over grammars.`,
      ...{ x: 'step', xLabel: 'steps', xScale: 'log' },
      ...{ y: 'share', yLabel: 'kept, over exact inference', yDomain: [-0.05, 1.05] },
      ...{ series: 'height', seriesName: (height) => `ℓ = ${height}` },
      references: [
        { axis: 'y', value: half, label: '' },
        { axis: 'y', value: 1, label: 'exact inference' },
      ],
    }),
    againstNoise(trips, chiOf, {
      name: 'trip-chi',
      title: 'Tokens that change together, as training goes on',
      caption: 'Susceptibility of which tokens change in a round trip; 1 where they change independently.',
      yLabel: 'χ',
    }),
    againstNoise(trips, xiOf, {
      name: 'trip-xi',
      title: 'How far tokens change together, as training goes on',
      caption:
        'Correlation length ξ = Σ r C / Σ C of which tokens change in a round trip, over all ordered pairs, a token with itself (r = 0) included; r is the largest distance below their common ancestor. 0 where tokens change independently.',
      yLabel: 'ξ, tokens',
    }),
  ]
}

/** Steps of levels and of round trips, side by side. */
export function tripTable(time: readonly LookFound[], trips: readonly TripFound[]): ReportTable {
  return {
    title: 'Steps until a level is learned, and until round trips keep half of what exact inference keeps',
    columns: ['height', 'level learned', 'half kept', 'kept at the end'],
    rows: heightsOf(time).map((height) => {
      const last = Math.max(...byNetwork(trips).map(({ step }) => step))
      const network = byNetwork(trips).filter(({ step }) => step === last)
      return [
        height,
        shownWhole({ value: stepsNeeded(time, height), error: null }),
        shownWhole({ value: agreementSteps(trips, height), error: null }),
        keptShare(network, byInference(trips), height).toFixed(3),
      ]
    }),
  }
}
