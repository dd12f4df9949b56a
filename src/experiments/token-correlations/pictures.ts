/** @file Figures and tables of the correlation experiment. */
import { effectiveContext, plateauBound, typicalTokenCorrelation } from '../../grammar/index.ts'
import { type Estimate, type Figure, lineChart, meanOf, type ReportTable, rootMean } from '../../lab/index.ts'
import type { CorrelationResult, CorrelationShape } from '../token-correlations.ts'
import { visibleWindow } from './analyse.ts'
import { fullShape } from './measure.ts'
import { shapeName, thresholdFormula, tokenHeights, tupleHeights, type View } from './verdicts.ts'

type ShapeResult = CorrelationResult['shapes'][number]

const tag = ({ v, m, s, L }: CorrelationShape): string => `${v}-${m}-${s}-${L}`
/** Neither text nor a band where the error is unknown. */
const band = ({ value, error }: Estimate) => ({
  y: value,
  ...(error === null ? {} : { low: Math.max(value - error, value / 10), high: value + error }),
})

/** √((1 − f)/(v³ m^{2ℓ−1})). */
const covarianceFormula = (shape: CorrelationShape, height: number): number =>
  typicalTokenCorrelation(fullShape(shape), height)

/** rms covariance against the number of data, by height, with the noise and the predicted signals. */
function againstData({ shape, grammars }: ShapeResult): Figure {
  const heights = grammars[0]!.tokens.map(({ height }) => height)
  const sizes = grammars[0]!.tokens[0]!.squares.map(({ P }) => P)
  return lineChart({
    name: `covariance-${tag(shape)}`,
    title: `What P strings show, ${shapeName(shape)}`,
    caption: `Root mean square covariance of the last token with the tokens whose lowest common ancestor is at height ℓ, counted from P strings; bands: one standard error over ${grammars.length} grammars. Dashed: the same count between strings that have nothing to do with each other. Dotted lines: √((1 − f)/(v³ m^(2ℓ−1))).`,
    xLabel: 'strings P',
    yLabel: 'rms covariance',
    xScale: 'log',
    yScale: 'log',
    references: heights
      .map((height) => ({ axis: 'y' as const, value: covarianceFormula(shape, height), label: '' }))
      .filter(({ value }) => value > 0),
    series: [
      ...heights.map((height, place) => ({
        name: `ℓ = ${height}`,
        hue: place,
        dots: true,
        points: sizes.map((P, i) => ({
          x: P,
          ...band(rootMean(grammars.map(({ tokens }) => tokens[place]!.squares[i]!.within))),
        })),
      })),
      {
        name: 'noise',
        dashed: true,
        hue: heights.length,
        points: sizes.map((P, i) => ({
          x: P,
          y: rootMean(grammars.flatMap(({ tokens }) => tokens.map(({ squares }) => squares[i]!.between)))
            .value,
        })),
      },
    ],
  })
}

/** Signal without noise against distance: measured, exact and formula. */
function againstDistance({ shape, grammars }: ShapeResult): Figure {
  const distances = grammars[0]!.distances.map(({ t }) => t)
  const most = grammars[0]!.tokens[0]!.squares.at(-1)!.P
  const rms = (kind: 'signal' | 'exact', place: number): Estimate =>
    rootMean(grammars.map(({ distances: all }) => all[place]![kind]))
  return lineChart({
    name: `decay-${tag(shape)}`,
    title: `Covariance against distance, ${shapeName(shape)}`,
    caption: `Root mean square covariance of the last token with the one t before it, from ${most.toLocaleString('en')} strings with the noise taken off; bands: one standard error over ${grammars.length} grammars. It is flat between the distances s^ℓ and falls by a factor m at each. Thin: exact, from the rules. Dashed: √((1 − f)/(v³ m^(2ℓ−1))).`,
    xLabel: 'distance t in tokens',
    yLabel: 'rms covariance',
    xScale: 'log',
    yScale: 'log',
    series: [
      {
        name: 'counted',
        hue: 0,
        dots: true,
        points: distances.map((t, i) => {
          const measured = rms('signal', i)
          return { x: t, ...(measured.value > 0 ? band(measured) : { y: null }) }
        }),
      },
      {
        name: 'exact',
        hue: 0,
        faint: true,
        points: distances.map((t, i) => ({ x: t, y: rms('exact', i).value })),
      },
      {
        name: 'formula',
        hue: 1,
        dashed: true,
        points: grammars[0]!.tokens.flatMap(({ height }) =>
          [shape.s ** (height - 1), shape.s ** height - 1].map((t) => ({
            x: t,
            y: covarianceFormula(shape, height),
          })),
        ),
      },
    ],
  })
}

/** Thresholds of all shapes against the formula. */
function thresholds(results: readonly ShapeResult[]): Figure {
  const found = results.map((result) => ({
    shape: result.shape,
    points: tokenHeights(result).flatMap(({ height, threshold }) =>
      threshold ? [{ x: thresholdFormula(result.shape, height), ...band(threshold) }] : [],
    ),
  }))
  const all = found.flatMap(({ points }) => points.map(({ x }) => x))
  const ends = [Math.min(...all), Math.max(...all)]
  return lineChart({
    name: 'thresholds',
    title: 'Strings at which a level can be seen',
    caption:
      'Number of strings at which the mean square covariance is twice that between unrelated strings, for heights ℓ = 1, 2, … of each shape, against v m^(2ℓ−1)/(1 − f); bands: one standard error over grammars. Dashed: equal.',
    xLabel: 'v m^(2ℓ−1)/(1 − f)',
    yLabel: 'measured',
    xScale: 'log',
    yScale: 'log',
    series: [
      ...found.map(({ shape, points }, hue) => ({ name: shapeName(shape), hue, scatter: true, points })),
      { name: 'equal', hue: 0, faint: true, dashed: true, points: ends.map((x) => ({ x, y: x })) },
    ],
  })
}

