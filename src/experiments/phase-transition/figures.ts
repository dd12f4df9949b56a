/** @file What the run shows: curves of every level, their sharpening with depth, the phase diagram, the controls. */
import {
  type Figure,
  heatMap,
  type LinePoint,
  type LineSeries,
  lineChart,
  type ReportTable,
} from '../../lab/index.ts'
import { deviation } from './acceptance.ts'
import type { ChannelResult } from './channelCurves.ts'
import { type Curve, interpolate } from './curves.ts'
import type { Diagram } from './diagram.ts'
import type { LostPhase } from './lost.ts'
import type { Result } from './measure.ts'
import type { MixtureResult } from './mixture.ts'
import type { Threshold } from './thresholds.ts'
import { plusMinus, words } from './words.ts'

/** Less than a pixel; curves that end at the same value then keep the order in which they are listed. */
const thousandths = (value: number): number => Math.round(value * 1000) / 1000

const pointsOf = (x: readonly number[], { mean, error }: Curve): LinePoint[] =>
  x.map((at, i) => {
    const [y, half] = [thousandths(mean[i]!), error[i]]
    return half == null ? { x: at, y } : { x: at, y, low: y - half, high: y + half }
  })

const plain = (x: readonly number[], y: readonly number[]): LinePoint[] =>
  x.map((at, i) => ({ x: at, y: thousandths(y[i]!) }))

/** At most `most` of 0 … last, both ends among them, evenly spread: a chart has six colours. */
const spreadOver = (last: number, most = 6): number[] => {
  const count = Math.min(last + 1, most)
  return Array.from({ length: count }, (_, i) => Math.round((i * last) / Math.max(1, count - 1)))
}

const inside = (points: readonly LinePoint[], [low, high]: readonly [number, number]): LinePoint[] =>
  points.filter(({ x }) => x >= low - 1e-9 && x <= high + 1e-9)

const starOf = (epsStar: number | null) =>
  epsStar === null ? [] : [{ axis: 'x' as const, value: epsStar, label: `ε* = ${epsStar.toFixed(3)}` }]

/** Survival of the levels of the deepest trees of one noise process. */
function levelsFigure(channel: ChannelResult, epsStar: number | null): Figure {
  const { noise, levels, depths, meanField, range } = channel
  const { title, noise: xLabel } = words[channel.channel]
  const last = levels.length - 1
  const nameOf = (level: number) => (level === 0 ? 'class' : level === last ? 'leaves' : `level ${level}`)
  // from the noise that leaves everything intact to where levels are still told apart
  const end = noise.find((at) => at >= range[1] + (range[1] - range[0]) / 4) ?? noise.at(-1)!
  const xDomain: [number, number] = [0, end]
  const shown = spreadOver(last)
  const series: LineSeries[] = shown
    .map((level, hue) => ({
      name: nameOf(level),
      hue,
      points: inside(pointsOf(noise, levels[level]!), xDomain),
    }))
    .reverse()
  for (const hue of [0, shown.length - 1])
    if (meanField)
      series.push({
        name: '',
        hue,
        dashed: true,
        points: inside(plain(noise, meanField.levels[shown[hue]!]!), xDomain),
      })
  return lineChart({
    name: `levels-${channel.channel}`,
    title: `${title}: what survives, level by level`,
    caption:
      `Posterior probability of the true symbol at the nodes of each level, L = ${depths.at(-1)}, against noise; bands are one standard error over grammars. ` +
      'The class goes at once, the leaves one by one, and the curves cross.' +
      (meanField ? ' Dashed: mean-field theory of class and leaves.' : ''),
    xLabel,
    yLabel: 'probability of the true symbol',
    xDomain,
    yDomain: [0, 1],
    series,
    references: channel.channel === 'epsilon' ? starOf(epsStar) : [],
  })
}

