/** @file Figures and tables of the clustering experiment. */
import {
  type Estimate,
  type Figure,
  type LineSeries,
  lineChart,
  meanOf,
  type ReportTable,
} from '../../lab/index.ts'
import type { ClusteringResult } from '../clustering.ts'
import {
  classClusterFormula,
  classSignalFormula,
  climbSummary,
  exactRows,
  leafFormula,
  meanCurve,
  pairsOf,
  rowsOf,
} from './analyse.ts'
import { settingName, type View } from './verdicts.ts'

const scoreDomain = [-0.1, 1.05] as const
const half = { axis: 'y' as const, value: 0.5, label: '' }

const band = ({ value, error }: Estimate) => ({
  y: value,
  ...(error === null ? {} : { low: value - error, high: value + error }),
})

/** Lines of a mean score against the number of data over a unit. */
const scoreLine = (
  grammars: Parameters<typeof meanCurve>[0],
  unit: number,
  line: Pick<LineSeries, 'name' | 'hue' | 'dots' | 'dashed'>,
): LineSeries => ({
  ...line,
  points: meanCurve(grammars).map(({ P, score }) => ({ x: P / unit, ...band(score) })),
})

/** Scores of all settings, colours by height; `scaled` divides P by the formula. */
function scores(leaf: ClusteringResult['leaf'], scaled: boolean): Figure {
  const named = new Set<number>()
  const series = leaf.map(({ setting, grammars }) => {
    const isNew = !named.has(setting.height)
    named.add(setting.height)
    return scoreLine(grammars, scaled ? leafFormula(setting) : 1, {
      name: isNew ? `ℓ = ${setting.height}` : '',
      hue: setting.height - 2,
    })
  })
  const settings = leaf.map(({ setting: { v, m, s, height } }) => `(${v}, ${m}, ${s}, ${height})`).join(' ')
  return lineChart({
    name: scaled ? 'collapse' : 'scores',
    title: scaled ? 'The same in units of v m^(ℓ+1)/(1 − f)' : 'When synonyms are found',
    caption: scaled
      ? 'The scores of the figure before, each against the number of strings over v m^(ℓ+1)/(1 − f) of its setting.'
      : `Adjusted Rand index of k-means clusters of tuples against their true parents; the context is one leaf whose common ancestor with the tuple is at height ℓ. Means over ${leaf[0]!.grammars.length} grammars, bands: one standard error; a grammar whose symbols were found keeps its last score. Settings (v, m, s, ℓ): ${settings}.`,
    xLabel: scaled ? 'strings P over v m^(ℓ+1)/(1 − f)' : 'strings P',
    yLabel: 'adjusted Rand index',
    xScale: 'log',
    yDomain: scoreDomain,
    references: [half],
    series,
  })
}

const byX = (points: readonly (readonly [number, number])[]) =>
  [...points].sort(([a], [b]) => a - b).map(([x, y]) => ({ x, y }))

/** A line on which measured equals formula, over the range of the points. */
function equal(points: readonly (readonly [number, number])[]): LineSeries {
  const xs = points.map(([x]) => x)
  return {
    name: 'equal',
    hue: 2,
    faint: true,
    dashed: true,
    points: [Math.min(...xs), Math.max(...xs)].map((x) => ({ x, y: x })),
  }
}

/** Thresholds of all settings against the formula. */
function thresholds({ leaf }: ClusteringResult): Figure {
  const rows = rowsOf(leaf)
  const exact = rows.flatMap(({ setting, sameExact }) =>
    sameExact ? [[leafFormula(setting), sameExact.value] as const] : [],
  )
  return lineChart({
    name: 'thresholds',
    title: 'Strings that a level takes',
    caption:
      'Against v m^(ℓ+1)/(1 − f), one point for each setting: strings at which the score of k-means passes 1/2; strings at which context vectors of different parents are twice as far apart (squared) as those of synonyms, so that signal equals noise; dashed: the latter as it follows from the rules of the same grammars. Pale: equal.',
    xLabel: 'v m^(ℓ+1)/(1 − f)',
    yLabel: 'strings P',
    xScale: 'log',
    yScale: 'log',
    series: [
      { name: 'k-means', hue: 0, scatter: true, points: byX(pairsOf(rows, leafFormula, 'clustered')) },
      { name: 'signal = noise', hue: 1, scatter: true, points: byX(pairsOf(rows, leafFormula, 'contrast')) },
      { name: '', hue: 1, dashed: true, points: byX(exact) },
      equal(exact),
    ],
  })
}

/** Thresholds with the class as context, each against its own formula. */
function classThresholds({ classes }: ClusteringResult): Figure {
  const rows = rowsOf(classes)
  const clustered = pairsOf(rows, classClusterFormula, 'clustered')
  const contrast = pairsOf(rows, classSignalFormula, 'contrast')
  return lineChart({
    name: 'classes',
    title: 'The class as context',
    caption:
      'Strings at which k-means of the class frequencies of tuples finds synonyms, against √n_c m^L, and at which signal equals noise in these frequencies, against n_c m^L; one point for each setting. Pale: equal.',
    xLabel: '√n_c m^L (k-means), n_c m^L (signal = noise)',
    yLabel: 'strings P',
    xScale: 'log',
    yScale: 'log',
    series: [
      { name: 'k-means', hue: 0, scatter: true, points: byX(clustered) },
      { name: 'signal = noise', hue: 1, scatter: true, points: byX(contrast) },
      equal([...clustered, ...contrast]),
    ],
  })
}

