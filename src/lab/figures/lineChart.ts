/** @file Line chart: one or several series, error bands, points, reference lines, labels at the ends of the lines. */
import * as Plot from '@observablehq/plot'
import {
  linearTicks,
  logTicks,
  niceDomain,
  type Scale,
  type Tick,
  thinTicks,
  tickTexts,
  tickWidth,
  toPixels,
} from './axes.ts'
import type { Figure, FigureText } from './figure.ts'
import { lineGap, spread } from './labels.ts'
import { fitText, textWidth, wrapText } from './letters.ts'
import { boxOf, type Frame, legendRows, markLabels, type Words, wordsSvg } from './place.ts'
import { plotSvg } from './plot.ts'
import { color, seriesColor } from './theme.ts'

/** One point; `low` and `high` bound its error band. Points with a null y leave a gap. */
export interface LinePoint {
  x: number
  y: number | null
  low?: number
  high?: number
}

/** One line. */
export interface LineSeries {
  name: string
  points: readonly LinePoint[]
  /** Theory and controls are dashed. */
  dashed?: boolean
  /** Mark the points. */
  dots?: boolean
  /** Points with error bars and no line between them: settings that have no order. */
  scatter?: boolean
  /** Open marks with an arrow upwards and no line between them: lower bounds. */
  bounds?: boolean
  /** Error bars in place of a band: values between the points were not measured. */
  bars?: boolean
  /** Drawn thin and pale, without a label: the raw values behind a smooth line. */
  faint?: boolean
  /** Number of the colour, to let two series share one; default: the place in the list. */
  hue?: number
}

/** A value marked across the chart. */
export interface Reference {
  axis: 'x' | 'y'
  value: number
  label: string
}

/** What a line chart needs. */
export interface LineChart extends FigureText {
  series: readonly LineSeries[]
  xLabel: string
  yLabel: string
  xScale?: Scale
  yScale?: Scale
  xDomain?: readonly [number, number]
  yDomain?: readonly [number, number]
  /** Ticks of the x axis where they are no round numbers: settings by name. */
  xTicks?: readonly Tick[]
  /** d3-format of the y ticks, such as `.1%`. */
  yFormat?: string
  references?: readonly Reference[]
  /** Where the names of lines stand: at their ends, or all beside the frame, for lines that end among others. Default 'ends'. */
  labels?: 'ends' | 'beside'
  /** Pixels. */
  width?: number
  height?: number
}

/** A series with what is drawn of it: points that have no place on the axes have a y of NaN. */
interface Line {
  readonly series: LineSeries
  readonly hue: string
  readonly points: readonly LinePoint[]
  readonly end: LinePoint | undefined
}

const isDrawn = ({ y }: LinePoint): boolean => !Number.isNaN(y)

function linesOf(chart: LineChart): Line[] {
  const fits = ({ x, y }: LinePoint): boolean =>
    y !== null && Number.isFinite(y) && (chart.yScale !== 'log' || y > 0) && (chart.xScale !== 'log' || x > 0)
  return chart.series.map((series, index) => {
    const points = series.points.map((point) => (fits(point) ? point : { ...point, y: Number.NaN }))
    return { series, hue: seriesColor(series.hue ?? index), points, end: points.findLast(isDrawn) }
  })
}

type Domain = readonly [number, number]

/** From the least to the largest value; a log axis shows what is above 0. */
function extent(values: readonly number[], scale: Scale = 'linear'): Domain {
  const shown = values.filter((value) => Number.isFinite(value) && (scale === 'linear' || value > 0))
  if (shown.length === 0) return scale === 'log' ? [1, 10] : [0, 1]
  return [Math.min(...shown), Math.max(...shown)]
}

function domainsOf(chart: LineChart, lines: readonly Line[]): { x: Domain; y: Domain } {
  const all = lines.flatMap(({ points }) => points.filter(isDrawn))
  const marked = (axis: 'x' | 'y'): number[] =>
    (chart.references ?? []).filter((one) => one.axis === axis).map(({ value }) => value)
  const x = chart.xDomain ?? extent([...all.map((point) => point.x), ...marked('x')], chart.xScale)
  if (chart.yDomain) return { x, y: chart.yDomain }
  const y = extent(
    [...all.flatMap(({ y, low = y!, high = y! }) => [y!, low, high]), ...marked('y')],
    chart.yScale,
  )
  return { x, y: chart.yScale === 'log' ? y : niceDomain(...y) }
}

/** Everything in pixels. */
interface Layout {
  readonly width: number
  readonly height: number
  readonly frame: Frame
  readonly domains: { readonly x: Domain; readonly y: Domain }
  readonly xOf: (x: number) => number
  readonly yOf: (y: number) => number
  readonly xTicks: readonly Tick[]
  readonly yTicks: readonly Tick[]
  readonly titles: { readonly x: readonly string[]; readonly y: readonly string[] }
  /** Names of lines stand in rows above where they would leave the lines no room. */
  readonly legend: ReturnType<typeof legendRows>
  /** Lines that are named at their ends. */
  readonly named: readonly Line[]
}

