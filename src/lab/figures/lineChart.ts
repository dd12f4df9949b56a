/** @file Line chart: one or several series, error bands, points, reference lines, labels at the ends of the lines. */
import * as Plot from '@observablehq/plot'
import type { Figure, FigureText } from './figure.ts'
import { buildPlot, plotSvg } from './plot.ts'
import { color, seriesColor, textWidth } from './theme.ts'

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
  xScale?: 'linear' | 'log'
  yScale?: 'linear' | 'log'
  xDomain?: readonly [number, number]
  yDomain?: readonly [number, number]
  /** d3-format of the y ticks, such as `.1%`. */
  yFormat?: string
  references?: readonly Reference[]
  /** Where the names of lines stand: at their ends, or all beside the frame, for lines that end among others. Default 'ends'. */
  labels?: 'ends' | 'beside'
  /** Pixels. */
  width?: number
  height?: number
}

const lineGap = 15

/** Shift label positions apart (pixels, any order) so that none overlap, moving each as little as needed. */
export function spread(positions: readonly number[], gap = lineGap): number[] {
  const order = positions.map((_, index) => index).sort((a, b) => positions[a]! - positions[b]!)
  // clusters of touching labels, each centred on the mean of where its labels want to be
  const clusters: { members: number[]; centre: number }[] = []
  for (const index of order) {
    clusters.push({ members: [index], centre: positions[index]! })
    while (clusters.length > 1) {
      const last = clusters.at(-1)!
      const before = clusters.at(-2)!
      const room = ((last.members.length + before.members.length) / 2) * gap
      if (last.centre - before.centre >= room) break
      const members = [...before.members, ...last.members]
      const centre = members.reduce((sum, member) => sum + positions[member]!, 0) / members.length
      clusters.splice(-2, 2, { members, centre })
    }
  }
  const moved = [...positions]
  for (const { members, centre } of clusters)
    for (const [place, member] of members.entries())
      moved[member] = centre + (place - (members.length - 1) / 2) * gap
  return moved
}

/** Ticks of a log axis: the decades, and 2 and 5 between them where there are few. */
export function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low)
  const steps = decades > 2.5 ? [1] : [1, 2, 5]
  const every = Math.max(1, Math.ceil(decades / 7))
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    if (power % every === 0)
      for (const step of steps) {
        const tick = Number(`${step}e${power}`)
        if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick)
      }
  return ticks
}

const superscript = (n: number): string =>
  [...String(n)].map((digit) => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(digit)]).join('')

/** A number on an axis: plain where it is short, a power of ten where it is not. */
export function tickText(value: number): string {
  const size = Math.abs(value)
  if (value === 0 || (size >= 1e-3 && size < 1e5)) return Number(value.toPrecision(6)).toLocaleString('en-US')
  const power = Math.floor(Math.log10(size) + 1e-9)
  const head = Number((value / 10 ** power).toPrecision(3))
  return head === 1 ? `10${superscript(power)}` : `${head}·10${superscript(power)}`
}

/** Labels of an axis. On a log axis Plot would drop every other one of a formatter's labels, but none of a channel's. */
const tickLabels = (scale: LineChart['xScale'], format?: string): Plot.AxisXOptions & Plot.AxisYOptions =>
  scale === 'log' && !format ? { text: tickText } : { tickFormat: format ?? tickText }

const drawable = (point: LinePoint, chart: LineChart): boolean =>
  point.y !== null &&
  Number.isFinite(point.y) &&
  (chart.yScale !== 'log' || point.y > 0) &&
  (chart.xScale !== 'log' || point.x > 0)

const errorBars = (points: readonly LinePoint[], hue: string): Plot.Markish =>
  Plot.ruleX(
    points.filter(({ low, y }) => low !== undefined && !Number.isNaN(y)),
    { x: 'x', y1: 'low', y2: 'high', stroke: hue, strokeOpacity: 0.55, strokeWidth: 1.5 },
  )

/** Points and their error bars. */
const scatterMarks = (points: readonly LinePoint[], hue: string): Plot.Markish[] => [
  errorBars(points, hue),
  Plot.dot(points, { x: 'x', y: 'y', r: 3.5, fill: hue, stroke: color('paper'), strokeWidth: 1 }),
]

