/** @file Tables: the field's table, greedy generation and hard locality, routing, the paper beside, texts to read. */
import { type Interval, meanShare, type Result, type WildScores } from '../../edit/index.ts'
import { type ReportTable, where } from '../../lab/index.ts'
import { methodsOf, metrics, type Routed } from './charts.ts'
import { cell, published, publishedParts } from './claims.ts'
import { type ExampleRow, type Line, type Rows, resultsOf, rowsOf, sizesOf } from './rows.ts'

const cellWithInterval = (interval: Interval | null): string =>
  interval ? `${interval.mean.toFixed(3)} [${interval.low.toFixed(3)}, ${interval.high.toFixed(3)}]` : '–'

const number = (value: number | null | undefined, digits: number): string =>
  value === null || value === undefined ? '–' : value.toFixed(digits)

const perplexityText = (value: { mean: number; median: number } | null): string =>
  value ? `${value.mean.toPrecision(3)} / ${value.median.toPrecision(3)}` : '–'

const wildText = ({ contains, begins, ends }: WildScores): string =>
  contains ? [contains, begins, ends].map(cell).join(' / ') : '–'

function mainTable(lines: readonly Line[], edits: number): ReportTable {
  const rows = where(lines, { edits })
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

function strictTable(lines: readonly Line[], edits: number): ReportTable {
  const rows = where(lines, { edits })
  return {
    title: `After ${edits} ${edits === 1 ? 'edit' : 'edits'}: greedy generation, free generation (says the target / begins with it / ends by itself), answers in the chat template that say it, perplexity of the target (mean / median), hard locality`,
    columns: [
      'method',
      'reliability',
      'generalization',
      'locality',
      'rephrasings as taught',
      'another wording, as asked / as taught',
      'freely, prompt',
      'freely, rephrasing',
      'in chat, prompt / rephrasing',
      'perplexity, prompt',
      'perplexity, rephrasing',
      'same subject',
      'other questions (greedy)',
      'other relations (greedy)',
      'same wording',
      'identical bits',
    ],
    rows: rows.map(
      ({ title, summary: { forced, generated, asTaught, wild, chat, perplexity, identical } }) => [
        title,
        cell(generated.reliability),
        cell(generated.generalization),
        cell(generated.locality),
        cell(asTaught.generalization),
        generated.wording ? `${cell(generated.wording)} / ${cell(asTaught.wording)}` : '–',
        wildText(wild.edit),
        wildText(wild.rephrase),
        chat.edit ? [chat.edit, chat.rephrase].map(cell).join(' / ') : '–',
        perplexityText(perplexity.edit),
        perplexityText(perplexity.rephrase),
        cell(forced.sameSubject),
        cell(generated.neighbour),
        cell(generated.otherRelation),
        cell(forced.sameRelation),
        number(identical.locality, 2),
      ],
    ),
  }
}

/** What is not to be said; nothing where no fact is denied or has an answer from before. */
function unwantedTable(lines: readonly Line[], edits: number): ReportTable[] {
  const rows = where(lines, { edits })
  const { negation, former } = rows[0]!.summary.forced
  if (!negation && !former) return []
  return [
    {
      title: `After ${edits} ${edits === 1 ? 'edit' : 'edits'}: how often the target is said (greedily) where ${negation?.count ?? 0} facts are denied; of ${former?.count ?? 0} facts how often the answer from before is said, and is likelier than the target`,
      columns: [
        'method',
        'target where denied',
        'old answer, prompt',
        'old answer, rephrasing',
        'likelier, prompt',
        'likelier, rephrasing',
      ],
      rows: rows.map(({ title, summary: { generated, formerIsLikelier } }) => [
        title,
        cellWithInterval(generated.negation),
        cellWithInterval(generated.former),
        cellWithInterval(generated.formerRephrase),
        cellWithInterval(formerIsLikelier.edit),
        cellWithInterval(formerIsLikelier.rephrase),
      ]),
    },
  ]
}

/** What edits do to texts that they are not about; nothing where none were read. */
function damageTable(lines: readonly Line[], rows: Rows, edits: number): ReportTable[] {
  const all = where(rowsOf(rows, 'damage'), { edits })
  if (all.length === 0) return []
  const kinds = [
    ['unrelated', 'unrelated'],
    ['subject', 'subjects'],
  ] as const
  /** Mean over tokens of texts; one that is not finite rules it. */
  const perToken = (own: typeof all, value: (row: (typeof all)[number]) => number | null): number =>
    own.reduce((sum, row) => sum + (value(row) ?? Number.POSITIVE_INFINITY) * row.tokens, 0) /
    own.reduce((sum, row) => sum + row.tokens, 0)
  const cells = (own: typeof all): string[] => {
    if (own.length === 0) return ['–', '–', '–']
    const [before, after] = [perToken(own, (row) => row.lossBefore), perToken(own, (row) => row.lossAfter)]
    const divergence = perToken(own, (row) => row.divergence)
    return [
      divergence === 0 ? '0' : divergence.toPrecision(3),
      cellWithInterval(meanShare(own.map((row) => Number(row.isIdentical)))),
      `${Math.exp(before).toPrecision(4)} → ${Math.exp(after).toPrecision(4)}`,
    ]
  }
  const { method: first, seed } = all[0]!
  const count = (about: string): number =>
    all.filter((row) => row.about === about && row.method === first && row.seed === seed).length
  return [
    {
      title: `Damage after ${edits} ${edits === 1 ? 'edit' : 'edits'}: KL of the edited from the unedited model (nats a token), texts whose logits have the same bits, perplexity before → after; ${count('unrelated')} unrelated texts, ${count('subject')} about subjects`,
      columns: [
        'method',
        ...kinds.flatMap(([, name]) => [`${name}: KL`, `${name}: same bits`, `${name}: perplexity`]),
      ],
      rows: methodsOf(lines).flatMap(({ method, title }) => {
        const own = all.filter((row) => row.method === method)
        if (own.length === 0) return []
        return [[title, ...kinds.flatMap(([about]) => cells(own.filter((row) => row.about === about)))]]
      }),
    },
  ]
}

/** What routing finds and lets through at the threshold that was used. */
function routingTable(found: readonly Routed[]): ReportTable[] {
  if (found.length === 0) return []
  const share = (values: readonly boolean[]): string =>
    values.length ? (values.filter(Boolean).length / values.length).toFixed(3) : '–'
  return [
    {
      title: `Routing after ${found[0]!.edits} edits: rephrasings nearest to their own edit, and at least τ near it; prompts that no edit is about and that are as near to one`,
      columns: ['method', 'τ', 'nearest', 'near enough', 'unrelated', 'same wording', 'same subject'],
      rows: found.map(({ title, threshold, overlaps }) => {
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
function paperTable(lines: readonly Line[]): ReportTable {
  const sizes = sizesOf(lines)
  return {
    title: 'The paper’s averages (LLaMA-3-8B-Instruct, ZsRE; which fine-tuning it does not say) and ours',
    columns: [
      'method',
      ...[1, 100, 1000].map((T) => `paper, T = ${T}`),
      ...sizes.map((T) => `here, T = ${T}`),
      'paper’s parts, T = 1000',
    ],
    rows: methodsOf(lines).flatMap(({ method, title }) => {
      const paper = published[method === 'memoir' ? 'memoir-published' : method]
      const parts = publishedParts[method === 'memoir' ? 'memoir-published' : method]
      if (!paper && !parts) return []
      const own = (T: number) =>
        lines.find((line) => line.method === method && line.edits === T)?.summary.forced.average
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

/** Texts of each method: first what went right, then what did not. */
function exampleTables(lines: readonly Line[], rows: Rows): ReportTable[] {
  const edits = sizesOf(lines).at(-1)!
  const [examples, answers] = [rowsOf(rows, 'example'), rowsOf(rows, 'answer')]
  const seeds = new Set(examples.map(({ seed }) => seed)).size
  const mark = (value: number | undefined): string => (value === 1 ? '✓' : '✗')
  const isGood = ({ edit, rephrase, locality }: Result): boolean =>
    edit?.exact === 1 && (rephrase?.exact ?? 1) === 1 && (locality?.forced ?? 1) === 1
  const line = ({ example: one, result }: { example: ExampleRow; result: Result }): string[] => [
    one.prompt,
    one.target,
    `${mark(result.edit?.exact)} ${one.saysToPrompt}`,
    one.rephrase ?? '–',
    result.rephrase ? `${mark(result.rephrase.exact)} ${one.saysToRephrase}` : '–',
    result.locality ? mark(result.locality.forced) : '–',
  ]
  return methodsOf(lines).flatMap(({ method, title }) => {
    const own = where(examples, { method, edits }).map((example) => {
      const { seed, fact } = example
      const result = resultsOf(where(answers, { method, edits, seed, fact })).get(fact)!
      return { example, result }
    })
    if (own.length === 0) return []
    const [good, bad] = [true, false].map((wanted) => own.filter((one) => isGood(one.result) === wanted))
    return [
      {
        title: `${title}, ${edits} edits${seeds > 1 ? `, ${seeds} seeds` : ''}: what it says (${good!.length} of ${own.length} right throughout)`,
        columns: ['asked', 'taught', 'says', 'in other words', 'says', 'unrelated kept'],
        rows: [...good!, ...bad!].map(line),
      },
    ]
  })
}

export function editingTables(lines: readonly Line[], routed: readonly Routed[], rows: Rows): ReportTable[] {
  const sizes = sizesOf(lines).toReversed()
  return [
    ...sizes.map((edits) => mainTable(lines, edits)),
    ...sizes.map((edits) => strictTable(lines, edits)),
    ...sizes.flatMap((edits) => unwantedTable(lines, edits)),
    ...sizes.flatMap((edits) => damageTable(lines, rows, edits)),
    ...routingTable(routed),
    paperTable(lines),
    ...exampleTables(lines, rows),
  ]
}
