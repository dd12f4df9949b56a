/**
 * @file How much context does a network make use of? The loss of the last token against the length of context and the number of
 * training strings. (Cagnetta and Wyart 2024, arXiv 2406.00048, eqs. 11–13)
 */
import { fail } from '../base/index.ts'
import { checkShape, exponents, treeCount } from '../grammar/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  doublings,
  type Findings,
  groupBy,
  type KeyNumber,
  shownEstimate,
} from '../lab/index.ts'
import { chartsOf, tablesOf } from './contexts/charts.ts'
import { type Config, config, networks, presets } from './contexts/config.ts'
import {
  apart,
  excessAtEnd,
  type Found,
  gainAfter,
  gainBefore,
  growthOf,
  leastExcess,
  paying,
  wholeOver,
} from './contexts/estimates.ts'
import { type Cell, grammarOf, measure, type Row, shapeOf, stepsOf } from './contexts/measure.ts'
import { levelsOf } from './lastToken/halfWay.ts'
import { networkNames, secondsPerStep } from './lastToken/networks.ts'

type Rows = readonly Found[]

const cellsOf = (given: Config): Cell[] =>
  given.networks
    .flatMap((network) =>
      doublings(given.from, given.most[network]).flatMap((samples) =>
        Array.from({ length: given.L }, (_, i): Cell => ({ network, level: i + 1, samples })),
      ),
    )
    // what takes longest first, so that no thread is left alone with it
    .toSorted((a, b) => costOf(b, given) - costOf(a, given))

/** Seconds on a core. */
function costOf(cell: Cell, given: Config): number {
  const { network, level, samples } = cell
  const { v, s, batchSize } = given
  const batch = Math.min(batchSize, samples)
  // strings are seen some thirty times before the test loss turns, and as many steps again as were best
  const steps = Math.min(stepsOf(cell, given), 200 + (60 * samples) / batch)
  return 0.5 + steps * secondsPerStep(network, { v, s, d: s ** level }, { ...given, batchSize: batch })
}

/** The slope of ln t* in ln P, and the levels that it is of; fewer than two levels have none. */
const growths = (rows: Rows, given: Config) =>
  groupBy(rows, 'network').flatMap(({ key: { network }, rows: own }) => {
    const levels = paying(own)
    const shared = { network, levels, isLate: false }
    const all = levels.length < 2 ? [] : [{ ...shared, ...growthOf(own, levels, given) }]
    const late = levels.filter((level) => level >= 2)
    // thresholds of the CNN keep their power from ℓ = 2 on
    if (network !== 'cnn' || late.length < 2 || late.length === levels.length) return all
    return [...all, { network, levels: late, isLate: true, ...growthOf(own, late, given) }]
  })

function claimsOf(rows: Rows, given: Config): Claim[] {
  const growth = growths(rows, given).map(({ network, levels, measured, predicted }) =>
    claim(
      `${networkNames[network]}: slope of ln t* in ln P, contexts of levels ${levels.join(', ')}`,
      measured,
    ).equals(predicted, { share: 0.2 }),
  )
  const others = groupBy(rows, 'network').flatMap(({ key: { network }, rows: own }) => {
    const levels = levelsOf(own)
    const name = networkNames[network]
    const pays = paying(own)
    return [
      ...levels
        .slice(0, -1)
        .filter((level) => pays.includes(level))
        .map((level) =>
          claim(
            `${name}: strings at half way to plateau ${level} with whole strings over those with context ${given.s ** level - 1}`,
            wholeOver(own, level),
          ).equals(1, { factor: 2 }),
        ),
      ...levels
        .slice(0, -1)
        .filter((level) => pays.includes(level + 1))
        .flatMap((level) => {
          const text = `${name}, context ${given.s ** level - 1}: what the best of longer contexts gains, over the worth of level ${level + 1},`
          const before = gainBefore(own, level)
          const after = gainAfter(own, level)
          return [
            ...(Number.isFinite(before.value)
              ? [
                  claim(`${text} ${apart} times below the strings from which the next pays`, before).atMost(
                    0.2,
                  ),
                ]
              : []),
            ...(Number.isFinite(after.value)
              ? [control(`${text} ${apart} times above them`, after).atLeast(0.5)]
              : []),
          ]
        }),
      claim(
        `${name}, context ${given.s - 1}: loss at the largest P beyond that of the exact predictor, over the worth of level 1`,
        excessAtEnd(own, 1),
      ).atMost(0.05),
      claim(
        `${name}: loss minus that of the exact predictor with as much context, the least over all P and contexts`,
        leastExcess(own),
      ).atLeast(-0.01),
    ]
  })
  return [...growth, ...others]
}

