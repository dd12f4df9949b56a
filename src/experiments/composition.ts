/**
 * @file Diffusion models learn the rules of a grammar level by level: level ℓ takes strings in proportion to m^(ℓ+1). (Favero,
 * Sclocchi, Cagnetta, Frossard and Wyart 2025, arXiv 2502.12089)
 */
import { fail } from '../base/index.ts'
import { checkShape, treeCount } from '../grammar/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  type Findings,
  groupBy,
  overReplicas,
  ratio,
  shownEstimate,
} from '../lab/index.ts'
import { chartsOf, controlName, type Parts, tablesOf } from './composition/charts.ts'
import { type Config, config, presets } from './composition/config.ts'
import {
  type Found,
  heightsOf,
  invariantAt,
  type LookFound,
  learnedBeyondBelow,
  powerOfRules,
  ratioOfLevels,
  reaching,
  spreads,
  stepsNeeded,
  stringsNeeded,
  unlessCut,
} from './composition/levels.ts'
import {
  type Cell,
  fullShape,
  grammarOf,
  looksOf,
  measure,
  type Row,
  type SensitivityRow,
} from './composition/measure.ts'
import { type TripFound, tripClaims } from './composition/tripFindings.ts'

/** P of a multiple of v·m^(L+1), as far as the grammar has so many strings. */
function countsOf(
  { v, m, s, L }: Pick<Cell, 'v' | 'm' | 's' | 'L'>,
  multiples: readonly number[],
  validation: number,
): number[] {
  const all = Number(treeCount(fullShape({ v, m, s, L })))
  const counts = multiples.map((multiple) => Math.round(multiple * v * m ** (L + 1)))
  return [...new Set(counts)].filter((P) => P >= 4 && P <= all / 2 && P + validation <= all)
}

/** Throws TL_BAD_CONFIG where a part of the run would have no strings. */
function checkCounts({ v, rules, L, multiples, time, control: other, validation }: Config): void {
  for (const [field, m, wanted] of [
    ...rules.map((m) => ['multiples', m, multiples] as const),
    ['time.multiple', time.m, [time.multiple]] as const,
  ])
    if (countsOf({ v, m, s: 2, L }, wanted, validation).length === 0)
      fail(
        'TL_BAD_CONFIG',
        `config.${field}: no P of ${wanted.join(', ')} times v·m^(L+1) = ${v * m ** (L + 1)} is from 4 to half of the ${treeCount(fullShape({ v, m, s: 2, L }))} strings of a grammar with m = ${m} and leaves ${validation} for validation`,
      )
  const all = treeCount(fullShape({ v: other.v, m: other.v, s: other.s, L: 2 }))
  if (BigInt(other.P + validation) > all)
    fail(
      'TL_BAD_CONFIG',
      `config.control.P: ${other.P} strings and ${validation} for validation, but its grammars have ${all}`,
    )
}

function cellsOf({ v, rules, L, multiples, time, control: other, validation }: Config): Cell[] {
  const usual = { rules: 'random', strings: 'whole', v, s: 2, L } as const
  const long = { ...usual, m: time.m }
  const [P] = countsOf(long, [time.multiple], validation)
  const shape = { v: other.v, m: other.v, s: other.s, L: 2, P: other.P }
  return [
    { ...long, part: 'time', P: P! },
    { ...long, part: 'control', strings: 'shuffled', P: P! },
    ...rules.flatMap((m) =>
      countsOf({ ...usual, m }, multiples, validation)
        .toSorted((a, b) => b - a)
        .map((count) => ({ ...usual, m, part: 'data' as const, P: count })),
    ),
    ...(['uncorrelated', 'random'] as const).map((kind) => ({
      ...usual,
      ...shape,
      part: 'control' as const,
      rules: kind,
    })),
  ]
}

/** The long training at its least validation loss stands beside its control. */
const bestOfTime = (time: readonly LookFound[]): LookFound[] =>
  groupBy(time, 'seed', 'replica').map(({ rows }) =>
    rows.reduce((best, row) => (row.validationLoss < best.validationLoss ? row : best)),
  )

function partsOf(rows: readonly Found[]): Parts {
  const of = <R extends Found>(match: (row: Found) => boolean) => rows.filter(match) as unknown as R[]
  return {
    data: of((row) => row.part === 'data'),
    time: of((row) => row.of === 'look'),
    layers: of<Found<SensitivityRow>>((row) => row.of === 'sensitivity'),
    trips: of<TripFound>((row) => row.of === 'trip'),
    controls: [
      ...of<LookFound>((row) => row.part === 'control'),
      ...bestOfTime(of((row) => row.of === 'look')),
    ],
  }
}

