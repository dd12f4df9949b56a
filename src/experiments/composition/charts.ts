/** @file The figures and tables of composition. */
import {
  chart,
  type Figure,
  meanAcross,
  type ReportTable,
  type RowChart,
  shownEstimate,
  shownWhole,
  table,
  where,
} from '../../lab/index.ts'
import {
  enough,
  type Found,
  heightsOf,
  invariantAt,
  type LookFound,
  learnedBeyondBelow,
  learnedShare,
  scaleOf,
  spreads,
  stepsNeeded,
  stringsNeeded,
} from './levels.ts'
import type { SensitivityRow } from './measure.ts'
import { type TripFound, tripCharts, tripTable } from './tripFindings.ts'

const bars = 'Bands: one standard error over grammars.'
const shares = { yLabel: '(A_ℓ − A_0)/(1 − A_0)', yDomain: [-0.05, 1.05] } as const
const reached = { axis: 'y' as const, value: enough, label: '' }
const byRules = { series: 'm', seriesName: (m: string | number) => `m = ${m}` } as const

export interface Parts {
  readonly data: readonly LookFound[]
  readonly time: readonly LookFound[]
  readonly layers: readonly Found<SensitivityRow>[]
  readonly trips: readonly TripFound[]
  readonly controls: readonly LookFound[]
}

function dataCharts(data: readonly LookFound[]): (() => Figure)[] {
  return heightsOf(data).flatMap((height) => {
    const { before, after } = spreads(data, height)
    const axes = {
      ...{ xScale: 'log', y: (row) => learnedShare(row, height), marks: 'dots', references: [reached] },
      ...shares,
      ...byRules,
    } satisfies Partial<RowChart<LookFound>>
    return [
      chart(data, {
        name: `level-${height}`,
        title: `Level ${height} against the number of strings`,
        caption: `Share of legal nodes at height ${height} of generated strings, at the least validation loss; 0 is what random strings have. Dotted: ${enough}, which defines P*_${height}. ${bars}`,
        ...{ x: 'P', xLabel: 'training strings P' },
        ...axes,
      }),
      chart(data, {
        name: `collapse-${height}`,
        title: `The same on P / m^${height + 1}`,
        caption: `At equal height the curves lie apart by a factor of ${shownEstimate(before)} in P before rescaling, ${shownEstimate(after)} after. ${bars}`,
        ...{ x: (row) => row.P / scaleOf(row, height), xLabel: `P / m^${height + 1}` },
        ...axes,
      }),
    ]
  })
}

const coherenceChart = (data: readonly LookFound[]): (() => Figure) =>
  chart(data, {
    name: 'coherence',
    title: 'How far generated strings hang together',
    caption: `Tokens over which the covariances of generated strings are at least half of the grammar's, at the least validation loss, against the number of strings. ${bars}`,
    ...{ x: 'P', xLabel: 'training strings P', xScale: 'log', marks: 'dots' },
    ...{ y: 'coherence', yLabel: 'coherence length, tokens' },
    ...byRules,
  })

function timeCharts(time: readonly LookFound[]): (() => Figure)[] {
  const [first] = time
  if (!first) return []
  const leveled = heightsOf(time).flatMap((height) =>
    time.map((row) => ({ ...row, height, share: learnedShare(row, height) })),
  )
  const steps = { x: 'step', xLabel: 'steps', xScale: 'log' } as const
  return [
    chart(leveled, {
      name: 'time',
      title: 'Levels in the order of steps',
      caption: `One training on P = ${first.P} strings, m = ${first.m}: share of legal nodes at each height of generated strings. ${bars}`,
      ...{ ...steps, y: 'share', ...shares, references: [reached] },
      ...{ series: 'height', seriesName: (height: string | number) => `ℓ = ${height}` },
    }),
    chart(time, {
      name: 'coherence-time',
      title: 'Coherence grows with training',
      caption: `The same training: tokens over which the covariances of generated strings are at least half of the grammar's. ${bars}`,
      ...{ ...steps, y: 'coherence', yLabel: 'coherence length, tokens' },
    }),
  ]
}