/** Scores of the heights of the climb. */
function climb({ config: { climb: shape, grammars }, result }: View, context: 'tokens' | 'latents'): Figure {
  const own = result.climbs.filter((one) => one.context === context)
  return lineChart({
    name: `climb-${context}`,
    title: context === 'tokens' ? 'Climbing with leaves as context' : 'Climbing with symbols already found',
    caption:
      `Score of the symbols found at heights 1, 2, … of the tree, on strings not learned from, v = ${shape.v}, m = ${shape.m}, s = ${shape.s}, L = ${shape.L}; means over ${grammars} grammars, bands: one standard error. Tuples are clustered by ` +
      (context === 'tokens'
        ? 'the leaves below their siblings: every height takes m times more examples.'
        : 'the symbols one level below their siblings, as found: every height takes as many examples as the first.'),
    xLabel: 'strings P',
    yLabel: 'adjusted Rand index',
    xScale: 'log',
    yDomain: scoreDomain,
    references: [half],
    series: Array.from({ length: shape.L - 1 }, (_, below) => ({
      name: `height ${below + 1}`,
      dots: true,
      points: own.map(({ P, scores: all }) => ({
        x: P,
        ...band(meanOf(all.map((heights) => heights[below]!))),
      })),
    })),
  })
}

/** Where there is nothing to find. */
function controls({ config, result }: View): Figure {
  const { v, m, s } = config.control
  return lineChart({
    name: 'controls',
    title: 'Where there is nothing to find',
    caption: `Scores of k-means for random and for uncorrelated grammars (every symbol equally often at every place of every symbol's tuples) with v = ${v}, m = ${m}, s = ${s}, and for the leaf of another string as context, ${settingName(result.leaf[0]!.setting)}. Bands: one standard error over ${config.grammars} grammars.`,
    xLabel: 'strings P',
    yLabel: 'adjusted Rand index',
    xScale: 'log',
    yDomain: scoreDomain,
    references: [half],
    series: [
      scoreLine(result.controls.random, 1, { name: 'random', hue: 0, dots: true }),
      scoreLine(result.controls.uncorrelated, 1, { name: 'uncorrelated', hue: 1, dots: true }),
      scoreLine(result.controls.shuffled, 1, { name: 'other string', hue: 2, dots: true }),
    ],
  })
}

/** All figures; of several runs the first is drawn. */
export const clusteringFigures = ([run]: readonly View[]): Figure[] => [
  scores(run!.result.leaf, false),
  scores(run!.result.leaf, true),
  thresholds(run!.result),
  climb(run!, 'tokens'),
  climb(run!, 'latents'),
  classThresholds(run!.result),
  controls(run!),
]

const whole = (found: Estimate | null): string => {
  if (!found) return '–'
  const value = Math.round(found.value).toLocaleString('en')
  return found.error === null ? value : `${value} ± ${Math.round(found.error).toLocaleString('en')}`
}

/** Thresholds in numbers. */
export const clusteringTables = ([run]: readonly View[]): ReportTable[] => {
  const { config, result } = run!
  const { s, L } = config.climb
  return [
    {
      title: 'Strings at which a level is found, a leaf as context',
      columns: [
        'setting',
        'v m^(ℓ+1)/(1 − f)',
        'signal = noise',
        'from the rules',
        'k-means',
        'k-means over formula',
      ],
      rows: rowsOf(result.leaf).map(({ setting, clustered, contrast, sameExact }) => [
        settingName(setting),
        Math.round(leafFormula(setting)).toLocaleString('en'),
        whole(contrast),
        sameExact ? Math.round(sameExact.value).toLocaleString('en') : '–',
        whole(clustered),
        clustered ? (clustered.value / leafFormula(setting)).toFixed(2) : '–',
      ]),
    },
    {
      title: 'The class as context',
      columns: [
        'v',
        'n_c',
        'm',
        's',
        'L',
        'n_c m^L',
        'from the rules',
        'signal = noise',
        '√n_c m^L',
        'k-means',
      ],
      rows: rowsOf(result.classes).map(({ setting, clustered, contrast, sameExact }) => [
        setting.v,
        setting.classes,
        setting.m,
        setting.s,
        setting.L,
        Math.round(classSignalFormula(setting)).toLocaleString('en'),
        sameExact ? Math.round(sameExact.value).toLocaleString('en') : '–',
        whole(contrast),
        Math.round(classClusterFormula(setting)).toLocaleString('en'),
        whole(clustered),
      ]),
    },
    {
      title: `Exact covariance equal to its noise: mean over ${config.exactGrammars} grammars, all places of a tree of L levels`,
      columns: ['v', 'm', 's', 'L', 'ℓ', 'strings', 'v m^(ℓ+1)/(1 − f)', 'ratio'],
      rows: exactRows(result.exact).map(({ shape, height, threshold, formula }) => [
        shape.v,
        shape.m,
        shape.s,
        shape.L,
        height,
        Math.round(threshold).toLocaleString('en'),
        Math.round(formula).toLocaleString('en'),
        (threshold / formula).toFixed(2),
      ]),
    },
    {
      title:
        'Climbing: strings, and examples (strings times common ancestors in each), at which a height is found',
      columns: ['height', 'leaves: strings', 'examples', 'symbols: strings', 'examples '],
      rows: Array.from({ length: L - 1 }, (_, below) => [
        below + 1,
        ...(['tokens', 'latents'] as const).flatMap((context) => {
          const { data, examples } = climbSummary(result.climbs, context, { s, L })
          const seen = examples[below]
          return [whole(data[below]!), seen == null ? '–' : Math.round(seen).toLocaleString('en')]
        }),
      ]),
    },
  ]
}