/** Levels in their order: each takes more than the one below, of strings or of steps. */
const orderClaims = (
  rows: readonly LookFound[],
  what: string,
  needed: (rows: readonly LookFound[], height: number) => number,
): Claim[] =>
  heightsOf(rows)
    .slice(1)
    .filter((height) => Number.isFinite(needed(rows, height)) && Number.isFinite(needed(rows, height - 1)))
    .map((height) =>
      claim(
        `${what} that level ${height} takes, over those of level ${height - 1}`,
        ratioOfLevels(rows, height, needed),
      ).atLeast(1),
    )

/** Where the least validation loss was at the last look, training was cut: more steps would have taught more. */
const wasCut = (rows: readonly LookFound[], given: Config): boolean =>
  rows.some((row) => row.step >= looksOf(row, given).at(-1)!)

/** Rows up to the first P at which a level is reached, of every m that reaches it. */
const untilReached = (data: readonly LookFound[], height: number): LookFound[] =>
  groupBy(data, 'm').flatMap(({ rows }) => {
    const needed = stringsNeeded(rows, height)
    const first = Math.min(...rows.map(({ P }) => P).filter((P) => P >= needed))
    return rows.filter(({ P }) => P <= first && Number.isFinite(first))
  })

function dataClaims(data: readonly LookFound[], given: Config): Claim[] {
  const most = Math.max(...data.map(({ m }) => m))
  return [
    ...orderClaims(
      data.filter(({ m }) => m === most),
      `m = ${most}: strings`,
      stringsNeeded,
    ),
    ...heightsOf(data).flatMap((height) => {
      const found = reaching(data, height)
      // at height 1 there is no symbol to know yet, and the power is another one
      if (found.length < 3 || height < 2) return []
      const { before, after } = spreads(data, height)
      const isCut = wasCut(untilReached(data, height), given)
      const exponent = `exponent of P*_${height} in m (m = ${found.join(', ')})`
      const apart = `level ${height}: factor by which the curves lie apart in P, on P/m^${height + 1} over that before, ${shownEstimate(before)}`
      return [
        claim(...unlessCut(isCut, exponent, powerOfRules(data, height))).equals(height + 1, { by: 0.3 }),
        claim(...unlessCut(isCut, apart, ratio(after, before))).atMost(0.6),
      ]
    }),
  ]
}

function layerClaims(layers: readonly Found<SensitivityRow>[]): Claim[] {
  const top = Math.max(...layers.map(({ layer }) => layer))
  return Array.from({ length: Math.max(0, top - 2) }, (_, i) => i + 2).flatMap((height) => {
    const [lower, upper] = [invariantAt(layers, top, height - 1), invariantAt(layers, top, height)]
    return Number.isFinite(lower.value) && Number.isFinite(upper.value)
      ? [
          claim(
            `steps until the deepest layer has lost half of its sensitivity to synonyms of height ${height}, over those of height ${height - 1}`,
            ratio(upper, lower),
          ).atLeast(1),
        ]
      : []
  })
}

/**
 * Where nothing of the top level is in the strings, or no correlation leads to it, it is not learned beyond what the levels below
 * give by chance; the others are.
 */
function controlClaims(controls: readonly LookFound[], given: Config): Claim[] {
  return groupBy(controls, 'rules', 'strings', 'v', 's', 'L').flatMap(({ key, rows }) => {
    const isBroken = key.rules === 'uncorrelated' || key.strings === 'shuffled'
    const share = overReplicas(rows, ([row]) => learnedBeyondBelow(row!, key.L))
    const limit = isBroken ? 0.1 : 0.3
    // more steps would teach more: a share that has passed the limit already decides
    const [text, top] = unlessCut(
      share.value < limit && wasCut(rows, given),
      `${controlName(rows[0]!)}: level ${key.L}, beyond level ${key.L - 1}, at the least validation loss`,
      share,
    )
    return [isBroken ? control(text, top).atMost(limit) : claim(text, top).atLeast(limit)]
  })
}

