/** Words of a figure never overlap and never leave it, whatever the data. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  barChart,
  confusionMatrix,
  gallery,
  heatMap,
  type LineChart,
  layerMap,
  lineChart,
  treeFigure,
} from '../../src/lab/index.ts'
import { collisions, textBoxes } from './svgText.ts'

const text = { name: 'x', title: 'A title', caption: 'What it shows.' }
const line = (chart: Partial<LineChart>) =>
  collisions(lineChart({ ...text, xLabel: 'strings P', yLabel: 'loss (nats)', series: [], ...chart }).svg)

describe('the check itself', () => {
  const at = (x: number, y: number, words: string) => `<text x="${x}" y="${y}">${words}</text>`
  const svg = (inside: string) => `<svg viewBox="0 0 100 50">${inside}</svg>`

  it('finds words that overlap or leave the picture, and none that do not', () => {
    expect(collisions(svg(at(10, 20, 'one') + at(60, 20, 'two')))).toEqual([])
    expect(collisions(svg(at(10, 20, 'one') + at(20, 25, 'two')))).toHaveLength(1)
    expect(collisions(svg(at(90, 20, 'longer')))).toHaveLength(1)
    expect(collisions(svg(`<g transform="translate(0,-30)">${at(10, 20, 'up')}</g>`))).toHaveLength(1)
    expect(collisions(svg(`<g text-anchor="end">${at(90, 20, 'longer')}</g>`))).toEqual([])
  })

  it('measures what is raised as small', () => {
    const [plain, raised] = ['mL', 'm<tspan dy="-.4em" font-size="0.74em">L</tspan>'].map(
      (words) => textBoxes(svg(at(0, 20, words)))[0]!,
    )
    expect(raised!.x2).toBeLessThan(plain!.x2)
  })
})

describe('labels of line charts', () => {
  const flat = (name: string, y: number, end = 10) => ({
    name,
    points: [1, end].map((x) => ({ x, y })),
  })

  it('of many lines that end together', () => {
    for (const count of [2, 12, 30])
      expect(
        line({ series: Array.from({ length: count }, (_, i) => flat(`L = ${i}`, 1 + 1e-4 * i)) }),
      ).toEqual([])
  })

  it('of lines that end at the foot, beside the last tick', () => {
    for (const xScale of ['linear', 'log'] as const)
      expect(
        line({ xScale, series: [flat('class', 0), flat('L = 10', 0), flat('L = 8', 1)], yDomain: [0, 1] }),
      ).toEqual([])
  })

  it('of references that are near each other and at the borders', () => {
    const near = [0.5, 0.501, 0.502, 9.99].map((value) => ({
      axis: 'x' as const,
      value,
      label: `ε* = ${value}`,
    }))
    const across = [0, 0.01, 0.99, 1].map((value) => ({ axis: 'y' as const, value, label: `level ${value}` }))
    expect(
      line({ references: [...near, ...across], series: [flat('a', 0), flat('half', 1, 4)], yDomain: [0, 1] }),
    ).toEqual([])
  })

  it('of long names, long titles of axes, large and small numbers', () => {
    expect(
      line({
        xLabel:
          'the number of strings that a network has seen before it was asked, over n_c·m^L (k-means), n_c·m^L (signal = noise)',
        yLabel:
          'a very long name of a quantity that is measured in units which are said here, C(r)/C(0)·r^a, in nats per token',
        series: [
          'a name that is far longer than the figure could hold at the end of a line',
          'short',
          'neither short nor long',
        ].map((name, i) => flat(name, 123456.789 * 10 ** i)),
      }),
    ).toEqual([])
    expect(
      line({
        yScale: 'log',
        xScale: 'log',
        series: [
          {
            name: 'τ_mem',
            points: [
              { x: 3e-9, y: 4e-12 },
              { x: 9e9, y: 7e15 },
            ],
          },
        ],
      }),
    ).toEqual([])
  })

  it('of small figures, named ticks, no data', () => {
    const xTicks = ['gaussian', 'masking', 'uniform noise', '[4,5,6,7,8,9,10]'].map((label, value) => ({
      value,
      label,
    }))
    expect(
      line({ width: 260, height: 180, xTicks, xDomain: [0, 3], series: [flat('m = 3', 0.5, 3)] }),
    ).toEqual([])
    for (const scale of ['linear', 'log'] as const)
      expect(line({ width: 260, xScale: scale, yScale: scale, series: [flat('a', 1)] })).toEqual([])
    expect(line({})).toEqual([])
  })

  it('of whatever data', () => {
    const value = fc
      .tuple(fc.integer({ min: -9999, max: 9999 }), fc.integer({ min: -12, max: 9 }))
      .map(([head, power]) => Number(`${head}e${power}`))
    const point = fc.record({ x: value, y: fc.oneof(value, fc.constant(null)) })
    const series = fc.record({
      name: fc.string({ maxLength: 24, unit: fc.constantFrom(...'abcLm^_ εW='.split('')) }),
      points: fc.array(point, { maxLength: 6 }),
      scatter: fc.boolean(),
    })
    const scale = fc.constantFrom('linear' as const, 'log' as const)
    fc.assert(
      fc.property(
        fc.array(series, { maxLength: 10 }),
        scale,
        scale,
        fc.constantFrom(260, 540, 800),
        (given, xScale, yScale, width) => {
          expect(line({ series: given, xScale, yScale, width })).toEqual([])
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('labels of other figures', () => {
  const grid = Array.from({ length: 12 }, (_, i) => i / 10)
  const map = {
    ...text,
    xLabel: 'ε',
    yLabel: 'm',
    valueLabel: 'probability',
    x: grid,
    y: grid,
    values: grid.map((y) => grid.map((x) => x * y)),
  }

  it('heat maps', () => {
    expect(collisions(heatMap(map).svg)).toEqual([])
    const point = (name: string, x: number, y: number) => ({ name, dots: true, points: [{ x, y }] })
    const across = (name: string, y: number) => ({
      name,
      points: [0, 1.1].map((x) => ({ x, y })),
      dashed: true,
    })
    expect(
      collisions(
        heatMap({
          ...map,
          yLabel: 'rules of each symbol m, over all that there could be, v^(s−1), of every level of the tree',
          valueLabel: 'probability that the class is recovered from noisy leaves',
          domain: [1.25e-7, 123456],
          overlays: [
            point('best', 0.5, 0.5),
            point('least', 0.55, 0.5),
            point('corner', 1.1, 1.1),
            point('foot', 0, 0),
            across('theory', 0),
            across('F′(p*)^L', 0.01),
            across('mean field', 1.1),
          ],
        }).svg,
      ),
    ).toEqual([])
    expect(collisions(heatMap({ ...map, x: grid.map((x) => 1e6 * x), width: 300 }).svg)).toEqual([])
  })

  it('bars, confusion matrices, galleries, layers, trees', () => {
    const bars = Array.from({ length: 9 }, (_, i) => ({
      label: `method number ${i}`,
      value: 10 ** (i - 4),
      error: 0.1,
    }))
    expect(collisions(barChart({ ...text, xLabel: 'score', bars }).svg)).toEqual([])
    expect(
      collisions(
        barChart({
          ...text,
          xLabel: 'score',
          bars: [
            { label: 'a name that is wider than all of the figure could ever be, and then some', value: 1 },
          ],
          width: 300,
        }).svg,
      ),
    ).toEqual([])
    const labels = Array.from({ length: 10 }, (_, i) => `class ${i}`)
    expect(
      collisions(
        confusionMatrix({
          ...text,
          labels,
          counts: labels.map((_, i) => labels.map((_, j) => (i === j ? 98765 : 1234))),
        }).svg,
      ),
    ).toEqual([])
    const image = { width: 1, height: 1, channels: 1 as const, pixels: [0] }
    const items = Array.from({ length: 7 }, (_, i) => ({
      image,
      title: `${i}, read as something else`,
      subtitle: '99 % sure of what it is',
    }))
    expect(collisions(gallery({ ...text, items }).svg)).toEqual([])
    const panel = (name: string, count: number) => ({
      name,
      columns: Array.from({ length: count }, (_, i) => String(i)),
      values: [Array.from({ length: count }, (_, i) => i / count)],
    })
    expect(
      collisions(
        layerMap({
          ...text,
          rows: ['mlp.down_proj'],
          panels: [panel('model.layers', 30), panel('outside', 1)],
          valueLabel: 'change',
        }).svg,
      ),
    ).toEqual([])
    for (const L of [2, 3, 4, 5]) {
      const levels = Array.from({ length: L + 1 }, (_, level) =>
        Array.from({ length: 2 ** level }, (_, i) => (7 * i + level) % 32),
      )
      const posterior = levels.map((symbols) => symbols.map((_, i) => 1 / (1 + i)))
      const levelNames = levels.map((_, level) => `level ${level}`)
      expect(collisions(treeFigure({ ...text, levels, levelNames, posterior }).svg)).toEqual([])
      expect(
        collisions(treeFigure({ ...text, levels, levelNames, posterior, seen: levels.at(-1)! }).svg),
      ).toEqual([])
    }
  })
})