/** Farthest distance that shows above the noise. */
function context(results: readonly ShapeResult[]): Figure {
  return lineChart({
    name: 'context',
    title: 'How far P strings let one see',
    caption:
      'Tokens, the last one included, among which correlations with the last stand out from the noise, averaged over grammars; bands: one standard error. It climbs in steps, one for each level. Dashed: (m P (1 − f)/v)^(1/2β), up to the length of a string.',
    xLabel: 'strings P',
    yLabel: 'window t* in tokens',
    xScale: 'log',
    yScale: 'log',
    series: results.flatMap(({ shape, grammars }, hue) => {
      const sizes = grammars[0]!.tokens[0]!.squares.map(({ P }) => P)
      return [
        {
          name: shapeName(shape),
          hue,
          dots: true,
          points: sizes.map((P) => ({
            x: P,
            ...band(meanOf(grammars.map(({ tokens }) => visibleWindow(tokens, shape.s, P)))),
          })),
        },
        {
          name: '',
          hue,
          dashed: true,
          points: sizes.map((P) => {
            const t = effectiveContext(fullShape(shape), P)
            return { x: P, y: t >= 1 && t <= shape.s ** shape.L ? t : null }
          }),
        },
      ]
    }),
  })
}

/** Losses of the last token by the height of the context. */
function plateaus(results: readonly ShapeResult[]): Figure {
  return lineChart({
    name: 'plateaus',
    title: 'What each level of context is worth',
    caption:
      'Lowest cross-entropy of the last token given the s^ℓ − 1 tokens before it: exact, mean over grammars; bands: one standard error. These are the plateaus of the loss of whoever has learned ℓ levels. Dashed: the bound ln N̄_ℓ.',
    xLabel: 'height ℓ of the context',
    yLabel: 'nats',
    yScale: 'log',
    series: results.flatMap(({ shape, grammars }, hue) => {
      const heights = grammars[0]!.plateaus.exact.map((_, height) => height)
      return [
        {
          name: shapeName(shape),
          hue,
          dots: true,
          points: heights.map((height) => ({
            x: height,
            ...band(meanOf(grammars.map((g) => g.plateaus.exact[height]!))),
          })),
        },
        {
          name: '',
          hue,
          dashed: true,
          points: heights.map((height) => ({ x: height, y: plateauBound(fullShape(shape), height) })),
        },
      ]
    }),
  })
}

/** All figures; of several runs the first is drawn. */
export const correlationFigures = ([run]: readonly View[]): Figure[] => {
  const { shapes } = run!.result
  return [
    ...shapes.slice(0, 2).flatMap((result) => [againstData(result), againstDistance(result)]),
    thresholds(shapes),
    context(shapes),
    plateaus(shapes),
  ]
}

/** Every height of every shape in numbers. */
export const correlationTables = ([run]: readonly View[]): ReportTable[] => [
  {
    title: 'Tokens with the last token, by height of the common ancestor',
    columns: ['shape', 'ℓ', 'rms covariance', 'exact', 'formula', 'P_ℓ measured', 'P_ℓ exact', 'formula '],
    rows: run!.result.shapes.flatMap((result) =>
      tokenHeights(result).map(({ height, covariance, exact, threshold, exactThreshold }) => [
        shapeName(result.shape),
        height,
        covariance.value > 0 ? covariance.value.toExponential(2) : '–',
        exact.value.toExponential(2),
        covarianceFormula(result.shape, height).toExponential(2),
        threshold ? Math.round(threshold.value) : '–',
        exactThreshold ? Math.round(exactThreshold.value) : '–',
        Math.round(thresholdFormula(result.shape, height)),
      ]),
    ),
  },
  {
    title: 'Tuples with the last token',
    columns: ['shape', 'ℓ', 'rms covariance', 'exact', 'P measured', 'token over tuple', '√m'],
    rows: run!.result.shapes.flatMap((result) =>
      tupleHeights(result).map(({ height, covariance, exact, threshold }) => [
        shapeName(result.shape),
        height,
        covariance.value > 0 ? covariance.value.toExponential(2) : '–',
        exact.value.toExponential(2),
        threshold ? Math.round(threshold.value) : '–',
        covariance.value > 0
          ? (tokenHeights(result)[height - 1]!.covariance.value / covariance.value).toFixed(2)
          : '–',
        Math.sqrt(result.shape.m).toFixed(2),
      ]),
    ),
  },
  {
    title: 'Loss of the last token given the s^ℓ − 1 before it (nats)',
    columns: ['shape', 'ℓ', 'exact', 'error', 'by inference on strings', 'bound'],
    rows: run!.result.shapes.flatMap(({ shape, grammars }) =>
      grammars[0]!.plateaus.exact.map((_, height) => {
        const exact = meanOf(grammars.map((g) => g.plateaus.exact[height]!))
        const counted = meanOf(grammars.map((g) => g.plateaus.losses[height]!))
        return [
          shapeName(shape),
          height,
          exact.value.toFixed(3),
          exact.error === null ? '–' : exact.error.toFixed(3),
          counted.value.toFixed(3),
          plateauBound(fullShape(shape), height).toFixed(3),
        ]
      }),
    ),
  },
]
