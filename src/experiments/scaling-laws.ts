/**
 * @file What a transformer pays for not knowing where things are: data that networks with and without locality and weight sharing
 * take to learn the levels of a grammar. (Cagnetta and Wyart 2024, arXiv 2406.00048; Cagnetta et al. 2025, arXiv 2505.07070)
 */
import { fail } from '../base/index.ts'
import { checkShape, treeCount } from '../grammar/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  distinct,
  type Estimate,
  type Findings,
  geometricMeanOverReplicas,
  groupBy,
  type KeyNumber,
  meanOf,
  ratio,
  shownEstimate,
} from '../lab/index.ts'
import { halfWay, levelsOf } from './lastToken/halfWay.ts'
import {
  type Architecture,
  architectures,
  networkNames,
  powerOfTheory,
  secondsPerStep,
} from './lastToken/networks.ts'
import { chartsOf, type Parts, pairs, partNames, tablesOf } from './scaling-laws/charts.ts'
import { type Config, config, presets } from './scaling-laws/config.ts'
import {
  envelopeOf,
  type Found,
  powerOfRules,
  ratioAt,
  ratioGrowth,
  reaching,
  spreads,
} from './scaling-laws/estimates.ts'
import {
  type Cell,
  countsOf,
  grammarOf,
  measure,
  type Row,
  shapeOf,
  stepsOf,
} from './scaling-laws/measure.ts'

type Rows = readonly Found[]

function cellsOf(given: Config): Cell[] {
  const { v, rules, L, networks, widths } = given
  const offline = (part: Cell['part'], network: Architecture, m: number, factor: number): Cell[] =>
    countsOf(network, { v, m, L }, given)
      .toReversed()
      .map((P) => ({ part, network, v, m, L, factor, P }))
  const all: Record<Cell['part'], () => Cell[]> = {
    online: () =>
      networks.flatMap((network) =>
        rules.map((m) => ({ part: 'online', network, v, m, L, factor: 1, P: 0 })),
      ),
    offline: () => networks.flatMap((network) => rules.flatMap((m) => offline('offline', network, m, 1))),
    widths: () =>
      networks
        .filter((network) => network === 'cnn' || network === 'attention')
        .flatMap((network) =>
          widths.factors.flatMap((factor) => offline('widths', network, widths.m, factor)),
        ),
  }
  // what takes longest first, so that no thread is left alone with it
  const cells = (['online', 'offline', 'widths'] as const)
    .filter((part) => given.parts.includes(part))
    .flatMap((part) => all[part]())
  return cells.toSorted((a, b) => costOf(b, given) - costOf(a, given))
}

/** Seconds on a core. */
function costOf(cell: Cell, given: Config): number {
  const { network, v, L, P, factor } = cell
  const { width, attention, batchSize } = given
  const most = stepsOf(cell, given)
  // strings are seen some thirty times before the test loss turns, and as many steps again as were best
  const steps = cell.part === 'online' ? most : Math.min(most, 200 + (60 * P) / batchSize)
  const sizes = {
    ...given,
    width: width * factor,
    attention: { ...attention, features: attention.features * factor },
  }
  return 0.5 + steps * secondsPerStep(network, { v, s: 2, d: 2 ** L }, sizes)
}

const partsOf = (rows: Rows): Parts => {
  const of = (part: Cell['part']): Found[] => rows.filter((row) => row.part === part)
  const [offline, others] = [of('offline'), of('widths')]
  const usual = offline.filter(({ network, m }) =>
    others.some((row) => row.network === network && row.m === m),
  )
  return { offline, online: of('online'), widths: others.length === 0 ? [] : [...usual, ...others] }
}

/** Powers of m and collapse of what is reached; where fewer than two m reach a level there is no number. */
function powerClaims(rows: Rows): Claim[] {
  if (distinct(rows, 'm').length < 2) return []
  const judged = rows.filter(({ network }) => network === 'cnn' || network === 'attention')
  return groupBy(judged, 'network').flatMap(({ key: { network }, rows: own }) =>
    levelsOf(own)
      .slice(1)
      .flatMap((level) => {
        const found = distinct(reaching(own, level), 'm')
        const power = powerOfTheory(network, level)
        const which = found.length === 0 ? 'reached with no m' : `reached with m = ${found.join(', ')}`
        const exponent = claim(
          `${networkNames[network]}: exponent in m of P (1 − f) at half way to level ${level}, ${which}`,
          powerOfRules(own, level),
        ).equals(power, { by: 0.3 })
        if (found.length < 2) return [exponent]
        const { before, after } = spreads(own, level)
        const text = `${networkNames[network]}, level ${level}: factor by which the curves lie apart on P/m^${power} over that in P, ${shownEstimate(before)}`
        return [exponent, claim(text, ratio(after, before)).atMost(0.6)]
      }),
  )
}

