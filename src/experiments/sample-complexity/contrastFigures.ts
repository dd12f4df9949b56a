/** @file The figures of what is compared with the CNN: correlations without training, lazy and shallow networks, the control. */
import type { Shape } from '../../grammar/index.ts'
import { type Figure, type LineSeries, lineChart } from '../../lab/index.ts'
import { type Curve, chanceOf, learned } from './curves.ts'
import { errorBars, point, scaled } from './marks.ts'
import { lazyContrast, type Result } from './result.ts'
import { settingName } from './summary.ts'

export function correlationFigure({ curves, law }: NonNullable<Result['correlations']>): Figure {
  const xs = curves.flatMap(({ scale, noise }) => noise.map(({ P }) => P / scale))
  const ends = [Math.min(...xs), Math.max(...xs)]
  return lineChart({
    name: 'correlations',
    title: 'Signal against noise, before any training',
    caption: `Sampling noise of the class frequencies of tuples, over the size of their true correlations (relative variances), as P grows. They are equal at P = ${law ? law.prefactor.toFixed(2) : '–'} n_c·m^L; theory (dashed): n_c·m^L / P. ${errorBars}`,
    xLabel: scaled,
    yLabel: 'noise² / signal²',
    xScale: 'log',
    yScale: 'log',
    references: [{ axis: 'y', value: 1, label: 'noise = signal' }],
    series: [
      ...curves.map(({ shape, scale, signal, noise }) => ({
        name: settingName(shape),
        dots: true,
        points: noise.map((at) => point(at.P / scale, at.noise, signal.value)),
      })),
      { name: 'theory', dashed: true, hue: curves.length, points: ends.map((x) => ({ x, y: 1 / x })) },
    ],
  })
}

/** Settings of the lazy figure: the hardest three in which the CNN learns. */
export function lazyFigure(result: Result): Figure[] {
  const pairs = (result.lazy?.curves ?? []).flatMap((lazy) => {
    const cnn = result.cnn?.curves.find(({ shape }) => shape.m === lazy.shape.m && shape.L === lazy.shape.L)
    return cnn ? [{ lazy, cnn, found: lazyContrast(lazy, cnn) }] : []
  })
  if (pairs.length === 0) return []
  const shown = pairs
    .sort((a, b) => Number(b.found !== null) - Number(a.found !== null) || b.lazy.scale - a.lazy.scale)
    .slice(0, 3)
  const series = (
    name: string,
    hue: number,
    dashed: boolean,
    { shape, scale, points }: Curve,
  ): LineSeries => ({
    name: `${name}, ${settingName(shape)}`,
    hue,
    dashed,
    dots: true,
    points: points.map(({ P, error }) => point(P / scale, error, chanceOf(shape))),
  })
  return [
    lineChart({
      name: 'lazy',
      title: 'Features that cannot move',
      caption: `The same strings for the CNN (solid) and for regression with its tangent kernel (dashed): the lazy limit, in which no layer can become invariant to synonyms. ${errorBars}`,
      xLabel: scaled,
      yLabel: 'error / chance',
      xScale: 'log',
      yDomain: [0, 1.05],
      references: [{ axis: 'y', value: learned.deep, label: 'a tenth of chance' }],
      series: shown.flatMap(({ lazy, cnn }, i) => [
        series('CNN', i, false, cnn),
        series('lazy', i, true, lazy),
      ]),
    }),
  ]
}

export function shallowFigures({ curves, law }: NonNullable<Result['shallow']>): Figure[] {
  const found = curves.filter(({ threshold }) => threshold.value !== null)
  const name = ({ v }: Shape): string => `v = m = n_c = ${v}`
  return [
    lineChart({
      name: 'shallow',
      title: 'One hidden layer needs a share of all strings',
      caption: `Error of a network with one hidden layer over chance, L = 2, against the share of all strings it was trained on. Dotted: 0.7, which defines its threshold. ${errorBars}`,
      xLabel: 'P / all strings',
      yLabel: 'error / chance',
      xScale: 'log',
      references: [{ axis: 'y', value: learned.shallow, label: '0.7 of chance' }],
      series: curves.map(({ shape, strings, points }) => ({
        name: name(shape),
        dots: true,
        points: points.map(({ P, error }) => point(P / strings, error, chanceOf(shape))),
      })),
    }),
    ...(law && found.length > 1
      ? [
          lineChart({
            name: 'shallow-law',
            title: 'Shallow and deep thresholds',
            caption: `Strings that one hidden layer needs for an error of 0.7 of chance: slope ${law.slope.toFixed(2)}${law.error === null ? '' : ` ± ${law.error.toFixed(2)}`} against the number of all strings. Dashed: the scale n_c·m^L of deep networks for the same grammars.`,
            xLabel: 'all strings',
            yLabel: 'P',
            xScale: 'log',
            yScale: 'log',
            series: [
              {
                name: 'one hidden layer',
                dots: true,
                points: found.map(({ strings, threshold: { value, logError } }) => ({
                  x: strings,
                  y: value!,
                  low: value! / Math.exp(logError ?? 0),
                  high: value! * Math.exp(logError ?? 0),
                })),
              },
              {
                name: 'n_c·m^L',
                dashed: true,
                hue: 1,
                points: found.map(({ strings, scale }) => ({ x: strings, y: scale })),
              },
            ],
          }),
        ]
      : []),
  ]
}

export const controlFigure = (control: NonNullable<Result['control']>): Figure =>
  lineChart({
    name: 'control',
    title: 'Without correlations, nothing is learned',
    caption: `The CNN on random rules (solid), and on rules of the same sizes whose tuples are equally likely in every class (dashed): where a part tells nothing of the class, data do not help. ${errorBars}`,
    xLabel: scaled,
    yLabel: 'error / chance',
    xScale: 'log',
    references: [{ axis: 'y', value: 1, label: 'chance' }],
    series: control.flatMap(({ random, uncorrelated }, i) =>
      [random, uncorrelated].map((curve, j) => ({
        name: `${j === 0 ? 'random' : 'uncorrelated'}, v = ${curve.shape.v}, L = ${curve.shape.L}`,
        hue: i,
        dashed: j === 1,
        dots: true,
        points: curve.points.map(({ P, error }) => point(P / curve.scale, error, chanceOf(curve.shape))),
      })),
    ),
  })
