/** @file A small chart: lines, points with error bars, marks, axes, and its numbers as a table. */
import { g, h, shown } from './dom.ts'

export interface Series {
  readonly name: string
  readonly points: readonly { readonly x: number; readonly y: number; readonly error?: number }[]
  readonly as: 'line' | 'dashes' | 'points'
  /** Colour 1 … 5 of the page. */
  readonly colour: number
}

export interface Mark {
  readonly name: string
  readonly at: number
  readonly along: 'x' | 'y'
}

export interface ChartOptions {
  readonly label: string
  readonly x: { readonly title: string; readonly range: readonly [number, number]; readonly log?: boolean }
  readonly y: { readonly title: string; readonly range: readonly [number, number]; readonly log?: boolean }
  readonly series: readonly Series[]
  readonly marks?: readonly Mark[]
}

const size = { width: 640, height: 360, left: 56, right: 32, top: 16, bottom: 44 }

type Axis = ChartOptions['x']

/** Where a value lies between the ends of its axis, 0 to 1. */
export function shareOf({ range: [a, b], log = false }: Axis, value: number): number {
  const of = (x: number): number => (log ? Math.log(Math.max(x, 1e-300)) : x)
  return (of(value) - of(a)) / (of(b) - of(a))
}

/** Round values within an axis. */
export function ticksOf({ range: [a, b], log = false }: Axis): number[] {
  if (log) {
    const ticks: number[] = []
    for (let e = Math.ceil(Math.log10(a) - 1e-9); 10 ** e <= b * (1 + 1e-9); e++) ticks.push(10 ** e)
    return ticks.length >= 2 ? ticks : [a, b]
  }
  const raw = (b - a) / 5
  const unit = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((k) => k * unit).find((k) => k >= raw * 0.999)!
  const first = Math.ceil(a / step - 1e-9)
  return Array.from({ length: Math.floor(b / step + 1e-9) - first + 1 }, (_, i) =>
    Number(((first + i) * step).toFixed(9)),
  )
}

export function drawChart(options: ChartOptions): SVGSVGElement {
  const { x, y, series, marks = [], label } = options
  const px = (value: number): number => size.left + shareOf(x, value) * (size.width - size.left - size.right)
  const py = (value: number): number =>
    size.height - size.bottom - shareOf(y, value) * (size.height - size.top - size.bottom)
  const inside = ({ x: a, y: b }: { x: number; y: number }): boolean => {
    const [u, w] = [shareOf(x, a), shareOf(y, b)]
    return Number.isFinite(u) && Number.isFinite(w) && u >= -1e-9 && u <= 1 + 1e-9
  }
  const clip = (value: number): number => Math.min(size.height - size.bottom, Math.max(size.top, value))
  const [bottom, right] = [size.height - size.bottom, size.width - size.right]
  const svg = g('svg', {
    viewBox: `0 0 ${size.width} ${size.height}`,
    role: 'img',
    'aria-label': label,
    class: 'chart',
  })
  for (const tick of ticksOf(x))
    svg.append(
      g('line', { x1: px(tick), x2: px(tick), y1: size.top, y2: bottom, class: 'grid' }),
      g('text', { x: px(tick), y: bottom + 16, class: 'tick', 'text-anchor': 'middle' }, shown(tick)),
    )
  for (const tick of ticksOf(y))
    svg.append(
      g('line', { x1: size.left, x2: right, y1: py(tick), y2: py(tick), class: 'grid' }),
      g('text', { x: size.left - 6, y: py(tick) + 4, class: 'tick', 'text-anchor': 'end' }, shown(tick)),
    )
  svg.append(
    g(
      'text',
      { x: (size.left + right) / 2, y: size.height - 8, class: 'axis', 'text-anchor': 'middle' },
      x.title,
    ),
    g(
      'text',
      {
        x: 14,
        y: (size.top + bottom) / 2,
        class: 'axis',
        'text-anchor': 'middle',
        transform: `rotate(-90 14 ${(size.top + bottom) / 2})`,
      },
      y.title,
    ),
  )
  for (const { name, at, along } of marks) {
    const share = shareOf(along === 'x' ? x : y, at)
    if (!(share >= 0 && share <= 1)) continue
    svg.append(
      along === 'x'
        ? g('line', { x1: px(at), x2: px(at), y1: size.top, y2: bottom, class: 'mark' })
        : g('line', { x1: size.left, x2: right, y1: py(at), y2: py(at), class: 'mark' }),
      along === 'x'
        ? g('text', { x: px(at) + 4, y: size.top + 12, class: 'marked' }, name)
        : g('text', { x: right - 4, y: py(at) - 4, class: 'marked', 'text-anchor': 'end' }, name),
    )
  }
  for (const { points, as, colour } of series) {
    const kept = points.filter(inside)
    if (as !== 'points') {
      const path = kept
        .map((p, i) => `${i === 0 ? 'M' : 'L'}${px(p.x).toFixed(1)} ${clip(py(p.y)).toFixed(1)}`)
        .join('')
      if (path) svg.append(g('path', { d: path, class: `series c${colour} ${as}` }))
      continue
    }
    for (const { x: a, y: b, error = 0 } of kept)
      svg.append(
        g('line', {
          x1: px(a),
          x2: px(a),
          y1: clip(py(b - error)),
          y2: clip(py(b + error)),
          class: `error c${colour}`,
        }),
        g('circle', { cx: px(a), cy: clip(py(b)), r: 3, class: `point c${colour}` }),
      )
  }
  return svg
}

/** Names of the series, told apart by colour and form. */
export const legendOf = (series: readonly Series[]): HTMLElement =>
  h(
    'ul',
    { class: 'legend' },
    ...series
      .filter(({ points }) => points.length > 0)
      .map(({ name, as, colour }) =>
        h('li', {}, h('span', { class: `swatch c${colour} ${as}`, 'aria-hidden': 'true' }), name),
      ),
  )

/** The chart's numbers, to be read or copied. */
export function tableOf({ x, series }: ChartOptions): HTMLTableElement {
  const all = series.filter(({ points }) => points.length > 0)
  const at = [...new Set(all.flatMap(({ points }) => points.map((p) => p.x)))].sort((a, b) => a - b)
  return h(
    'table',
    {},
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, x.title),
        ...all.map(({ name }) => h('th', { scope: 'col' }, name)),
      ),
    ),
    h(
      'tbody',
      {},
      ...at.map((value) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, shown(value)),
          ...all.map(({ points }) => {
            const found = points.find((p) => p.x === value)
            return h(
              'td',
              {},
              found ? `${shown(found.y)}${found.error ? ` ± ${shown(found.error)}` : ''}` : '',
            )
          }),
        ),
      ),
    ),
  )
}