/** Root or leaf curves of several depths around the transition. */
function depthFigure(channel: ChannelResult, which: 'root' | 'leaf', epsStar: number | null): Figure {
  const { noise, depths, meanField, range } = channel
  const { title, noise: xLabel } = words[channel.channel]
  const shown = spreadOver(depths.length - 1)
  const series: LineSeries[] = shown.map((d, hue) => ({
    name: `L = ${depths[d]}`,
    hue,
    points: inside(pointsOf(noise, channel[which][d]!), range),
  }))
  if (meanField)
    for (const [hue, d] of shown.entries())
      series.push({ name: '', hue, dashed: true, points: inside(plain(noise, meanField[which][d]!), range) })
  const ofRoot = which === 'root'
  const saying = ofRoot
    ? 'Posterior probability of the true class for trees of several depths. All curves cross at the transition: below it depth helps, above it depth hurts.'
    : 'Posterior probability of the true token of a leaf, for the same trees and noise.'
  return lineChart({
    name: `${ofRoot ? 'class' : 'leaves'}-by-depth${channel.channel === 'epsilon' ? '' : `-${channel.channel}`}`,
    title: `${title}: ${ofRoot ? 'the class is lost more sharply with every level' : 'leaves stay smooth at every depth'}`,
    caption: `${saying} Bands: one standard error over grammars.${meanField ? ' Dashed: mean-field theory.' : ''}`,
    xLabel,
    yLabel: ofRoot ? 'probability of the true class' : 'probability of the true token',
    xDomain: range,
    yDomain: [0, 1],
    series,
    references: channel.channel === 'epsilon' ? starOf(epsStar) : [],
  })
}

/** Root curves of all depths on the scale on which mean field says they are one. */
function collapseFigure(
  { noise, root, depths }: ChannelResult,
  epsStar: number,
  magnification: number,
): Figure {
  const xDomain = [-3, 1] as const
  return lineChart({
    name: 'class-collapse',
    title: 'One curve for all depths',
    caption:
      `The class curves of the ε-process against the distance from ε* times F′(p*)^L, F′(p*) = ${magnification.toFixed(3)} of theory: ` +
      'what one level does to a distance from the transition.',
    xLabel: '(ε − ε*) · F′(p*)^L',
    yLabel: 'probability of the true class',
    xDomain,
    yDomain: [0, 1],
    series: spreadOver(depths.length - 1).map((d, hue) => ({
      name: `L = ${depths[d]}`,
      hue,
      points: inside(
        pointsOf(
          noise.map((eps) => (eps - epsStar) * magnification ** depths[d]!),
          root[d]!,
        ),
        xDomain,
      ),
    })),
  })
}

function thresholdsFigure(thresholds: readonly Threshold[]): Figure {
  const known = thresholds
    .filter(({ measured, theory }) => measured.value !== null && theory !== null)
    .sort((a, b) => a.theory! - b.theory!)
  const ends = [
    Math.min(...known.map(({ theory }) => theory!)),
    Math.max(...known.map(({ theory }) => theory!)),
  ]
  return lineChart({
    name: 'thresholds',
    title: 'Where the class is lost, measured and in theory',
    caption:
      'One point for each grammar family (v, m, s): the noise at which root curves of a deep and a shallow tree cross, against ε* of the closed form. Dashed: equal.',
    xLabel: 'ε* in theory',
    yLabel: 'ε* measured',
    series: [
      { name: 'equal', dashed: true, hue: 5, points: ends.map((end) => ({ x: end, y: end })) },
      {
        name: 'measured',
        dots: true,
        hue: 0,
        points: known.map(({ measured: { value, error }, theory }) => ({
          x: theory!,
          y: value!,
          low: value! - (error ?? 0),
          high: value! + (error ?? 0),
        })),
      },
    ],
  })
}

function diagramFigure({ depth, rules, ratio, noise, root, boundary, theory }: Diagram): Figure {
  return heatMap({
    name: 'phase-diagram',
    title: 'Where the class is recovered',
    caption:
      `Probability of the true class at L = ${depth} for m = ${rules[0]} … ${rules.at(-1)} rules a symbol, against noise. Points: where it is known no better than a leaf by its own ` +
      'observation, with one standard error. Dashed: ε* of theory; below it the class is recovered.',
    x: ratio,
    y: noise,
    values: root,
    xLabel: 's·f, synonyms in units of what the tuples allow',
    yLabel: 'ε',
    valueLabel: 'probability of the true class',
    domain: [0, 1],
    overlays: [
      {
        name: 'theory',
        dashed: true,
        points: ratio.map((x, i) => ({ x, y: theory[i]! })).filter(({ y }) => y !== null),
      },
      {
        name: 'measured',
        dots: true,
        points: ratio.map((x, i) => {
          const { value, error } = boundary[i]!
          return value === null || error === null
            ? { x, y: value }
            : { x, y: value, low: value - error, high: value + error }
        }),
      },
    ],
  })
}

const lostFigure = ({ depths, noise, root, ratio, m }: LostPhase): Figure =>
  lineChart({
    name: 'lost',
    title: `s·f = ${ratio.toFixed(2)}: no noise is small enough`,
    caption: `Probability of the true class with m = ${m} rules a symbol: every level loses more of it, at any noise. There is no transition, and no crossing.`,
    xLabel: 'ε',
    yLabel: 'probability of the true class',
    xScale: 'log',
    yDomain: [0, 1],
    series: spreadOver(depths.length - 1).map((d, hue) => ({
      name: `L = ${depths[d]}`,
      hue,
      points: plain(noise, root[d]!),
    })),
  })

