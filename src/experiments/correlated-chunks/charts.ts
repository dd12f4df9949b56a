/** @file What the run shows: χ(ε), C(r), ξ and its collapse, masking, controls. Theory is dashed, bands are one standard error. */
import { controlDistances, controlNames, controls, distanceAt } from '../../diffusion/index.ts'
import { meanFieldChi, pairStatistics } from '../../grammar/index.ts'
import {
  chart,
  type Figure,
  groupBy,
  jackknife,
  type LinePoint,
  type LineSeries,
  lineChart,
  pointOf,
  shownEstimate,
} from '../../lab/index.ts'
import { noisesOf, type Rows } from './cells.ts'
import { type Config, depthsOf, shapeOf } from './config.ts'
import {
  alongNoise,
  atLargest,
  byDistance,
  chiOf,
  collapseCurves,
  controlDecay,
  isControl,
  lengthOf,
  meanFieldLength,
  relativeOf,
} from './estimates.ts'
import type { Found } from './found.ts'

/** Points that a log axis from `least` on shows; an error bar that reaches 0 ends a little above. */
const above = (points: readonly LinePoint[], least: number): LinePoint[] =>
  points.flatMap(({ x, y, low, high }) =>
    y === null || y < least
      ? []
      : [{ x, y, ...(low !== undefined && { low: Math.max(least, low <= 0 ? y / 20 : low), high: high! }) }],
  )

/** Rows with noise in a range, for a chart that shows no more. */
const within = (rows: Rows, [low, high]: readonly [number, number]): Rows =>
  rows.filter(({ noise }) => noise >= low - 1e-9 && noise <= high + 1e-9)

/** At most four of the depths, both ends among them: more lines cannot be told apart where they meet. */
function shownDepths(config: Config): number[] {
  const depths = depthsOf(config)
  const count = Math.min(depths.length, 4)
  const places = Array.from({ length: count }, (_, i) => Math.round((i * (depths.length - 1)) / (count - 1)))
  return [...new Set(places)].map((place) => depths[place]!)
}

const starLine = ({ critical }: Found) => [
  { axis: 'x' as const, value: critical, label: `ε* = ${critical.toFixed(3)}` },
]

/** χ of the rows at one noise level, its error over grammars. */
const chiEstimate = (rows: Rows) => jackknife(rows, chiOf)

function chiChart(found: Found, config: Config) {
  const { critical } = found
  const all = noisesOf(config, 'exact')
  const range = [Math.max(all[0]!, critical - 0.19), Math.min(all.at(-1)!, critical + 0.17)] as const
  const fine = Array.from({ length: 121 }, (_, i) => range[0] + ((range[1] - range[0]) * i) / 120)
  const rows = shownDepths(config).flatMap((L) => within(found.exact(L), range))
  return chart(rows, {
    name: 'chi',
    title: 'Tokens change in chunks, largest where the class is lost',
    caption:
      'Susceptibility χ(ε), the mean number of tokens that change together in a round trip, against the noise. Solid: exact for each datum, band one standard error over grammars. Dashed: mean field, no free parameter.',
    ...{ x: 'noise', y: 'noise', xLabel: 'ε', yLabel: 'χ', estimate: chiEstimate, xDomain: range },
    ...{ series: 'L', seriesName: (L) => `L = ${L}` },
    theory: [{ name: null, at: fine, y: (eps, [row]) => meanFieldChi(shapeOf(config, row!.L), eps) }],
    references: starLine(found),
  })
}

function sampledChart(found: Found, config: Config) {
  const { L } = config
  const { trips, matching } = found
  const exact = alongNoise(matching, chiOf)
  return chart(trips, {
    name: 'round-trips',
    title: 'Round trips agree with the exact computation',
    caption: `χ(ε) at L = ${L}. Points: ${found.tripCount.toLocaleString('en')} sampled round trips, band one standard error over grammars. Line: the same without sampling. Dashed: mean field.`,
    ...{ x: 'noise', y: 'noise', xLabel: 'ε', yLabel: 'χ', estimate: chiEstimate, marks: 'dots' },
    ...{ series: 'part', seriesName: () => 'round trips' },
    theory: [{ name: 'mean field', y: (eps) => meanFieldChi(shapeOf(config, L), eps) }],
    more: [{ name: 'exact', hue: 2, points: exact.x.map((x, i) => ({ x, y: exact.y[i]! })) }],
    references: starLine(found),
  })
}

/** Ranges of distances 1 … d/2, each about √2 times as far as the one before. */
function distanceBins(d: number): [number, number][] {
  const bins: [number, number][] = []
  for (let from = 1; from < d / 2; ) {
    const to = Math.max(from + 1, Math.round(from * Math.SQRT2))
    bins.push([from, to])
    from = to
  }
  return bins
}