/** Exact inference is the best there is: a loss below it would be a mistake of ours. Over all grammars of all m. */
const floorClaims = (rows: Rows): Claim[] =>
  groupBy(rows, 'network').map(({ key: { network }, rows: own }) =>
    claim(
      `${partNames[own[0]!.part]}, ${networkNames[network]}: least loss over the exact plateau of whole strings`,
      meanOf(
        groupBy(own, 'm', 'seed', 'replica').map(({ rows: one }) =>
          Math.min(...one.map(({ loss, plateaus }) => loss / plateaus.at(-1)!)),
        ),
      ),
    ).atLeast(0.95),
  )

/** What attention pays over the CNN: nothing that grows up to level 2, a factor m for each level after it. */
function ratioClaims(rows: Rows): Claim[] {
  const where = partNames[rows[0]!.part]
  return groupBy(rows, 'm').flatMap(({ key: { m }, rows: own }) => {
    const known = (pair: (typeof pairs)[number], level: number): boolean =>
      pair.every(
        (name) =>
          reaching(
            own.filter(({ network }) => network === name),
            level,
          ).length > 0,
      )
    const growing = (pair: (typeof pairs)[number]): number[] =>
      levelsOf(own).filter((level) => level >= 3 && known(pair, level) && known(pair, 2))
    const [attention, local] = pairs
    const equal =
      known(attention, 1) && known(attention, 2)
        ? [
            claim(
              `${where}, m = ${m}: strings at half way, attention over CNN, at level 2 over that at level 1`,
              geometricMeanOverReplicas(
                own,
                (one) => ratioAt(one, attention, 2).value / ratioAt(one, attention, 1).value,
              ),
            ).equals(1, { factor: 2 }),
          ]
        : []
    return [
      ...equal,
      ...growing(attention).map((level) =>
        claim(
          `${where}, m = ${m}: strings at half way, attention over CNN, at level ${level} over that at level 2`,
          ratioGrowth(own, attention, level),
        ).equals(m ** (level - 2), { factor: 1.6 }),
      ),
      ...growing(local).map((level) =>
        control(
          `${where}, m = ${m}: strings at half way, locally connected over CNN, at level ${level} over that at level 2`,
          ratioGrowth(own, local, level),
        ).atLeast(1 + (m ** (level - 2) - 1) / 4),
      ),
    ]
  })
}

function envelopeClaims(rows: Rows): Claim[] {
  const where = partNames[rows[0]!.part]
  return groupBy(rows, 'm', 'network').flatMap(({ key: { m, network }, rows: own }) => {
    const found = network === 'cnn' || network === 'attention' ? envelopeOf(own) : null
    if (!found) return []
    const { measured, predicted, limit, levels } = found
    const text = `${where}, m = ${m}, ${networkNames[network]}: exponent α of the envelope (levels ${levels.join(', ')})`
    return [
      claim(`${text} beside the exact plateaus`, measured).equals(predicted, { by: 0.1 }),
      claim(`${text} beside its limit`, measured).equals(limit, { by: 0.1 }),
    ]
  })
}

/** Other widths reach the levels with as many strings: data bind, not size. */
function widthClaims(widths: Rows): Claim[] {
  return groupBy(widths, 'network').flatMap(({ key: { network }, rows }) =>
    distinct(rows, 'factor')
      .filter((factor) => factor !== 1)
      .flatMap((factor) =>
        levelsOf(rows).flatMap((level) => {
          const at = (own: Rows, of: number): number =>
            halfWay(
              own.filter((row) => row.factor === of),
              level,
            )
          const found: Estimate = geometricMeanOverReplicas(rows, (own) => at(own, factor) / at(own, 1))
          if (!Number.isFinite(found.value)) return []
          return [
            claim(
              `${networkNames[network]} of width × ${factor}: P at half way to level ${level} over that of the usual width`,
              found,
            ).equals(1, { factor: 1.5 }),
          ]
        }),
      ),
  )
}

