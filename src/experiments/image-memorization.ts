/**
 * @file When does a diffusion model of images begin to copy its data? The experiment of `memorization` on images nobody wrote the
 * rules of. (Favero, Sclocchi and Wyart 2025, arXiv 2505.16959; Yoon et al. 2023)
 */
import { fail } from '../base/index.ts'
import { getDataset } from '../data/index.ts'
import {
  type Claim,
  defineStudy,
  type Findings,
  fetchListeners,
  groupBy,
  type Measured,
  shownEstimate,
} from '../lab/index.ts'
import { chartsOf, copyOnsets, kinds, type Parts, tablesOf } from './image-memorization/charts.ts'
import { type Config, config, presets } from './image-memorization/config.ts'
import { type Images, openImages } from './image-memorization/images.ts'
import { type Cell, type CurveRow, measure, type PairRow, type Row } from './image-memorization/measure.ts'
import { trainingOf, wordsOf } from './image-memorization/variants.ts'
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

type Found = Measured<Cell, Row>
type FoundCurve = Measured<Cell, CurveRow>

function partsOf(rows: readonly Found[]): Parts {
  const of = <K extends Row['of']>(kind: K) => rows.filter((row) => row.of === kind) as unknown
  const curves = of('curve') as FoundCurve[]
  return {
    curves: curves.filter(({ variant }) => variant === 'recipe'),
    others: curves.filter(({ variant }) => variant !== 'recipe'),
    pairs: of('pair') as Measured<Cell, PairRow>[],
    halves: of('halves') as FoundHalves[],
  }
}

function claimsOf({ curves, others, halves }: Parts): Claim[] {
  return [
    ...(curves.length > 0
      ? [
          ...exponentClaims(lawsOf(curves, kinds)),
          ...earlyClaims(curves, copyOnsets[0], 0.01),
          passingControl(curves, { data: 'test images', below: 0.03 }),
        ]
      : []),
    ...groupBy(others, 'variant').flatMap(({ key, rows }) =>
      exponentClaims(lawsOf(rows, kinds), `${wordsOf(key.variant)}: `),
    ),
    ...halvesClaims(halves, { data: 'images', what: 'likeness of images' }),
  ]
}

function findings(rows: readonly Found[], given: Config): Findings {
  const parts = partsOf(rows)
  const laws = lawsOf(parts.curves, kinds)
  const first = laws.find(({ name }) => name.startsWith('copies'))
  return {
    headline: first
      ? `${first.name} come at steps ∝ P^b, b = ${shownEstimate(first.law.exponent)}`
      : `${rows.length} rows of networks of ${new Set(rows.map(({ P }) => P)).size} numbers of images`,
    paragraph: [
      `Perceptrons of width ${given.width} learned to denoise P images of ${given.dataset}, and were looked at until they copied them.`,
      ...lawSentences(laws),
      'A time proportional to P has the exponent 1. A copy is a generated image whose nearest training image is less than a third as far as the next.',
    ].join(' '),
    numbers: lawNumbers(laws),
    claims: claimsOf(parts),
    charts: chartsOf(parts),
    tables: tablesOf(parts),
    result: lawResult(laws),
  }
}

const cellsOf = ({ counts, others, halves }: Config): Cell[] => [
  ...[...counts].sort((a, b) => b - a).map((P): Cell => ({ part: 'curve', variant: 'recipe', P })),
  ...others.variants.flatMap((variant) =>
    [...others.counts].sort((a, b) => b - a).map((P): Cell => ({ part: 'curve', variant, P })),
  ),
  ...halves.map((P): Cell => ({ part: 'halves', variant: 'recipe', P })),
]

/** Seconds on a core: the products of a step, forwards and backwards, and what is generated at each look. */
function costOf(cell: Cell, given: Config): number {
  const { width, batchSize, steps } = trainingOf(cell.variant, cell.P, given)
  const weights = width * (400 + (given.layers + 1.3) * width)
  const step = 4e-4 + 6.5e-11 * weights * (batchSize + 20)
  const taken = Math.min(steps, 300 + 30 * cell.P)
  const looks = given.looks * Math.log2(Math.max(2, taken / 32))
  const look = 2.5e-11 * weights * (given.samples * given.samplingSteps + 3 * given.validation) + 0.02
  return (cell.part === 'halves' ? 2 : 1) * (0.4 + taken * step + looks * look)
}

export const imageMemorization = defineStudy<Config, Cell, Row, Images>(import.meta.url, {
  name: 'image-memorization',
  title: 'When diffusion models memorize images',
  resultNames: {
    exponent: 'exponent of τ_mem in P, copies of 5 %',
    validationExponent: 'exponent of the least validation loss in P',
  },
  question:
    'When does a diffusion model of images begin to copy its data, and is that time proportional to them?',
  source: 'Favero, Sclocchi and Wyart 2025, arXiv 2505.16959',
  config,
  presets,
  check(given) {
    if (cellsOf(given).length === 0)
      fail('TL_BAD_CONFIG', 'config: expected at least one of counts, others and halves, got none')
    if (given.before > given.times)
      fail('TL_BAD_CONFIG', `config.before: expected at most times = ${given.times}, got ${given.before}`)
    if (given.samplingSteps > given.times)
      fail(
        'TL_BAD_CONFIG',
        `config.samplingSteps: expected at most times = ${given.times}, got ${given.samplingSteps}`,
      )
  },
  // fetched once, before the bar begins
  async prepare(given, preparing) {
    if (!/[\\/]/.test(given.dataset)) await getDataset(given.dataset, fetchListeners(preparing))
    const { train } = await openImages(given)
    const most = Math.max(...given.counts, ...given.others.counts, ...given.halves.map((P) => 2 * P))
    if (most > train)
      fail('TL_BAD_CONFIG', `config: ${most} training images are wanted, but ${given.dataset} has ${train}`)
  },
  open: (given) => openImages(given),
  cells: cellsOf,
  replicas: ({ seeds }) => seeds,
  // the same images and the same first weights at every P and in every variant
  keyed: () => [],
  measure,
  cost: costOf,
  label: ({ part, variant, P }) => `${part === 'halves' ? 'halves' : wordsOf(variant)}, P = ${P}`,
  findings,
})