/** C(r)/C(0) of a grammar at one noise level by height, with r = s^ℓ − 1; heights 1 … L. */
const correlationPoints = (rows: Rows, { s, L }: Config): LinePoint[] =>
  Array.from({ length: L }, (_, i) => i + 1).map((height) =>
    pointOf(
      distanceAt(height, s),
      jackknife(rows, (some) => relativeOf(some, s)[height]!),
    ),
  )

const correlationChart = (found: Found, config: Config) => () => {
  const { s, L } = config
  const { critical } = found
  const least = 1e-4
  const names = [critical - 0.08, critical, critical + 0.07].map((eps) => found.nearest(eps))
  const at = names.map((eps) =>
    correlationPoints(
      found.main.filter(({ noise }) => noise === eps),
      config,
    ),
  )
  const series: LineSeries[] = names.flatMap((eps, i) => {
    const hue = [2, 0, 1][i]!
    const { relative } = pairStatistics(shapeOf(config, L), eps)
    const theory = at[i]!.map(({ x }, height) => ({ x, y: relative[height + 1]! }))
    return [
      { name: `ε = ${eps.toFixed(3)}`, hue, dots: true, points: above(at[i]!, least) },
      { name: '', hue, dashed: true, points: above(theory, least) },
    ]
  })
  const anchor = at[1]![Math.ceil(L / 2)]!
  const tail = at[1]!.slice(1).map(({ x }) => ({ x, y: (anchor.y! * anchor.x) / x }))
  series.push({ name: '1/r', hue: 3, dashed: true, points: tail })
  const middle = found.trips.filter(({ distances }) => distances.length > 0)
  if (middle.length > 0)
    series.push({
      ...{ name: '', hue: 0, faint: true },
      points: distanceBins(s ** L)
        .map((bin) => ({ x: Math.sqrt(bin[0] * (bin[1] - 1)), y: byDistance(middle, bin) }))
        .filter(({ y }) => y > 0),
    })
  return lineChart({
    name: 'correlations',
    title: 'At the transition correlations have no scale',
    caption: `C(r)/C(0) of tokens whose common ancestor is at height ℓ, r = s^ℓ − 1, L = ${L}: below, at and above ε* = ${critical.toFixed(3)}. Points: exact for each datum; dashed: mean field, and 1/r. Thin line: by distance in the string at ε*, from round trips (pairs of all heights mixed).`,
    ...{
      xLabel: 'distance r',
      yLabel: 'C(r)/C(0)',
      xScale: 'log',
      yScale: 'log',
      yDomain: [least, 1],
      series,
    },
  })
}

const lengthChart = (found: Found, config: Config) => () => {
  const { critical, nu } = found
  const { s, L } = config
  const sides = [-1, 1].map((sign) => found.main.filter(({ noise }) => (noise - critical) * sign > 0.004))
  const x = (eps: number): number => Math.abs(eps - critical)
  const measured = sides.map((rows) =>
    groupBy(rows, 'noise')
      .map(({ key, rows: own }) =>
        pointOf(
          x(key.noise),
          jackknife(own, (some) => lengthOf(some, s)),
        ),
      )
      .sort((a, b) => a.x - b.x),
  )
  const theory = sides.map((rows) =>
    groupBy(rows, 'noise')
      .map(({ key }) => ({ x: x(key.noise), y: meanFieldLength(config, key.noise) }))
      .sort((a, b) => a.x - b.x),
  )
  const upper = measured[1]!
  const anchor = upper.reduce((best, point) =>
    Math.abs(Math.log(point.x / 0.08)) < Math.abs(Math.log(best.x / 0.08)) ? point : best,
  )
  const power = [0.02, 0.2].map((at) => ({ x: at, y: anchor.y! * (at / anchor.x) ** -nu }))
  return lineChart({
    name: 'length',
    title: 'The correlation length diverges',
    caption: `ξ = Σ r²C/Σ rC, in tokens, against the distance from ε*, L = ${L}, on both sides; it ends at the size of the tree. Points: exact for each datum; dashed: mean field, and the power −ν = −${nu.toFixed(2)}.`,
    ...{ xLabel: '|ε − ε*|', yLabel: 'ξ', xScale: 'log', yScale: 'log' },
    series: [
      { name: 'below ε*', hue: 2, dots: true, points: above(measured[0]!, 0) },
      { name: '', hue: 2, dashed: true, points: theory[0]! },
      { name: 'above ε*', hue: 1, dots: true, points: above(upper, 0) },
      { name: '', hue: 1, dashed: true, points: theory[1]! },
      { name: `power −${nu.toFixed(2)}`, hue: 3, dashed: true, points: power },
    ],
  })
}