/** In the order of the networks, whatever the order in which they were trained. */
const inOrder = (rows: Rows): Found[] =>
  rows.toSorted((a, b) => architectures.indexOf(a.network) - architectures.indexOf(b.network) || a.m - b.m)

function findings(measured: Rows, given: Config): Findings {
  const rows = inOrder(measured)
  const parts = partsOf(rows)
  const { offline, online, widths } = parts
  const powers = groupBy(offline, 'network').flatMap(({ key: { network }, rows: own }) =>
    levelsOf(own)
      .slice(1)
      .map((level) => ({ network, level, power: powerOfRules(own, level) }))
      .filter(({ power }) => Number.isFinite(power.value)),
  )
  const inWords = powers.map(
    ({ network, level, power }) => `${networkNames[network]} m^(${shownEstimate(power)}) for level ${level}`,
  )
  const numbers: KeyNumber[] = powers.map(({ network, level, power }) => ({
    label: `${networkNames[network]}, level ${level}: exponent in m`,
    value: shownEstimate(power),
    note: `theory ${powerOfTheory(network, level)}`,
  }))
  const levels = levelsOf(rows)
  return {
    headline:
      inWords.length > 0
        ? `strings that levels take: ${inWords.join(', ')}`
        : `${distinct(rows, 'network')
            .map((name) => networkNames[name])
            .join(', ')} against the ${levels.length + 1} exact plateaus of their grammars`,
    paragraph:
      `Networks learn the last token of strings of grammars with v = ${given.v}, m = ${given.rules.join(', ')}, s = 2 and L = ${given.L}; their losses are held against the exact plateaus of the same grammars. ` +
      'A CNN has each tuple as one symbol once it is learned, at all places at once, and theory says that level ℓ takes it v m^(ℓ+1) strings; attention shares nothing over positions and takes v m^(2ℓ−1). The two are equal at ℓ = 2. ' +
      (inWords.length > 0
        ? `With P strings and early stopping, half way to a level is at P ∝ ${inWords.join(', ')}.`
        : ''),
    numbers,
    claims: [
      ...(offline.length > 0 ? powerClaims(offline) : []),
      ...[offline, online].flatMap((own) =>
        own.length > 0 ? [...floorClaims(own), ...ratioClaims(own), ...envelopeClaims(own)] : [],
      ),
      ...widthClaims(widths),
    ],
    charts: chartsOf(parts),
    tables: tablesOf(parts),
    result: Object.fromEntries(
      powers.flatMap(({ network, level, power }) => [
        [`${network}Exponent${level}`, power.value],
        [`${network}Exponent${level}Theory`, powerOfTheory(network, level)],
      ]),
    ),
  }
}

/** Throws TL_BAD_CONFIG for grammars that cannot be, or that have too few strings for a training set. */
function check(given: Config): void {
  const { v, L, rules, parts, networks, widths, attention } = given
  if (attention.features % attention.heads !== 0)
    fail(
      'TL_BAD_CONFIG',
      `config.attention.features: expected a multiple of the ${attention.heads} heads, got ${attention.features}`,
    )
  const others = parts.includes('widths') ? [widths.m] : []
  for (const m of new Set([...rules, ...others])) {
    checkShape(shapeOf({ v, m, L }), `config (m = ${m})`)
    if (!parts.some((part) => part !== 'online')) continue
    for (const network of networks)
      if (countsOf(network, { v, m, L }, given).length === 0)
        fail(
          'TL_BAD_CONFIG',
          `config.offline: no P from ${given.offline.from}·v·m² on is left for ${network} with m = ${m}: its grammars have ${treeCount(shapeOf({ v, m, L }))} strings (raise L, cnn or others, or lower from)`,
        )
  }
}

export const scalingLaws = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'scaling-laws',
  title: 'Scaling laws',
  question: 'What does a transformer pay for not knowing where things are?',
  source:
    'Cagnetta and Wyart 2024, eqs. 11–13; Cagnetta, Favero, Sclocchi and Wyart 2025; exact plateaus by inference',
  config,
  presets,
  check,
  cells: cellsOf,
  replicas: ({ grammars }) => grammars,
  // the same grammars and strings for every network
  keyed: ({ v, m, L }) => [v, m, L],
  grammarsOf: (cell, { key }) => [grammarOf(cell, key)],
  measure,
  cost: costOf,
  label: ({ part, network, m, P }) =>
    `${networkNames[network]}, m = ${m}, ${part === 'online' ? 'fresh strings' : `P = ${P}`}`,
  findings,
})
