/**
 * @file How many strings does a network need to learn a grammar? P* ∝ n_c·m^L for deep networks whose features move, a share
 * of all strings for shallow and lazy ones. (Cagnetta et al. 2024, PRX 14, 031001)
 */
import { fixed } from '../base/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  type Findings,
  type KeyNumber,
  overReplicas,
  type ReportTable,
  replicasOf,
  shownEstimate,
  shownWhole,
  table,
  where,
} from '../lab/index.ts'
import {
  type Cell,
  cellsOf,
  chanceOf,
  checkConfig,
  costOf,
  replicasOfCell,
  scaleOf,
  stringsOf,
} from './sample-complexity/cells.ts'
import { chartsOf, settingName } from './sample-complexity/charts.ts'
import { type Config, config, presets } from './sample-complexity/config.ts'
import {
  type Collapse,
  type Contrast,
  curveOf,
  type Estimates,
  estimate,
  type Found,
  heightOf,
  type Law,
  learned,
  ofChance,
  overGrammars,
  sameGrammar,
  settingsOf,
  threshold,
} from './sample-complexity/estimates.ts'
import { grammarOf, measure, type Row } from './sample-complexity/measure.ts'

const number = (value: number | undefined, digits = 2): string => fixed(value ?? null, digits)

/** How far a slope may be from the law's, and how many kinds of grammars it takes to say so. */
const slopeTolerance = { by: 0.15 }
const settingsNeeded = 6
const sizesNeeded = 4

/** A slope is 1; too few kinds of grammars decide nothing. */
const slopeClaim = (text: string, { slope, count }: Law, needed: number): Claim =>
  claim(
    `${text}, ${count} kinds of grammars${count < needed ? ` of at least ${needed}` : ''}`,
    count < needed ? { ...slope, error: null } : slope,
  ).equals(1, slopeTolerance)

/** Curves that coincide on the scale lie apart by a factor of at most 1.5, and by at most the root of what they did before. */
const collapseClaim = (text: string, { before, after }: Collapse): Claim[] =>
  Number.isNaN(after.value)
    ? []
    : [
        claim(
          `${text} on P/(n_c·m^L): factor by which they lie apart in P, ${shownEstimate(before)} before`,
          after,
        ).atMost(Math.min(1.5, Math.sqrt(before.value))),
      ]

const contrastClaims = (text: string, found: Contrast | null): Claim[] =>
  found
    ? [
        control(
          `${text}: error over chance, mean of ${found.count} kinds of grammars; a CNN errs at less than ${learned.deep}`,
          found.mean,
        ).atLeast(learned.deep),
        control(`${text}: the least of these errors`, found.least).atLeast(learned.deep),
      ]
    : []

/** Random and uncorrelated rules of the same sizes, both with the most data. */
const controlClaims = ({ control: rows }: Estimates): Claim[] =>
  settingsOf(where(rows, { rules: 'random' })).flatMap(({ key }) => {
    const most = (rules: Cell['rules']): Found[] => {
      const own = where(rows, { ...sameGrammar(key), rules })
      return where(own, { P: curveOf(own).at(-1)!.x })
    }
    const share = (own: readonly Found[]) => overReplicas(own, ([only]) => heightOf(only!) / chanceOf(key))
    const [random, uncorrelated] = [most('random'), most('uncorrelated')]
    const sizes = `v = m = n_c = ${key.v}, L = ${key.L}, P = ${number(random[0]!.P / scaleOf(key), 1)}·n_c·m^L`
    return [
      claim(`random rules (${sizes}): error over chance`, share(random)).atMost(learned.deep),
      control(`uncorrelated rules (${sizes}): error over chance`, share(uncorrelated)).atLeast(0.9),
    ]
  })

function claimsOf(found: Estimates): Claim[] {
  const { law, errors, invariance, correlations, shallowLaw, atThreshold } = found
  return [
    ...(law
      ? [
          slopeClaim('deep CNN: slope of log P* against log n_c·m^L', law, settingsNeeded),
          ...collapseClaim('error curves', errors),
          ...(Number.isNaN(invariance.ratio.value)
            ? []
            : [
                claim('P at which S_{2,1} halves over P at which the error does', invariance.ratio).equals(
                  1,
                  { factor: 2 },
                ),
              ]),
          ...collapseClaim('curves of S_{2,1}', invariance.collapse),
        ]
      : []),
    ...(correlations
      ? [
          slopeClaim(
            'without training: slope of the log of P at which tuple–class correlations equal their sampling noise against log n_c·m^L',
            correlations,
            Math.min(settingsNeeded, settingsOf(found.noise).length),
          ),
        ]
      : []),
    ...contrastClaims(
      `one hidden layer with P ≥ ${number(law?.prefactor ?? 4, 1)}·n_c·m^L strings`,
      atThreshold.shallow,
    ),
    ...(shallowLaw && shallowLaw.count >= sizesNeeded
      ? [
          control(
            `one hidden layer: slope of log P (error ${learned.shallow} of chance) against the log of all strings`,
            shallowLaw.slope,
          ).equals(1, slopeTolerance),
        ]
      : []),
    ...contrastClaims('lazy limit (tangent kernel of the CNN), where the CNN has learned', atThreshold.lazy),
    ...controlClaims(found),
  ]
}

