/** @file Figures and tables of changes on a grid. */
import type { PatchGrid } from '../../diffusion/index.ts'
import {
  distinct,
  type Figure,
  jackknife,
  type LineSeries,
  lineChart,
  pointOf,
  type ReportTable,
  table,
} from '../../lab/index.ts'
import { bars, pointsOf, shareRejected, timeAxis } from '../imageTrips/overTime.ts'
import { type PictureFound, tripPictures } from '../imageTrips/pictures.ts'
import { sourceTitles } from '../imageTrips/sources.ts'
import { type ChunkFacts, chiOf, correlationsAt, type PicturesFound, ratioAt } from './estimates.ts'

const measures = {
  distances: 'the root mean square of the changes of its pixels',
  flips: 'the number of its pixels that are no longer on the same side of grey',
} as const

function chiChart(facts: readonly ChunkFacts[]): () => Figure {
  const [{ measure }] = facts as [ChunkFacts]
  return () =>
    lineChart({
      name: `chi-${measure}`,
      title:
        measure === 'distances' ? 'How many patches change together' : 'The same by pixels that cross grey',
      caption: `Susceptibility χ of changes after round trips to t: 1 where patches change on their own. A patch changes by ${measures[measure]}. ${bars}`,
      ...{ ...timeAxis, yLabel: 'χ', labels: 'beside' },
      references: [{ axis: 'y', value: 1, label: '' }],
      series: facts.map(
        ({ source, rows }, hue): LineSeries => ({
          ...{ name: sourceTitles[source], hue, dots: true },
          points: pointsOf(rows, chiOf),
        }),
      ),
    })
}

/** C(r) at the first time, at the top of χ and at the last time. */
function correlationChart({ source, rows, top, last }: ChunkFacts, grid: PatchGrid): (() => Figure)[] {
  const first = Math.min(...rows.map(({ time }) => time))
  const times = [...new Set([first, top, last])].filter(Number.isFinite)
  if (times.length === 0) return []
  return [
    () =>
      lineChart({
        name: `correlations-${source}`,
        title: `How far changes reach: ${sourceTitles[source]}`,
        caption: `Correlation of the changes of two patches at a distance r, in patches, over their variance: at the first time, where χ is largest, and at the last. ${bars}`,
        ...{ xLabel: 'r', yLabel: 'C(r)/C(0)', labels: 'beside' },
        references: [{ axis: 'y', value: 0, label: '' }],
        series: times.map((time, hue): LineSeries => {
          const own = rows.filter((row) => row.time === time)
          return {
            ...{ name: `${time} T${time === top ? ' (χ largest)' : ''}`, hue, dots: true },
            points: correlationsAt(own, grid).map(({ r, value }) => pointOf(r, value)),
          }
        }),
      }),
  ]
}

export function chartsOf(
  distances: readonly ChunkFacts[],
  flips: readonly ChunkFacts[],
  pictures: readonly PicturesFound[],
  grid: PatchGrid,
): (() => Figure)[] {
  return [
    chiChart(distances),
    chiChart(flips),
    ...distances.flatMap((own) => correlationChart(own, grid)),
    ...distances.flatMap(({ source }) => tripPictures(pictures as readonly PictureFound[], source) ?? []),
  ]
}

export function tablesOf(distances: readonly ChunkFacts[], flips: readonly ChunkFacts[]): ReportTable[] {
  const rows = distances.flatMap((own) => own.rows)
  const field = distances.find(({ source }) => source === 'field')
  const columnsOf = (facts: readonly ChunkFacts[], what: string) =>
    Object.fromEntries(
      facts.map((own) => [
        `${what}, ${sourceTitles[own.source]}`,
        (_: unknown, { time }: { time: number }) =>
          jackknife(
            own.rows.filter((row) => row.time === time),
            chiOf,
          ),
      ]),
    )
  const model = distances.find(({ source }) => source === 'model')
  return [
    table(
      [...rows].sort((a, b) => a.time - b.time),
      {
        title: 'χ at each time',
        by: ['time'],
        columns: {
          ...columnsOf(distances, 'χ'),
          ...columnsOf(
            flips.filter(({ source }) => source === 'model' || source === 'mixture'),
            'χ of flips',
          ),
          ...(model && field
            ? { 'model over field': (_: unknown, { time }: { time: number }) => ratioAt(model, field, time) }
            : {}),
          ...(model
            ? {
                rejected: (_: unknown, { time }: { time: number }) =>
                  `${(100 * shareRejected(model.rows.filter((row) => row.time === time))).toFixed(1)} %`,
              }
            : {}),
          trips: (own) => {
            const one = own.filter((row) => row.source === distinct(own, 'source')[0])
            return one.reduce((sum, row) => sum + row.trips, 0)
          },
        },
      },
    ),
  ]
}
