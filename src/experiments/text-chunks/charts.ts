/** @file Figures and tables of changes in a text. */
import {
  type Findings,
  type LineSeries,
  lineChart,
  markedText,
  pointOf,
  type ReportTable,
  shownEstimate,
} from '../../lab/index.ts'
import {
  correlationAt,
  distancesOf,
  lengthAt,
  rangeAt,
  type Source,
  type Sources,
  sharesOf,
  susceptibilityAt,
  usualShare,
} from './estimates.ts'

const allOf = ({ network, ngrams, shuffled }: Sources): Source[] => [
  network,
  ...ngrams,
  ...(shuffled ? [shuffled] : []),
]

const overShares = (
  sources: readonly Source[],
  estimate: (source: Source, t: number) => ReturnType<typeof susceptibilityAt>,
): LineSeries[] =>
  sources.map((source, hue) => ({
    ...{ name: source.name, hue, dots: true, dashed: hue > 0 },
    points: sharesOf(source).map((t) => pointOf(t, estimate(source, t))),
  }))

const errors = 'Bands: one standard error, leaving out one passage at a time.'

/** Round trips of one passage at rising t: those of the first network. */
function passageFigure({ passages }: Sources) {
  const first = passages
    .filter(({ seed, replica }) => seed === passages[0]!.seed && replica === 0)
    .toSorted((a, b) => a.t - b.t)
  const [{ before }] = first as [Sources['passages'][number]]
  return markedText({
    name: 'passages',
    title: 'What a round trip changes',
    caption:
      'A held-out passage, and the same after a share t of its characters was masked and filled again by the network. Marked: characters that are others than before.',
    items: [
      { name: 'the text', text: before, marks: [] },
      ...first.map(({ t, after }) => ({
        ...{ name: `t = ${t}`, text: after },
        marks: Array.from(after, (character, i) => character !== before[i]),
      })),
    ],
  })
}

export const chartsOf = (sources: Sources): Findings['charts'] => {
  const { network } = sources
  const t = usualShare(sharesOf(network))
  return [
    () => passageFigure(sources),
    () =>
      lineChart({
        name: 'susceptibility',
        title: 'How many characters change together',
        caption: `Susceptibility χ = Σ C_ij / Σ C_ii of the changes against the share of masks: 1 where characters change independently. Dashed: exact n-gram models, which know nothing beyond n − 1 characters before, and the network on characters in random order. ${errors}`,
        ...{ xLabel: 'share of masks t', yLabel: 'χ', labels: 'beside' },
        series: overShares(allOf(sources), susceptibilityAt),
      }),
    () =>
      lineChart({
        name: 'correlations',
        title: 'How far changes reach together',
        caption: `C(r)/C(0) of the changes at t = ${t} against the distance r, as far as it is two standard errors above 0. ${errors}`,
        ...{ xLabel: 'distance r (characters)', yLabel: 'C(r)/C(0)', yScale: 'log', labels: 'beside' },
        series: [network, ...sources.ngrams].map((source, hue) => ({
          ...{ name: source.name, hue, dots: true, dashed: hue > 0 },
          points: distancesOf(source)
            .filter((r) => r <= rangeAt(source, t))
            .map((r) => pointOf(r, correlationAt(source, t, r))),
        })),
      }),
    () =>
      lineChart({
        name: 'length',
        title: 'The range of changes',
        caption: `Mean distance Σ r C / Σ C of characters that change together, over the distances up to which C(r) is two standard errors above 0. ${errors}`,
        ...{ xLabel: 'share of masks t', yLabel: 'mean distance (characters)', labels: 'beside' },
        series: overShares([network, ...sources.ngrams.filter(({ n }) => n > 1)], lengthAt),
      }),
  ]
}

export function tablesOf(sources: Sources): ReportTable[] {
  const all = allOf(sources)
  const shares = sharesOf(sources.network)
  const t = usualShare(shares)
  return [
    {
      title: 'χ by the share of masks',
      columns: ['filled by', ...shares.map((own) => `t = ${own}`)],
      rows: all.map((source) => [
        source.name,
        ...shares.map((own) => shownEstimate(susceptibilityAt(source, own))),
      ]),
    },
    {
      title: `The ladder, at t = ${t}`,
      columns: ['filled by', 'held-out loss, nats', 'χ', 'C(1)/C(0)', 'C(2)/C(0)', 'mean distance', 'range'],
      rows: [...sources.ngrams, sources.network].map((source) => [
        source.name,
        shownEstimate(source.loss!),
        shownEstimate(susceptibilityAt(source, t)),
        ...[1, 2].map((r) => shownEstimate(correlationAt(source, t, r))),
        shownEstimate(lengthAt(source, t)),
        rangeAt(source, t),
      ]),
    },
  ]
}
