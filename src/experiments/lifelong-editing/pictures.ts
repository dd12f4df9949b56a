/** @file Figures and tables: the field's table, curves over T, overlaps and what routing finds, texts to read. */
import type { Interval, Scores } from '../../edit/index.ts'
import { type Figure, lineChart, type ReportTable } from '../../lab/index.ts'
import type { Row, ShownExample } from '../lifelong-editing.ts'
import { histogram, type Overlaps, routingCurve } from './routing.ts'
import { cell, cellWithInterval, published, publishedParts, sizesOf, type View } from './verdicts.ts'

const metrics = [
  ['reliability', 'Reliability: the target after the prompt it was taught with'],
  ['generalization', 'Generalization: the target after the prompt in other words'],
  ['locality', 'Locality: unrelated answers that stayed as they were'],
  ['average', 'The average of the three'],
] as const satisfies readonly (readonly [keyof Scores, string])[]

/** Methods in order of their first row, so that a colour means the same in every figure. */
const methodsOf = (run: View): { method: string; title: string }[] => [
  ...new Map(run.result.rows.map(({ method, title }) => [method, { method, title }])).values(),
]

function overT(run: View, metric: keyof Scores, title: string): Figure {
  const rows = run.result.rows
  const point = (row: Row) => {
    const own: Interval | null = row.summary.forced[metric]
    return { x: row.edits, y: own?.mean ?? null, ...(own && { low: own.low, high: own.high }) }
  }
  return lineChart({
    name: metric,
    title,
    caption:
      'Teacher-forced share of tokens against the number of edits made one after another; bands: 95 % score intervals over facts.',
    xLabel: 'edits T',
    yLabel: metric,
    xScale: sizesOf(run).length > 1 ? 'log' : 'linear',
    yDomain: [0, 1],
    height: 360,
    labels: 'beside',
    series: methodsOf(run).map(({ method, title: name }, hue) => ({
      name,
      hue,
      dots: true,
      dashed: method === 'none',
      points: rows.filter((row) => row.method === method).map(point),
    })),
  })
}

interface Found {
  readonly method: string
  readonly edits: number
  readonly overlaps: readonly Overlaps[]
}

/** The largest T of each routed method that is drawn: the faithful rows. */
function routed(run: View): Found[] {
  const all = run.read('overlaps.json') as unknown as Found[]
  const largest = sizesOf(run).at(-1)!
  return all.filter(({ method, edits }) => edits === largest && method.startsWith('memoir'))
}

const kinds = [
  ['rephrase', 'rephrasing, own edit'],
  ['otherEdit', 'edit, nearest other'],
  ['unrelated', 'unrelated'],
  ['sameRelation', 'same wording, other subject'],
  ['sameSubject', 'same subject, other thing'],
] as const

function overlapFigure(run: View, { method, edits, overlaps }: Found): Figure {
  const bins = 25
  const { title, threshold } = run.result.rows.find((row) => row.method === method)!
  return lineChart({
    name: `overlaps-${method}`,
    title: `${title}: how near prompts are to edits`,
    caption: `Overlap of masks after ${edits} edits, as shares of prompts in bins of ${1 / bins}: each rephrasing with its own edit, each edit's prompt with the nearest edit of another fact, and the nearest edit of prompts that no edit is about. Routing works when the first stands apart from the others.`,
    xLabel: 'overlap R',
    yLabel: 'share of prompts',
    xDomain: [0, 1],
    height: 340,
    labels: 'beside',
    references:
      threshold === null ? [] : [{ axis: 'x', value: threshold, label: `τ = ${threshold.toFixed(2)}` }],
    series: kinds.flatMap(([kind, name], hue) => {
      const values = overlaps.flatMap((one) => one[kind] ?? [])
      if (values.length === 0) return []
      return [{ name, hue, points: histogram(values, bins).map((y, i) => ({ x: (i + 0.5) / bins, y })) }]
    }),
  })
}

