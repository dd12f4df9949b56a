/** @file What copies of repeated strings say: when those of each multiplicity are memorized. */
import {
  type Claim,
  chart,
  claim,
  control,
  crossing,
  type Estimate,
  type Figure,
  geometricMean,
  geometricMeanOverReplicas,
  groupBy,
  jackknife,
  type LineSeries,
  lineChart,
  pointOf,
  powerOf,
  type ReportTable,
  replicasOf,
  shownEstimate,
  shownWhole,
} from '../../lab/index.ts'
import type { Draws } from './config.ts'
import { copiedShare, onset, type PrototypeRow } from './prototypes.ts'
import type { Found } from './times.ts'

export type PrototypeFound = Found<PrototypeRow>

/** What training sets of a kind are called. */
const words: Record<Draws, string> = {
  zipf: 'productions by Zipf',
  repeated: 'repeated by hand',
  uniform: 'uniform productions',
}

/** Steps from which on a group is memorized; NaN where that has not come. */
const onsetOf = (rows: readonly PrototypeFound[]): number =>
  crossing(
    rows.map((row) => ({ x: row.step, y: copiedShare(row) })).sort((a, b) => a.x - b.x),
    onset,
  ) ?? Number.NaN

/** Groups that every replica has, with how often a string of them is drawn, rising. */
function groupsOf(rows: readonly PrototypeFound[]) {
  const all = replicasOf(rows).length
  return groupBy(rows, 'group')
    .filter(({ rows: own }) => replicasOf(own).length === all)
    .map(({ key, rows: own }) => ({
      group: key.group,
      multiplicity: geometricMean(own.map(({ multiplicity }) => multiplicity)).value,
      rows: own,
    }))
    .sort((a, b) => a.group - b.group)
}

/** Groups that are memorized in every replica. */
const timed = (rows: readonly PrototypeFound[]): ReturnType<typeof groupsOf> =>
  groupsOf(rows).filter(({ rows: own }) => replicasOf(own).every((looks) => Number.isFinite(onsetOf(looks))))

/** The exponent of the onset in the multiplicity, over groups that every replica has memorized; NaN with fewer than two. */
function exponentOf(rows: readonly PrototypeFound[]): Estimate {
  const within = timed(rows)
  if (within.length < 2) return { value: Number.NaN, error: null }
  return jackknife(
    within.flatMap(({ rows: own }) => own),
    (some) =>
      powerOf(
        groupsOf(some).map(({ multiplicity, rows: own }) => [
          multiplicity,
          geometricMeanOverReplicas(own, onsetOf).value,
        ]),
      ).value,
  )
}

/** The onset of the first group over that of the last. */
const firstOverLast = (rows: readonly PrototypeFound[]): Estimate =>
  jackknife(rows, (some) => {
    const groups = groupsOf(some)
    const [first, last] = [groups[0]!, groups.at(-1)!].map(
      ({ rows: own }) => geometricMeanOverReplicas(own, onsetOf).value,
    )
    return first! / last!
  })

const counts = (rows: readonly PrototypeFound[]): string =>
  timed(rows)
    .map(({ multiplicity }) => multiplicity.toFixed(1))
    .join(', ')

export const prototypeClaims = (rows: readonly PrototypeFound[]): Claim[] =>
  groupBy(rows, 'draws', 'P').flatMap(({ key: { draws, P }, rows: own }) => {
    const memorized = timed(own)
    if (memorized.length < 2) return []
    const within = memorized.flatMap(({ rows: some }) => some)
    const name = `${words[draws!]}, ${P} draws`
    if (draws === 'uniform')
      return [
        control(
          `${name}: onset of copies of the half that is less probable under Zipf, over that of the other half`,
          firstOverLast(within),
        ).equals(1, { by: 0.15 }),
      ]
    return [
      claim(
        `${name}: exponent of the onset of copies in the multiplicity n (n = ${counts(own)})`,
        exponentOf(own),
      ).equals(-1, { by: 0.15 }),
      claim(
        `${name}: onset of copies of the least repeated strings over that of the most repeated`,
        firstOverLast(within),
      ).atLeast(1),
    ]
  })

/** Exponents that were found, in words; undefined where there are none. */
export function prototypeWords(rows: readonly PrototypeFound[]): string | undefined {
  const found = groupBy(
    rows.filter(({ draws }) => draws !== 'uniform'),
    'draws',
    'P',
  ).flatMap(({ key: { draws, P }, rows: own }) => {
    const exponent = exponentOf(own)
    return Number.isFinite(exponent.value)
      ? [`${shownEstimate(exponent)} (${words[draws!]}, ${P} draws)`]
      : []
  })
  return found.length > 0
    ? `strings that are n times in the training set are copied from steps ∝ n^b on, b = ${found.join(', ')}`
    : undefined
}