const ticksOf = (values: readonly number[], format = tickTexts): Tick[] => {
  const labels = format(values)
  return values.map((value, i) => ({ value, label: labels[i]! }))
}

function layOut(chart: LineChart, lines: readonly Line[]): Layout {
  const width = chart.width ?? 540
  const domains = domainsOf(chart, lines)
  const titles = { x: wrapText(chart.xLabel, width - 8, 12), y: wrapText(chart.yLabel, width - 8, 12) }
  const named = lines.filter(({ series, end }) => !series.faint && series.name !== '' && end)
  const room = Math.max(0, ...named.map(({ series }) => textWidth(series.name, 12, true)))
  const above = room > 0.38 * width
  const legend = legendRows(
    above
      ? named.map(({ series, hue }) => ({
          text: fitText(series.name, width - 26, 12, true),
          fill: hue,
          dashed: series.dashed,
        }))
      : [],
    width,
  )
  const yWanted = ticksOf(
    chart.yScale === 'log' ? logTicks(...domains.y) : linearTicks(...domains.y, 5),
    chart.yFormat ? plotFormat(chart.yFormat) : tickTexts,
  )
  const left = Math.max(44, 14 + Math.max(0, ...yWanted.map(({ label }) => tickWidth(label))))
  const inner = width - left - 18 - (above ? 0 : 1.06 * room)
  const xWanted =
    chart.xTicks ??
    ticksOf(
      chart.xScale === 'log'
        ? logTicks(...domains.x)
        : linearTicks(...domains.x, Math.max(2, Math.floor(inner / 80))),
    )
  const last = xWanted.at(-1)
  // other letters than Inter's may be a little wider
  const right = Math.max(18 + (above ? 0 : 1.06 * room), last ? 6 + tickWidth(last.label) / 2 : 0)
  const top = 15 * Math.max(1, titles.y.length) + 15 + legend.height
  const bottom = 31 + 15 * Math.max(1, titles.x.length)
  const labels = above ? 0 : named.length * lineGap
  const height = Math.max(
    (chart.height ?? 320) + legend.height + 15 * (Math.max(1, titles.y.length) - 1),
    top + labels + bottom,
  )
  const frame = { left, right: width - right, top, bottom: height - bottom }
  const xOf = toPixels(chart.xScale ?? 'linear', domains.x, frame.left, frame.right)
  const yOf = toPixels(chart.yScale ?? 'linear', domains.y, frame.bottom, frame.top)
  const widest = width - 2 * tickWidth('0')
  return {
    ...{ width, height, frame, domains, xOf, yOf, titles, legend },
    named: above ? [] : named,
    xTicks: thinTicks(
      xWanted
        .map(({ value, label }) => ({ value, label: fitText(label, widest) }))
        .filter(({ value, label }) => xOf(value) - tickWidth(label) / 2 >= 0),
      xOf,
      tickWidth,
      { scale: chart.xScale },
    ),
    yTicks: thinTicks(yWanted, yOf, () => 12, { gap: 4, scale: chart.yScale }),
  }
}

/** A percentage as d3 writes it: the one kind of format that charts ask for. */
const plotFormat = (specifier: string): typeof tickTexts => {
  const [, digits] = specifier.match(/^\.(\d)%$/) ?? []
  if (digits === undefined) return tickTexts
  return (values) => values.map((value) => `${(100 * value).toFixed(Number(digits))}%`)
}

const errorBars = (points: readonly LinePoint[], hue: string): Plot.Markish =>
  Plot.ruleX(
    points.filter((point) => point.low !== undefined && isDrawn(point)),
    { x: 'x', y1: 'low', y2: 'high', stroke: hue, strokeOpacity: 0.55, strokeWidth: 1.5 },
  )

const dotMarks = (points: readonly LinePoint[], hue: string, r: number): Plot.Markish =>
  Plot.dot(points, { x: 'x', y: 'y', r, fill: hue, stroke: color('paper'), strokeWidth: 1 })

/** An open mark, and an arrow from it: the value lies above. */
const boundMarks = (points: readonly LinePoint[], hue: string): Plot.Markish[] => [
  Plot.vector(points.filter(isDrawn), {
    ...{ x: 'x', y: 'y', anchor: 'start', length: 22, rotate: 0, stroke: hue, strokeWidth: 1.5 },
  }),
  Plot.dot(points, { x: 'x', y: 'y', r: 3.5, fill: color('paper'), stroke: hue, strokeWidth: 1.5 }),
]