const collapseChart = (found: Found, config: Config) => () => {
  const { critical, nu, decay, before, after } = found
  const curves = collapseCurves(found.main, config.s, found)
  const series = curves.map(({ eps, x, y }, i): LineSeries => {
    const below = eps < critical
    const isLast = curves.findLastIndex((other) => other.eps < critical === below) === i
    return {
      name: isLast ? (below ? 'ε < ε*' : 'ε > ε*') : '',
      hue: below ? 2 : 1,
      dots: true,
      points: x.map((r, k) => ({ x: r * Math.abs(eps - critical) ** nu, y: y[k]! })),
    }
  })
  return lineChart({
    name: 'collapse',
    title: 'Measured in ξ, the correlations nearly fall on one curve',
    caption: `C(r)/C(0) · r^a against r·|ε − ε*|^ν, a = ${decay.toFixed(2)}, ν = ${nu.toFixed(2)} from theory, ${curves.length} noise levels, L = ${config.L}. Spread of ln y at the same abscissa: ${shownEstimate(before)} against r, ${shownEstimate(after)} here.`,
    ...{ xLabel: 'r · |ε − ε*|^ν', yLabel: 'C(r)/C(0) · r^a', xScale: 'log', yScale: 'log', series },
  })
}

const maskingChart = ({ masked, maskedCount }: Found, { L }: Config) =>
  chart(masked, {
    name: 'masking',
    title: 'Masking has its peak, too',
    caption: `χ against the share of masked tokens, L = ${L}, ${maskedCount.toLocaleString('en')} round trips at each; band one standard error over grammars. There is no theory for masking: how much of the mask falls where fluctuates.`,
    ...{ x: 'noise', y: 'noise', xLabel: 'share of tokens masked', yLabel: 'χ', estimate: chiEstimate },
    ...{ series: 'part', marks: 'dots' },
  })

/** χ of a control over its largest value. */
const controlsChart = ({ controlRows, controls: found }: Found) => {
  const largest = new Map(
    controlNames.map((name) => [name, chiOf(atLargest(controlRows.filter(isControl(name))))]),
  )
  return chart(controlRows, {
    name: 'controls',
    title: 'Controls: only many modes peak inside',
    caption:
      'χ of the changes of the coordinates, over its largest value, against the time of the round trip (β from 1e-4 to 0.02); exact scores, band one standard error. Dashed: exact χ at this size. Two modes: either is as good at the end, where χ is a little below its largest value, for it varies more around the other mode. Many modes: at the end every round trip changes the mode, and there is nothing left to vary – a peak alone does not prove a hierarchy.',
    ...{ x: 'noise', y: 'noise', xLabel: 't/T', yLabel: 'χ / largest χ', marks: 'dots' },
    ...{ series: 'control', seriesName: (name) => controls[name as 'field'].title },
    estimate(rows) {
      const { value, error, n } = jackknife(rows, chiOf)
      const unit = largest.get(rows[0]!.control!)!
      return { value: value / unit, error: error === null ? null : error / unit, n: n! }
    },
    theory: [
      {
        name: null,
        y(time, [row]) {
          const theory = found.find(({ name }) => name === row!.control)?.theory
          return theory ? theory.y[theory.x.indexOf(time)]! / Math.max(...theory.y) : null
        },
      },
    ],
  })
}

const shapesChart = (found: Found, config: Config) => () => {
  const all = controlDistances(config.controls.d)
  const critical = found.nearest(found.critical)
  const grammar = correlationPoints(
    found.main.filter(({ noise }) => noise === critical),
    config,
  )
  const least = 1e-3
  return lineChart({
    name: 'shapes',
    title: 'What tells a hierarchy from a flat mixture: the shape of C(r)',
    caption: `C(r)/C(0) where χ is largest. The grammar (L = ${config.L}, at ε*) has chunks of all sizes; a mixture without structure changes everything or nothing, whatever the distance; the field decays with its spectrum.`,
    ...{ xLabel: 'distance r', yLabel: 'C(r)/C(0)', xScale: 'log', yScale: 'log', yDomain: [least, 1] },
    series: [
      {
        ...{ name: 'grammar', hue: 4, dots: true },
        points: above(
          grammar.filter(({ x }) => x <= all.at(-1)!),
          least,
        ),
      },
      ...controlNames.flatMap((name, hue) => {
        if (!controls[name].line) return []
        const rows = atLargest(found.controlRows.filter(isControl(name)))
        const points = all.slice(1).map((r, i) =>
          pointOf(
            r,
            jackknife(rows, (some) => controlDecay(some, i + 1)),
          ),
        )
        return [{ name: controls[name].title, hue, dots: true, points: above(points, least) }]
      }),
    ],
  })
}

/** All figures. */
export const chartsOf = (found: Found, config: Config): (() => Figure)[] => [
  chiChart(found, config),
  sampledChart(found, config),
  correlationChart(found, config),
  lengthChart(found, config),
  collapseChart(found, config),
  maskingChart(found, config),
  controlsChart(found),
  shapesChart(found, config),
]