const layersChart = (layers: readonly Found<SensitivityRow>[]): (() => Figure) => {
  const top = Math.max(...layers.map(({ layer }) => layer))
  return chart(
    layers.filter((row) => row.layer === top && row.value !== null),
    {
      name: 'layers',
      title: 'The deepest layer becomes invariant, level by level',
      caption: `S_{k,ℓ} of the deepest hidden layer, k = ${top}: how far it moves when every tuple of height ℓ is exchanged for a synonym, over how far it moves from one string to another. ${bars}`,
      ...{ x: 'step', xLabel: 'steps', xScale: 'log', y: (row) => row.value!, yLabel: `S_{${top},ℓ}` },
      ...{ series: 'height', seriesName: (height: string | number) => `ℓ = ${height}` },
    },
  )
}

export const chartsOf = ({ data, time, layers, trips }: Parts): (() => Figure)[] => [
  ...(data.length > 0 ? [...dataCharts(data), coherenceChart(data)] : []),
  ...timeCharts(time),
  ...(layers.length > 0 ? [layersChart(layers)] : []),
  ...tripCharts(trips),
]

const whole = (x: number): string => (Number.isFinite(x) ? Math.round(x).toLocaleString('en') : '–')

/** What a control is called. */
export const controlName = ({ rules, strings, v, m, s, L, P }: LookFound): string =>
  `${strings === 'shuffled' ? 'top level shuffled' : rules === 'uncorrelated' ? 'uncorrelated rules' : 'random rules'}, v = ${v}, m = ${m}, s = ${s}, L = ${L}, P = ${P}`

export function tablesOf({ data, time, layers, trips, controls }: Parts): ReportTable[] {
  const heights = heightsOf(data)
  const tables: ReportTable[] = []
  if (data.length > 0)
    tables.push(
      table(data, {
        title: 'Strings that a level takes',
        by: ['m'],
        columns: Object.fromEntries(
          heights.flatMap((height) => [
            [`P*_${height}`, (rows: readonly LookFound[]) => whole(stringsNeeded(rows, height))],
            [
              `over m^${height + 1}`,
              (rows: readonly LookFound[]) =>
                (stringsNeeded(rows, height) / scaleOf(rows[0]!, height)).toPrecision(3).replace('NaN', '–'),
            ],
          ]),
        ),
      }),
    )
  if (time.length > 0)
    tables.push(
      table(time, {
        title: 'Steps that a level takes in one training',
        by: ['m', 'P'],
        columns: Object.fromEntries(
          heightsOf(time).map((height) => [
            `level ${height}`,
            (rows: readonly LookFound[]) => whole(stepsNeeded(rows, height)),
          ]),
        ),
      }),
    )
  if (layers.length > 0)
    tables.push(
      table(layers, {
        title: 'Steps until a layer has lost half of its sensitivity to synonyms',
        by: ['layer', 'height'],
        columns: {
          steps: (rows) => {
            const found = invariantAt(where(rows, {}), rows[0]!.layer, rows[0]!.height)
            return Number.isFinite(found.value) ? shownWhole(found) : '–'
          },
        },
      }),
    )
  if (trips.length > 0) tables.push(tripTable(time, trips))
  if (controls.length > 0)
    tables.push(
      table(
        controls.map((row) => ({ ...row, grammars: controlName(row) })),
        {
          title: 'Controls: levels learned beyond those below',
          by: ['grammars'],
          columns: Object.fromEntries(
            heightsOf(controls).map((height) => [
              `level ${height}`,
              (rows: readonly LookFound[]) =>
                rows[0]!.validity.length < height
                  ? '–'
                  : meanAcross(rows, (row) => learnedBeyondBelow(row, height)),
            ]),
          ),
        },
      ),
    )
  return tables
}
