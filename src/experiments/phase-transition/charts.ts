/** @file What the run shows: curves of every level, their sharpening with depth, the phase diagram, the controls. */
import { type ChannelName, coordinateOverlap } from '../../diffusion/index.ts'
import { branchingRatio } from '../../grammar/index.ts'
import {
  chart,
  curvePoints,
  type Figure,
  heatMap,
  interpolate,
  lineChart,
  meanAcross,
  pointOf,
  type RowChart,
} from '../../lab/index.ts'
import { alphaBarAt, curveIn, curveOf, nodesAt, type Rows } from './cells.ts'
import type { Config } from './config.ts'
import type {
  ChannelFindings,
  Diagram,
  Estimates,
  LostPhase,
  MixtureFindings,
  Threshold,
} from './estimates.ts'

/** Titles and axes of the noise processes. */
export const words: Record<ChannelName, { title: string; noise: string }> = {
  epsilon: { title: 'ε-process', noise: 'ε' },
  gaussian: { title: 'Gaussian noise', noise: 'share of the signal’s power that is lost' },
  uniform: { title: 'Uniform flips', noise: 'share of tokens drawn anew' },
  masking: { title: 'Masking', noise: 'share of masked tokens' },
}

type Point = Rows[number] & { readonly x: number; readonly y: number }

/** Points of curves whose x lies in a range. */
const pointsIn = (rows: Rows, [low, high]: readonly [number, number]): Point[] =>
  curvePoints(rows, curveIn).filter(({ x }) => x >= low - 1e-9 && x <= high + 1e-9)

/** Curves of survival, a band of one standard error around each. */
const survivalChart = (
  points: readonly Point[],
  options: Omit<RowChart<Point>, 'x' | 'y'> & Partial<RowChart<Point>>,
): (() => Figure) =>
  chart(points, {
    ...{ x: 'x', y: 'y', yDomain: [0, 1] },
    estimate(rows, y) {
      const found = meanAcross(rows, y)
      // less than a pixel; curves that end at the same value then keep their order
      return { ...found, value: Math.round(found.value * 1000) / 1000 }
    },
    ...options,
  })

/** At most `most` of 0 … last, both ends among them, evenly spread: a chart has six colours. */
const spreadOver = (last: number, most = 6): number[] => {
  const count = Math.min(last + 1, most)
  return Array.from({ length: count }, (_, i) => Math.round((i * last) / Math.max(1, count - 1)))
}

const referenceAt = (star: number) =>
  Number.isNaN(star) ? [] : [{ axis: 'x' as const, value: star, label: `ε* = ${star.toFixed(3)}` }]

/** Survival of the levels of the deepest trees of one noise process. */
function levelsChart({ channel, depths, rows, range, theory }: Estimates['epsilon'], star: number) {
  const { title, noise: xLabel } = words[channel]
  const last = depths.at(-1)!
  const nameOf = (level: number) => (level === 0 ? 'class' : level === last ? 'leaves' : `level ${level}`)
  const deepest = rows.filter(({ of, depth }) => of === 'node' && depth === last)
  // from the noise that leaves everything intact to where levels are still told apart
  const { x } = curveOf(deepest)
  const end = x.find((at) => at >= range[1] + (range[1] - range[0]) / 4) ?? x.at(-1)!
  const shown = spreadOver(last)
  const points = shown.flatMap((level) => pointsIn(nodesAt(rows, last, level), [0, end]))
  return survivalChart(points, {
    name: `levels-${channel}`,
    title: `${title}: what survives, level by level`,
    caption:
      `Posterior probability of the true symbol at the nodes of each level, L = ${last}, against noise; bands are one standard error over grammars. ` +
      'The class goes at once, the leaves one by one, and the curves cross.' +
      (theory ? ' Dashed: mean-field theory of class and leaves.' : ''),
    ...{ xLabel, yLabel: 'probability of the true symbol', xDomain: [0, end] },
    ...{ series: 'level', seriesName: (level) => nameOf(Number(level)) },
    ...(theory && {
      theory: [{ name: null, y: theoryOf(theory, ({ level }) => level === 0 || level === last) }],
    }),
    references: channel === 'epsilon' ? referenceAt(star) : [],
  })
}

