/** @file Figures and tables of clustering. */
import {
  chart,
  type Drawn,
  distinct,
  type Figure,
  groupBy,
  type LinePoint,
  type LineSeries,
  lineChart,
  meanAcross,
  pointOf,
  type ReportTable,
  replicasOf,
  shownWhole,
  table,
  where,
} from '../../lab/index.ts'
import {
  type Answer,
  type Cell,
  type ClimbedRow,
  type ClusteredRow,
  cellColumns,
  classFormula,
  climbed,
  type ExactRow,
  exactThreshold,
  type Kind,
  leafFormula,
  overGrammars,
  reaching,
  settingName,
} from './settings.ts'

const half = { axis: 'y' as const, value: 0.5, label: '' }
const scoreAxes = {
  yLabel: 'adjusted Rand index',
  xScale: 'log',
  yDomain: [-0.1, 1.05],
  references: [half],
} as const

const overGrammarsOf = (rows: readonly Drawn[]): string =>
  `one standard error over ${replicasOf(rows).length} grammars`

/** Rows at every P: a grammar whose symbols were found is looked at no more, and keeps its last score. */
export function keptScores(rows: readonly ClusteredRow[]): ClusteredRow[] {
  return groupBy(rows, ...cellColumns).flatMap(({ rows: own }) => {
    const sizes = distinct(own, 'P')
    return replicasOf(own).flatMap((looks) => sizes.map((P, i) => ({ ...(looks[i] ?? looks.at(-1)!), P })))
  })
}

/** Scores of all settings, colours by height; `scaled` divides P by the formula. */
const scores = (leaf: readonly ClusteredRow[], scaled: boolean) => (): Figure => {
  const groups = groupBy(keptScores(leaf), ...cellColumns)
  const settings = groups.map(({ key: { v, m, s, L } }) => `(${v}, ${m}, ${s}, ${L})`).join(' ')
  const firsts = new Map(groups.map(({ key }) => [key.L, key] as const).reverse())
  return lineChart({
    name: scaled ? 'collapse' : 'scores',
    title: scaled ? 'The same in units of v m^(ℓ+1)/(1 − f)' : 'When synonyms are found',
    caption: scaled
      ? 'The scores of the figure before, each against the number of strings over v m^(ℓ+1)/(1 − f) of its setting.'
      : `Adjusted Rand index of k-means clusters of tuples against their true parents; the context is one leaf whose common ancestor with the tuple is at height ℓ. Bands: ${overGrammarsOf(leaf)}; a grammar whose symbols were found keeps its last score. Settings (v, m, s, ℓ): ${settings}.`,
    ...{ ...scoreAxes, xLabel: scaled ? 'strings P over v m^(ℓ+1)/(1 − f)' : 'strings P' },
    series: groups.map(({ key, rows }) => ({
      name: firsts.get(key.L) === key ? `ℓ = ${key.L}` : '',
      hue: key.L - 2,
      points: groupBy(rows, 'P').map(({ key: { P }, rows: at }) =>
        pointOf(
          P / (scaled ? leafFormula(key) : 1),
          meanAcross(at, ({ adjustedRand }) => adjustedRand),
        ),
      ),
    })),
  })
}

/** A threshold of each setting that reaches it, against a formula. */
const thresholdPoints = (
  answers: readonly Answer[],
  kind: Kind,
  formula: (sizes: Cell) => number,
): LinePoint[] =>
  groupBy(reaching(answers, kind), ...cellColumns)
    .map(({ key, rows }) => pointOf(formula(key), overGrammars(rows, kind)))
    .sort((a, b) => a.x - b.x)

/** Both thresholds against their formulas, the rules beside, and a line on which measured equals formula. */
function thresholdSeries(
  answers: readonly Answer[],
  formulas: Readonly<Record<Kind, (sizes: Cell) => number>>,
): LineSeries[] {
  const points = (kind: Kind) => thresholdPoints(answers, kind, formulas[kind])
  const rules = points('expected').map(({ x, y }) => ({ x, y }))
  const xs = [...points('clustered'), ...points('contrast')].map(({ x }) => x)
  return [
    { name: 'k-means', hue: 0, scatter: true, points: points('clustered') },
    { name: 'signal = noise', hue: 1, scatter: true, points: points('contrast') },
    { name: '', hue: 1, dashed: true, points: rules },
    {
      ...{ name: 'equal', hue: 2, faint: true, dashed: true },
      points: [Math.min(...xs), Math.max(...xs)].map((x) => ({ x, y: x })),
    },
  ]
}

