/** @file Figures and tables of token correlations. */
import { ancestorHeight, effectiveContext, plateauBound } from '../../grammar/index.ts'
import {
  chart,
  type Drawn,
  distinct,
  type Estimate,
  groupBy,
  type Measured,
  mean,
  meanAcross,
  type ReportTable,
  replicasOf,
  rootMean,
  shownWhole,
  table,
  where,
} from '../../lab/index.ts'
import {
  type Cell,
  type CountedRow,
  cellColumns,
  covarianceFormula,
  type Distance,
  fullShape,
  geometric,
  type Kind,
  type Level,
  type Loss,
  type Sizes,
  shapeName,
  thresholdFormula,
} from './levels.ts'

/** Root of the mean over replicas; NaN where noise has taken it below 0. */
const rms = <R extends Drawn>(rows: readonly R[], y: (row: R) => number): Estimate => {
  const root = rootMean(replicasOf(rows).map((own) => mean(own.map(y))))
  return root.value > 0 ? root : { value: Number.NaN, error: null }
}

const overGrammars = (rows: readonly Drawn[]): string =>
  `bands: one standard error over ${replicasOf(rows).length} grammars`

/** Covariance against the number of data, and against distance, of one shape. */
export function shapeCharts(
  sizes: Cell,
  counted: readonly CountedRow[],
  distances: readonly Measured<Cell, Distance>[],
) {
  const tokens = where(counted, { part: 'tokens' })
  const [heights, P] = [distinct(tokens, 'height'), distinct(tokens, 'P')]
  const tag = [sizes.v, sizes.m, sizes.s, sizes.L].join('-')
  const axes = { yLabel: 'rms covariance', xScale: 'log', yScale: 'log' } as const
  return [
    chart(tokens, {
      name: `covariance-${tag}`,
      title: `What P strings show, ${shapeName(sizes)}`,
      caption: `Root mean square covariance of the last token with the tokens whose lowest common ancestor is at height ℓ, counted from P strings; ${overGrammars(tokens)}. Dashed: the same count between strings that have nothing to do with each other. Dotted lines: √((1 − f)/(v³ m^(2ℓ−1))).`,
      ...{ ...axes, x: 'P', y: 'within', xLabel: 'strings P', marks: 'dots', estimate: rms },
      ...{ series: 'height', seriesName: (height) => `ℓ = ${height}` },
      references: heights
        .map((height) => ({ axis: 'y' as const, value: covarianceFormula(sizes, height), label: '' }))
        .filter(({ value }) => value > 0),
      theory: [
        { name: 'noise', at: P, y: (x, rows) => rms(where(rows, { P: x }), (row) => row.between).value },
      ],
    }),
    chart(distances, {
      name: `decay-${tag}`,
      title: `Covariance against distance, ${shapeName(sizes)}`,
      caption: `Root mean square covariance of the last token with the one t before it, from ${P.at(-1)!.toLocaleString('en')} strings with the noise taken off; ${overGrammars(distances)}. It is flat between the distances s^ℓ and falls by a factor m at each. Dashed: exact, from the rules, and √((1 − f)/(v³ m^(2ℓ−1))).`,
      ...{ ...axes, x: 't', y: 'signal', xLabel: 'distance t in tokens', marks: 'dots', estimate: rms },
      series: () => 'counted',
      theory: [
        { name: 'exact', y: (t, rows) => rms(where(rows, { t }), ({ exact }) => exact).value },
        { name: 'formula', y: (t) => covarianceFormula(sizes, ancestorHeight(t, sizes.s)) },
      ],
    }),
  ]
}

/** Tokens before and with the last one that stand out from the noise of P strings: s^ℓ, 1 when none. */
const windowsOf = (levels: readonly Level[], sizes: readonly number[]) =>
  groupBy(where(levels, { part: 'tokens' }), 'seed', 'replica', ...cellColumns).flatMap(({ key, rows }) =>
    sizes.map((P) => {
      const seen = rows.filter(({ threshold }) => threshold <= P).map(({ height }) => height)
      return { ...key, P, window: key.s ** Math.max(0, ...seen) }
    }),
  )

