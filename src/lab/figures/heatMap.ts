/** @file Heat map: a value over two axes as cells of one colour, pale to full, with lines of theory and measured points. */
import * as Plot from '@observablehq/plot'
import { fail } from '../../base/index.ts'
import { linearTicks, type Tick, thinTicks, tickTexts, tickWidth, toPixels } from './axes.ts'
import type { Figure, FigureText } from './figure.ts'
import { firstFree, lineGap, spread } from './labels.ts'
import { fitText, textWidth, wrapText } from './letters.ts'
import type { LinePoint } from './lineChart.ts'
import { boxOf, pixel, type Words, wordsSvg } from './place.ts'
import { plotSvg } from './plot.ts'
import { color, seriesColor } from './theme.ts'

/** A line or a set of points over the cells. Points outside the axes, and those with a null y, are left out. */
export interface HeatMapOverlay {
  name: string
  /** `low` and `high` bound an error bar; drawn for dots. */
  points: readonly LinePoint[]
  /** Points instead of a line. */
  dots?: boolean
  dashed?: boolean
}

/** What a heat map needs. */
export interface HeatMap extends FigureText {
  /** Centres of the columns, rising. */
  x: readonly number[]
  /** Centres of the rows, rising; the first is drawn at the bottom. */
  y: readonly number[]
  /** `values[row][column]`; null leaves a cell empty. */
  values: readonly (readonly (number | null)[])[]
  xLabel: string
  yLabel: string
  /** What the colour says, beside its scale. */
  valueLabel: string
  /** Values of the palest and the fullest colour; default: the extremes. Values beyond are drawn as these. */
  domain?: readonly [number, number]
  overlays?: readonly HeatMapOverlay[]
  /** Pixels. */
  width?: number
  height?: number
}

interface Cell {
  x1: number
  x2: number
  y1: number
  y2: number
  weight: number
}

/** Opacity of the palest cell: an empty one must look different. */
const palest = 0.04

/** Borders of cells: midway between the centres, the outer ones as far out as the next is in. */
export function cellEdges(centres: readonly number[]): number[] {
  if (centres.length === 1) return [centres[0]! - 0.5, centres[0]! + 0.5]
  const middles = centres.slice(1).map((centre, i) => (centres[i]! + centre) / 2)
  const last = centres.length - 1
  return [2 * centres[0]! - middles[0]!, ...middles, 2 * centres[last]! - middles[last - 1]!]
}

function checkHeatMap({ x, y, values }: HeatMap): void {
  const rising = (centres: readonly number[]) => centres.every((c, i) => i === 0 || c > centres[i - 1]!)
  if (x.length === 0 || y.length === 0 || !rising(x) || !rising(y))
    fail('TL_BAD_ARGUMENT', 'heat map: expected rising centres of at least one column and one row')
  if (values.length !== y.length || values.some((row) => row.length !== x.length))
    fail('TL_BAD_ARGUMENT', `heat map: expected ${y.length} rows of ${x.length} values`)
}

function cellsOf({ x, y, values }: HeatMap, [least, most]: readonly [number, number]): Cell[] {
  const [columns, rows] = [cellEdges(x), cellEdges(y)]
  return values.flatMap((row, j) =>
    row.flatMap((value, i) =>
      value === null || !Number.isFinite(value)
        ? []
        : [
            {
              x1: columns[i]!,
              x2: columns[i + 1]!,
              y1: rows[j]!,
              y2: rows[j + 1]!,
              weight: Math.min(1, Math.max(0, (value - least) / (most - least || 1))),
            },
          ],
    ),
  )
}

/** Few columns are ticked where they are: between them nothing was measured. */
const ticksOf = (centres: readonly number[], [least, most]: Domain): Tick[] => {
  const values = centres.length <= 8 ? [...centres] : linearTicks(least, most, 6)
  const labels = tickTexts(values)
  return values.map((value, i) => ({ value, label: labels[i]! }))
}

const opacityOf = (weight: number): number => palest + (0.92 - palest) * weight