const thresholds = (leaf: readonly Answer[]) => (): Figure =>
  lineChart({
    name: 'thresholds',
    title: 'Strings that a level takes',
    caption: `Against v m^(ℓ+1)/(1 − f), one point for each setting: strings at which the score of k-means passes 1/2; strings at which context vectors of different parents are twice as far apart (squared) as those of synonyms, so that signal equals noise; bars: ${overGrammarsOf(leaf)}. Dashed: the latter from the rules of the same grammars. Pale: equal.`,
    ...{ xLabel: 'v m^(ℓ+1)/(1 − f)', yLabel: 'strings P', xScale: 'log', yScale: 'log' },
    series: thresholdSeries(leaf, { clustered: leafFormula, contrast: leafFormula, expected: leafFormula }),
  })

const classThresholds = (classes: readonly Answer[]) => (): Figure =>
  lineChart({
    name: 'classes',
    title: 'The class as context',
    caption: `Strings at which k-means of the class frequencies of tuples finds synonyms, against √n_c m^L, and at which signal equals noise in these frequencies, against n_c m^L; one point for each setting; bars: ${overGrammarsOf(classes)}. Dashed: the latter from the rules of the same grammars. Pale: equal.`,
    xLabel: '√n_c m^L (k-means), n_c m^L (signal = noise)',
    ...{ yLabel: 'strings P', xScale: 'log', yScale: 'log' },
    series: thresholdSeries(classes, classFormula),
  })

/** Scores of the heights of the climb. */
function climb(rows: readonly ClimbedRow[], context: 'tokens' | 'latents') {
  const own = where(rows, { context })
  const { v, m, s, L } = own[0]!
  return chart(own, {
    name: `climb-${context}`,
    title: context === 'tokens' ? 'Climbing with leaves as context' : 'Climbing with symbols already found',
    caption:
      `Score of the symbols found at heights 1, 2, … of the tree, on strings not learned from, v = ${v}, m = ${m}, s = ${s}, L = ${L}; bands: ${overGrammarsOf(own)}. Tuples are clustered by ` +
      (context === 'tokens'
        ? 'the leaves below their siblings: every height takes m times more examples.'
        : 'the symbols one level below their siblings, as found: every height takes as many examples as the first.'),
    ...{ ...scoreAxes, x: 'P', y: 'score', xLabel: 'strings P', marks: 'dots' },
    ...{ series: 'height', seriesName: (height) => `height ${height}` },
  })
}

const controlName = ({ context, rules }: Cell): string => (context === 'shuffled' ? 'other string' : rules)

/** Where there is nothing to find. */
function controls(rows: readonly ClusteredRow[]) {
  const [shuffled, beside] = [where(rows, { context: 'shuffled' }), where(rows, { context: 'leaf' })]
  const { v, m, s } = beside[0]!
  return chart(keptScores(rows), {
    name: 'controls',
    title: 'Where there is nothing to find',
    caption: `Scores of k-means for random and for uncorrelated grammars (every symbol equally often at every place of every symbol's tuples) with v = ${v}, m = ${m}, s = ${s}, and for the leaf of another string as context, ${settingName(shuffled[0]!)}. Bands: ${overGrammarsOf(rows)}.`,
    ...{ ...scoreAxes, x: 'P', y: 'adjustedRand', xLabel: 'strings P', marks: 'dots', series: controlName },
  })
}

/** All figures. */
export function clusteringCharts(
  clustered: readonly ClusteredRow[],
  answers: readonly Answer[],
  climbs: readonly ClimbedRow[],
) {
  const leaf = where(clustered, { part: 'leaf' })
  return [
    scores(leaf, false),
    scores(leaf, true),
    thresholds(where(answers, { part: 'leaf' })),
    climb(climbs, 'tokens'),
    climb(climbs, 'latents'),
    depth(climbs),
    classThresholds(where(answers, { part: 'class' })),
    controls(where(clustered, { part: 'control' })),
  ]
}