function numbersOf({ law, invariance, errors }: Estimates): KeyNumber[] {
  if (!law) return []
  const S = invariance.law
  return [
    { label: 'slope of log P*', value: shownEstimate(law.slope), note: 'theory 1' },
    { label: 'P* / (n_c·m^L)', value: number(law.prefactor), note: 'theory: of order 1' },
    ...(S
      ? [
          {
            label: 'slope of the P at which S_{2,1} halves',
            value: shownEstimate(S.slope),
            note: 'theory 1',
          },
        ]
      : []),
    ...(Number.isNaN(errors.after.value)
      ? []
      : [
          {
            label: 'spread of the error curves',
            value: `${number(errors.before.value)} → ${number(errors.after.value)}`,
            note: 'factor in P, before and after rescaling',
          },
        ]),
  ]
}

const strings = (rows: readonly Found[], level: (row: Found) => number): string =>
  shownWhole(threshold(rows, (sizes) => level(sizes as Found)))

function tablesOf({ cnn, secondLayer, lazy, noise, shallow }: Estimates): ReportTable[] {
  const deep = ofChance(learned.deep)
  const named = (rows: readonly Found[], name: (row: Found) => string) =>
    rows.map((row) => ({ ...row, grammars: name(row) }))
  const over = (value: number, whole: number): string => (Number.isNaN(value) ? '–' : number(value / whole))
  const lazyText = (own: readonly Found[]): string => {
    if (own.length === 0) return '–'
    const found = threshold(own, deep)
    const most = Math.max(...own.map(({ P }) => P))
    return Number.isNaN(found.value) ? `> ${most.toLocaleString('en')}` : shownWhole(found)
  }
  const tables = [
    cnn.length > 0 &&
      table(named(cnn, settingName), {
        title: 'How much data each grammar takes',
        by: ['grammars'],
        columns: {
          'n_c·m^L': ([row]) => scaleOf(row!),
          'all strings': ([row]) => stringsOf(row!).toLocaleString('en'),
          'P*': (rows) => strings(rows, deep),
          'P* / n_c·m^L': (rows) => over(threshold(rows, deep).value, scaleOf(rows[0]!)),
          'S_{2,1} = 1/2 at': ([row]) => strings(where(secondLayer, sameGrammar(row!)), () => 0.5),
          'error half of chance at': (rows) => strings(rows, ofChance(0.5)),
          'lazy P*': ([row]) => lazyText(where(lazy, sameGrammar(row!))),
        },
      }),
    noise.length > 0 &&
      table(
        named(noise, (row) => `v = n_c = ${row.v}, ${settingName(row)}`),
        {
          title: 'Correlations of tuples and classes, without training',
          by: ['grammars'],
          columns: {
            'n_c·m^L': ([row]) => scaleOf(row!),
            'signal²': (rows) => overReplicas(rows, ([row]) => (row as { signal: number }).signal),
            'v/m^(L−1)': ([row]) => number(row!.v / row!.m ** (row!.L - 1), 3),
            'signal = noise at P': (rows) => strings(rows, () => 1),
            'over n_c·m^L': (rows) => over(threshold(rows, () => 1).value, scaleOf(rows[0]!)),
          },
        },
      ),
    shallow.length > 0 &&
      table(
        named(shallow, ({ v }) => `v = m = n_c = ${v}, L = 2`),
        {
          title: 'One hidden layer',
          by: ['grammars'],
          columns: {
            'all strings': ([row]) => stringsOf(row!).toLocaleString('en'),
            'P (error 0.7 of chance)': (rows) => strings(rows, ofChance(learned.shallow)),
            'share of all strings': (rows) =>
              over(threshold(rows, ofChance(learned.shallow)).value, stringsOf(rows[0]!)),
          },
        },
      ),
  ]
  return tables.filter((one) => one !== false)
}

