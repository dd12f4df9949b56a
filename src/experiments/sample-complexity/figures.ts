/** @file The figures: learning curves of the CNN, their collapse, the law, synonyms; the rest is in contrastFigures.ts. */
import { type Figure, type LineSeries, lineChart } from '../../lab/index.ts'
import { controlFigure, correlationFigure, lazyFigure, shallowFigures } from './contrastFigures.ts'
import { type CnnCurve, chanceOf, learned } from './curves.ts'
import { errorBars, point, scaled } from './marks.ts'
import type { Result } from './result.ts'
import { settingName, type View } from './summary.ts'

function errorFigures({ curves, collapse, law }: NonNullable<Result['cnn']>): Figure[] {
  const spread = collapse
    ? ` At equal height the curves lie apart by a factor of ${collapse.before.toFixed(2)} in P before rescaling, ${collapse.after.toFixed(2)} after (standard deviation of ln P, as a factor).`
    : ''
  // the curves end near each other at zero, where labels would collide: the caption names them instead
  const ascending = [...curves].sort((a, b) => a.scale - b.scale)
  return [
    lineChart({
      name: 'errors',
      title: 'Test error of the hierarchical CNN',
      caption: `Each line: grammars with m synonyms and L levels, from left to right ${ascending.map(({ shape }) => `(${shape.m}, ${shape.L})`).join(', ')}; colours as in the next figure. Dotted: a tenth of chance, which defines P*. ${errorBars}`,
      xLabel: 'training strings P',
      yLabel: 'test error',
      xScale: 'log',
      yDomain: [0, 1],
      references: [
        { axis: 'y', value: learned.deep * chanceOf(curves[0]!.shape), label: 'a tenth of chance' },
      ],
      series: curves.map(({ points }) => ({
        name: '',
        dots: true,
        points: points.map(({ P, error }) => point(P, error)),
      })),
    }),
    lineChart({
      name: 'collapse',
      title: 'The same on P / (n_c·m^L)',
      caption: `Test error over that of guessing, against P in units of n_c·m^L.${spread}`,
      xLabel: scaled,
      yLabel: 'error / chance',
      xScale: 'log',
      yDomain: [0, 1.05],
      references: [
        { axis: 'y', value: learned.deep, label: 'a tenth of chance' },
        ...(law
          ? [{ axis: 'x' as const, value: law.prefactor, label: `P* = ${law.prefactor.toFixed(1)} n_c·m^L` }]
          : []),
      ],
      series: curves.map(({ shape, scale, points }) => ({
        name: settingName(shape),
        dots: true,
        points: points.map(({ P, error }) => point(P / scale, error, chanceOf(shape))),
      })),
    }),
  ]
}

/** Thresholds against their scale, of one or several runs, with the fitted line and the slope of theory. */
function lawFigure(runs: readonly View[]): Figure[] {
  const all = runs.flatMap(({ result, config }) => (result.cnn?.law ? [{ cnn: result.cnn, config }] : []))
  if (all.length === 0) return []
  const measured = all.map(
    ({ cnn, config }, i): LineSeries => ({
      name: all.length > 1 ? `measured, seed ${config.seed}` : 'measured',
      hue: i,
      scatter: true,
      points: cnn.curves
        .flatMap(({ scale, threshold: { value, logError } }) => {
          const factor = Math.exp(logError ?? 0)
          return value === null ? [] : [{ x: scale, y: value, low: value / factor, high: value * factor }]
        })
        .sort((a, b) => a.x - b.x),
    }),
  )
  const { cnn } = all[0]!
  const { slope, error, prefactor } = cnn.law!
  const scales = cnn.curves.map(({ scale }) => scale)
  const ends = [Math.min(...scales), Math.max(...scales)]
  const middle = Math.exp(ends.reduce((sum, x) => sum + Math.log(x), 0) / 2)
  const line = (name: string, hue: number, y: (x: number) => number): LineSeries => ({
    name,
    hue,
    dashed: true,
    points: ends.map((x) => ({ x, y: y(x) })),
  })
  return [
    lineChart({
      name: 'law',
      title: 'P* against n_c·m^L',
      caption: `P*: training strings at which the error falls below a tenth of chance (linear in ln P between the sizes measured). Fitted slope ${slope.toFixed(2)}${error === null ? '' : ` ± ${error.toFixed(2)}`}; theory 1. Bands: bootstrap over grammars.`,
      xLabel: 'n_c·m^L',
      yLabel: 'P*',
      xScale: 'log',
      yScale: 'log',
      series: [
        ...measured,
        line(`slope ${slope.toFixed(2)}`, 0, (x) => prefactor * middle * (x / middle) ** slope),
        line('P* = n_c·m^L', all.length, (x) => x),
      ],
    }),
  ]
}