const groupName = (
  draws: Draws,
  { group, multiplicity }: { group: number; multiplicity: number },
): string => {
  if (draws === 'uniform') return group === 0 ? 'less probable half' : 'more probable half'
  return `n = ${multiplicity.toFixed(1)}`
}

/** Copied shares of each group, look by look, as far as every replica has come. */
function copiesChart(rows: readonly PrototypeFound[], draws: Draws, P: number): () => Figure {
  const groups = groupsOf(rows)
  const all = replicasOf(rows).length
  const seen = groupBy(
    groups.flatMap(({ rows: own }) => own),
    'step',
  ).flatMap((at) => (replicasOf(at.rows).length === all ? at.rows : []))
  return chart(seen, {
    name: `prototypes-${draws}-${P}`,
    title: draws === 'uniform' ? 'Copies of two halves, drawn alike' : 'What is repeated is memorized first',
    caption: `Training set: ${words[draws]}, about ${P} draws. Generated strings that are training strings of a group, less those that are strings which were ${draws === 'uniform' ? 'as probable under Zipf' : 'drawn as often'} and held out, over the group's share of the training set: 1 where everything is memorized. Dotted: ${onset}, the onset. Bands: one standard error over grammars.`,
    ...{ x: 'step', xLabel: 'steps', xScale: 'log', y: copiedShare, yLabel: 'copied share' },
    series: 'group',
    seriesName: (value) => groupName(draws, groups.find(({ group }) => group === value)!),
    references: [{ axis: 'y', value: onset, label: '' }],
  })
}

/** Onsets against multiplicities, beside the law of the kernel. */
function onsetChart(rows: readonly PrototypeFound[]): () => Figure {
  const kinds = groupBy(rows, 'draws', 'P').filter(({ rows: own }) => timed(own).length > 0)
  const timeOf = (own: readonly PrototypeFound[]) => geometricMeanOverReplicas(own, onsetOf)
  const series = kinds.flatMap(({ key: { draws, P }, rows: own }, hue): LineSeries[] => {
    const groups = timed(own)
    const { multiplicity: most } = groups.at(-1)!
    const [{ multiplicity: least, rows: first }] = groups as [(typeof groups)[number]]
    const start = timeOf(first).value
    return [
      {
        ...{ name: `${words[draws!]}, ${P}`, hue, scatter: true },
        points: groups.map(({ multiplicity, rows: some }) => pointOf(multiplicity, timeOf(some))),
      },
      {
        ...{ name: '', hue, dashed: true },
        points: [least, most].map((n) => ({ x: n, y: (start * least) / n })),
      },
    ]
  })
  return () =>
    lineChart({
      name: 'prototypes-onset',
      title: 'When strings are memorized, by how often they are repeated',
      caption: `Steps from which on a tenth of a group's strings is generated beyond chance, against how often each is in the training set. Dashed: inverse to it, through the first point, as modes of kernels are fitted in times inverse to their weights. Bars: one standard error over grammars.`,
      ...{ xLabel: 'times in the training set, n', yLabel: 'steps', xScale: 'log', yScale: 'log' },
      series,
    })
}

export function prototypeCharts(rows: readonly PrototypeFound[]): (() => Figure)[] {
  if (rows.length === 0) return []
  const repeated = rows.filter(({ draws }) => draws !== 'uniform')
  return [
    ...groupBy(rows, 'draws', 'P').map(({ key, rows: own }) => copiesChart(own, key.draws!, key.P)),
    ...(groupBy(repeated, 'draws', 'P').some(({ rows: own }) => timed(own).length > 0)
      ? [onsetChart(repeated)]
      : []),
  ]
}

const prototypeTable = (rows: readonly PrototypeFound[]): ReportTable => ({
  title: 'Copies of repeated strings',
  columns: ['training set', 'draws', 'strings', 'n', 'onset, steps', 'exponent in n'],
  rows: groupBy(rows, 'draws', 'P').flatMap(({ key: { draws, P }, rows: own }) =>
    groupsOf(own).map((group, i) => [
      draws === 'uniform' ? `${words[draws]}, ${groupName(draws, group)}` : words[draws!],
      P,
      [...new Set(group.rows.map(({ strings }) => strings))].join(', '),
      group.multiplicity.toFixed(1),
      shownWhole(
        timed(own).some((one) => one.group === group.group)
          ? geometricMeanOverReplicas(group.rows, onsetOf)
          : { value: Number.NaN, error: null },
      ),
      i === 0 && draws !== 'uniform' ? shownEstimate(exponentOf(own)) : '',
    ]),
  ),
})

export const prototypeTables = (rows: readonly PrototypeFound[]): ReportTable[] =>
  rows.length > 0 ? [prototypeTable(rows)] : []
