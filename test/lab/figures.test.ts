/** @file Figures: what is drawn is what was given, nothing from outside, PNGs with pixels. */
import fc from 'fast-check'
import { parseHTML } from 'linkedom'
import { PNG } from 'pngjs'
import { describe, expect, it } from 'vitest'
import { linearTicks, logTicks, tickText, tickTexts } from '../../src/lab/figures/axes.ts'
import { spread } from '../../src/lab/figures/labels.ts'
import { textWidth, wrapText } from '../../src/lab/figures/letters.ts'
import {
  barChart,
  confusionMatrix,
  encodePng,
  type Figure,
  gallery,
  lineChart,
  posterSvg,
  svgToPng,
} from '../../src/lab/index.ts'

const text = { name: 'x', title: 'A <title> & more', caption: 'What it shows.' }
const parse = (figure: Figure) =>
  parseHTML(`<html><body>${figure.svg}</body></html>`).document.querySelector('svg')!

describe('line chart', () => {
  const series = [
    { name: 'first', points: [0, 1, 2, 3].map((x) => ({ x, y: x, low: x - 1, high: x + 1 })) },
    { name: 'theory', dashed: true, points: [0, 3].map((x) => ({ x, y: x })) },
    { name: 'one', points: [{ x: 1, y: 1 }] },
  ]
  const chart = lineChart({ ...text, xLabel: 'steps', yLabel: 'loss', series })

  it('draws lines, a band, a dashed line, a dot for a lonely value, and names the lines', () => {
    const svg = parse(chart)
    expect(svg.getAttribute('role')).toBe('img')
    expect(svg.getAttribute('aria-label')).toBe('A <title> & more')
    expect(svg.querySelectorAll('[aria-label="line"] path')).toHaveLength(3)
    expect(svg.querySelectorAll('[aria-label="area"] path')).toHaveLength(1)
    expect(svg.querySelectorAll('[aria-label="dot"] circle')).toHaveLength(1)
    const words = [...svg.querySelectorAll('text')].map((node) => node.textContent)
    expect(words).toEqual(expect.arrayContaining(['first', 'theory', 'one', 'steps', 'loss']))
    // a straight line: x and y grow in the same proportion
    const path = svg.querySelector('[aria-label="line"] path')!.getAttribute('d')!
    const points = [...path.matchAll(/([\d.]+),([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)])
    expect(points).toHaveLength(4)
    const slope = (a: number, b: number) =>
      (points[b]![1]! - points[a]![1]!) / (points[b]![0]! - points[a]![0]!)
    expect(slope(0, 1)).toBeCloseTo(slope(2, 3), 2)
  })

  it('uses only theme colours and nothing from outside', () => {
    expect(chart.svg).not.toMatch(/https?:|<style|#[0-9a-f]{6}\b/)
    expect(chart.svg).toContain('var(--tl-series-1)')
  })

  it('leaves out what a log axis cannot show, and survives no data at all', () => {
    const points = [
      { x: 1, y: 0 },
      { x: 2, y: null },
      { x: 3, y: 1 },
      { x: 4, y: Number.NaN },
      { x: 5, y: 10 },
    ]
    const log = lineChart({ ...text, xLabel: '', yLabel: '', yScale: 'log', series: [{ name: 'a', points }] })
    expect(log.svg).not.toMatch(/NaN|Infinity/)
    const band = points.map((point) => ({ ...point, low: 0, high: point.y ?? 0 }))
    const banded = lineChart({
      ...text,
      xLabel: '',
      yLabel: '',
      yScale: 'log',
      series: [{ name: 'a', points: band }],
    })
    expect(banded.svg).not.toMatch(/NaN|Infinity/)
    for (const yScale of ['linear', 'log'] as const) {
      const empty = lineChart({
        ...text,
        xLabel: '',
        yLabel: '',
        yScale,
        series: [{ name: 'a', points: [] }],
      })
      expect(empty.svg).not.toMatch(/NaN|Infinity/)
    }
  })

  it('scattered points have error bars and no line', () => {
    const points = [
      { x: 1, y: 2, low: 1, high: 4 },
      { x: 3, y: 1 },
      { x: 2, y: null },
    ]
    const chart = (scatter: boolean) =>
      parse(lineChart({ ...text, xLabel: '', yLabel: '', series: [{ name: 'a', points, scatter }] }))
    const drawn = chart(true)
    expect(drawn.querySelectorAll('[aria-label="dot"] circle')).toHaveLength(2)
    expect(drawn.querySelectorAll('[aria-label="line"] path')).toHaveLength(0)
    const bars = [...drawn.querySelectorAll('[aria-label="rule"] line')]
    expect(bars).toHaveLength(1)
    const [y1, y2] = ['y1', 'y2'].map((name) => Number(bars[0]!.getAttribute(name)))
    expect(Math.abs(y1! - y2!)).toBeGreaterThan(100)
    expect(chart(false).querySelectorAll('[aria-label="line"] path')).toHaveLength(1)
  })

  it('a single value of a line has an error bar in place of a band', () => {
    const bars = (points: readonly { x: number; y: number; low: number; high: number }[]): number => {
      const drawn = parse(
        lineChart({ ...text, xLabel: '', yLabel: '', series: [{ name: 'a', points: [...points] }] }),
      )
      return drawn.querySelectorAll('[aria-label="rule"] line').length
    }
    const first = { x: 1, y: 2, low: 1, high: 4 }
    expect(bars([first])).toBe(1)
    expect(bars([first, { ...first, x: 2 }])).toBe(0)
  })

  it('every tick of a log axis has its label', () => {
    const points = [
      { x: 1, y: 0.004 },
      { x: 300, y: 0.9 },
    ]
    const scales = { xScale: 'log', yScale: 'log' } as const
    const { svg } = lineChart({ ...text, ...scales, xLabel: '', yLabel: '', series: [{ name: '', points }] })
    for (const label of ['0.005', '0.01', '0.05', '0.5', '5', '50', '200'])
      expect(svg).toContain(`>${label}</text>`)
  })

  it('spreads labels apart with the least movement', () => {
    expect(spread([10, 100], 15)).toEqual([10, 100])
    expect(spread([50, 50], 10)).toEqual([45, 55])
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 12 }), (wanted) => {
        const moved = spread(wanted, 15).sort((a, b) => a - b)
        for (let i = 1; i < moved.length; i++) expect(moved[i]! - moved[i - 1]!).toBeGreaterThan(15 - 1e-9)
        const within = spread(wanted, 15, [20, 220]).sort((a, b) => a - b)
        for (const [i, at] of within.entries()) {
          expect(at).toBeGreaterThan(20 - 1e-9)
          expect(at).toBeLessThan(220 + 1e-9)
          if (i > 0) expect(at - within[i - 1]!).toBeGreaterThan(15 - 1e-9)
        }
      }),
    )
  })

  it('writes ticks for people', () => {
    expect(logTicks(0.02, 2)).toEqual([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    expect(linearTicks(0.05, 0.42, 4)).toEqual([0.1, 0.2, 0.3, 0.4])
    expect(linearTicks(-1, 1, 5)).toEqual([-1, -0.5, 0, 0.5, 1])
    expect(linearTicks(3, 3, 5)).toEqual([3])
    expect(logTicks(1e-4, 1)).toEqual([1e-4, 1e-3, 1e-2, 0.1, 1])
    expect([0, 0.1, 1500, 1e-5, 2e7, -3e-6].map(tickText)).toEqual([
      '0',
      '0.1',
      '1,500',
      '10⁻⁵',
      '2·10⁷',
      '-3·10⁻⁶',
    ])
    // numbers of one axis are spelled in one way
    expect(tickTexts([0, 50_000, 100_000])).toEqual(['0', '50,000', '100,000'])
    expect(tickTexts([1e-4, 0.01, 1])).toEqual(['0.0001', '0.01', '1'])
    expect(tickTexts([0, 1e-5, 0.02, 1])).toEqual(['0', '10⁻⁵', '2·10⁻²', '10⁰'])
    expect(tickTexts([0.001, 0.0015, 0.993641])).toEqual(['0.001', '0.0015', '0.994'])
    expect(tickTexts([10, 1000, 2e6])).toEqual(['10¹', '10³', '2·10⁶'])
  })
})