/** The theory of the level and depth of some points, where it is wanted. */
const theoryOf =
  (theory: ChannelFindings, wanted: (point: Point) => boolean = () => true) =>
  (x: number, [point]: readonly Point[]): number | null =>
    wanted(point!) ? interpolate(curveOf(nodesAt(theory.rows, point!.depth, point!.level)), x) : null

const shownDepths = (depths: readonly number[]): number[] =>
  spreadOver(depths.length - 1).map((i) => depths[i]!)

/** Root or leaf curves of several depths around the transition. */
function depthChart(
  { channel, depths, rows, range, theory }: Estimates['epsilon'],
  which: 'root' | 'leaf',
  star: number,
) {
  const { title, noise: xLabel } = words[channel]
  const ofRoot = which === 'root'
  const points = shownDepths(depths).flatMap((depth) =>
    pointsIn(nodesAt(rows, depth, ofRoot ? 0 : depth), range),
  )
  const saying = ofRoot
    ? 'Posterior probability of the true class for trees of several depths. All curves cross at the transition: below it depth helps, above it depth hurts.'
    : 'Posterior probability of the true token of a leaf, for the same trees and noise.'
  return survivalChart(points, {
    name: `${ofRoot ? 'class' : 'leaves'}-by-depth${channel === 'epsilon' ? '' : `-${channel}`}`,
    title: `${title}: ${ofRoot ? 'the class is lost more sharply with every level' : 'leaves stay smooth at every depth'}`,
    caption: `${saying} Bands: one standard error over grammars.${theory ? ' Dashed: mean-field theory.' : ''}`,
    ...{ xLabel, yLabel: `probability of the true ${ofRoot ? 'class' : 'token'}`, xDomain: range },
    ...{ series: 'depth', seriesName: (depth) => `L = ${depth}` },
    ...(theory && { theory: [{ name: null, y: theoryOf(theory) }] }),
    references: channel === 'epsilon' ? referenceAt(star) : [],
  })
}

/** Root curves of all depths on the scale on which mean field says they are one. */
function collapseChart({ depths, rows }: ChannelFindings, star: number, magnification: number) {
  const points = shownDepths(depths)
    .flatMap((depth) => pointsIn(nodesAt(rows, depth, 0), [0, 1]))
    .map((point) => ({ ...point, x: (point.x - star) * magnification ** point.depth }))
    .filter(({ x }) => x >= -3 && x <= 1)
  return survivalChart(points, {
    name: 'class-collapse',
    title: 'One curve for all depths',
    caption:
      `The class curves of the ε-process against the distance from ε* times F′(p*)^L, F′(p*) = ${magnification.toFixed(3)} of theory: ` +
      'what one level does to a distance from the transition.',
    ...{ xLabel: '(ε − ε*) · F′(p*)^L', yLabel: 'probability of the true class', xDomain: [-3, 1] },
    ...{ series: 'depth', seriesName: (depth) => `L = ${depth}` },
  })
}

const thresholdsChart = (thresholds: readonly Threshold[]) => () => {
  const known = thresholds
    .filter(({ measured, theory }) => Number.isFinite(measured.value) && Number.isFinite(theory))
    .sort((a, b) => a.theory - b.theory)
  const ends = known.map(({ theory }) => theory)
  return lineChart({
    name: 'thresholds',
    title: 'Where the class is lost, measured and in theory',
    caption:
      'One point for each grammar family (v, m, s): the noise at which root curves of a deep and a shallow tree cross, against ε* of the closed form; bars: one standard error. Dashed: equal.',
    ...{ xLabel: 'ε* in theory', yLabel: 'ε* measured' },
    series: [
      {
        ...{ name: 'equal', dashed: true, hue: 5 },
        points: [Math.min(...ends), Math.max(...ends)].map((end) => ({ x: end, y: end })),
      },
      {
        name: 'measured',
        scatter: true,
        hue: 0,
        points: known.map((one) => pointOf(one.theory, one.measured)),
      },
    ],
  })
}

