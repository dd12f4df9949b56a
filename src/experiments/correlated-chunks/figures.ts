/** @file What the run shows: χ(ε), C(r), ξ and its collapse, masking, controls. Theory is dashed, bands are one standard error. */
import { type Figure, type LinePoint, type LineSeries, lineChart, type ReportTable } from '../../lab/index.ts'
import { type Curve, placeOfLargest } from './estimates.ts'
import type { Result } from './measure.ts'
import { nearestIndex } from './noises.ts'
import { plusMinus } from './verdicts.ts'

const pointsOf = (x: readonly number[], { value, error }: Curve, scale = 1): LinePoint[] =>
  x.map((at, i) => {
    const known = value[i] ?? null
    const half = error[i]
    if (known === null) return { x: at, y: null }
    const y = known * scale
    return half == null ? { x: at, y } : { x: at, y, low: y - half * scale, high: y + half * scale }
  })

/** The same for a log axis: a band that reaches 0 ends a little above. */
const positive = (points: LinePoint[]): LinePoint[] =>
  points.map((point) =>
    point.low !== undefined && point.y !== null && point.low <= 0 ? { ...point, low: point.y / 20 } : point,
  )

/** Points that a log axis from `least` on shows. */
const above = (points: readonly LinePoint[], least: number): LinePoint[] =>
  points.flatMap((point) =>
    point.y === null || point.y < least
      ? []
      : [{ ...point, low: point.low === undefined ? undefined : Math.max(least, point.low) }],
  )

const plain = (x: readonly number[], y: readonly (number | null)[]): LinePoint[] =>
  x.map((at, i) => ({ x: at, y: y[i] ?? null }))

/** Points with x in a range, for a chart that shows no more. */
const within = (points: readonly LinePoint[], [low, high]: readonly [number, number]): LinePoint[] =>
  points.filter(({ x }) => x >= low - 1e-9 && x <= high + 1e-9)

const text = (value: number | null): string => plusMinus({ value, error: null }, 2)

const byX = (points: readonly LinePoint[]): LinePoint[] => points.toSorted((a, b) => a.x - b.x)

/** At most four of the depths, both ends among them: more lines cannot be told apart where they meet. */
function shownDepths({ depths }: Result): number[] {
  const count = Math.min(depths.length, 4)
  return [
    ...new Set(Array.from({ length: count }, (_, i) => Math.round((i * (depths.length - 1)) / (count - 1)))),
  ]
}

const starOf = ({ epsStar }: Result) => [
  { axis: 'x' as const, value: epsStar, label: `ε* = ${epsStar.toFixed(3)}` },
]

function chiFigure(result: Result): Figure {
  const { depths, theory, epsStar } = result
  const range = [
    Math.max(theory.noise[0]!, epsStar - 0.19),
    Math.min(theory.noise.at(-1)!, epsStar + 0.17),
  ] as const
  const series: LineSeries[] = shownDepths(result).flatMap((place, hue) => {
    const { L, noise, chi } = depths[place]!
    return [
      { name: '', hue, dashed: true, points: within(plain(theory.noise, theory.chi[place]!), range) },
      { name: `L = ${L}`, hue, points: within(pointsOf(noise, chi), range) },
    ]
  })
  return lineChart({
    name: 'chi',
    title: 'Tokens change in chunks, largest where the class is lost',
    caption:
      'Susceptibility χ(ε), the mean number of tokens that change together in a round trip, against the noise. Solid: exact for each datum, band one standard error over grammars. Dashed: mean field, no free parameter.',
    xLabel: 'ε',
    yLabel: 'χ',
    series: series.sort((a, b) => Number(a.dashed ?? false) - Number(b.dashed ?? false)),
    references: starOf(result),
    xDomain: range,
  })
}

function sampledFigure(result: Result): Figure {
  const { sampled, L, depths } = result
  const range = [sampled.noise[0]!, sampled.noise.at(-1)!] as const
  const place = depths.findIndex((depth) => depth.L === L)
  return lineChart({
    name: 'round-trips',
    title: 'Round trips agree with the exact computation',
    caption: `χ(ε) at L = ${L}. Points: ${sampled.roundTrips.toLocaleString('en')} sampled round trips, band one standard error over grammars. Line: the same without sampling.${place < 0 ? '' : ' Dashed: mean field.'}`,
    xLabel: 'ε',
    yLabel: 'χ',
    series: [
      { name: 'round trips', hue: 1, dots: true, points: pointsOf(sampled.noise, sampled.chi) },
      { name: 'exact', hue: 0, points: plain(sampled.noise, sampled.exact.value) },
      ...(place < 0
        ? []
        : [
            {
              name: 'mean field',
              hue: 0,
              dashed: true,
              points: within(plain(depths[place]!.noise, depths[place]!.meanField), range),
            },
          ]),
    ],
    references: starOf(result),
    xDomain: range,
  })
}