function findings(rows: readonly Found[], given: Config): Findings {
  const parts = partsOf(rows)
  const { data, time, layers, trips, controls } = parts
  const heights = heightsOf(data)
  const powers = heights.map((height) => ({
    height,
    power: powerOfRules(data, height),
    found: reaching(data, height),
  }))
  const known = powers.filter(({ found }) => found.length >= 3)
  const steps = heightsOf(time).map((height) => stepsNeeded(time, height))
  const headline =
    known.length > 0
      ? `strings that levels take ∝ m^b: ${known.map(({ height, power }) => `b_${height} = ${shownEstimate(power)}`).join(', ')}`
      : `levels are learned after ${steps.map((step) => (Number.isFinite(step) ? Math.round(step) : '–')).join(', ')} steps`
  const paragraph = [
    `Tree U-Nets of width ${given.width} were trained to undo noise in strings of grammars with v = ${given.v} and L = ${given.L}; generated strings are parsed, so that each level can be seen.`,
    known.length > 0 &&
      `At the least validation loss, level ℓ takes strings that grow with the number of rules m as ${known.map(({ height, power }) => `m^(${shownEstimate(power)}) for ℓ = ${height}`).join(', ')}; theory: m^(ℓ+1).`,
    steps.some(Number.isFinite) &&
      `In one training the levels come in their order, after ${steps.map((step) => (Number.isFinite(step) ? `${Math.round(step)}` : 'more than all')).join(', ')} steps.`,
  ]
    .filter((sentence) => typeof sentence === 'string')
    .join(' ')
  return {
    ...{ headline, paragraph, charts: chartsOf(parts), tables: tablesOf(parts) },
    claims: [
      ...(data.length > 0 ? dataClaims(data, given) : []),
      ...(time.length > 0 ? orderClaims(time, 'steps', stepsNeeded) : []),
      ...(layers.length > 0 ? layerClaims(layers) : []),
      ...tripClaims(time, trips, wasCut(bestOfTime(time), given)),
      ...controlClaims(controls, given),
    ],
    numbers: known.map(({ height, power }) => ({
      label: `exponent of P*_${height} in m`,
      value: shownEstimate(power),
      note: `theory ${height + 1}`,
    })),
    result: Object.fromEntries(
      powers.flatMap(({ height, power }) => [
        [`exponent${height}`, Number.isFinite(power.value) ? power.value : null],
        [`exponent${height}Theory`, height + 1],
      ]),
    ),
  }
}

/** Seconds on a core: products of steps and of what is generated at each look. */
function costOf({ part, v, s, L, P }: Cell, given: Config): number {
  const products = (s ** L * given.width ** 2 * 6) / 1e9 + (s ** L * v * given.width * 3) / 1e9
  const step = 5e-4 + 3 * given.batchSize * products * 0.022
  const most = part === 'time' ? given.time.steps : given.mostSteps
  const steps = part === 'time' ? most : Math.min(most, 800 + 12 * P)
  const looks = given.looks * Math.log2(Math.max(2, steps / 64))
  return 0.8 + steps * step + looks * (given.diffusionSteps * given.samples * products * 0.022 + 0.15)
}

const words: Record<Cell['part'], string> = {
  data: 'early stopping',
  time: 'long training',
  control: 'control',
}

export const composition = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'composition',
  title: 'How diffusion models learn to compose',
  resultNames: {
    exponent1: 'b of P*_1',
    exponent2: 'b of P*_2',
    exponent3: 'b of P*_3',
    exponent4: 'b of P*_4',
  },
  question:
    'In which order does a diffusion model learn the levels of a grammar, and how many strings does each take?',
  source: 'Favero, Sclocchi, Cagnetta, Frossard and Wyart 2025, arXiv 2502.12089',
  config,
  presets,
  check(given) {
    const { v, L, rules, time, control: other } = given
    for (const m of [...rules, time.m]) checkShape(fullShape({ v, m, s: 2, L }), `config (m = ${m})`)
    checkShape(fullShape({ v: other.v, m: other.v, s: other.s, L: 2 }), 'config.control')
    checkCounts(given)
  },
  cells: cellsOf,
  replicas: ({ grammars }) => grammars,
  // the same grammar at every P
  keyed: ({ rules, v, m, s, L }) => [rules === 'random' ? 0 : 1, v, m, s, L],
  grammarsOf: (cell, { key }) => [grammarOf(cell, key)],
  measure,
  cost: costOf,
  label: ({ part, m, P }) => `${words[part]}, m = ${m}, P = ${P}`,
  findings,
})