const whole = (kind: Kind) => (answers: readonly Answer[]) => shownWhole(overGrammars(answers, kind))
const rounded = (formula: (sizes: Cell) => number) => (rows: readonly Cell[]) => Math.round(formula(rows[0]!))

/** Strings that a grammar takes by its number of levels, for both contexts. */
const depth = (climbs: readonly ClimbedRow[]) => (): Figure => {
  const { m, L } = climbs[0]!
  const levels = Array.from({ length: L - 1 }, (_, i) => i + 2)
  return lineChart({
    name: 'depth',
    title: 'What depth costs',
    caption: `Strings P* at which the symbols below the root of a grammar of L levels are found (score 1/2), geometric mean over ${replicasOf(climbs).length} grammars; bars: one standard error. What stands below a node of height L of the climb is a string of such a grammar. Dashed, through the first point: theory, a factor of m for each level with leaves as context, none with the symbols found as context.`,
    ...{
      xLabel: 'levels L',
      yLabel: 'strings P*',
      yScale: 'log',
      xTicks: levels.map((value) => ({ value, label: String(value) })),
    },
    series: (['tokens', 'latents'] as const).flatMap((context, hue): LineSeries[] => {
      const found = levels.map((level) => climbed(where(climbs, { context, height: level - 1 })).examples)
      const factor = context === 'tokens' ? m : 1
      const first = found[0]!.value
      return [
        {
          ...{ name: context === 'tokens' ? 'leaves as context' : 'symbols as context', hue, dots: true },
          points: found.map((estimate, i) => pointOf(levels[i]!, estimate)),
        },
        {
          ...{ name: '', hue, dashed: true },
          points: levels.map((level, i) => ({
            x: level,
            y: Number.isFinite(first) ? first * factor ** i : null,
          })),
        },
      ]
    }),
  })
}

/** Thresholds in numbers. */
export const clusteringTables = (
  answers: readonly Answer[],
  climbs: readonly ClimbedRow[],
  exact: readonly ExactRow[],
): ReportTable[] => [
  table(
    where(answers, { part: 'leaf' }).map((answer) => ({ ...answer, setting: settingName(answer) })),
    {
      title: 'Strings at which a level is found, a leaf as context',
      by: ['setting'],
      columns: {
        'v m^(ℓ+1)/(1 − f)': rounded(leafFormula),
        'signal = noise': whole('contrast'),
        'from the rules': whole('expected'),
        'k-means': whole('clustered'),
        'k-means over formula': (own) =>
          (overGrammars(own, 'clustered').value / leafFormula(own[0]!)).toFixed(2),
      },
    },
  ),
  table(
    where(answers, { part: 'class' }).map((answer) => ({ ...answer, n_c: answer.classes })),
    {
      title: 'Strings at which a level is found, the class as context',
      by: ['v', 'n_c', 'm', 's', 'L'],
      columns: {
        'n_c m^L': rounded(classFormula.contrast),
        'signal = noise': whole('contrast'),
        'from the rules': whole('expected'),
        '√n_c m^L': rounded(classFormula.clustered),
        'k-means': whole('clustered'),
      },
    },
  ),
  table(
    exact.map((row) => ({ ...row, ℓ: row.height })),
    {
      title: `Exact covariance equal to its noise: mean over ${replicasOf(exact).length} grammars, all places of a tree of L levels`,
      by: ['v', 'm', 's', 'L', 'ℓ'],
      columns: {
        strings: (own) => Math.round(exactThreshold(own)),
        'v m^(ℓ+1)/(1 − f)': (own, { ℓ }) => Math.round(leafFormula(own[0]!, ℓ)),
        ratio: (own, { ℓ }) => (exactThreshold(own) / leafFormula(own[0]!, ℓ)).toFixed(2),
      },
    },
  ),
  table(climbs, {
    title:
      'Climbing: strings, and examples (strings times common ancestors in each), at which a height is found',
    by: ['height'],
    columns: Object.fromEntries(
      (['tokens', 'latents'] as const).flatMap((context) => {
        const name = context === 'tokens' ? 'leaves' : 'symbols'
        const of = (kind: 'strings' | 'examples') => (own: readonly ClimbedRow[]) =>
          shownWhole(climbed(where(own, { context }))[kind])
        return [
          [`${name}: strings`, of('strings')],
          [`${name}: examples`, of('examples')],
        ]
      }),
    ),
  }),
]
