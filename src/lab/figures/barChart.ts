/** @file Bar chart: named values as horizontal bars, optionally with errors, the numbers written at the ends. */
import * as Plot from '@observablehq/plot'
import type { Figure, FigureText } from './figure.ts'
import { fitText, textWidth } from './letters.ts'
import { plotSvg } from './plot.ts'
import { color, seriesColor } from './theme.ts'

/** One bar. */
export interface Bar {
  label: string
  value: number
  /** One standard error, drawn as a line across the end. */
  error?: number
  /** Number of the colour. */
  hue?: number
}

/** What a bar chart needs. */
export interface BarChart extends FigureText {
  bars: readonly Bar[]
  xLabel: string
  /** The number written at the end of a bar. */
  format?: (value: number) => string
  xDomain?: readonly [number, number]
  /** Pixels. */
  width?: number
}

/** Draw a bar chart, in the given order from top to bottom. */
export function barChart(chart: BarChart): Figure {
  const width = chart.width ?? 540
  const height = 64 + chart.bars.length * 28
  const format = chart.format ?? ((value: number) => value.toPrecision(3))
  const nameOf = (label: string): string => fitText(label, 0.5 * width)
  const end = ({ value, error = 0 }: Bar) => value + error
  const options: Plot.PlotOptions = {
    width,
    height,
    marginLeft: 16 + Math.max(...chart.bars.map(({ label }) => textWidth(nameOf(label)))),
    marginRight: 16 + Math.max(...chart.bars.map(({ value }) => textWidth(format(value)))),
    marginTop: 10,
    marginBottom: 46,
    x: { domain: chart.xDomain as number[] | undefined, nice: chart.xDomain === undefined },
    y: { domain: chart.bars.map(({ label }) => label), padding: 0.3, type: 'band' },
    marks: [
      Plot.gridX({ stroke: color('grid'), strokeOpacity: 1 }),
      Plot.axisX({ label: null, tickSize: 0, color: color('muted'), fontSize: 12, ticks: 5 }),
      Plot.axisY({ label: null, tickFormat: nameOf, tickSize: 0, color: color('ink'), fontSize: 12 }),
      Plot.barX(chart.bars, {
        x1: chart.xDomain?.[0] ?? 0,
        x2: 'value',
        y: 'label',
        fill: (bar: Bar) => seriesColor(bar.hue ?? 0),
      }),
      Plot.link(
        chart.bars.filter(({ error }) => error !== undefined),
        {
          x1: (bar: Bar) => bar.value - bar.error!,
          x2: end,
          y: 'label',
          stroke: color('ink'),
          strokeWidth: 1.5,
        },
      ),
      Plot.text(chart.bars, {
        x: end,
        y: 'label',
        text: (bar: Bar) => format(bar.value),
        textAnchor: 'start',
        dx: 6,
        fill: color('ink'),
      }),
      Plot.text([chart.xLabel], {
        text: [chart.xLabel],
        fill: color('muted'),
        frameAnchor: 'bottom',
        dy: 38,
      }),
    ],
    // colours are given as they are
    color: { type: 'identity' },
  }
  const { name, title, caption } = chart
  return { name, title, caption, svg: plotSvg(title, options), width, height }
}
