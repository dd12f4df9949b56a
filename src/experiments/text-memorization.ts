/**
 * @file When does masked diffusion of a text begin to write its data out word for word? The experiment of `memorization` on prose.
 * (Favero, Sclocchi and Wyart 2025, arXiv 2505.16959)
 */
import { fail } from '../base/index.ts'
import { type Claim, defineStudy, type Findings, type Measured, shownEstimate } from '../lab/index.ts'
import {
  earlyClaims,
  exponentClaims,
  lawNumbers,
  lawResult,
  lawSentences,
  lawsOf,
  passingControl,
} from './onset/findings.ts'
import { type FoundHalves, halvesClaims } from './onset/halves.ts'
import { type Corpus, readCorpus } from './text-diffusion/corpus.ts'
import {
  type CurveFound,
  chartsOf,
  copyOnsets,
  kinds,
  type Parts,
  tablesOf,
} from './text-memorization/charts.ts'
import { type Config, config, presets } from './text-memorization/config.ts'
import { type Cell, measure, type PassageRow, type Row } from './text-memorization/measure.ts'

type Found = Measured<Cell, Row>

/** What a run knows of its text before it begins. */
interface Prepared {
  readonly title: string
  /** SHA-256 of the text as it is read. */
  readonly sha256: string
}

function partsOf(rows: readonly Found[]): Parts {
  const of = <K extends Row['of']>(kind: K) => rows.filter((row) => row.of === kind) as unknown
  return {
    curves: of('curve') as CurveFound[],
    passages: of('passage') as Measured<Cell, PassageRow>[],
    halves: of('halves') as FoundHalves[],
  }
}

function claimsOf({ curves, halves }: Parts): Claim[] {
  return [
    ...(curves.length > 0
      ? [
          ...exponentClaims(lawsOf(curves, kinds)),
          ...earlyClaims(curves, copyOnsets[0], 0.01),
          passingControl(curves, { data: 'held-out windows', below: 0.02 }),
        ]
      : []),
    ...halvesClaims(halves, { data: 'windows', what: 'characters alike' }),
  ]
}

function findings(rows: readonly Found[], given: Config): Findings {
  const parts = partsOf(rows)
  const laws = lawsOf(parts.curves, kinds)
  const [first] = laws
  return {
    headline: first
      ? `the time of ${first.name} grows as P^b, b = ${shownEstimate(first.law.exponent)}`
      : `${rows.length} rows of networks of ${new Set(rows.map(({ P }) => P)).size} numbers of windows`,
    paragraph: [
      `Transformers that fill masks learned P windows of ${given.window} characters, and were looked at until they wrote out ${given.match} characters in a row of them.`,
      ...lawSentences(laws),
      'A time proportional to P has the exponent 1.',
    ].join(' '),
    numbers: lawNumbers(laws),
    claims: claimsOf(parts),
    charts: chartsOf(parts),
    tables: tablesOf(parts),
    result: lawResult(laws),
  }
}

const cellsOf = ({ counts, halves }: Config): Cell[] => [
  ...[...counts].sort((a, b) => b - a).map((P): Cell => ({ part: 'curve', P })),
  ...halves.map((P): Cell => ({ part: 'halves', P })),
]

/** Read the text once a run, and refuse one that is too short for the windows that are asked for. */
async function prepare(given: Config, { signal }: { readonly signal: AbortSignal }): Promise<Prepared> {
  const { title, train, heldOut, sha256 } = await readCorpus(given, signal)
  const { window, validation } = given
  if (heldOut.length < window * validation)
    fail(
      'TL_BAD_CONFIG',
      `config.text: expected at least ${10 * window * validation} symbols, so that the last tenth has the held-out windows, got ${train.length + heldOut.length}; lower validation or window, or take a longer text`,
    )
  const most = Math.max(...given.counts, ...given.halves.map((P) => 2 * P))
  if (train.length < most * window)
    fail(
      'TL_BAD_CONFIG',
      `config: ${most} training windows are wanted, but the text has ${Math.floor(train.length / window)}: lower counts or halves, or take a longer text`,
    )
  return { title, sha256 }
}

export const textMemorization = defineStudy<Config, Cell, Row, Corpus, Prepared>(import.meta.url, {
  name: 'text-memorization',
  title: 'When diffusion models memorize a text',
  resultNames: {
    exponent: 'exponent of τ_mem in P, copies of 2 %',
    validationExponent: 'exponent of the least validation loss in P',
  },
  question:
    'When does masked diffusion of a text begin to write its data out, and is that time proportional to them?',
  source: 'Favero, Sclocchi and Wyart 2025, arXiv 2505.16959',
  config,
  presets,
  check(given) {
    if (cellsOf(given).length === 0)
      fail('TL_BAD_CONFIG', 'config: expected at least one of counts and halves, got none')
    if (given.match > given.window)
      fail('TL_BAD_CONFIG', `config.match: expected at most window = ${given.window}, got ${given.match}`)
    if (given.width % (2 * given.heads) !== 0)
      fail(
        'TL_BAD_CONFIG',
        `config.width: expected a multiple of 2 heads = ${2 * given.heads}, got ${given.width}`,
      )
  },
  prepare,
  open: (given) => readCorpus(given),
  cells: cellsOf,
  replicas: ({ seeds }) => seeds,
  // the same windows and the same first weights at every P
  keyed: () => [],
  measure,
  cost({ part, P }, { leastSteps, stepsPerWindow, batchSize, window, width, layers, samples, looks }) {
    const each = 1.6e-9 * window * layers * width * width
    const steps = leastSteps + stepsPerWindow * P
    const looked = looks * Math.log2(Math.max(2, steps / 32))
    return (
      (part === 'halves' ? 2 : 1) * (1 + steps * batchSize * each + (looked * samples * window * each) / 12)
    )
  },
  label: ({ part, P }) => `${part === 'halves' ? 'halves' : 'network'}, P = ${P}`,
  findings,
})
