/**
 * @file Which characters of a text change together when a share of them is masked and filled again, beside exact models of short memory:
 * a network shows structure of its own only above the n-gram that it stands on.
 */
import { fail } from '../base/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  difference,
  type Findings,
  ratio,
  shownEstimate,
} from '../lab/index.ts'
import { chartsOf, tablesOf } from './text-chunks/charts.ts'
import { type Config, config, presets } from './text-chunks/config.ts'
import {
  innerExcess,
  largestOf,
  lengthAt,
  rungOf,
  type Sources,
  sharesOf,
  sourcesOf,
  susceptibilityAt,
  usualShare,
} from './text-chunks/estimates.ts'
import { type Cell, type Found, measure, openTexts, type Resource, type Row } from './text-chunks/measure.ts'
import { type PreparedChunks, prepareChunks } from './text-chunks/texts.ts'

const cellsOf = ({ ngrams }: Config): Cell[] => [
  { source: 'network' },
  ...[...new Set(ngrams)].sort((a, b) => b - a).map((n): Cell => ({ source: 'ngram', n })),
]

function claimsOf(sources: Sources): Claim[] {
  const { network, shuffled, ngrams } = sources
  const shares = sharesOf(network)
  const t = usualShare(shares)
  const at = (source: (typeof ngrams)[number]) => susceptibilityAt(source, t)
  const rung = rungOf(sources)
  const last = shares.at(-1)!
  return [
    ...ngrams
      .slice(1)
      .map((own, i) =>
        claim(
          `t = ${t}: χ of the ${own.name} less that of the ${ngrams[i]!.name}`,
          difference(at(own), at(ngrams[i]!)),
        ).atLeast(0),
      ),
    ...(rung
      ? [
          claim(
            `t = ${t}: χ of the network over that of the ${rung.name}, than which it predicts better`,
            ratio(susceptibilityAt(network, t), at(rung)),
          ).atLeast(1),
        ]
      : []),
    ...(shares.length > 1
      ? [
          claim(`largest χ of the network before t = ${last} less that at it`, innerExcess(network)).atLeast(
            0,
          ),
        ]
      : []),
    ...ngrams
      .filter(({ n }) => n === 1)
      .map((own) => control(`t = ${t}: χ of the ${own.name}`, at(own)).equals(1, { by: 0.05 })),
    ...(shuffled
      ? [
          control(`t = ${t}: χ of the network on shuffled text`, susceptibilityAt(shuffled, t)).equals(1, {
            by: 0.1,
          }),
        ]
      : []),
  ]
}

function findings(rows: readonly Found[]): Findings {
  const sources = sourcesOf(rows)
  const { network, ngrams } = sources
  const t = usualShare(sharesOf(network))
  const chi = susceptibilityAt(network, t)
  const peak = largestOf(network)
  const rung = rungOf(sources)
  const length = lengthAt(network, t)
  const ladder = ngrams.map((own) => `${own.n}: ${shownEstimate(susceptibilityAt(own, t))}`).join('; ')
  return {
    headline: `χ = ${shownEstimate(chi)} of the network at t = ${t}${ladder === '' ? '' : `; n-grams ${ladder}`}`,
    paragraph: [
      `A share t of the characters of held-out passages was masked and filled again, many times; characters whose changes go together have a covariance.`,
      `The network, which loses ${shownEstimate(network.loss!)} nats a character, has χ = ${shownEstimate(chi)} at t = ${t} and its largest χ at t = ${peak.t}; changes that go together are ${shownEstimate(length)} characters apart on average.`,
      ladder === ''
        ? ''
        : `Exact models with a memory of n − 1 characters have a maximum, too (χ by n: ${ladder}): alone it says nothing of deeper structure.`,
      rung
        ? `The network predicts better than the ${rung.name} (${shownEstimate(rung.loss)} nats), which is what it is to be held against.`
        : '',
    ]
      .filter((sentence) => sentence !== '')
      .join(' '),
    numbers: [
      { label: `χ at t = ${t}`, value: shownEstimate(chi), note: 'network' },
      { label: 'held-out loss', value: shownEstimate(network.loss!), note: 'nats a character' },
      { label: 'mean distance', value: shownEstimate(length), note: `characters, at t = ${t}` },
    ],
    claims: claimsOf(sources),
    charts: chartsOf(sources),
    tables: tablesOf(sources),
    result: {
      chi: chi.value,
      chiError: chi.error,
      loss: network.loss!.value,
      ...Object.fromEntries(ngrams.map((own) => [`chi${own.n}`, susceptibilityAt(own, t).value])),
    },
  }
}

export const textChunks = defineStudy<Config, Cell, Row, Resource, PreparedChunks>(import.meta.url, {
  name: 'text-chunks',
  title: 'Characters of a text change in chunks',
  resultNames: {
    chi: 'χ',
    loss: 'held-out loss',
    ...Object.fromEntries([1, 2, 3, 4].map((n) => [`chi${n}`, `χ of the ${n}-gram`])),
  },
  question:
    'Which characters of a text change together in a round trip, and is there more in it than short memory?',
  source: 'Sclocchi et al. 2025, arXiv 2410.13770, Fig. 4',
  config,
  presets,
  check({ train: { width, heads } }) {
    if (width % (2 * heads) !== 0)
      fail('TL_BAD_CONFIG', `config.train.heads: expected heads of an even width, got ${width} / ${heads}`)
  },
  prepare: prepareChunks,
  open: openTexts,
  cells: cellsOf,
  replicas: () => 1,
  // passages and masks are those of every source
  keyed: () => [],
  cost: (cell, { t, passages, trajectories, train, model }) => {
    const trips = t.length * passages * trajectories
    if (cell.source === 'ngram') return 1 + trips * [1e-4, 1e-4, 3e-4, 1e-2][cell.n - 1]!
    const pass = 2e-9 * train.window * train.layers * train.width * train.width
    return 3 * train.batchSize * pass * (model === '' ? train.steps : 0) + (trips * pass * train.window) / 4
  },
  label: (cell) => (cell.source === 'network' ? 'network' : `${cell.n}-gram`),
  measure,
  findings,
})