function lineMarks({ series, hue, points }: Line): Plot.Markish[] {
  if (series.bounds) return boundMarks(points, hue)
  if (series.scatter) return [errorBars(points, hue), dotMarks(points, hue, 3.5)]
  const isSingle = points.filter(isDrawn).length === 1
  const marks: Plot.Markish[] = []
  // a band has no width at a single value
  if (isSingle || series.bars) marks.push(errorBars(points, hue))
  else if (points.some(({ low }) => low !== undefined))
    marks.push(
      Plot.areaY(points, {
        x: 'x',
        y1: (point: LinePoint) => point.low ?? point.y,
        y2: (point: LinePoint) => point.high ?? point.y,
        fill: hue,
        fillOpacity: 0.16,
      }),
    )
  marks.push(
    Plot.lineY(points, {
      x: 'x',
      y: 'y',
      stroke: hue,
      strokeWidth: series.faint ? 1 : 2,
      strokeOpacity: series.faint ? 0.3 : 1,
      strokeDasharray: series.dashed ? '5 4' : undefined,
    }),
  )
  // a single value has no line: without a dot it would be invisible
  if (series.dots || isSingle) marks.push(dotMarks(points, hue, 3))
  return marks
}

const axisMarks = ({ xTicks, yTicks }: Layout): Plot.Markish[] => {
  const axis = { label: null, color: color('muted'), fontSize: 12 }
  const valuesOf = (ticks: readonly Tick[]) => ({
    ticks: ticks.map(({ value }) => value),
    // a channel: of a log axis Plot would drop every other label of a formatter
    text: (value: number) => ticks.find((tick) => tick.value === value)?.label ?? '',
  })
  return [
    Plot.gridY({ ticks: yTicks.map(({ value }) => value), stroke: color('grid'), strokeOpacity: 1 }),
    Plot.axisX({ ...axis, ...valuesOf(xTicks), tickSize: 4 }),
    Plot.axisY({ ...axis, ...valuesOf(yTicks), tickSize: 0 }),
  ]
}

/** Names of lines: beside the frame where a line reaches nearly there, at its end where it stops early. */
function lineNames(chart: LineChart, { named, frame, xOf, yOf }: Layout): Words[] {
  const wanted = named.map(({ end }) => yOf(end!.y!))
  const bounds = [frame.top, frame.bottom - 4] as const
  return spread(wanted, lineGap, bounds).map((y, place) => {
    const { series, hue, end } = named[place]!
    const at = xOf(end!.x)
    const beside = chart.labels === 'beside' || at > frame.right - 60
    return { text: series.name, x: (beside ? frame.right : at) + 9, y, fill: hue, bold: true, rim: !beside }
  })
}

/** Draw a line chart. */
export function lineChart(chart: LineChart): Figure {
  const lines = linesOf(chart)
  const layout = layOut(chart, lines)
  const { width, height, frame, domains, titles, legend } = layout
  const references = chart.references ?? []
  const rule = { stroke: color('muted'), strokeDasharray: '2 4' }
  const options: Plot.PlotOptions = {
    width,
    height,
    marginLeft: frame.left,
    marginRight: width - frame.right,
    marginTop: frame.top,
    marginBottom: height - frame.bottom,
    x: { type: chart.xScale ?? 'linear', domain: [...domains.x] },
    y: { type: chart.yScale ?? 'linear', domain: [...domains.y], clamp: chart.yDomain !== undefined },
    marks: [
      ...axisMarks(layout),
      ...references.map(({ axis, value }) =>
        axis === 'y' ? Plot.ruleY([value], rule) : Plot.ruleX([value], rule),
      ),
      ...lines.flatMap(lineMarks),
    ],
  }
  const names = lineNames(chart, layout)
  const marks = references.map(({ axis, value, label }) => ({
    ...{ axis, label },
    at: axis === 'x' ? layout.xOf(value) : layout.yOf(value),
  }))
  const muted = { fill: color('muted') }
  const words: Words[] = [
    ...names,
    ...markLabels(marks, frame, names.map(boxOf)),
    ...titles.y.map((text, row) => ({ ...muted, text, x: 0, y: 8 + 15 * row })),
    ...titles.x.map((text, row) => ({
      ...{ ...muted, text, anchor: 'middle' as const },
      x: Math.max(textWidth(text) / 2, Math.min(width - textWidth(text) / 2, (frame.left + frame.right) / 2)),
      y: frame.bottom + 38 + 15 * row,
    })),
  ]
  const { name, title, caption } = chart
  const above = legend.svg(15 * Math.max(1, titles.y.length) + 4)
  return {
    name,
    title,
    caption,
    svg: plotSvg(title, options, above + words.map(wordsSvg).join('')),
    width,
    height,
  }
}
