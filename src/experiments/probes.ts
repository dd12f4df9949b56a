/**
 * @file What do the layers of a network know of hidden symbols, and when? A rule below a symbol is exchanged, and the symbol itself.
 * (Cagnetta and Wyart 2024, arXiv 2406.00048, eq. 14; Cagnetta et al. 2025, arXiv 2505.07070, section VIII)
 */
import { fail } from '../base/index.ts'
import { checkShape } from '../grammar/index.ts'
import {
  type Claim,
  claim,
  column,
  control,
  defineStudy,
  distinct,
  type Findings,
  geometricMeanOverReplicas,
  groupBy,
  type KeyNumber,
  overReplicas,
  shownEstimate,
  where,
} from '../lab/index.ts'
import { type Architecture, networkNames, powerOfTheory, secondsPerStep } from './lastToken/networks.ts'
import { chartsOf, tablesOf } from './probes/charts.ts'
import { type Config, config, presets } from './probes/config.ts'
import { type Cell, grammarOf, measure, type Row, settingsOf } from './probes/measure.ts'
import {
  atLast,
  clear,
  type Found,
  growth,
  lastLayer,
  leastGrowth,
  levelsOf,
  lossHalfWay,
  onset,
  patience,
  ratioOf,
  ratiosAtEnd,
} from './probes/onsets.ts'

type Rows = readonly Found[]

/** Symbols of one height in one network. */
function levelClaims(rows: Rows, network: Architecture, level: number): Claim[] {
  const text = `${networkNames[network]}, symbols of height ${level}`
  const last = where(atLast(rows), { level })
  const first = Math.min(...column(rows, 'samples'))
  // a CNN cannot do it below layer ℓ + 1; of attention only the last layer is sure to be needed
  const above = (layer: number): boolean => (network === 'cnn' ? layer > level : layer === lastLayer(rows))
  const late = `at the end, ${patience} times after half way in the loss`
  return [
    claim(
      `${text}: (1 − q_R)/(1 − q_S) in the last layer before training bites`,
      overReplicas(where(last, { samples: first }), ([row]) => ratioOf(row!)),
    ).equals(1, { by: 0.25 }),
    claim(
      `${text}: the most of it in ${network === 'cnn' ? 'layers above' : 'the last layer'} ${late}`,
      overReplicas(rows, (own) => orNothing(Math.max, ratiosAtEnd(own, level, above))),
    ).atMost(0.3),
    ...(network === 'cnn'
      ? [
          control(
            `${text}: the least of it in layers up to ${level} ${late}`,
            overReplicas(rows, (own) =>
              orNothing(
                Math.min,
                ratiosAtEnd(own, level, (layer) => !above(layer)),
              ),
            ),
          ).atLeast(0.5),
        ]
      : []),
    claim(
      `${text}: strings from which on it stays below ${clear} over those at half way to plateau ${level + 1} of the loss`,
      geometricMeanOverReplicas(rows, (own) => onset(own, level) / lossHalfWay(own, level)),
    ).equals(1, { factor: 3 }),
  ]
}

/** NaN of no values. */
const orNothing = (of: (...values: number[]) => number, values: readonly number[]): number =>
  values.length > 0 ? of(...values) : Number.NaN

const growthOf = (rows: Rows, level: number) => geometricMeanOverReplicas(rows, (own) => growth(own, level))

/** Power of m by which theory has the strings of one height differ from those of the next; symbols of height ℓ are of level ℓ + 1. */
const growthOfTheory = (network: Architecture, level: number): number =>
  powerOfTheory(network, level + 2) - powerOfTheory(network, level + 1)

/** From one height to the next. */
const growthClaims = (rows: Rows, network: Architecture, m: number): Claim[] =>
  levelsOf(rows)
    .slice(0, -1)
    .map((level) => {
      const power = growthOfTheory(network, level)
      return claim(
        `${networkNames[network]}: strings at which symbols of height ${level + 1} are seen over those of height ${level}, predicted m${power === 1 ? '' : `^${power}`}`,
        growthOf(rows, level),
      ).equals(m ** power, { factor: 1.6 })
    })

/** Attention takes a larger step than the CNN: at least what its training has shown. */
function pairClaims(rows: Rows): Claim[] {
  const known = distinct(rows, 'network')
  if (known.length < 2) return []
  const of = (own: Rows, network: Cell['network']): Found[] => where(own, { network })
  return levelsOf(rows)
    .slice(0, -1)
    .map((level) =>
      claim(
        `the same step from height ${level} to ${level + 1} of attention over that of the CNN, at least: a height that is never seen counts as seen at the end`,
        geometricMeanOverReplicas(
          rows,
          (own) => leastGrowth(of(own, 'attention'), level) / growth(of(own, 'cnn'), level),
        ),
      ).atLeast(1.25),
    )
}