const diagramChart =
  ({ depth, rules, noise, root, boundary, theory }: Diagram, config: Config) =>
  () => {
    const { v, s } = config.grammar
    const ratio = rules.map((m) => branchingRatio({ v, classes: v, m, s, L: depth }))
    return heatMap({
      name: 'phase-diagram',
      title: 'Where the class is recovered',
      caption:
        `Probability of the true class at L = ${depth} for m = ${rules[0]} … ${rules.at(-1)} rules a symbol, against noise. Points: where it is known no better than a leaf by its own ` +
        'observation, with one standard error. Dashed: ε* of theory; below it the class is recovered.',
      ...{ x: ratio, y: noise, values: root, domain: [0, 1] },
      ...{ xLabel: 's·f, synonyms in units of what the tuples allow', yLabel: 'ε' },
      valueLabel: 'probability of the true class',
      overlays: [
        {
          ...{ name: 'theory', dashed: true },
          points: ratio.map((x, i) => ({ x, y: theory[i]! })).filter(({ y }) => Number.isFinite(y)),
        },
        { name: 'measured', dots: true, points: ratio.map((x, i) => pointOf(x, boundary[i]!)) },
      ],
    })
  }

const lostChart = ({ rows, depths }: LostPhase, { grammar, lost: { m } }: Config) =>
  survivalChart(
    shownDepths(depths).flatMap((depth) => pointsIn(nodesAt(rows, depth, 0), [0, 1])),
    {
      name: 'lost',
      title: `s·f = ${branchingRatio({ ...grammar, classes: grammar.v, m, L: 1 }).toFixed(2)}: no noise is small enough`,
      caption: `Probability of the true class with m = ${m} rules a symbol: every level loses more of it, at any noise. There is no transition, and no crossing. Bands: one standard error over grammars.`,
      ...{ xLabel: 'ε', yLabel: 'probability of the true class', xScale: 'log' },
      ...{ series: 'depth', seriesName: (depth) => `L = ${depth}` },
    },
  )

const mixtureChart = ({ rows }: MixtureFindings) =>
  chart(curvePoints(rows, curveIn), {
    name: 'mixture',
    title: 'Control: two Gaussians have no transition of this kind',
    caption:
      'A round trip with the exact score of a two-mode mixture: survival of the mode, 2 P(true mode) − 1, and overlap of the coordinates around its centre; bands are one standard error over points. ' +
      'The mode drops late and above the coordinates all the way: nothing crosses. Dashed: theory.',
    ...{ x: 'x', y: 'y', xLabel: 'time t / T', yLabel: 'survival' },
    ...{ series: 'of', seriesName: (of) => (of === 'mode' ? 'mode' : 'coordinates') },
    theory: [
      {
        name: null,
        y: (time, [point]) => (point!.of === 'mode' ? null : coordinateOverlap(1, alphaBarAt(time))),
      },
    ],
  })

/** All figures. */
export function chartsOf(
  { epsilon, others, thresholds, diagram, lost, mixture }: Estimates,
  config: Config,
  { star, magnification }: { star: number; magnification: number },
): (() => Figure)[] {
  return [
    levelsChart(epsilon, star),
    depthChart(epsilon, 'root', star),
    depthChart(epsilon, 'leaf', star),
    ...(Number.isNaN(star) ? [] : [collapseChart(epsilon, star, magnification)]),
    ...(diagram ? [diagramChart(diagram, config)] : []),
    ...(thresholds.length > 1 ? [thresholdsChart(thresholds)] : []),
    ...others.flatMap((channel) => [levelsChart(channel, star), depthChart(channel, 'root', star)]),
    ...(lost ? [lostChart(lost, config)] : []),
    mixtureChart(mixture),
  ]
}