describe('other figures', () => {
  it('bar chart: lengths are proportional to values', () => {
    const bars = [
      { label: 'a', value: 10 },
      { label: 'b', value: 5, error: 1 },
    ]
    const rects = [
      ...parse(barChart({ ...text, xLabel: 'n', bars })).querySelectorAll('[aria-label="bar"] rect'),
    ]
    const widths = rects.map((rect) => Number(rect.getAttribute('width')))
    expect(widths[0]! / widths[1]!).toBeCloseTo(2, 1)
  })

  it('confusion matrix: every count that is not zero is written, shape mistakes are refused', () => {
    const svg = parse(
      confusionMatrix({
        ...text,
        labels: ['a', 'b'],
        counts: [
          [97, 3],
          [0, 100],
        ],
      }),
    )
    const words = [...svg.querySelectorAll('text')].map((node) => node.textContent)
    expect(words).toEqual(expect.arrayContaining(['97', '3', '100', 'true', 'predicted']))
    expect(words).not.toContain('0')
    expect(() => confusionMatrix({ ...text, labels: ['a', 'b'], counts: [[1, 2]] })).toThrow(
      /expected 2×2 counts/,
    )
  })

  it('gallery: pixels survive the PNG exactly, in grey, in colour and inverted', () => {
    const grey = PNG.sync.read(
      Buffer.from(encodePng({ width: 3, height: 1, channels: 1, pixels: [0, 100, 255] })),
    )
    expect([...grey.data]).toEqual([0, 0, 0, 255, 100, 100, 100, 255, 255, 255, 255, 255])
    const image = { width: 1, height: 2, channels: 3, pixels: [1, 2, 3, 200, 100, 50] } as const
    expect([...PNG.sync.read(Buffer.from(encodePng(image))).data]).toEqual([1, 2, 3, 255, 200, 100, 50, 255])
    expect(PNG.sync.read(Buffer.from(encodePng(image, true))).data[0]).toBe(254)
    expect(() => encodePng({ ...image, height: 3 })).toThrow(/expected 1×3×3 = 9 values, got 6/)
    const svg = parse(
      gallery({
        ...text,
        items: [
          { title: '<b>', image },
          { title: 'c', image },
        ],
      }),
    )
    expect(svg.querySelectorAll('image')).toHaveLength(2)
    expect(svg.querySelector('image')!.getAttribute('href')).toMatch(/^data:image\/png;base64,/)
    expect(svg.querySelector('text')!.textContent).toBe('<b>')
  })
})

