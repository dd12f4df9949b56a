/**
 * @file How far do the symbols of a text know of each other, and what does that say of its learning curve? Correlations at a
 * distance, what a context tells of the next symbol, and the exponent that follows from both.
 */
import { count } from '../base/index.ts'
import type { Sequence } from '../data/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  type Findings,
  intervalOf,
  mean,
  overReplicas,
  shownEstimate,
} from '../lab/index.ts'
import { chartsOf, tablesOf } from './text-correlations/charts.ts'
import { type Config, config, presets } from './text-correlations/config.ts'
import {
  distancesOf,
  effectiveContextOf,
  factsOf,
  farNoise,
  leavingOneOut,
  type TextFacts,
  visible,
} from './text-correlations/estimates.ts'
import { type Cell, type Found, measure, type Row } from './text-correlations/measure.ts'
import { type Prepared, prepareText, readSequence } from './text-correlations/text.ts'

const cellsOf = ({ halvings, train, P }: Config): Cell[] => [
  { part: 'pairs', shuffled: false },
  { part: 'pairs', shuffled: true },
  ...Array.from(
    { length: halvings + 1 },
    (_, i): Cell => ({ part: 'contexts', shuffled: false, halvings: i }),
  ),
  { part: 'contexts', shuffled: true, halvings: 0 },
  ...(train ? [...P].sort((a, b) => b - a).map((size): Cell => ({ part: 'decoder', P: size })) : []),
]

function controlClaims({ shuffled, shuffledContexts }: TextFacts): Claim[] {
  const { counted, n, groups, loss } = shuffledContexts
  const [all, longest] = [counted[0]!, n.at(-1)!]
  return [
    control(
      'shuffled text: mean square covariance without noise, over its noise',
      overReplicas(shuffled, (own) => mean(distancesOf(own).map(({ signal, noise }) => signal / noise))),
    ).vanishes({ below: 0.1 }),
    control(
      'shuffled text: share of the loss without context that the longest context saves',
      leavingOneOut(groups, (left) => 1 - loss(longest, all, left) / loss(0, all, left)),
    ).vanishes({ below: 0.01 }),
  ]
}

function claimsOf(facts: TextFacts, { model, alphabet }: Config): Claim[] {
  const { distances, shuffled, beta, bend, predicted, alphaCounts, alphaDecoders, collapse } = facts
  return [
    claim(
      'noise of shuffled text, mean square, over (1 − Σ p²)²/(v² P)',
      overReplicas(shuffled, (own) =>
        mean(distancesOf(own).map(({ noise, independent }) => noise / independent)),
      ),
    ).equals(1, { share: 0.05 }),
    claim('noise of the text at far distances over the same', farNoise(distances)).equals(1, { share: 0.1 }),
    ...(model === '' && alphabet === 'all'
      ? [
          claim(
            'β of characters, beside that of tiny-Shakespeare (Cagnetta and Wyart 2024, Fig. 4)',
            beta,
          ).equals(1.4, { by: 0.3 }),
        ]
      : []),
    claim(
      'one power: β of the farther half of the visible distances over that of the nearer half',
      bend,
    ).equals(1, { share: 0.25 }),
    claim('α of the back-off model beside γ/(2β)', alphaCounts).equals(predicted, { share: 0.25 }),
    ...(alphaDecoders
      ? [claim('α of decoders beside γ/(2β)', alphaDecoders).equals(predicted, { share: 0.25 })]
      : []),
    ...(collapse
      ? [
          claim(
            'spread of the loss of contexts as t^γ L against P/t^(2β), over that of L against P',
            collapse,
          ).atMost(0.5),
        ]
      : []),
    ...controlClaims(facts),
  ]
}

const nullable = (value: number | null | undefined): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null