function routingFigure(run: View, { method, edits, overlaps }: Found): Figure {
  const title = run.result.rows.find((row) => row.method === method)!.title
  return lineChart({
    name: `routing-${method}`,
    title: `${title}: what a threshold finds and lets through`,
    caption: `Share of rephrasings that reach their own edit against the share of prompts that no edit is about and one answers, at every threshold, after ${edits} edits.`,
    xLabel: 'false positives',
    yLabel: 'rephrasings found',
    xDomain: [0, 1],
    yDomain: [0, 1],
    height: 340,
    labels: 'beside',
    series: (['unrelated', 'sameRelation', 'sameSubject'] as const).flatMap((against, hue) => {
      const points = routingCurve(overlaps, against).map(({ falsePositives: x, recall: y }) => ({ x, y }))
      if (points.length === 0) return []
      return [{ name: kinds.find(([kind]) => kind === against)![1], hue, points }]
    }),
  })
}

/** Figures of the first of several runs. */
export function editingFigures([run]: readonly View[]): Figure[] {
  const found = routed(run!)
  return [
    ...metrics.map(([metric, title]) => overT(run!, metric, title)),
    ...found.slice(0, 1).flatMap((one) => [overlapFigure(run!, one), routingFigure(run!, one)]),
    ...found.slice(1).map((one) => overlapFigure(run!, one)),
  ]
}

const number = (value: number | null | undefined, digits: number): string =>
  value === null || value === undefined ? '–' : value.toFixed(digits)

const perplexityText = (value: { mean: number; median: number } | null): string =>
  value ? `${value.mean.toPrecision(3)} / ${value.median.toPrecision(3)}` : '–'

function mainTable(run: View, edits: number): ReportTable {
  const rows = run.result.rows.filter((row) => row.edits === edits)
  return {
    title: `After ${edits} ${edits === 1 ? 'edit' : 'edits'}${rows[0]!.groups > 1 ? ` (${rows[0]!.groups} groups)` : ''}, teacher-forced`,
    columns: [
      'method',
      'reliability',
      'generalization',
      'locality',
      'average',
      's per edit',
      'steps',
      'block',
    ],
    rows: rows.map(({ title, summary: { forced }, secondsPerEdit, stepsPerEdit, layer }) => [
      title,
      ...metrics.map(([metric]) => cellWithInterval(forced[metric])),
      number(secondsPerEdit, 2),
      number(stepsPerEdit, 1),
      layer ?? '–',
    ]),
  }
}

function strictTable(run: View, edits: number): ReportTable {
  const rows = run.result.rows.filter((row) => row.edits === edits)
  return {
    title: `After ${edits} ${edits === 1 ? 'edit' : 'edits'}: greedy generation, perplexity of the target (mean / median), hard locality`,
    columns: [
      'method',
      'reliability',
      'generalization',
      'locality',
      'perplexity, prompt',
      'perplexity, rephrasing',
      'same subject',
      'same wording',
      'identical bits',
    ],
    rows: rows.map(({ title, summary: { forced, generated, perplexity, identical } }) => [
      title,
      cell(generated.reliability),
      cell(generated.generalization),
      cell(generated.locality),
      perplexityText(perplexity.edit),
      perplexityText(perplexity.rephrase),
      cell(forced.sameSubject),
      cell(forced.sameRelation),
      number(identical.locality, 2),
    ]),
  }
}

