/** @file Reports: well-formed, self-contained, complete, the same twice. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseHTML } from 'linkedom'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatMeasured } from '../../src/base/index.ts'
import { composeConfig, executeRun, loadRun, loadRuns, writeReport } from '../../src/lab/index.ts'
import { numbersHtml, tableHtml } from '../../src/lab/report/html.ts'
import { readPdf } from './pdfText.ts'
import { makeToy } from './toy.ts'

let root: string
const folders: string[] = []
const toy = makeToy()
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'treeline-report-'))
  for (const seed of [0, 1])
    folders.push(
      (await executeRun(toy, composeConfig(toy, { values: { seed } }), { root, threads: 1 })).folder,
    )
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Tags opened and closed in order, with void elements and self-closed ones aside. */
function unbalanced(html: string): string[] {
  const open: string[] = []
  const wrong: string[] = []
  for (const [, close, name, , self] of html.matchAll(
    /<(\/?)([a-zA-Z][\w-]*)((?:"[^"]*"|'[^']*'|[^>"'])*?)(\/?)>/g,
  )) {
    if (self || ['meta', 'br', 'hr', 'img', 'link', 'input'].includes(name!)) continue
    if (!close) open.push(name!)
    else if (open.pop() !== name) wrong.push(name!)
  }
  return [...wrong, ...open]
}

it('the check for balanced tags finds what is wrong', () => {
  expect(unbalanced('<p><b>x</b></p><br>')).toEqual([])
  expect(unbalanced('<p><b>x</p>')).not.toEqual([])
})

it('a number of several parts may break after a slash, its tags do not', () => {
  const html = numbersHtml([{ label: 'half of P*', value: '0.65 T/0.7 T' }])
  expect(unbalanced(html)).toEqual([])
  expect(html).toContain('<i>T</i>/\u200b0.7 <i>T</i>')
})

describe('the report of one run', () => {
  it('is one well-formed page that asks the network for nothing', () => {
    const { html, figures, pdfs } = writeReport([loadRun(folders[0]!)], [toy], folders[0]!)
    expect(html).toBe(join(folders[0]!, 'report.html'))
    const page = readFileSync(html, 'utf8')
    expect(unbalanced(page.replace('<!doctype html>', ''))).toEqual([])
    expect(page).not.toMatch(/https?:|\/\/[a-z]|@import|<script|<link/i)
    expect(
      [...page.matchAll(/(?:src|href)="([^"]*)"/g)].filter(([, url]) => !/^(data:|#)/.test(url!)),
    ).toEqual([])
    const { document } = parseHTML(page)
    expect(document.documentElement.getAttribute('lang')).toBe('en')
    expect(document.title).toBe('A toy <that> descends & rests')
    expect(document.querySelector('h1')!.textContent).toBe('A toy <that> descends & rests')
    expect(document.querySelector('p.lead')!.textContent).toContain('"small" & <tame>')
    expect(document.querySelectorAll('figure')).toHaveLength(4)
    // it opens with a figure, and the words of a newcomer are explained
    expect(document.querySelector('div.picture svg[role="img"]')).not.toBeNull()
    expect(document.querySelector('aside.words')!.textContent).toContain('grammar')
    // where it comes from is one line that unfolds
    const from = document.querySelector('details.provenance')!
    expect(from.hasAttribute('open')).toBe(false)
    expect(from.querySelector('summary')!.textContent).toMatch(
      /^npx treeline run toy · treeline \d\S*, toy 1 · (?:no )?commit.* · .*Node \d.* · .* · \d{4}-\d\d-\d\d$/,
    )
    for (const figure of document.querySelectorAll('figure')) {
      expect(figure.querySelector('svg[role="img"][aria-label]')).not.toBeNull()
      expect(figure.querySelector('figcaption .made')!.textContent).toMatch(
        /^toy · defaults · seed 0 · run [0-9a-f]{12}$/,
      )
    }
    const ids = [...document.querySelectorAll('[id]')].map((node) => node.id)
    expect(new Set(ids).size).toBe(ids.length)
    const pageText = document.body.textContent
    for (const words of [
      'final value',
      'the value shrinks',
      '✓ holds',
      'two <2>',
      'how many steps to take',
      'Node ',
    ])
      expect(pageText).toContain(words)
    expect(document.querySelector('pre')!.textContent).toBe('npx treeline run toy --threads 1 --report')
    expect(figures).toHaveLength(4)
    for (const path of figures) expect(PNG.sync.read(readFileSync(path)).width).toBeGreaterThan(1000)
    expect(pdfs).toEqual(figures.map((path) => path.replace(/png$/, 'pdf')))
    for (const path of pdfs) {
      const [, width, height] = readFileSync(path.replace(/pdf$/, 'svg'), 'utf8').match(
        /width="(\d+)" height="(\d+)"/,
      )!
      const pdf = readPdf(readFileSync(path))
      expect(pdf.mediaBox).toEqual([0, 0, 0.75 * Number(width), 0.75 * Number(height)])
      expect(pdf.text.join(' ')).toContain('toy · defaults · seed 0 · run')
    }
  })

  it('gives the same page twice', () => {
    const page = () => readFileSync(writeReport([loadRun(folders[0]!)], [toy], folders[0]!).html, 'utf8')
    expect(page()).toBe(page())
  })
})

describe('the report of several runs', () => {
  it('shows what varies and draws the runs together', () => {
    const out = join(root, 'together')
    const { html } = writeReport(loadRuns([root]), [toy], out)
    const { document } = parseHTML(readFileSync(html, 'utf8'))
    const heads = [...document.querySelectorAll('thead')].map((head) =>
      [...head.querySelectorAll('th')].map((node) => node.textContent),
    )
    expect(heads[0]).toEqual(['config', 'seeds', 'final'])
    expect(heads[1]).toEqual(['run', 'seed', 'result', 'time'])
    expect(document.querySelectorAll('#toy-loss [aria-label="line"] path')).toHaveLength(2)
    expect(document.querySelector('figcaption .made')!.textContent).toContain('seed 0|1')
    expect(existsSync(join(out, 'figures', 'loss.png'))).toBe(true)
    expect(document.querySelectorAll('pre')).toHaveLength(2)
  })

  it('refuses a run of an experiment it does not know', () => {
    expect(() => writeReport(loadRuns([root]), [], root)).toThrow(/a run of "toy", which is not among/)
  })
})

it('a measured value is shown to the second digit of its error', () => {
  const shown = (
    [
      [0.731662, 0.000664],
      [9.01, 0.11],
      [1234.5, 120],
      [1, 0],
      [-0.0083, null],
      [33, null],
      [1.20242801, null],
      [null, null],
      [0.5, 1e-9],
    ] as const
  ).map(([value, error]) => formatMeasured(value, error))
  expect(shown).toEqual([
    '0.73166 ± 0.00066',
    '9.01 ± 0.11',
    '1,230 ± 120',
    '1',
    '-0.0083',
    '33',
    '1.202',
    '–',
    '0.5 ± 1.00e-9',
  ])
})

it('folds a table that is long and looked up: its title is what one sees', () => {
  const look = { title: 'Names', columns: ['v', 'name'], rows: [[4, 'c08021eebeee']] }
  // a letter of a text is no variable
  const texts = { title: 'Texts', columns: ['m', 'text'], rows: [['m = 1', 'a m b']] }
  expect(tableHtml(texts)).toContain('<td>a <i>m</i> <i>b</i></td>')
  expect(tableHtml({ ...texts, verbatim: ['text'] })).toContain('<td>a m b</td>')
  expect(tableHtml({ ...look, folded: true })).toMatch(
    /^<details><summary>Names<\/summary>.*c08021eebeee.*<\/details>$/,
  )
  expect(tableHtml(look)).toMatch(/<caption>Names<\/caption>/)
})
