/** @file Confusion matrix: counts of (true, predicted) as a heat map in which the few mistakes stand out. */
import * as Plot from '@observablehq/plot'
import { fail } from '../../base/index.ts'
import type { Figure, FigureText } from './figure.ts'
import { textWidth } from './letters.ts'
import { plotSvg } from './plot.ts'
import { color } from './theme.ts'

/** What a confusion matrix needs: `counts[truth][predicted]`, square, and the classes' names. */
export interface ConfusionMatrix extends FigureText {
  counts: readonly (readonly number[])[]
  labels: readonly string[]
  /** Pixels. */
  width?: number
}

interface Cell {
  truth: string
  predicted: string
  n: number
  right: boolean
  /** 0…1: among the right ones by share of the class, among the mistakes by number. */
  weight: number
}

/** Draw a confusion matrix. Throws TL_BAD_ARGUMENT when the counts are not square or do not match the labels. */
export function confusionMatrix(chart: ConfusionMatrix): Figure {
  const { counts, labels } = chart
  if (counts.length !== labels.length || counts.some((row) => row.length !== labels.length))
    fail(
      'TL_BAD_ARGUMENT',
      `confusion matrix: expected ${labels.length}×${labels.length} counts, one row a label`,
    )
  const mistakes = counts.flatMap((row, i) => row.filter((_, j) => i !== j))
  const mostMistakes = Math.max(1, ...mistakes)
  const cells: Cell[] = counts.flatMap((row, i) => {
    const size = Math.max(
      1,
      row.reduce((sum, n) => sum + n, 0),
    )
    return row.map((n, j) => ({
      truth: labels[i]!,
      predicted: labels[j]!,
      n,
      right: i === j,
      // a root makes single mistakes visible beside a frequent one
      weight: i === j ? n / size : Math.sqrt(n / mostMistakes),
    }))
  })
  const width = chart.width ?? 540
  const left = 44 + Math.max(...labels.map((label) => textWidth(label)))
  const side = (width - left - 16) / labels.length
  const height = Math.round(side * labels.length + 56)
  const base = { x: 'predicted', y: 'truth', inset: 1, rx: 3 } as const
  const options: Plot.PlotOptions = {
    width,
    height,
    marginLeft: left,
    marginRight: 16,
    marginTop: 4,
    marginBottom: 52,
    x: { domain: labels, padding: 0, type: 'band' },
    y: { domain: labels, padding: 0, type: 'band' },
    color: { type: 'identity' },
    opacity: { type: 'identity' },
    marks: [
      Plot.axisX({ label: null, tickSize: 0, fontSize: 13, color: color('ink') }),
      Plot.axisY({ label: null, tickSize: 0, fontSize: 13, color: color('ink') }),
      Plot.cell(cells, { ...base, fill: color('grid'), fillOpacity: 0.45 }),
      Plot.cell(
        cells.filter(({ n }) => n > 0),
        {
          ...base,
          fill: (cell: Cell) => color(cell.right ? 'series-1' : 'series-2'),
          fillOpacity: (cell: Cell) => (cell.right ? 0.1 + 0.25 * cell.weight : 0.12 + 0.5 * cell.weight),
        },
      ),
      Plot.text(
        cells.filter(({ n }) => n > 0),
        {
          x: 'predicted',
          y: 'truth',
          text: 'n',
          fontSize: 12,
          fontWeight: 600,
          fill: color('ink'),
        },
      ),
      Plot.text(['predicted'], { text: ['predicted'], fill: color('muted'), frameAnchor: 'bottom', dy: 40 }),
      Plot.text(['true'], {
        text: ['true'],
        fill: color('muted'),
        frameAnchor: 'left',
        rotate: -90,
        dx: 14 - left,
      }),
    ],
  }
  const { name, title, caption } = chart
  return { name, title, caption, svg: plotSvg(title, options), width, height }
}