export function commonCharts(
  levels: readonly Level[],
  sizes: readonly number[],
  plateaus: readonly Measured<Cell, Loss>[],
) {
  const seen = levels.filter(({ part, threshold }) => part === 'tokens' && Number.isFinite(threshold))
  const xOf = (level: Level) => thresholdFormula(level, level.height)
  return [
    chart(seen, {
      name: 'thresholds',
      title: 'Strings at which a level can be seen',
      caption:
        'Number of strings at which the mean square covariance is twice that between unrelated strings, for heights ℓ = 1, 2, … of each shape, against v m^(2ℓ−1)/(1 − f); bars: one standard error over grammars. Dashed: the same from the rules of these grammars, and equal.',
      ...{ x: xOf, y: 'threshold', xLabel: 'v m^(2ℓ−1)/(1 − f)', yLabel: 'measured', marks: 'points' },
      ...{ xScale: 'log', yScale: 'log', series: shapeName },
      estimate: (rows) => geometric(rows, 'threshold'),
      theory: [
        {
          name: null,
          y: (x, rows) =>
            geometric(
              rows.filter((level) => xOf(level) === x),
              'exactThreshold',
            ).value,
        },
        { name: 'equal', y: (x) => x },
      ],
    }),
    chart(windowsOf(levels, sizes), {
      name: 'context',
      title: 'How far P strings let one see',
      caption:
        'Tokens, the last one included, among which correlations with the last stand out from the noise, averaged over grammars; bands: one standard error. It climbs in steps, one for each level. Dashed: (m P (1 − f)/v)^(1/2β), up to the length of a string.',
      ...{ x: 'P', y: 'window', xLabel: 'strings P', yLabel: 'window t* in tokens', marks: 'dots' },
      ...{ xScale: 'log', yScale: 'log', series: shapeName },
      theory: [
        {
          name: null,
          y(P, [row]) {
            const t = effectiveContext(fullShape(row!), P)
            return t >= 1 && t <= row!.s ** row!.L ? t : null
          },
        },
      ],
    }),
    chart(plateaus, {
      name: 'plateaus',
      title: 'What each level of context is worth',
      caption:
        'Lowest cross-entropy of the last token given the s^ℓ − 1 tokens before it: exact, mean over grammars; bands: one standard error. These are the plateaus of the loss of whoever has learned ℓ levels. Dashed: the bound ln N̄_ℓ.',
      ...{ x: 'height', y: 'exact', xLabel: 'height ℓ of the context', yLabel: 'nats', yScale: 'log' },
      ...{ marks: 'dots', series: shapeName },
      theory: [{ name: null, y: (height, [row]) => plateauBound(fullShape(row!), height) }],
    }),
  ]
}

/** Every height of every shape in numbers. */
export function correlationTables(
  levels: readonly Level[],
  plateaus: readonly Measured<Cell, Loss>[],
): ReportTable[] {
  const named = <R extends Sizes & { height: number }>(rows: readonly R[]) =>
    rows.map((row) => ({ ...row, shape: shapeName(row), ℓ: row.height }))
  const covariance = (rows: readonly Level[]): Estimate => rms(rows, ({ signal }) => signal)
  const strings = (rows: readonly Level[], kind: Kind): string => shownWhole(geometric(rows, kind))
  const [tokens, tuples] = (['tokens', 'tuples'] as const).map((part) => named(where(levels, { part })))
  const by = ['shape', 'L', 'ℓ'] as const
  return [
    table(tokens!, {
      title: 'Tokens with the last token, by height ℓ of the common ancestor',
      by,
      columns: {
        'rms covariance': covariance,
        'from the rules': (rows) => rms(rows, ({ exact }) => exact),
        '√((1 − f)/(v³ m^(2ℓ−1)))': ([row]) => covarianceFormula(row!, row!.height).toExponential(2),
        P_ℓ: (rows) => strings(rows, 'threshold'),
        'P_ℓ from the rules': (rows) => strings(rows, 'exactThreshold'),
        'v m^(2ℓ−1)/(1 − f)': ([row]) => Math.round(thresholdFormula(row!, row!.height)),
      },
    }),
    table(tuples!, {
      title: 'Tuples with the last token',
      by,
      columns: {
        'rms covariance': covariance,
        'from the rules': (rows) => rms(rows, ({ exact }) => exact),
        P: (rows) => strings(rows, 'threshold'),
        'token over tuple': (rows) =>
          (
            covariance(where(tokens!, { shape: rows[0]!.shape, L: rows[0]!.L, ℓ: rows[0]!.ℓ })).value /
            covariance(rows).value
          ).toFixed(2),
        '√m': ([row]) => Math.sqrt(row!.m).toFixed(2),
      },
    }),
    table(named(plateaus), {
      title: 'Loss of the last token given the s^ℓ − 1 before it (nats)',
      by,
      columns: {
        exact: (rows) => meanAcross(rows, ({ exact }) => exact),
        'by inference on strings': (rows) => meanAcross(rows, ({ loss }) => loss),
        'ln N̄_ℓ': ([row]) => plateauBound(fullShape(row!), row!.height).toFixed(3),
      },
    }),
  ]
}