/** The scale of the colour: its label, the two ends, and steps between them. */
function colourBar(label: string, [least, most]: readonly [number, number], room: number) {
  const steps = 24
  const step = 5
  const [low, high] = tickTexts([least, most]) as [string, string]
  const around = textWidth(low) + textWidth(high) + steps * step + 26
  const name = fitText(label, room - around)
  return {
    width: textWidth(name) + around - 6,
    /** Set against a right edge, its middle at `y`. */
    svg: (right: number, y: number): string => {
      const start = right - textWidth(high) - 6 - steps * step
      const word = { y, fill: color('muted'), anchor: 'end' as const }
      const cells = Array.from(
        { length: steps },
        (_, i) =>
          `<rect x="${pixel(start + i * step)}" y="${y - 6}" width="${step}" height="12" fill="${color('series-1')}" ` +
          `fill-opacity="${opacityOf(i / (steps - 1)).toFixed(3)}"></rect>`,
      )
      return (
        `<g aria-label="scale" font-size="12">${wordsSvg({ ...word, text: name, x: start - textWidth(low) - 14 })}` +
        `${wordsSvg({ ...word, text: low, x: start - 6 })}${cells.join('')}${wordsSvg({ ...word, text: high, x: right })}</g>`
      )
    },
  }
}

function overlayMarks({ points, dots, dashed }: HeatMapOverlay, hue: string): Plot.Markish[] {
  const halo = color('paper')
  if (!dots) {
    const line = { x: 'x', y: 'y', clip: true } as const
    return [
      Plot.line(points, { ...line, stroke: halo, strokeWidth: 5, strokeOpacity: 0.7 }),
      Plot.line(points, {
        ...line,
        stroke: hue,
        strokeWidth: 2,
        strokeDasharray: dashed ? '5 4' : undefined,
      }),
    ]
  }
  const bars = points.filter(({ low, high }) => low !== undefined && high !== undefined)
  return [
    Plot.ruleX(bars, { x: 'x', y1: 'low', y2: 'high', stroke: hue, strokeWidth: 1.5, clip: true }),
    Plot.dot(points, { x: 'x', y: 'y', r: 3.5, fill: hue, stroke: halo, strokeWidth: 1.5 }),
  ]
}

type Overlay = HeatMapOverlay & { readonly hue: string }
type Domain = readonly [number, number]

/** What lies over the cells, and only there: lines in ink, points in the second colour and on, for cells are of the first. */
function overlaysOf({ overlays = [] }: HeatMap, x: Domain, y: Domain): Overlay[] {
  const inside = (point: LinePoint) =>
    point.y !== null && point.x >= x[0] && point.x <= x[1] && point.y >= y[0] && point.y <= y[1]
  const dotted = overlays.filter(({ dots }) => dots)
  return overlays.map((overlay) => ({
    ...overlay,
    points: overlay.points.filter(inside),
    hue: overlay.dots ? seriesColor(1 + dotted.indexOf(overlay)) : color('ink'),
  }))
}

/** One point wears its label itself; a line and a cloud of points are named at the border. */
const isOne = ({ points, dots }: HeatMapOverlay): boolean => dots === true && points.length === 1

/** Everything in pixels. */
function layOut(chart: HeatMap, overlays: readonly Overlay[], x: Domain, y: Domain, colours: Domain) {
  const width = chart.width ?? 540
  const titles = { x: wrapText(chart.xLabel, width - 8, 12), y: wrapText(chart.yLabel, width - 8, 12) }
  const named = overlays.filter(({ points, name }) => points.length > 0 && name !== '')
  const border = named.filter((overlay) => !isOne(overlay))
  const nameOf = (overlay: Overlay): string => fitText(overlay.name, 0.38 * width, 12, true)
  const yTicks = ticksOf(chart.y, y)
  const left = Math.max(44, 14 + Math.max(0, ...yTicks.map(({ label }) => tickWidth(label))))
  const labels = Math.max(0, ...border.map((overlay) => textWidth(nameOf(overlay), 12, true)))
  const xTicks = ticksOf(chart.x, x)
  const last = xTicks.at(-1)
  const right = Math.max(18 + labels, last ? 6 + tickWidth(last.label) / 2 : 0)
  const bar = colourBar(chart.valueLabel, colours, width - right - 4)
  // beside the title of the y axis where there is room, else above it
  const beside = Math.max(0, ...titles.y.map((line) => textWidth(line))) + bar.width + 24 < width - right
  const title = beside ? 0 : 20
  const top = title + 19 + 15 * Math.max(1, titles.y.length)
  const bottom = 31 + 15 * Math.max(1, titles.x.length)
  const height = Math.max(
    (chart.height ?? 360) + title + 15 * (Math.max(1, titles.y.length) - 1),
    top + bottom + border.length * lineGap,
  )
  const frame = { left, right: width - right, top, bottom: height - bottom }
  const xOf = toPixels('linear', x, frame.left, frame.right)
  const yOf = toPixels('linear', y, frame.bottom, frame.top)
  return {
    ...{ width, height, frame, xOf, yOf, titles, title, bar, border, nameOf },
    points: named.filter(isOne),
    xTicks: thinTicks(xTicks, xOf, tickWidth),
    yTicks: thinTicks(yTicks, yOf, () => 12, { gap: 4 }),
  }
}