function findings(rows: Rows, given: Config): Findings {
  const { v, m, s, L, grammars } = given
  const groups = groupBy(rows, 'network')
  const steps = groups.flatMap(({ key: { network }, rows: own }) =>
    levelsOf(own)
      .slice(0, -1)
      .map((level) => ({ network, level, step: growthOf(own, level) })),
  )
  // a step that only some grammars show is no number of all
  const known = steps.filter(({ step }) => Number.isFinite(step.value) && !step.missing)
  const theory = (network: Architecture, level: number): number => m ** growthOfTheory(network, level)
  const inWords = known.map(
    ({ network, level, step }) =>
      `${networkNames[network]} ${shownEstimate(step)} times the strings for height ${level + 1} as for height ${level} (theory ${theory(network, level)})`,
  )
  const numbers: KeyNumber[] = known.map(({ network, level, step }) => ({
    label: `${networkNames[network]}, height ${level + 1} over ${level}`,
    value: shownEstimate(step),
    note: `theory ${theory(network, level)}`,
  }))
  const ends = groups.flatMap(({ key: { network }, rows: own }) => {
    const first = overReplicas(where(own, { level: 1 }), (one) => onset(one, 1))
    return Number.isFinite(first.value)
      ? [`${networkNames[network]} after ${Math.round(first.value)} strings`]
      : []
  })
  return {
    headline:
      inWords.length > 0
        ? inWords.join('; ')
        : `symbols of height 1 are seen by ${ends.join(', ') || 'no network yet'}`,
    paragraph:
      `Networks learn the last token of fresh strings of ${grammars} grammars (v = ${v}, m = ${m}, s = ${s}, L = ${L}). ` +
      'On the way, one hidden symbol next to the path to the last token is replaced (S), or kept and expanded by another rule (R), and the cosine q of standardised activations with the old ones is taken in every layer. ' +
      '(1 − q_R)/(1 − q_S) is 1 where a layer sees how the symbol is spelled and 0 where it sees the symbol alone. ' +
      (ends.length > 0 ? `Symbols of height 1 are seen by ${ends.join(', ')}. ` : '') +
      (inWords.length > 0 ? `From height to height: ${inWords.join('; ')}.` : ''),
    numbers,
    claims: [
      ...groups.flatMap(({ key: { network }, rows: own }) => [
        ...levelsOf(own).flatMap((level) => levelClaims(own, network, level)),
        ...growthClaims(own, network, m),
      ]),
      ...pairClaims(rows),
    ],
    charts: chartsOf(rows, given),
    tables: tablesOf(rows),
    result: Object.fromEntries(
      known.flatMap(({ network, level, step }) => [
        [`${network}Step${level}`, step.value],
        [`${network}Step${level}Theory`, theory(network, level)],
      ]),
    ),
  }
}

/** Throws TL_BAD_CONFIG for grammars that cannot be, and for heads that do not divide the features. */
function check({ v, m, s, L, attention }: Config): void {
  checkShape({ v, classes: v, m, s, L }, 'config')
  if (attention.features % attention.heads !== 0)
    fail(
      'TL_BAD_CONFIG',
      `config.attention.features: expected a multiple of the ${attention.heads} heads, got ${attention.features}`,
    )
}

/** Seconds on a core. */
const costOf = ({ network }: Cell, given: Config): number =>
  1 + given.steps[network] * secondsPerStep(network, { ...given, d: given.s ** given.L }, settingsOf(given))

export const probes = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'probes',
  title: 'Probes of hidden symbols',
  question: 'Which layers of a network know which hidden symbols, and from when on?',
  source: 'Cagnetta and Wyart 2024, eq. 14; Cagnetta, Favero, Sclocchi and Wyart 2025, section VIII',
  config,
  presets,
  check,
  cells: (given) =>
    given.networks.map((network) => ({ network })).toSorted((a, b) => costOf(b, given) - costOf(a, given)),
  replicas: ({ grammars }) => grammars,
  // the same grammars and strings for every network
  keyed: () => [],
  grammarsOf: (_, { key, config: given }) => [grammarOf(key, given)],
  cost: costOf,
  label: ({ network }) => networkNames[network],
  measure,
  findings,
})