describe('posters', () => {
  const figure = barChart({ ...text, xLabel: 'n', bars: [{ label: 'a', value: 1 }] })

  it('carry title, caption and config, and render to a PNG of twice the size', () => {
    const svg = posterSvg(figure, 'toy · steps 20')
    expect(svg).toContain('A &lt;title&gt; &amp; more')
    expect(svg).toContain('toy · steps 20')
    expect(svg).not.toContain('var(--tl')
    const png = PNG.sync.read(Buffer.from(svgToPng(svg)))
    expect(png.width).toBe(2 * (figure.width + 48))
    // something is drawn: text is dark, bars are blue, paper is white
    const seen = new Set<string>()
    for (let i = 0; i < png.data.length; i += 4) seen.add(png.data.subarray(i, i + 3).toString('hex'))
    for (const colour of ['ffffff', '2468a8', '1d2530']) expect(seen).toContain(colour)
    expect(svgToPng(svg)).toEqual(svgToPng(svg))
  })

  it('slant variables in a PNG, also among words and digits, and keep their weight', () => {
    const drawn = (inside: string): string =>
      Buffer.from(
        svgToPng(
          `<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20" font-family="Inter"><text y="15">${inside}</text></svg>`,
        ),
      ).toString('base64')
    const variable = (weight: number): string =>
      drawn(`for <tspan font-style="italic" font-weight="${weight}">m</tspan> = 3`)
    const upright = drawn('for <tspan>m</tspan> = 3')
    expect(new Set([upright, variable(400), variable(600)]).size).toBe(3)
  })

  it('wrap long captions', () => {
    expect(wrapText('aa bb cc', textWidth('aa bb') + 1, 12)).toEqual(['aa bb', 'cc'])
    expect(wrapText('', 100, 12)).toEqual([])
    // a config's list has no spaces: cut after a comma where there is one
    const room = textWidth('33,44] x') + 1
    expect(wrapText('[11,22,33,44] x', room, 12)).toEqual(['[11,22,', '33,44] x'])
    expect(wrapText('mmmmmm', textWidth('mmmm'), 12)).toEqual(['mmmm', 'mm'])
  })
})
