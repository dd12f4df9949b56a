/** @file Heat map: a value over two axes as cells of one colour, pale to full, with lines of theory and measured points. */
import * as Plot from '@observablehq/plot'
import { fail } from '../../base/index.ts'
import { escapeText, type Figure, type FigureText } from './figure.ts'
import { type LinePoint, spread, tickText } from './lineChart.ts'
import { buildPlot, plotSvg } from './plot.ts'
import { color, seriesColor, textWidth } from './theme.ts'

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
const ticksOf = (centres: readonly number[]): number | number[] => (centres.length <= 8 ? [...centres] : 6)

const opacityOf = (weight: number): number => palest + (0.92 - palest) * weight

/** The scale of the colour: its label, the two ends, and steps between them, set against the right edge `right`. */
function colourBar(label: string, [least, most]: readonly [number, number], right: number): string {
  const steps = 24
  const step = 5
  const [low, high] = [tickText(least), tickText(most)]
  const start = right - textWidth(high) - 6 - steps * step
  const text = (words: string, x: number, anchor: string) =>
    `<text x="${x}" y="14" text-anchor="${anchor}" fill="${color('muted')}">${escapeText(words)}</text>`
  const cells = Array.from(
    { length: steps },
    (_, i) =>
      `<rect x="${start + i * step}" y="4" width="${step}" height="12" fill="${color('series-1')}" ` +
      `fill-opacity="${opacityOf(i / (steps - 1)).toFixed(3)}"></rect>`,
  )
  return (
    `<g aria-label="scale" font-size="12">${text(`${label}  ${low}`, start - 6, 'end')}${cells.join('')}` +
    `${text(high, right, 'end')}</g>`
  )
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

/**
 * Draw a heat map. Throws TL_BAD_ARGUMENT when the values are not a row for each y and a column for each x, or the centres
 * do not rise.
 */
export function heatMap(chart: HeatMap): Figure {
  checkHeatMap(chart)
  const width = chart.width ?? 540
  const height = chart.height ?? 360
  const known = chart.values.flat().filter((value) => value !== null && Number.isFinite(value)) as number[]
  const domain = chart.domain ?? (known.length ? [Math.min(...known), Math.max(...known)] : [0, 1])
  const [columns, rows] = [cellEdges(chart.x), cellEdges(chart.y)]
  const [left, right] = [columns[0]!, columns.at(-1)!]
  const [bottom, top] = [rows[0]!, rows.at(-1)!]
  const inside = ({ x, y }: LinePoint) => y !== null && x >= left && x <= right && y >= bottom && y <= top
  const dotted = (chart.overlays ?? []).filter(({ dots }) => dots)
  const overlays = (chart.overlays ?? []).map((overlay) => ({
    ...overlay,
    points: overlay.points.filter(inside),
    // cells are of the first colour: lines in ink, points in the second and on
    hue: overlay.dots ? seriesColor(1 + dotted.indexOf(overlay)) : color('ink'),
  }))
  const named = overlays.filter(({ points, name }) => points.length > 0 && name !== '')
  // one point wears its label itself; a line and a cloud of points are named at the border
  const isOne = ({ points, dots }: HeatMapOverlay): boolean => dots === true && points.length === 1
  const labelled = named.filter((overlay) => !isOne(overlay))
  const labelRoom = Math.max(0, ...labelled.map(({ name }) => textWidth(name)))
  const axis = { label: null, color: color('muted'), fontSize: 12, tickFormat: tickText }
  const marks: Plot.Markish[] = [
    Plot.rect(cellsOf(chart, domain), {
      x1: 'x1',
      x2: 'x2',
      y1: 'y1',
      y2: 'y2',
      fill: color('series-1'),
      fillOpacity: (cell: Cell) => opacityOf(cell.weight),
      // or the seams between cells shine through
      shapeRendering: 'crispEdges',
    }),
    Plot.frame({ stroke: color('grid') }),
    Plot.axisX({ ...axis, ticks: ticksOf(chart.x), tickSize: 4 }),
    Plot.axisY({ ...axis, ticks: ticksOf(chart.y), tickSize: 4 }),
    ...overlays.flatMap((overlay) => overlayMarks(overlay, overlay.hue)),
    ...named.filter(isOne).map(({ name, points, hue }) => {
      const isRight = points[0]!.x > (left + right) / 2
      return Plot.text(points, {
        ...{ x: 'x', y: 'y', text: [name], fill: hue, fontWeight: 600 },
        ...{ stroke: color('paper'), strokeWidth: 3, dx: isRight ? -9 : 9 },
        textAnchor: isRight ? 'end' : 'start',
      })
    }),
  ]
  const options: Plot.PlotOptions = {
    width,
    height,
    marginLeft: 52,
    marginRight: 18 + labelRoom,
    marginTop: 34,
    marginBottom: 46,
    x: { type: 'linear', domain: [left, right] },
    y: { type: 'linear', domain: [bottom, top] },
    color: { type: 'identity' },
    opacity: { type: 'identity' },
    marks,
  }
  const yOf = buildPlot(options).scale('y')!
  const wanted = labelled.map(({ points }) => yOf.apply(points.at(-1)!.y) as number)
  for (const [place, position] of spread(wanted).entries()) {
    const { name, points, hue } = labelled[place]!
    marks.push(
      Plot.text([points.at(-1)!], {
        x: () => right,
        y: 'y',
        text: [name],
        fill: hue,
        textAnchor: 'start',
        fontWeight: 600,
        dx: 9,
        dy: position - wanted[place]!,
      }),
    )
  }
  const title = { fill: color('muted'), fontSize: 12 }
  marks.push(
    Plot.text([chart.yLabel], { ...title, frameAnchor: 'top-left', textAnchor: 'start', dx: -52, dy: -26 }),
    Plot.text([chart.xLabel], { ...title, frameAnchor: 'bottom', dy: 38 }),
  )
  const { name, caption } = chart
  const bar = colourBar(chart.valueLabel, domain, width - options.marginRight!)
  const svg = plotSvg(chart.title, options).replace(/<\/svg>$/, `${bar}</svg>`)
  return { name, title: chart.title, caption, svg, width, height }
}