/** What routing finds and lets through at the threshold that was used. */
function routingTable(run: View): ReportTable[] {
  const found = routed(run)
  if (found.length === 0) return []
  const share = (values: readonly boolean[]): string =>
    values.length ? (values.filter(Boolean).length / values.length).toFixed(3) : '–'
  return [
    {
      title: `Routing after ${found[0]!.edits} edits: rephrasings nearest to their own edit, and at least τ near it; prompts that no edit is about and that are as near to one`,
      columns: ['method', 'τ', 'nearest', 'near enough', 'unrelated', 'same wording', 'same subject'],
      rows: found.map(({ method, overlaps }) => {
        const { title, threshold } = run.result.rows.find((row) => row.method === method)!
        const least = threshold ?? 0
        const hits = overlaps.filter(({ rephraseIsOwn }) => rephraseIsOwn !== undefined)
        return [
          title,
          number(threshold, 2),
          share(hits.map(({ rephraseIsOwn }) => rephraseIsOwn === true)),
          share(hits.map(({ rephraseIsOwn, rephrase }) => rephraseIsOwn === true && rephrase! >= least)),
          ...(['unrelated', 'sameRelation', 'sameSubject'] as const).map((kind) =>
            share(overlaps.flatMap((one) => (one[kind] === undefined ? [] : one[kind] >= least))),
          ),
        ]
      }),
    },
  ]
}

/** The paper's averages beside ours. */
function paperTable(run: View): ReportTable {
  const sizes = sizesOf(run)
  return {
    title: 'The paper’s averages (LLaMA-3-8B-Instruct, ZsRE; which fine-tuning it does not say) and ours',
    columns: [
      'method',
      ...[1, 100, 1000].map((T) => `paper, T = ${T}`),
      ...sizes.map((T) => `here, T = ${T}`),
      'paper’s parts, T = 1000',
    ],
    rows: methodsOf(run).flatMap(({ method, title }) => {
      const paper = published[method === 'memoir' ? 'memoir-published' : method]
      const parts = publishedParts[method === 'memoir' ? 'memoir-published' : method]
      if (!paper && !parts) return []
      const own = (T: number) =>
        run.result.rows.find((row) => row.method === method && row.edits === T)?.summary.forced.average
      return [
        [
          title,
          ...[0, 1, 2].map((i) => number(paper?.[i], 2)),
          ...sizes.map((T) => cell(own(T) ?? null)),
          parts ? parts.map((value) => value.toFixed(2)).join(' / ') : '–',
        ],
      ]
    }),
  }
}

interface Shown extends ShownExample {
  readonly asked: { readonly prompt: string; readonly target: string; readonly rephrase: string | null }
}

/** Texts of the method that edits for life: first what went right, then what did not. */
function exampleTables(run: View): ReportTable[] {
  const all = run.read('examples.json') as unknown as Shown[]
  const largest = sizesOf(run).at(-1)!
  const mark = (value: number | undefined): string => (value === 1 ? '✓' : '✗')
  return methodsOf(run).flatMap(({ method, title }) => {
    const own = all.filter((one) => one.method === method && one.edits === largest)
    if (own.length === 0) return []
    const isGood = ({ result }: Shown): boolean =>
      result.edit?.exact === 1 && (result.rephrase?.exact ?? 1) === 1 && (result.locality?.forced ?? 1) === 1
    const rows = [...own.filter(isGood), ...own.filter((one) => !isGood(one))]
    return [
      {
        title: `${title}, ${largest} edits: what it says (${own.filter(isGood).length} of ${own.length} right throughout)`,
        columns: ['asked', 'taught', 'says', 'in other words', 'says', 'unrelated kept'],
        rows: rows.map((one) => [
          one.asked.prompt,
          one.asked.target,
          `${mark(one.result.edit?.exact)} ${one.prompt}`,
          one.asked.rephrase ?? '–',
          one.result.rephrase ? `${mark(one.result.rephrase.exact)} ${one.rephrase}` : '–',
          one.result.locality ? mark(one.result.locality.forced) : '–',
        ]),
      },
    ]
  })
}

export function editingTables([run]: readonly View[]): ReportTable[] {
  const sizes = sizesOf(run!).toReversed()
  return [
    ...sizes.map((edits) => mainTable(run!, edits)),
    ...sizes.map((edits) => strictTable(run!, edits)),
    ...routingTable(run!),
    paperTable(run!),
    ...exampleTables(run!),
  ]
}
