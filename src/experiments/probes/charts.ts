/** @file Figures and the table of probes. */
import {
  chart,
  type Figure,
  geometricMeanOverReplicas,
  groupBy,
  overReplicas,
  type ReportTable,
  shownWhole,
  table,
  where,
} from '../../lab/index.ts'
import { type Architecture, networkNames, powerOfTheory } from '../lastToken/networks.ts'
import type { Config } from './config.ts'
import {
  atLast,
  clear,
  type Found,
  lastLayer,
  lengthOf,
  levelsOf,
  lossHalfWay,
  onset,
  ratioOf,
} from './onsets.ts'

type Rows = readonly Found[]

const bands = 'Bands: one standard error over grammars.'
const axes = {
  ...({ y: ratioOf, xScale: 'log', yLabel: '(1 − q_R)/(1 − q_S)', marks: 'dots' } as const),
  references: [{ axis: 'y' as const, value: clear, label: '' }],
}
const byLevel = {
  series: 'level',
  seriesName: (level: string | number) => `symbols of height ${level}`,
} as const

const lossChart = (rows: Rows): (() => Figure) =>
  chart(where(rows, { layer: 1, level: 1 }), {
    name: 'loss',
    title: 'What the loss says',
    caption: `Cross-entropy of the last token against strings seen, each of them once. ${bands} Dotted: the exact plateaus of these grammars, mean over grammars.`,
    ...{ x: 'samples', y: 'loss', xScale: 'log', xLabel: 'strings', yLabel: 'loss (nats)' },
    series: 'network',
    seriesName: (name) => networkNames[name as Architecture],
    references: rows[0]!.plateaus.map((_, level) => ({
      axis: 'y' as const,
      value: overReplicas(rows, (own) => own[0]!.plateaus[level]!).value,
      label: `ℓ = ${level}`,
    })),
  })

const levelCharts = (rows: Rows, network: Architecture, m: number): (() => Figure)[] => {
  const name = networkNames[network]
  const what = `How much more the last hidden layer of the network minds another symbol than another rule below it: (1 − q_R)/(1 − q_S), where q is the mean cosine of standardised activations with those of the same strings with the hidden symbol replaced (S) or expanded by another rule (R). 1: the layer sees the rule, 0: it sees the symbol alone.`
  const power = network === 'cnn' ? 'm^(ℓ+2)' : 'm^(2ℓ+1)'
  return [
    chart(atLast(rows), {
      name: `levels-${network}`,
      title: `Hidden symbols that the ${name} knows`,
      caption: `${what} ${bands}`,
      ...{ ...axes, ...byLevel, x: 'samples', xLabel: 'strings' },
    }),
    chart(atLast(rows), {
      name: `rescaled-${network}`,
      title: `The same in units of ${power}`,
      caption: `The curves of the figure before against strings over ${power}, ℓ the height of the symbols. ${bands}`,
      ...{ ...axes, ...byLevel, xLabel: `strings over ${power}` },
      x: ({ samples, level }) => samples / m ** powerOfTheory(network, level + 1),
    }),
  ]
}

const layerCharts = (rows: Rows, network: Architecture): (() => Figure)[] =>
  levelsOf(rows).map((level) =>
    chart(where(rows, { level }), {
      name: `layers-${network}-${level}`,
      title: `Symbols of height ${level} in the layers of the ${networkNames[network]}`,
      caption: `(1 − q_R)/(1 − q_S) for symbols of height ${level} in every hidden layer, ${network === 'cnn' ? `all of its units; the CNN can tell tuples of height ${level} apart by their symbol from layer ${level + 1} on` : `all positions of the layers but the last, of which the prediction has the last position alone`}. ${bands}`,
      ...{ ...axes, x: 'samples', xLabel: 'strings', series: 'layer' },
      seriesName: (layer) => `layer ${layer}`,
    }),
  )

export const chartsOf = (rows: Rows, { m }: Config): (() => Figure)[] => [
  lossChart(rows),
  ...groupBy(rows, 'network').flatMap(({ key: { network }, rows: own }) => [
    ...levelCharts(own, network, m),
    ...layerCharts(own, network),
  ]),
]

export const tablesOf = (rows: Rows): ReportTable[] =>
  groupBy(rows, 'network').map(({ key: { network }, rows: all }) =>
    table(all, {
      title: `Symbols of each height, ${networkNames[network]}`,
      by: ['level'],
      columns: {
        'half way in the loss, strings': (_, { level }) =>
          shownWhole(geometricMeanOverReplicas(all, (own) => lossHalfWay(own, level))),
        [`ratio below ${clear}, strings`]: (_, { level }) =>
          shownWhole(geometricMeanOverReplicas(all, (own) => onset(own, level))),
        'ratio below 0.5, strings': (_, { level }) =>
          shownWhole(geometricMeanOverReplicas(all, (own) => onset(own, level, 0.5))),
        'ratio at the end': (_, { level }) =>
          overReplicas(where(all, { level, layer: lastLayer(all), samples: lengthOf(all) }), ([row]) =>
            ratioOf(row!),
          ),
      },
    }),
  )