const mixtureFigure = ({ time, mode, coordinate, coordinateTheory }: MixtureResult): Figure =>
  lineChart({
    name: 'mixture',
    title: 'Control: two Gaussians have no transition of this kind',
    caption:
      'A round trip with the exact score of a two-mode mixture: survival of the mode, 2 P(true mode) − 1, and overlap of the coordinates around its centre. ' +
      'The mode drops late and above the coordinates all the way: nothing crosses. Dashed: theory.',
    xLabel: 'time t / T',
    yLabel: 'survival',
    series: [
      { name: 'mode', hue: 0, points: pointsOf(time, mode) },
      { name: 'coordinates', hue: 1, points: pointsOf(time, coordinate) },
      { name: '', hue: 1, dashed: true, points: plain(time, coordinateTheory) },
    ],
  })

/** All figures of one result. */
export function figuresOf(result: Result): Figure[] {
  const { channels, thresholds, diagram, lost, mixture, epsStarTheory, magnification } = result
  const [epsilon, ...others] = channels as [ChannelResult, ...ChannelResult[]]
  return [
    levelsFigure(epsilon, epsStarTheory),
    depthFigure(epsilon, 'root', epsStarTheory),
    depthFigure(epsilon, 'leaf', epsStarTheory),
    ...(epsStarTheory !== null && magnification !== null
      ? [collapseFigure(epsilon, epsStarTheory, magnification)]
      : []),
    ...(diagram ? [diagramFigure(diagram)] : []),
    ...(thresholds.length > 1 ? [thresholdsFigure(thresholds)] : []),
    ...others.flatMap((channel) => [levelsFigure(channel, null), depthFigure(channel, 'root', null)]),
    ...(lost ? [lostFigure(lost)] : []),
    mixtureFigure(mixture),
  ]
}

/** All tables of one result. */
export function tablesOf({ thresholds, channels, acceptance }: Result): ReportTable[] {
  const epsilon = channels[0]!
  const theory = epsilon.meanField!.estimates
  const tables: ReportTable[] = [
    {
      title: 'Where the class is lost',
      columns: ['v', 'm', 's', 'depths', 'measured ε*', 'theory'],
      rows: thresholds.map(({ v, m, s, depths, measured, theory: predicted }) => [
        String(v),
        String(m),
        String(s),
        depths.join(', '),
        plusMinus(measured),
        predicted === null ? 'none' : predicted.toFixed(4),
      ]),
    },
    {
      title: 'ε-process: crossings by depth',
      columns: [
        'L',
        'class curve crosses that of the depth before',
        'class and leaves cross',
        'in mean field',
      ],
      rows: epsilon.depths.map((L, d) => [
        String(L),
        d === 0 ? '–' : plusMinus(epsilon.successive[d - 1]!),
        plusMinus(epsilon.rootLeaf[d]!),
        plusMinus(theory.rootLeaf[d]!),
      ]),
    },
  ]
  tables.push({
    title: 'Noise processes',
    columns: [
      'noise',
      'depths',
      'class lost at',
      'a leaf by itself there',
      'class and leaves cross at',
      'steeper with every level: class',
      'leaves',
    ],
    rows: channels.map(({ channel, depths, noise, prior, transition, rootLeaf, rootGrowth, leafGrowth }) => [
      words[channel].title,
      `${depths[0]} … ${depths.at(-1)}`,
      plusMinus(transition),
      transition.value === null ? '–' : interpolate(noise, prior.mean, transition.value).toFixed(3),
      plusMinus(rootLeaf.at(-1)!),
      plusMinus(rootGrowth),
      plusMinus(leafGrowth),
    ]),
  })
  if (acceptance.length > 0)
    tables.push({
      title: 'Reference values at v = 32, m = 8, s = 2',
      columns: ['process', 'L', 'of', 'noise', 'reference', 'measured', 'errors apart'],
      rows: acceptance.map((comparison) => [
        words[comparison.channel].title,
        String(comparison.depth),
        { root: 'class', leaf: 'leaves', prior: 'a leaf by itself' }[comparison.level],
        comparison.noise.toFixed(3),
        comparison.reference.toFixed(3),
        plusMinus(comparison.measured),
        deviation(comparison).toFixed(1),
      ]),
    })
  return tables
}