/** The setting whose layers are shown one by one: the hardest of depth 3, or else the hardest. */
const shownInDetail = (curves: readonly CnnCurve[]): CnnCurve =>
  [...curves].sort((a, b) => Number(b.shape.L === 3) - Number(a.shape.L === 3) || b.scale - a.scale)[0]!

function synonymFigures({ curves, sensitivityCollapse }: NonNullable<Result['cnn']>): Figure[] {
  const spread = sensitivityCollapse
    ? ` Factor between the curves in P: ${sensitivityCollapse.before.toFixed(2)} before rescaling, ${sensitivityCollapse.after.toFixed(2)} after.`
    : ''
  const shown = shownInDetail(curves)
  const heights = Array.from({ length: shown.shape.L - 1 }, (_, i) => i + 1)
  return [
    lineChart({
      name: 'synonyms',
      title: 'The second layer learns what means the same',
      caption: `S_{2,1}: how far the second layer's answer moves when each pair of leaves is exchanged for a synonym, over how far it moves from one string to another. 1: synonyms are as different as anything; 0: they are the same.${spread}`,
      xLabel: scaled,
      yLabel: 'S_{2,1}',
      xScale: 'log',
      yDomain: [0, 1.1],
      series: curves.map(({ shape, scale, points }) => ({
        name: settingName(shape),
        dots: true,
        points: points.flatMap(({ P, sensitivity }) => {
          const S = sensitivity[1]?.[0]
          return S ? [point(P / scale, S)] : []
        }),
      })),
    }),
    ...heights.map((height) =>
      lineChart({
        name: `layers-${height}`,
        title: `Synonyms of height ${height}, layer by layer`,
        caption: `S_{k,${height}} of the layers k for ${settingName(shown.shape)}: tuples of height ${height} are exchanged. Layers from k = ${height + 1} on become invariant, at the P at which the error (dashed, over chance) falls.`,
        xLabel: scaled,
        yLabel: `S_{k,${height}}`,
        xScale: 'log',
        yDomain: [0, 1.1],
        series: [
          ...Array.from({ length: shown.shape.L }, (_, k) => ({
            name: `k = ${k + 1}`,
            dots: true,
            points: shown.points.flatMap(({ P, sensitivity }) => {
              const S = sensitivity[k]?.[height - 1]
              return S ? [point(P / shown.scale, S)] : []
            }),
          })),
          {
            name: 'error',
            dashed: true,
            hue: shown.shape.L,
            points: shown.points.map(({ P, error }) => ({
              x: P / shown.scale,
              y: error.value / chanceOf(shown.shape),
            })),
          },
        ],
      }),
    ),
  ]
}

/** The law of all runs in one figure; everything else of the first run. */
export function figures(runs: readonly View[]): readonly Figure[] {
  const { result } = runs[0]!
  return [
    ...(result.cnn ? errorFigures(result.cnn) : []),
    ...lawFigure(runs),
    ...(result.cnn ? synonymFigures(result.cnn) : []),
    ...(result.correlations ? [correlationFigure(result.correlations)] : []),
    ...lazyFigure(result),
    ...(result.shallow ? shallowFigures(result.shallow) : []),
    ...(result.control ? [controlFigure(result.control)] : []),
  ]
}
