/** @file Figures and the table of round trips. */
import {
  chart,
  distinct,
  type Figure,
  jackknife,
  type LineSeries,
  lineChart,
  type ReportTable,
  shareOf,
  table,
} from '../../lab/index.ts'
import { bars, pointsOf, shareRejected, timeAxis } from '../imageTrips/overTime.ts'
import { type PictureFound, tripPictures } from '../imageTrips/pictures.ts'
import { sourceTitles } from '../imageTrips/sources.ts'
import {
  layerName,
  meanCosine,
  type Parts,
  type SourceFacts,
  shallowAndDeep,
  shareKept,
} from './estimates.ts'

function classChart(facts: readonly SourceFacts[]): () => Figure {
  return () =>
    lineChart({
      name: 'class-kept',
      title: 'Where the class is lost',
      caption: `Share of round trips to t after which the classifier answers as before. Dotted: one half. ${bars}`,
      ...{ ...timeAxis, yLabel: 'class kept', yDomain: [0, 1] },
      references: [{ axis: 'y', value: 0.5, label: '' }],
      series: facts.map(({ source, trips }, hue): LineSeries => {
        return { name: sourceTitles[source], hue, dots: true, points: pointsOf(trips, shareKept) }
      }),
    })
}

function layersChart({ source, layers, half }: SourceFacts): () => Figure {
  const depths = distinct(layers, 'depth').sort((a, b) => a - b)
  const [shallow, deep] = shallowAndDeep(layers)
  // a classifier of many blocks: some of them, spread over its depth
  const most = 6
  const shown =
    depths.length <= most
      ? depths
      : [
          ...new Set([
            0,
            shallow,
            deep,
            depths.at(-1)!,
            ...[0.35, 0.65].map((s) => depths[Math.round(s * (depths.length - 1))]!),
          ]),
        ].sort((a, b) => a - b)
  return () =>
    lineChart({
      name: `layers-${source}`,
      title: `Layer by layer: ${sourceTitles[source]}`,
      caption: `Cosine between the features of an image before and after a round trip to t, standardized by channel, in layers from the pixels to the logits. Dotted: where half of the classes are lost. ${bars}`,
      ...{ ...timeAxis, yLabel: 'cosine', labels: 'beside' },
      references: Number.isFinite(half.value) ? [{ axis: 'x', value: half.value, label: '' }] : [],
      series: shown.map((depth, hue): LineSeries => {
        const own = layers.filter((row) => row.depth === depth)
        return { name: layerName(layers, depth), hue, dots: true, points: pointsOf(own, meanCosine) }
      }),
    })
}

const rejectedChart = (facts: readonly SourceFacts[], drift: number): (() => Figure) =>
  chart(
    facts.flatMap(({ trips }) => trips),
    {
      name: 'rejected',
      title: 'Round trips that are rejected',
      caption: `Share of round trips to t whose corners – the mean over four squares of 3×3 pixels – became brighter or darker by more than ${drift} on a scale from −1 to 1. They count in no other figure. ${bars}`,
      ...{ ...timeAxis, x: 'time', y: (row) => row.trips, yLabel: 'rejected', yFormat: '.0%' },
      estimate: (rows) => jackknife(rows, shareRejected),
      ...{ series: 'source', seriesName: (name) => sourceTitles[name as 'model'], marks: 'dots' },
    },
  )

export function chartsOf(parts: Parts, facts: readonly SourceFacts[], drift: number): (() => Figure)[] {
  return [
    classChart(facts),
    ...facts.map(layersChart),
    ...(drift > 0 ? [rejectedChart(facts, drift)] : []),
    ...facts.flatMap(({ source }) => tripPictures(parts.pictures as readonly PictureFound[], source) ?? []),
  ]
}

export function tablesOf(facts: readonly SourceFacts[]): ReportTable[] {
  return facts.map(({ source, trips, layers }) => {
    const depths = distinct(layers, 'depth').sort((a, b) => a - b)
    return table(
      [...trips].sort((a, b) => a.time - b.time),
      {
        title: `Round trips of ${sourceTitles[source]}`,
        by: ['time'],
        columns: {
          trips: (own) => own.reduce((sum, row) => sum + row.trips, 0),
          rejected: (own) => {
            const all = own.reduce((sum, row) => sum + row.trips, 0)
            return shareOf(all - own.reduce((sum, row) => sum + row.good, 0), all)
          },
          'class kept': (own) => jackknife(own, shareKept),
          ...Object.fromEntries(
            depths.map((depth) => [
              layerName(layers, depth),
              (_: unknown, { time }: { time: number }) =>
                jackknife(
                  layers.filter((row) => row.depth === depth && row.time === time),
                  meanCosine,
                ),
            ]),
          ),
        },
      },
    )
  })
}