function correlationFigure(result: Result): Figure {
  const { correlations, sampled, L, epsStar } = result
  const { r, curves } = correlations
  const from1 = r.slice(1)
  const least = 1e-4
  const series: LineSeries[] = curves.flatMap(({ eps, relative, meanField }, i) => {
    const hue = [2, 0, 1][i]!
    const measured: Curve = { value: relative.value.slice(1), error: relative.error.slice(1) }
    return [
      {
        name: `ε = ${eps.toFixed(3)}`,
        hue,
        dots: true,
        points: above(positive(pointsOf(from1, measured)), least),
      },
      { name: '', hue, dashed: true, points: above(plain(from1, meanField.slice(1)), least) },
    ]
  })
  const middle = Math.ceil(from1.length / 2)
  const anchor = curves[1]!.relative.value[middle]! * r[middle]!
  series.push({
    name: '1/r',
    hue: 3,
    dashed: true,
    points: within(
      plain(
        from1,
        from1.map((x) => anchor / x),
      ),
      [r[2]!, Infinity],
    ),
  })
  if (sampled.r.length > 0) {
    const points = sampled.r.flatMap((x, i) =>
      sampled.byDistance.value[i]! > 0 ? [{ x, y: sampled.byDistance.value[i]! }] : [],
    )
    series.push({ name: '', hue: 0, faint: true, points })
  }
  return lineChart({
    name: 'correlations',
    title: 'At the transition correlations have no scale',
    caption: `C(r)/C(0) of tokens whose common ancestor is at height ℓ, r = s^ℓ − 1, L = ${L}: below, at and above ε* = ${epsStar.toFixed(3)}. Points: exact for each datum; dashed: mean field, and 1/r. Thin line: by distance in the string at ε*, from round trips (pairs of all heights mixed).`,
    xLabel: 'distance r',
    yLabel: 'C(r)/C(0)',
    xScale: 'log',
    yScale: 'log',
    yDomain: [least, 1],
    series,
  })
}

function lengthFigure(result: Result): Figure {
  const { length, epsStar, nu, L } = result
  const side = (sign: number) =>
    length.noise.flatMap((eps, i) => ((eps - epsStar) * sign > 0.004 ? [{ eps, i }] : []))
  const x = ({ eps }: { eps: number }): number => Math.abs(eps - epsStar)
  const measured = [-1, 1].map((sign) => {
    const places = side(sign)
    return byX(
      pointsOf(places.map(x), {
        value: places.map(({ i }) => length.xi.value[i]!),
        error: places.map(({ i }) => length.xi.error[i]!),
      }),
    )
  })
  const theory = [-1, 1].map((sign) =>
    byX(side(sign).map((place) => ({ x: x(place), y: length.meanField[place.i]! }))),
  )
  const upper = measured[1]!
  const anchor = upper.reduce((best, point) =>
    Math.abs(Math.log(point.x / 0.08)) < Math.abs(Math.log(best.x / 0.08)) ? point : best,
  )
  return lineChart({
    name: 'length',
    title: 'The correlation length diverges',
    caption: `ξ = Σ r²C/Σ rC against the distance from ε*, L = ${L}, on both sides; it ends at the size of the tree. Points: exact for each datum; dashed: mean field, and the power −ν = −${nu.toFixed(2)}.`,
    xLabel: '|ε − ε*|',
    yLabel: 'ξ',
    xScale: 'log',
    yScale: 'log',
    series: [
      { name: 'below ε*', hue: 2, dots: true, points: positive(measured[0]!) },
      { name: '', hue: 2, dashed: true, points: theory[0]! },
      { name: 'above ε*', hue: 1, dots: true, points: positive(upper) },
      { name: '', hue: 1, dashed: true, points: theory[1]! },
      {
        name: `power −${nu.toFixed(2)}`,
        hue: 3,
        dashed: true,
        points: [0.02, 0.2].map((at) => ({ x: at, y: anchor.y! * (at / anchor.x) ** -nu })),
      },
    ],
  })
}

function collapseFigure(result: Result): Figure {
  const { collapse, epsStar, nu, decay, L } = result
  const series: LineSeries[] = collapse.curves.map(({ eps, r, y }) => ({
    name: '',
    hue: eps < epsStar ? 2 : 1,
    dots: true,
    points: r.map((x, i) => ({ x: x * Math.abs(eps - epsStar) ** nu, y: y[i]! })),
  }))
  for (const [hue, name] of [
    [2, 'ε < ε*'],
    [1, 'ε > ε*'],
  ] as const) {
    const last = series.findLast((line) => line.hue === hue)
    if (last) last.name = name
  }
  return lineChart({
    name: 'collapse',
    title: 'Measured in ξ, the correlations nearly fall on one curve',
    caption: `C(r)/C(0) · r^a against r·|ε − ε*|^ν, a = ${decay.toFixed(2)}, ν = ${nu.toFixed(2)} from theory, ${collapse.curves.length} noise levels, L = ${L}. Spread of ln y at the same abscissa: ${text(collapse.before)} against r, ${text(collapse.after)} here.`,
    xLabel: 'r · |ε − ε*|^ν',
    yLabel: 'C(r)/C(0) · r^a',
    xScale: 'log',
    yScale: 'log',
    series,
  })
}