type Layout = ReturnType<typeof layOut>

function wordsOf(layout: Layout): Words[] {
  const { width, frame, xOf, yOf, titles, border, points, nameOf } = layout
  const muted = { fill: color('muted') }
  const wanted = border.map((overlay) => yOf(overlay.points.at(-1)!.y!))
  const beside = spread(wanted, lineGap, [frame.top, frame.bottom - 4]).map((y, place): Words => {
    const overlay = border[place]!
    return { text: nameOf(overlay), x: frame.right + 9, y, fill: overlay.hue, bold: true }
  })
  const inside: Words[] = []
  for (const overlay of points) {
    const [{ x, y }] = overlay.points as readonly [LinePoint]
    const [at, middle] = [xOf(x), yOf(y!)]
    const words = { text: nameOf(overlay), fill: overlay.hue, bold: true, rim: true }
    const isRight = at > (frame.left + frame.right) / 2
    const sides = [
      isRight ? ('end' as const) : ('start' as const),
      isRight ? ('start' as const) : ('end' as const),
    ]
    const places = [0, -15, 15, -30, 30].flatMap((shift) =>
      sides.map(
        (anchor): Words => ({ ...words, anchor, x: at + (anchor === 'end' ? -9 : 9), y: middle + shift }),
      ),
    )
    const boxes = places
      .map((place) => ({ ...boxOf(place), place }))
      .filter(
        (box) =>
          box.x >= frame.left &&
          box.x + box.width <= frame.right &&
          box.y + 7 >= frame.top - 4 &&
          box.y + 7 <= frame.bottom + 4,
      )
    inside.push(boxes.length > 0 ? firstFree(boxes, inside.map(boxOf)).place : places[0]!)
  }
  return [
    ...beside,
    ...inside,
    ...titles.y.map((text, row) => ({ ...muted, text, x: 0, y: layout.title + 8 + 15 * row })),
    ...titles.x.map((text, row) => ({
      ...{ ...muted, text, anchor: 'middle' as const },
      x: Math.max(textWidth(text) / 2, Math.min(width - textWidth(text) / 2, (frame.left + frame.right) / 2)),
      y: frame.bottom + 38 + 15 * row,
    })),
  ]
}

/**
 * Draw a heat map. Throws TL_BAD_ARGUMENT when the values are not a row for each y and a column for each x, or the centres
 * do not rise.
 */
export function heatMap(chart: HeatMap): Figure {
  checkHeatMap(chart)
  const known = chart.values.flat().filter((value) => value !== null && Number.isFinite(value)) as number[]
  const colours = chart.domain ?? (known.length ? [Math.min(...known), Math.max(...known)] : [0, 1])
  const [columns, rows] = [cellEdges(chart.x), cellEdges(chart.y)]
  const x = [columns[0]!, columns.at(-1)!] as const
  const y = [rows[0]!, rows.at(-1)!] as const
  const overlays = overlaysOf(chart, x, y)
  const layout = layOut(chart, overlays, x, y, colours)
  const { width, height, frame } = layout
  const axis = { label: null, color: color('muted'), fontSize: 12, tickSize: 4 }
  const valuesOf = (ticks: readonly Tick[]) => ({
    ticks: ticks.map(({ value }) => value),
    text: (value: number) => ticks.find((tick) => tick.value === value)?.label ?? '',
  })
  const options: Plot.PlotOptions = {
    width,
    height,
    marginLeft: frame.left,
    marginRight: width - frame.right,
    marginTop: frame.top,
    marginBottom: height - frame.bottom,
    x: { type: 'linear', domain: [...x] },
    y: { type: 'linear', domain: [...y] },
    color: { type: 'identity' },
    opacity: { type: 'identity' },
    marks: [
      Plot.rect(cellsOf(chart, colours), {
        ...{ x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2', fill: color('series-1') },
        fillOpacity: (cell: Cell) => opacityOf(cell.weight),
        // or the seams between cells shine through
        shapeRendering: 'crispEdges',
      }),
      Plot.frame({ stroke: color('grid') }),
      Plot.axisX({ ...axis, ...valuesOf(layout.xTicks) }),
      Plot.axisY({ ...axis, ...valuesOf(layout.yTicks) }),
      ...overlays.flatMap((overlay) => overlayMarks(overlay, overlay.hue)),
    ],
  }
  const { name, title, caption } = chart
  const more = layout.bar.svg(frame.right, 10) + wordsOf(layout).map(wordsSvg).join('')
  return { name, title, caption, svg: plotSvg(title, options, more), width, height }
}