function findings(rows: readonly Found[], given: Config): Findings {
  const facts = factsOf(rows, given)
  const { text, distances, contexts, beta, gamma, settled, predicted, alphaCounts, alphaDecoders } = facts
  const seen = visible(distances)
  const farthest = seen.at(-1)?.t
  const context = effectiveContextOf(distances, text.length)
  const kind = given.model === '' ? 'characters' : 'tokens'
  const measured = alphaDecoders ?? alphaCounts
  const [low, high] = intervalOf(beta)
  return {
    headline: `β = ${shownEstimate(beta)} for ${kind} of ${text.title}; α predicted ${shownEstimate(predicted)}, measured ${shownEstimate(measured)}`,
    paragraph:
      `The text has ${text.length.toLocaleString('en')} ${kind} of ${text.kinds} kinds. How much do two of them at distance t know of each other? ` +
      `Their covariance is above its sampling noise ${farthest === undefined ? 'at no distance' : `up to t = ${farthest}`}, and falls there as t^(−β) with β = ${shownEstimate(beta)}. ` +
      `The loss given the n symbols before, counted up to ${settled.at(-1) ?? 0}, falls as n^(−γ) with γ = ${shownEstimate(gamma)}. ` +
      'If what limits a learner is how far its data let it see, its loss falls as P^(−α) with α = γ/(2β). ' +
      'Errors leave one piece of the text out at a time; they do not say how well a power law describes it.',
    numbers: [
      {
        label: 'β',
        value: shownEstimate(beta),
        note: Number.isFinite(low) ? `95 %: ${low.toFixed(3)} to ${high.toFixed(3)}` : 'no interval',
      },
      { label: 'γ', value: shownEstimate(gamma), note: `contexts 1 to ${settled.at(-1) ?? 0}` },
      {
        label: 'effective context of the whole text',
        value: Number.isFinite(context) ? context.toPrecision(3) : '–',
        note: `symbols, from ${count(text.length)}`,
      },
      { label: 'α predicted', value: shownEstimate(predicted), note: 'γ/(2β)' },
      { label: 'α of the back-off model', value: shownEstimate(alphaCounts) },
      ...(alphaDecoders ? [{ label: 'α of decoders', value: shownEstimate(alphaDecoders) }] : []),
    ],
    claims: claimsOf(facts, given),
    charts: chartsOf(facts),
    tables: tablesOf(facts),
    result: {
      beta: nullable(beta.value),
      betaError: nullable(beta.error),
      gamma: nullable(gamma.value),
      gammaError: nullable(gamma.error),
      effectiveContext: nullable(context),
      alpha: nullable(measured.value),
      alphaError: nullable(measured.error),
      alphaTheory: nullable(predicted.value),
      entropyBound: nullable(contexts.loss(contexts.n.at(-1)!, contexts.counted[0]!)),
    },
  }
}

export const textCorrelations = defineStudy<Config, Cell, Row, Sequence, Prepared>(import.meta.url, {
  name: 'text-correlations',
  title: 'Correlations in a text',
  resultNames: {
    beta: 'β',
    gamma: 'γ',
    alpha: 'α',
    effectiveContext: 'effective context',
    entropyBound: 'loss of the back-off model',
  },
  question:
    'How far do the symbols of a text know of each other, and does that say how its loss falls with data?',
  source: 'Cagnetta and Wyart 2024, Eqs. 6–13 and Figs. 4–5',
  config,
  presets,
  prepare: prepareText,
  open: (given) => readSequence(given),
  cells: cellsOf,
  replicas: ({ shuffles, networks }, cell) => {
    if (cell.part === 'decoder') return networks
    return cell.part === 'pairs' && cell.shuffled ? shuffles : 1
  },
  // what is learned first is learned of every P, so that curves differ in P alone
  keyed: () => [],
  cost: (cell, { steps, batchSize, window, features, layers }) => {
    if (cell.part !== 'decoder') return 4
    return 2e-9 * steps * batchSize * window * features * layers * features
  },
  label: (cell) => {
    if (cell.part === 'decoder') return `decoder, P = ${count(cell.P)}`
    return `${cell.shuffled ? 'shuffled, ' : ''}${cell.part}`
  },
  measure,
  findings,
})