const maskingFigure = ({ masking, L }: Result): Figure =>
  lineChart({
    name: 'masking',
    title: 'Masking has its peak, too',
    caption: `χ against the share of masked tokens, L = ${L}, ${masking.roundTrips.toLocaleString('en')} round trips at each; band one standard error over grammars. There is no theory for masking: how much of the mask falls where fluctuates.`,
    xLabel: 'share of tokens masked',
    yLabel: 'χ',
    series: [{ name: 'masking', hue: 0, dots: true, points: pointsOf(masking.share, masking.chi) }],
  })

function controlsFigure({ controls }: Result): Figure {
  return lineChart({
    name: 'controls',
    title: 'Controls: only many modes peak inside',
    caption:
      'χ of the changes of the coordinates, over its largest value, against the time of the round trip (β from 1e-4 to 0.02); exact scores, band one standard error. Two modes: either is as good at the end. Many modes: at the end every round trip changes the mode, and there is nothing left to vary – a peak alone does not prove a hierarchy.',
    xLabel: 't/T',
    yLabel: 'χ / largest χ',
    series: controls.map(({ title, time, chi }, hue) => ({
      name: title,
      hue,
      dots: true,
      points: pointsOf(time, chi, 1 / chi.value[placeOfLargest(chi)]!),
    })),
  })
}

function shapesFigure({ controls, correlations, L }: Result): Figure {
  const grammar = correlations.curves[1]!
  const farthest = Math.max(...controls.flatMap(({ r }) => r))
  return lineChart({
    name: 'shapes',
    title: 'What tells a hierarchy from a flat mixture: the shape of C(r)',
    caption: `C(r)/C(0) where χ is largest. The grammar (L = ${L}, at ε*) has chunks of all sizes; a mixture without structure changes everything or nothing, whatever the distance; the field decays with its spectrum.`,
    xLabel: 'distance r',
    yLabel: 'C(r)/C(0)',
    xScale: 'log',
    yScale: 'log',
    yDomain: [1e-3, 1],
    series: [
      {
        name: 'grammar',
        hue: 4,
        dots: true,
        points: within(positive(pointsOf(correlations.r, grammar.relative)), [1, farthest]),
      },
      ...controls.flatMap(({ title, r, decay }, hue) =>
        r.length === 0
          ? []
          : [{ name: title, hue, dots: true, points: above(positive(pointsOf(r, decay)), 1e-3) }],
      ),
    ],
  })
}

/** All figures of a result. */
export const figuresOf = (result: Result): Figure[] => [
  chiFigure(result),
  sampledFigure(result),
  correlationFigure(result),
  lengthFigure(result),
  collapseFigure(result),
  maskingFigure(result),
  controlsFigure(result),
  shapesFigure(result),
]

/** Peaks by depth, and the deepest curve and C(ℓ) in numbers. */
export function tablesOf(result: Result): ReportTable[] {
  const { depths, correlations, epsStar } = result
  const deepest = depths.at(-1)!
  const at = (eps: number): number => nearestIndex(deepest.noise, eps)
  const shown = [...new Set([-0.08, -0.03, -0.01, 0, 0.01, 0.03, 0.07].map((off) => at(epsStar + off)))]
  const estimate = ({ value, error }: Curve, i: number) => ({
    value: value[i] ?? null,
    error: error[i] ?? null,
  })
  return [
    {
      title: 'The peak of χ',
      columns: ['L', 'at ε', 'mean field', 'height', 'mean field'],
      rows: depths.map(({ L, peak, peakTheory }) => [
        L,
        plusMinus(peak.at, 3),
        peakTheory.at.toFixed(3),
        plusMinus(peak.height, 2),
        peakTheory.height.toFixed(2),
      ]),
    },
    {
      title: `χ at L = ${deepest.L}`,
      columns: ['ε', 'χ', 'mean field'],
      rows: shown.map((i) => [
        deepest.noise[i]!.toFixed(3),
        plusMinus(estimate(deepest.chi, i), 2),
        deepest.meanField[i]!.toFixed(2),
      ]),
    },
    {
      title: `C(ℓ)/C(0) at ε = ${correlations.curves[1]!.eps.toFixed(3)}, L = ${result.L}`,
      columns: ['ℓ', 'r', 'C/C(0)', 'mean field'],
      rows: correlations.r.flatMap((r, height) =>
        height === 0
          ? []
          : [
              [
                height,
                r,
                plusMinus(estimate(correlations.curves[1]!.relative, height), 4),
                correlations.curves[1]!.meanField[height]!.toFixed(4),
              ],
            ],
      ),
    },
  ]
}
