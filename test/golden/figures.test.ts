/**
 * Every figure of every study and every kind of chart, as SVG. A change that shows is a change of a file here.
 * `npx vitest run --project unit test/golden -u` writes them anew; look at the difference before you commit it.
 * Rows of studies are in `rows/`: measured by tiny presets and by the small runs of tests, rounded.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseHTML } from 'linkedom'
import { PNG } from 'pngjs'
import { describe, expect, it } from 'vitest'
import { experiments } from '../../src/experiments/index.ts'
import { type Figure, posterSvg, type StudyExperiment } from '../../src/lab/index.ts'
import { svgToPdf } from '../../src/lab/pdf/index.ts'
import { readPdf } from '../lab/pdfText.ts'
import { collisions } from '../lab/svgText.ts'
import { kinds } from './kinds.ts'

interface Rows {
  readonly config: Record<string, unknown>
  /** Rows in their order: those of the same columns together. */
  readonly blocks: readonly { readonly columns: readonly string[]; readonly rows: readonly unknown[][] }[]
}

const here = (path: string): URL => new URL(path, import.meta.url)

const readRows = (name: string): { config: object; rows: object[] } => {
  const { config, blocks } = JSON.parse(readFileSync(here(`rows/${name}.json`), 'utf8')) as Rows
  const rows = blocks.flatMap(({ columns, rows: values }) =>
    values.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]]))),
  )
  return { config, rows }
}

/** The picture with the pixels of its images in place of their bytes, which differ between versions of zlib, a line for each element. */
const comparable = ({ svg }: Figure): string =>
  `${svg
    .replace(/data:image\/png;base64,([^"]*)/g, (_, bytes: string) => {
      const { width, height, data } = PNG.sync.read(Buffer.from(bytes, 'base64'))
      return `pixels:${width}x${height}:${createHash('sha256').update(data).digest('hex').slice(0, 16)}`
    })
    .replaceAll(/(<\/(?:g|text|svg|rect|line|path|circle|image)>|\/>)(?=<)/g, '$1\n')}\n`

/** All letters of a figure in their order: of its SVG, and of its PDF as a reader copies them. */
function letters(figure: Figure): [svg: string, pdf: string] {
  const svg = posterSvg(figure, 'toy')
  const { document } = parseHTML(`<html><body>${svg}</body></html>`)
  const words = [...document.querySelectorAll('text')].map((node) => node.textContent)
  return [words, readPdf(svgToPdf(svg)).text].map((texts) => texts.join('').replace(/[\s\u200b]/g, '')) as [
    ...[string, string],
  ]
}

/** Figures of each study, of the rows that are kept. */
const drawn = experiments
  .filter((experiment): experiment is StudyExperiment => 'study' in experiment)
  .map(({ name, study }) => {
    const { config, rows } = readRows(name)
    const { charts } = study.findings(rows as never, study.config.parse(config))
    return { name, figures: charts.map((draw) => draw()) }
  })

describe.each(drawn)('figures of $name', ({ name, figures }) => {
  it('are as they were', async () => {
    expect(figures.length).toBeGreaterThan(0)
    for (const figure of figures)
      await expect(comparable(figure)).toMatchFileSnapshot(`figures/${name}-${figure.name}.svg`)
  })

  it('have words that keep apart', () => {
    for (const figure of figures) expect([figure.name, collisions(figure.svg)]).toEqual([figure.name, []])
  })

  it('have the same words in their PDF', () => {
    for (const figure of figures) {
      const [svg, pdf] = letters(figure)
      expect(svg).not.toBe('')
      expect(pdf).toBe(svg)
    }
  })
})

describe.each(kinds.map((figure) => [figure.name, figure] as const))(
  'a chart of the kind %s',
  (_, figure) => {
    it('is as it was, its words keep apart and are in its PDF', async () => {
      await expect(comparable(figure)).toMatchFileSnapshot(`figures/${figure.name}.svg`)
      expect(collisions(figure.svg)).toEqual([])
      const [svg, pdf] = letters(figure)
      expect(pdf).toBe(svg)
    })
  },
)

it('no picture is kept that nothing draws', () => {
  const names = [
    ...kinds.map(({ name }) => name),
    ...drawn.flatMap(({ name, figures }) => figures.map((figure) => `${name}-${figure.name}`)),
  ]
  const kept = readdirSync(here('figures')).map((file) => basename(file, '.svg'))
  expect(kept.filter((name) => !names.includes(name))).toEqual([])
})