function headlineOf({ law, cnn, correlations }: Estimates): string {
  if (law) return `slope of log P* against log n_c·m^L: ${shownEstimate(law.slope)}`
  const last = settingsOf(cnn).at(-1)
  if (last) {
    const P = curveOf(last.rows).at(-1)!.x
    const error = overGrammars(where(last.rows, { P }), (own) => curveOf(own)[0]!.y)
    return `test error ${shownEstimate(error)} with P = ${P} (${settingName(last.key)})`
  }
  return correlations
    ? `correlations exceed their noise at P = ${number(correlations.prefactor)}·n_c·m^L`
    : 'no learning curve was asked for'
}

function paragraphOf(found: Estimates, { width, v }: Config): string {
  const { cnn, law, errors, invariance, correlations, shallowLaw } = found
  const kinds = settingsOf(cnn)
  const sentences = [
    kinds.length > 0 &&
      `Hierarchical CNNs of width ${width} were trained on strings of ${kinds.length} kinds of grammars (v = n_c = ${v}), ${replicasOf(cnn).length} of each kind.`,
    law &&
      `They learn the task – test error below a tenth of chance – from P* = ${number(law.prefactor, 1)} · n_c·m^L strings; the exponent found is ${shownEstimate(law.slope)} where the theory says 1 (its prefactor is of order one).`,
    !Number.isNaN(errors.after.value) &&
      `Before rescaling, the error curves lie apart by a factor of ${number(errors.before.value)} in P; on P/(n_c·m^L) by ${number(errors.after.value)}.`,
    !Number.isNaN(invariance.ratio.value) &&
      `The second layer becomes invariant to exchanged synonyms at ${number(invariance.ratio.value)} times the P at which the error falls below half of chance.`,
    correlations &&
      `With no training at all, correlations between tuples and classes rise above their sampling noise at P = ${number(correlations.prefactor)} · n_c·m^L.`,
    shallowLaw &&
      shallowLaw.count >= sizesNeeded &&
      `A network with one hidden layer needs a fixed share of all strings instead: slope ${shownEstimate(shallowLaw.slope)} against their number.`,
  ]
  return sentences.filter((sentence) => typeof sentence === 'string').join(' ') || headlineOf(found)
}

function findings(rows: readonly Found[], given: Config): Findings {
  const found = estimate(rows)
  const { law, errors, invariance, correlations } = found
  return {
    headline: headlineOf(found),
    paragraph: paragraphOf(found, given),
    numbers: numbersOf(found),
    claims: claimsOf(found),
    charts: chartsOf(found),
    tables: tablesOf(found),
    result: {
      slope: law?.slope.value ?? null,
      slopeError: law?.slope.error ?? null,
      prefactor: law?.prefactor ?? null,
      spreadBefore: errors.before.value,
      spreadAfter: errors.after.value,
      invarianceRatio: invariance.ratio.value,
      correlationSlope: correlations?.slope.value ?? null,
      correlationPrefactor: correlations?.prefactor ?? null,
    },
  }
}

const words: Record<Cell['part'], string> = {
  cnn: 'CNN',
  shallow: 'one layer',
  lazy: 'kernel',
  correlations: 'correlations',
  control: 'control',
}

export const sampleComplexity = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'sample-complexity',
  title: 'How much data a hierarchy takes',
  resultNames: {
    slope: 'slope of P* against n_c m^L',
    prefactor: 'P* over n_c m^L',
    spreadBefore: 'spread of curves before rescaling',
    spreadAfter: 'spread of curves after rescaling',
    invarianceRatio: 'P at which S_{2,1} halves over that of the error',
    correlationSlope: 'slope of P of correlations against n_c m^L',
    correlationPrefactor: 'P of correlations over n_c m^L',
  },
  question: 'How many strings does a deep network need to learn a grammar, and shallow and lazy ones?',
  source: 'Cagnetta, Petrini, Tomasini, Favero and Wyart 2024, PRX 14, 031001',
  version: 2,
  config,
  presets,
  check: checkConfig,
  cells: cellsOf,
  replicas: replicasOfCell,
  grammarsOf: (cell, { config: { seed }, replica }) => [grammarOf(cell, seed, replica)],
  measure,
  cost: costOf,
  label: ({ part, rules, v, m, L, P }) =>
    `${words[part]}${rules === 'random' ? '' : ', uncorrelated'}, v = ${v}, m = ${m}, L = ${L}, P = ${P}`,
  findings,
})
