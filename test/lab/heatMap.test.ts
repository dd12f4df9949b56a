/** @file Heat maps: one cell for each value, its colour by the value, overlays where they belong. */
import fc from 'fast-check'
import { parseHTML } from 'linkedom'
import { PNG } from 'pngjs'
import { describe, expect, it } from 'vitest'
import { cellEdges } from '../../src/lab/figures/heatMap.ts'
import { type Figure, type HeatMap, heatMap, posterSvg, svgToPng } from '../../src/lab/index.ts'

const chart: HeatMap = {
  name: 'map',
  title: 'A <map>',
  caption: 'What it shows.',
  x: [1, 2, 4],
  y: [0.1, 0.5],
  values: [
    [0, 0.5, 1],
    [null, 1, 2],
  ],
  xLabel: 'rules',
  yLabel: 'noise',
  valueLabel: 'probability',
  domain: [0, 1],
}
const parse = (figure: Figure) =>
  parseHTML(`<html><body>${figure.svg}</body></html>`).document.querySelector('svg')!
const cells = (figure: Figure) =>
  [...parse(figure).querySelectorAll('[aria-label="rect"] rect')].map((rect) => {
    const [x, y, width, height] = ['x', 'y', 'width', 'height'].map((name) => Number(rect.getAttribute(name)))
    return {
      x: x!,
      y: y!,
      width: width!,
      height: height!,
      opacity: Number(rect.getAttribute('fill-opacity')),
    }
  })

describe('heat map', () => {
  it('draws a cell for each known value, the first row at the bottom, fuller where the value is larger', () => {
    const drawn = cells(heatMap(chart))
    expect(drawn).toHaveLength(5)
    const [a, b, c, d, e] = drawn as [
      (typeof drawn)[0],
      (typeof drawn)[0],
      (typeof drawn)[0],
      (typeof drawn)[0],
      (typeof drawn)[0],
    ]
    expect(a.opacity).toBeLessThan(b.opacity)
    expect(b.opacity).toBeLessThan(c.opacity)
    // beyond the domain the colour stays the fullest
    expect([d.opacity, e.opacity]).toEqual([c.opacity, c.opacity])
    expect(d.x).toBeCloseTo(b.x, 6)
    expect(d.y).toBeLessThan(b.y)
    // cells touch: borders are midway between centres 1, 2, 4
    expect(a.x + a.width).toBeCloseTo(b.x, 6)
    expect(b.width / a.width).toBeCloseTo(1.5, 6)
  })

  it('draws lines and points of theory and measurement, named at the right', () => {
    const overlays = [
      {
        name: 'theory',
        dashed: true,
        points: [
          { x: 1, y: 0.1 },
          { x: 4, y: 0.5 },
        ],
      },
      {
        name: 'measured',
        dots: true,
        points: [
          { x: 1, y: 0.2, low: 0.1, high: 0.3 },
          { x: 2, y: null },
          { x: 99, y: 0.2 },
          { x: 4, y: 0.4 },
        ],
      },
    ]
    const svg = parse(heatMap({ ...chart, overlays }))
    // with a halo under the line
    expect(svg.querySelectorAll('[aria-label="line"] path')).toHaveLength(2)
    expect(svg.querySelectorAll('[aria-label="dot"] circle')).toHaveLength(2)
    expect(svg.querySelectorAll('[aria-label="rule"] line')).toHaveLength(1)
    const words = [...svg.querySelectorAll('text')].map((node) => node.textContent)
    expect(words).toEqual(
      expect.arrayContaining(['theory', 'measured', 'rules', 'noise', 'probability', '0']),
    )
  })

  it('uses only theme colours and nothing from outside; renders with the full colour present', () => {
    const figure = heatMap(chart)
    expect(figure.svg).not.toMatch(/https?:|<style|#[0-9a-f]{6}\b|NaN|Infinity/)
    const png = PNG.sync.read(Buffer.from(svgToPng(posterSvg(figure, 'config'))))
    const { x, y, width, height } = cells(figure)[2]!
    const at = 4 * (Math.round(2 * (y + height / 2 + 54)) * png.width + Math.round(2 * (x + width / 2 + 24)))
    const [red, , blue] = png.data.subarray(at, at + 3)
    expect(blue! - red!).toBeGreaterThan(80)
  })

  it('takes its colours from the values when no domain is given, and survives equal and unknown values', () => {
    const { domain: _, ...free } = chart
    expect(Math.max(...cells(heatMap(free)).map(({ opacity }) => opacity))).toBeCloseTo(0.92, 6)
    for (const values of [
      [
        [1, 1, 1],
        [1, 1, 1],
      ],
      [
        [null, null, null],
        [null, Number.NaN, null],
      ],
    ])
      expect(heatMap({ ...free, values }).svg).not.toMatch(/NaN|Infinity/)
    const single = heatMap({ ...free, x: [3], y: [1], values: [[2]] })
    expect(cells(single)).toHaveLength(1)
  })

  it('has borders between its centres, each cell around its own', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 20 }),
        (numbers) => {
          const centres = numbers.sort((a, b) => a - b)
          const edges = cellEdges(centres)
          expect(edges).toHaveLength(centres.length + 1)
          for (const [i, centre] of centres.entries()) {
            expect(edges[i]!).toBeLessThan(centre)
            expect(edges[i + 1]!).toBeGreaterThan(centre)
          }
        },
      ),
    )
  })

  it('refuses values that do not fit the axes, and centres that do not rise', () => {
    expect(() => heatMap({ ...chart, values: [[1, 2, 3]] })).toThrow('expected 2 rows of 3 values')
    expect(() => heatMap({ ...chart, values: [[1, 2], [3]] })).toThrow('expected 2 rows of 3 values')
    expect(() => heatMap({ ...chart, x: [1, 1, 2] })).toThrow('rising centres')
    expect(() => heatMap({ ...chart, x: [], values: [[], []] })).toThrow('at least one column')
  })
})

describe('what was tried', () => {
  const small = {
    ...{ name: 'small', title: 'Small', caption: '', xLabel: 'a', yLabel: 'b', valueLabel: 'score' },
    x: [0.25, 1],
    y: [2, 7],
    values: [
      [1, 2],
      [3, 4],
    ],
  }

  it('is ticked, and nothing between', () => {
    const { document } = parseHTML(`<html>${heatMap(small).svg}</html>`)
    const ticks = (axis: string) =>
      [...document.querySelectorAll(`g[aria-label="${axis}-axis tick label"] text`)].map(
        (tick) => tick.textContent,
      )
    expect(ticks('x')).toEqual(['0.25', '1'])
    expect(ticks('y')).toEqual(['2', '7'])
  })

  it('names a single point where it is', () => {
    const overlay = (x: number) => ({ name: 'best', dots: true, points: [{ x, y: 7 }] })
    for (const [x, anchor] of [
      [0.25, 'start'],
      [1, 'end'],
    ] as const) {
      const { document } = parseHTML(`<html>${heatMap({ ...small, overlays: [overlay(x)] }).svg}</html>`)
      const label = [...document.querySelectorAll('text')].find((text) => text.textContent === 'best')!
      expect(label.closest('[text-anchor]')!.getAttribute('text-anchor') ?? 'middle').toBe(anchor)
    }
  })
})