/** In the order of networks and contexts, whatever the order in which they were trained. */
const inOrder = (rows: Rows): Found[] =>
  rows.toSorted(
    (a, b) =>
      networks.indexOf(a.network) - networks.indexOf(b.network) || a.level - b.level || a.samples - b.samples,
  )

function findings(measured: Rows, given: Config): Findings {
  const rows = inOrder(measured)
  const { v, m, s, L, grammars } = given
  const known = growths(rows, given)
  const shown = (value: number): string => value.toFixed(2)
  const inWords = known.map(
    ({ network, levels, measured: found, predicted }) =>
      `${networkNames[network]} t* ∝ P^(${shownEstimate(found)}) over levels ${levels.join(', ')} (theory ${shown(predicted)})`,
  )
  const numbers: KeyNumber[] = known.map(({ network, levels, measured: found, predicted }) => ({
    label: `${networkNames[network]}: ln t* in ln P, levels ${levels.join(', ')}`,
    value: shownEstimate(found),
    note: `theory ${shown(predicted)}`,
  }))
  const { beta } = exponents(shapeOf(given))
  return {
    headline:
      inWords.length > 0
        ? inWords.join('; ')
        : `contexts up to ${s ** L - 1} tokens; fewer than two of them pay with these strings`,
    paragraph:
      `Networks that see the last s^ℓ tokens, the last of them masked, learn it from P strings of ${grammars} grammars (v = ${v}, m = ${m}, s = ${s}, L = ${L}), and the least test loss counts. ` +
      `Correlations fall with distance as t^(−β), β = ln m/ln s = ${shown(beta)}, and with P strings those within t* ∝ P^(1/(2β)) are above noise: beyond, more context is of no use. A CNN knows tuples as symbols and reaches further. ` +
      inWords.join('; ') +
      (inWords.length > 0 ? '.' : ''),
    numbers,
    claims: claimsOf(rows, given),
    charts: chartsOf(rows, given),
    tables: tablesOf(rows, given),
    result: Object.fromEntries(
      known.flatMap(({ network, isLate, measured: found, predicted }) => {
        const name = `${network}Slope${isLate ? 'From2' : ''}`
        return [
          [name, found.value],
          [`${name}Theory`, predicted],
        ]
      }),
    ),
  }
}

/** Throws TL_BAD_CONFIG for grammars that cannot be, heads that do not divide the features, and more strings than there are. */
function check(given: Config): void {
  const { attention, from, most, test } = given
  const shape = shapeOf(given)
  checkShape(shape, 'config')
  if (attention.features % attention.heads !== 0)
    fail(
      'TL_BAD_CONFIG',
      `config.attention.features: expected a multiple of the ${attention.heads} heads, got ${attention.features}`,
    )
  for (const network of given.networks) {
    const P = most[network]
    if (P < from)
      fail('TL_BAD_CONFIG', `config.most.${network}: expected at least the smallest P, ${from}, got ${P}`)
    if (BigInt(P + test) > treeCount(shape))
      fail(
        'TL_BAD_CONFIG',
        `config.most.${network}: expected at most ${treeCount(shape) - BigInt(test)} (the grammar has ${treeCount(shape)} strings, of which ${test} are for tests), got ${P} (raise L or m, or lower test)`,
      )
  }
}

export const contexts = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'contexts',
  title: 'Contexts',
  question: 'How much context does a network make use of, and how many strings does it take?',
  source: 'Cagnetta and Wyart 2024, eqs. 11–13, figures 2 and 4; exact plateaus by inference',
  config,
  presets,
  check,
  cells: cellsOf,
  replicas: ({ grammars }) => grammars,
  // the same grammars and strings for every network and context
  keyed: () => [],
  grammarsOf: (_, { key, config: its }) => [grammarOf(key, its)],
  measure,
  cost: costOf,
  label: ({ network, level, samples }) => `${networkNames[network]}, level ${level}, P = ${samples}`,
  findings,
})