/** Draw a line chart. */
export function lineChart(chart: LineChart): Figure {
  const width = chart.width ?? 540
  const height = chart.height ?? 320
  const hues = chart.series.map((series, index) => seriesColor(series.hue ?? index))
  const lines = chart.series.map((series) =>
    series.points.map((point) => (drawable(point, chart) ? point : { ...point, y: Number.NaN })),
  )
  const ends = lines.map((points) => points.findLast(({ y }) => !Number.isNaN(y)))
  const labelled = chart.series
    .map((series, index) => ({ series, index, end: ends[index] }))
    .filter(({ series, end }) => !series.faint && series.name !== '' && end)
  const labelRoom = Math.max(0, ...labelled.map(({ series }) => textWidth(series.name)))

  const all = lines.flat().filter(({ y }) => !Number.isNaN(y))
  /** A log axis shows what is above 0. */
  const extent = (values: number[], scale: LineChart['xScale']): [number, number] => {
    const shown = scale === 'log' ? values.filter((value) => value > 0) : values
    if (shown.length === 0) return scale === 'log' ? [1, 10] : [0, 1]
    return [Math.min(...shown), Math.max(...shown)]
  }
  const xDomain =
    chart.xDomain ??
    extent(
      all.map(({ x }) => x),
      chart.xScale,
    )
  const yDomain =
    chart.yDomain ??
    extent(
      all.flatMap(({ y, low = y!, high = y! }) => [low, high]),
      chart.yScale,
    )
  const xTicks = chart.xScale === 'log' ? logTicks(...xDomain) : Math.floor(width / 90)
  const yTicks = chart.yScale === 'log' ? logTicks(...yDomain) : 5
  const axis = { label: null, color: color('muted'), fontSize: 12 }
  const marks: Plot.Markish[] = [
    Plot.gridY({ ticks: yTicks, stroke: color('grid'), strokeOpacity: 1 }),
    Plot.axisX({ ...axis, ticks: xTicks, ...tickLabels(chart.xScale), tickSize: 4 }),
    Plot.axisY({ ...axis, ticks: yTicks, ...tickLabels(chart.yScale, chart.yFormat), tickSize: 0 }),
  ]
  for (const { axis, value, label } of chart.references ?? []) {
    const rule = { stroke: color('muted'), strokeDasharray: '2 4' }
    const text = { text: [label], fill: color('muted'), fontSize: 12 }
    if (axis === 'y') {
      marks.push(Plot.ruleY([value], rule))
      marks.push(
        Plot.text([value], { ...text, y: value, frameAnchor: 'left', textAnchor: 'start', dy: -8, dx: 4 }),
      )
    } else {
      marks.push(Plot.ruleX([value], rule))
      marks.push(
        Plot.text([value], { ...text, x: value, frameAnchor: 'top', textAnchor: 'start', dx: 5, dy: 4 }),
      )
    }
  }
  for (const [index, series] of chart.series.entries()) {
    const points = lines[index]!
    if (series.scatter) {
      marks.push(...scatterMarks(points, hues[index]!))
      continue
    }
    const isSingle = points.filter(({ y }) => !Number.isNaN(y)).length === 1
    // a band has no width at a single value
    if (isSingle) marks.push(errorBars(points, hues[index]!))
    else if (points.some(({ low }) => low !== undefined))
      marks.push(
        Plot.areaY(points, {
          x: 'x',
          y1: (point: LinePoint) => point.low ?? point.y,
          y2: (point: LinePoint) => point.high ?? point.y,
          fill: hues[index],
          fillOpacity: 0.16,
        }),
      )
    marks.push(
      Plot.lineY(points, {
        x: 'x',
        y: 'y',
        stroke: hues[index],
        strokeWidth: series.faint ? 1 : 2,
        strokeOpacity: series.faint ? 0.3 : 1,
        strokeDasharray: series.dashed ? '5 4' : undefined,
      }),
    )
    // a single value has no line: without a dot it would be invisible
    if (series.dots || isSingle)
      marks.push(
        Plot.dot(points, { x: 'x', y: 'y', r: 3, fill: hues[index], stroke: color('paper'), strokeWidth: 1 }),
      )
  }
  const options: Plot.PlotOptions = {
    width,
    height,
    marginLeft: 52,
    marginRight: 18 + labelRoom,
    marginTop: 30,
    marginBottom: 46,
    x: { type: chart.xScale ?? 'linear', domain: chart.xDomain as number[] | undefined },
    y: {
      type: chart.yScale ?? 'linear',
      domain: chart.yDomain as number[] | undefined,
      nice: chart.yDomain === undefined && chart.yScale !== 'log',
      clamp: chart.yDomain !== undefined,
    },
    marks,
  }

  const plot = buildPlot(options)
  const [xOf, yOf] = [plot.scale('x')!, plot.scale('y')!]
  const wanted = labelled.map(({ end }) => yOf.apply(end!.y) as number)
  for (const [place, position] of spread(wanted).entries()) {
    const { series, index, end } = labelled[place]!
    marks.push(
      Plot.text([end!], {
        // beside the frame where the line reaches nearly there, at its end where it stops early
        x: (point: LinePoint) =>
          chart.labels === 'beside' || xOf.apply(point.x) > width - options.marginRight! - 60
            ? xDomain[1]
            : point.x,
        y: 'y',
        text: [series.name],
        fill: hues[index],
        textAnchor: 'start',
        fontWeight: 600,
        dx: 9,
        dy: position - wanted[place]!,
      }),
    )
  }
  const axisTitle = { fill: color('muted'), fontSize: 12 }
  marks.push(
    Plot.text([chart.yLabel], {
      ...axisTitle,
      frameAnchor: 'top-left',
      textAnchor: 'start',
      dx: -52,
      dy: -22,
      text: [chart.yLabel],
    }),
    Plot.text([chart.xLabel], { ...axisTitle, frameAnchor: 'bottom', dy: 38, text: [chart.xLabel] }),
  )
  const { name, title, caption } = chart
  return { name, title, caption, svg: plotSvg(title, options), width, height }
}
