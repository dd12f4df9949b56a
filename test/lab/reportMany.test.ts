/** @file Reports of many runs: contents, verdicts of all, error bars over seeds, the table beside the page. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import { parseHTML } from 'linkedom'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AnyExperiment,
  composeConfig,
  executeRun,
  groupRuns,
  importExperiment,
  lineChart,
  loadRuns,
  overSeeds,
  type RunGroup,
  writeReport,
} from '../../src/lab/index.ts'
import { toyPath } from './sweepHelp.ts'
import { makeToy } from './toy.ts'

let root: string
let walk: AnyExperiment
const given: { runs: number; groups: readonly RunGroup<{ seed: number }>[] }[] = []

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'treeline-many-'))
  walk = {
    ...(await importExperiment(toyPath)),
    figures: (runs, groups) => {
      given.push({ runs: runs.length, groups })
      return [
        lineChart({
          name: 'value',
          title: 'Value',
          caption: 'Over seeds.',
          xLabel: 'stride',
          yLabel: 'value',
          series: [
            {
              name: 'value',
              points: groups.map(({ config, runs: seeds }) => {
                const { mean, error } = overSeeds(seeds.map(({ result }) => result['value'] as number))
                const { a } = config as unknown as { a: number }
                return { x: a, y: mean, low: mean - (error ?? 0), high: mean + (error ?? 0) }
              }),
            },
          ],
        }),
      ]
    },
  }
  for (const a of [2, 1])
    for (const seed of [2, 0, 1])
      await executeRun(walk, composeConfig(walk, { values: { a, seed } }), { root, threads: 1 })
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const page = (path: string) => parseHTML(readFileSync(path, 'utf8')).document
const tableUnder = (document: ReturnType<typeof page>, caption: string) =>
  [...document.querySelectorAll('table')]
    .find((table) => table.querySelector('caption')!.textContent === caption)!
    .querySelectorAll('tr')
const cells = (rows: ReturnType<typeof tableUnder>) =>
  [...rows].map((row) => [...row.querySelectorAll('th,td')].map((cell) => cell.textContent))

describe('means over seeds', () => {
  it('are means with the standard error of the mean', () => {
    expect(overSeeds([1, 2, 3, 4])).toEqual({ mean: 2.5, error: Math.sqrt(5 / 3 / 4), count: 4 })
    expect(overSeeds([7, null, Number.NaN, undefined])).toEqual({ mean: 7, error: null, count: 1 })
    expect(overSeeds([])).toEqual({ mean: Number.NaN, error: null, count: 0 })
  })

  it('groups are runs that differ in nothing but the seed', () => {
    const groups = groupRuns(walk, loadRuns([root]))
    expect(groups.map(({ label, runs }) => [label, runs.length])).toEqual(
      expect.arrayContaining([
        ['a=1', 3],
        ['a=2', 3],
      ]),
    )
    expect(groupRuns(walk, groups[0]!.runs)).toMatchObject([{ label: '' }])
  })
})

describe('a report of one experiment with seeds', () => {
  it('gives figures the groups, and shows mean ± error, verdicts over seeds, all runs', () => {
    given.length = 0
    const runs = loadRuns([root])
    const { html, table } = writeReport(runs, [walk], join(root, 'report'))
    expect(given).toHaveLength(1)
    expect(given[0]!.runs).toBe(6)
    expect(
      given[0]!.groups.map(({ label, runs: seeds }) => [label, seeds.map(({ config }) => config.seed)]),
    ).toEqual([
      ['a=1', [0, 1, 2]],
      ['a=2', [0, 1, 2]],
    ])
    const document = page(html)
    const values = runs
      .filter(({ config }) => (config as { a?: number }).a === 1)
      .map(({ result }) => result['value'] as number)
    const { mean, error } = overSeeds(values)
    const [head, first] = cells(tableUnder(document, 'Over seeds'))
    expect(head).toEqual(['config', 'seeds', 'value', 'scaled'])
    expect(first!.slice(0, 2)).toEqual(['a=1', '3'])
    const [shownMean, shownError] = first![2]!.replaceAll(',', '').split(' ± ').map(Number)
    // Both end at the second digit of the error.
    const unit = 10 ** (Math.floor(Math.log10(error!)) - 1)
    expect(Math.abs(shownMean! - mean)).toBeLessThanOrEqual(unit * 0.501)
    expect(Math.abs(shownError! - error!)).toBeLessThanOrEqual(unit * 0.501)
    const verdicts = cells(tableUnder(document, 'Claims'))
    expect(verdicts).toHaveLength(5)
    const even = values.filter((value) => value % 2 === 0).length
    expect(verdicts[1]![0]).toBe('even [a=1]')
    expect(verdicts[1]![3]).toBe(`${even === 3 ? '✓ holds' : '✗ fails'} in ${even} of 3`)
    expect(verdicts[2]).toEqual(['has steps (control) [a=1]', '5', '–', '✓ holds in 3 of 3'])
    expect(cells(tableUnder(document, 'Runs'))).toHaveLength(7)
    expect(document.querySelector('figcaption .made')!.textContent).toContain('a 1|2 · seed 0|1|2')
    expect(existsSync(table)).toBe(true)
  })
})

describe('what one call can draw', () => {
  it.each([
    ['all', [6]],
    ['config', [3, 3]],
    ['run', [1, 1]],
  ] as const)(
    '%s: as many calls as it takes, and under each figure the runs that made it',
    (draws, calls) => {
      given.length = 0
      const runs = loadRuns([root]).filter(({ experiment }) => experiment === walk.name)
      const { html, figures } = writeReport(runs, [{ ...walk, draws }], join(root, draws))
      expect(given.map(({ runs: count }) => count)).toEqual(calls)
      const document = page(html)
      const texts = (selector: string) =>
        [...document.querySelectorAll(selector)].map((node) => node.textContent)
      // before the experiment's own figures, each of the two results against the field that was swept
      expect(texts('.small figure h3')).toEqual(['value against a', 'scaled against a'])
      const [titles, made] = [texts('figure h3').slice(2), texts('figcaption .made').slice(2)]
      expect(new Set(figures).size).toBe(calls.length + 2)
      if (draws === 'all') return expect(titles).toEqual(['Value'])
      expect(titles).toEqual(['Value (a=1)', 'Value (a=2)'])
      const seeds = draws === 'run' ? '0' : '0|1|2'
      expect(made[0]).toMatch(
        new RegExp(`^walk · (defaults|preset \\w+) · .*seed ${seeds.replaceAll('|', '\\|')} · run`),
      )
      expect(made[1]).toContain('a 2')
      expect(made[0]).not.toContain('a 2')
    },
  )
})

describe('a report of several experiments', () => {
  it('has contents, the verdicts of all, a chapter for each, and one table', async () => {
    const toy = makeToy()
    const config = composeConfig(toy, {})
    await executeRun(toy, config, { root, threads: 1 })
    const { html, figures, table } = writeReport(loadRuns([root]), [toy, walk], join(root, 'both'))
    const document = page(html)
    expect(document.querySelector('h1')!.textContent).toBe('2 experiments, 7 runs')
    const links = [...document.querySelectorAll('nav a')].map((link) => link.getAttribute('href'))
    expect(links).toEqual(['#toy', '#walk'])
    for (const link of links) expect(document.querySelector(link!)!.tagName).toBe('SECTION')
    expect(document.querySelector('nav')!.textContent).toContain('1 run, 1 of 1 claim holds')
    const verdicts = cells(document.querySelector('table')!.querySelectorAll('tr'))
    expect(verdicts.slice(1).map(([claim]) => claim)).toEqual([
      'the value shrinks [toy]',
      'even [walk a=1]',
      'has steps (control) [walk a=1]',
      'even [walk a=2]',
      'has steps (control) [walk a=2]',
    ])
    const ids = [...document.querySelectorAll('[id]')].map((node) => node.id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(figures.every((path) => existsSync(path))).toBe(true)
    const rows = await parquetReadObjects({ file: Uint8Array.from(readFileSync(table)).buffer })
    expect(rows.map(({ experiment, a, seed }) => [experiment, a ?? null, seed])).toEqual([
      ['toy', null, 0],
      ['walk', 1, 0],
      ['walk', 1, 1],
      ['walk', 1, 2],
      ['walk', 2, 0],
      ['walk', 2, 1],
      ['walk', 2, 2],
    ])
  })

  it('refuses to report nothing', () => {
    expect(() => writeReport([], [walk], root)).toThrow('there are no finished runs to report')
  })
})
