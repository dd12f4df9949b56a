/** Studies: cells that lead to others, replicas, resources, resuming, seeds as more replicas. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { grammarName, makeGrammar } from '../../../src/grammar/index.ts'
import { tableOf } from '../../../src/lab/collect/table.ts'
import { composeConfig } from '../../../src/lab/config.ts'
import { groupRuns } from '../../../src/lab/groups.ts'
import { executeRun, loadRun, type RunOptions, writeReport } from '../../../src/lab/index.ts'
import { groupClaims } from '../../../src/lab/report/claims.ts'
import { grammarTables } from '../../../src/lab/study/grammars.ts'
import { defineStudy, groupBy, where } from '../../../src/lab/study/index.ts'
import { cellFolder, hasCellFiles, keyOf } from '../../../src/lab/study/measure.ts'
import type { random } from '../../../src/tensor/index.ts'
import { normalMeans, opened, preparedSums, seen } from './toyStudy.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-study-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let folders = 0
const run = async (values: Record<string, unknown> = {}, options: RunOptions = {}) =>
  loadRun(
    (
      await executeRun(normalMeans, composeConfig(normalMeans, { preset: 'tiny', values }), {
        root: join(root, String(folders++)),
        threads: 1,
        ...options,
      })
    ).folder,
  )

const normalMeansModule = new URL('./toyStudy.ts', import.meta.url).href

describe('a study', () => {
  it('measures every replica of every cell, and the cells that its rows ask for', async () => {
    const { summary, result, folder } = await run()
    const rows = result['rows'] as unknown as { shift: number; replica: number; seed: number; mean: number }[]
    expect(rows.map(({ shift, replica }) => [shift, replica])).toEqual(
      [0, 1, 0.5].flatMap((shift) => [0, 1, 2].map((replica) => [shift, replica])),
    )
    expect(new Set(rows.map(({ mean }) => mean)).size).toBe(9)
    expect(summary.result['error']).toBeTypeOf('number')
    expect(summary.result['missing']).toBeNull()
    expect(summary.headline).not.toContain('not finite')
    expect(summary.claims[1]).toMatchObject({ outcome: 'holds', measured: 3 })
    expect(summary.verdicts.map(({ pass }) => pass)).toEqual(
      summary.claims.map(({ outcome }) => outcome === 'holds'),
    )
    expect(opened).toEqual(['open', 'close'])
    // empty folders of cells are not left behind
    expect(existsSync(join(folder, 'cells', '0-0'))).toBe(false)
  })

  it('has one bar for all rounds of cells', async () => {
    const bar: { done: number; total: number }[] = []
    await run({}, { threads: 1, onProgress: ({ done, total }) => bar.push({ done, total }) })
    // nine jobs are foreseen, though the last three follow from the rows of the others
    expect(new Set(bar.map(({ total }) => total))).toEqual(new Set([9]))
    expect(bar[0]!.done).toBe(0)
    expect(bar.at(-1)!.done).toBe(9)
    for (const [i, { done }] of bar.slice(1).entries()) expect(done).toBeGreaterThanOrEqual(bar[i]!.done)
  })

  it('shares threads among the measurements of a round', async () => {
    const details: (string | undefined)[] = []
    await run({ draws: 1 }, { threads: 9, onProgress: ({ detail }) => details.push(detail) })
    // two cells at once, then one alone
    expect(details.map((detail) => detail?.match(/on (\d) threads/)?.[1]).filter(Boolean)).toEqual([
      '4',
      '4',
      '9',
    ])
  })

  it('goes on after a cut measurement, whose files are work to resume', async () => {
    const values = { draws: 1 }
    const first = await run(values)
    expect(hasCellFiles(first.folder)).toBe(false)
    const own = cellFolder(first.folder, 0, 0)
    mkdirSync(own, { recursive: true })
    for (const name of ['half.tmp', 'state']) writeFileSync(join(own, name), '')
    expect(hasCellFiles(first.folder)).toBe(true)
    for (const name of ['done', 'jobs.jsonl']) rmSync(join(first.folder, name))
    const config = composeConfig(normalMeans, { preset: 'tiny', values })
    const again = await executeRun(normalMeans, config, { root: join(first.folder, '..', '..'), threads: 1 })
    expect([again.folder, again.resumed]).toEqual([first.folder, true])
    expect(readdirSync(own)).toEqual(['state'])
  })

  it('goes on after an end in the middle with the same result', async () => {
    const first = await run()
    const jobs = join(first.folder, 'jobs.jsonl')
    const lines = readFileSync(jobs, 'utf8').split('\n')
    rmSync(join(first.folder, 'done'))
    writeFileSync(jobs, lines.slice(0, 4).join('\n'))
    truncateSync(jobs, readFileSync(jobs).length - 3)
    const config = composeConfig(normalMeans, { preset: 'tiny' })
    const again = await executeRun(normalMeans, config, { root: join(first.folder, '../..'), threads: 1 })
    expect(again.resumed).toBe(true)
    expect(again.summary.result).toEqual(first.summary.result)
    expect(again.summary.claims).toEqual(first.summary.claims)
  })

  it('takes other seeds as more replicas', async () => {
    const runs = [await run(), await run({ seed: 1 })]
    const [one] = groupClaims(normalMeans, groupRuns(normalMeans, runs.slice(0, 1)))
    const groups = groupRuns(normalMeans, runs)
    expect(groups).toHaveLength(1)
    const [both] = groupClaims(normalMeans, groups)
    expect(both!.claim).toBe(one!.claim)
    expect(both!.measured).not.toBe(one!.measured)
    const rows = runs.flatMap(({ result }) => result['rows'] as unknown as { seed: number; mean: number }[])
    const errors = rows.map((row) => row.mean - (row as unknown as { shift: number }).shift)
    expect(both!.measured).toBeCloseTo(errors.reduce((sum, x) => sum + x, 0) / errors.length, 12)
    const { html } = writeReport(runs, [normalMeans], join(root, 'report'))
    const page = readFileSync(html, 'utf8')
    expect(page).toContain('claims hold')
    expect(page).toContain('Means of normal numbers')
  })

  it('prepares once a run; rows are kept under what it found, scratch files are not', async () => {
    const path = join(root, 'prepared')
    writeFileSync(path, 'ab')
    const config = composeConfig(preparedSums, { values: { path } })
    const options = { root: join(root, String(folders++)), threads: 1 }
    const { folder, summary } = await executeRun(preparedSums, config, options)
    expect(summary.headline).toBe('3,4')
    expect(summary.result['prepared']).toEqual({ size: 2 })
    expect(seen.splice(0)).toEqual(['open 2', 'measure 1', 'measure 2'])
    expect(existsSync(join(folder, 'scratch.tmp'))).toBe(false)
    // gone on with: the same file is not measured again, another one is
    rmSync(join(folder, 'done'))
    expect((await executeRun(preparedSums, config, options)).summary.headline).toBe('3,4')
    expect(seen.splice(0)).toEqual([])
    rmSync(join(folder, 'done'))
    writeFileSync(path, 'abc')
    expect((await executeRun(preparedSums, config, options)).summary.headline).toBe('4,5,6')
    expect(seen.splice(0)).toEqual(['open 3', 'measure 1', 'measure 2', 'measure 3'])
  })

  it('finds the same once, however often it is asked, and anew for other runs', async () => {
    const runs = [await run(), await run({ seed: 1 })]
    let found = 0
    const findings: typeof normalMeans.study.findings = (rows, config) => {
      found++
      return normalMeans.study.findings(rows, config)
    }
    const made = defineStudy(normalMeansModule, { ...normalMeans.study, findings })
    made.summary(runs[0]!)
    made.figures(runs.slice(0, 1), [])
    made.tables!(runs.slice(0, 1), [])
    expect(found).toBe(1)
    made.together!(runs)
    made.figures(runs, [])
    expect(found).toBe(2)
    expect(made.together!([...runs].reverse()).claims).not.toBe(made.together!(runs).claims)
    expect(found).toBe(3)
  })

  it('is a table of its rows', async () => {
    const table = tableOf([await run()], { rows: true })
    expect(table.rows).toBe(9)
    expect(table.columns.find(({ name }) => name === 'row.shift')!.cells).toContain(0.5)
    expect(tableOf([await run()], { claims: true }).columns.map(({ name }) => name)).toContain(
      'claim.outcome',
    )
  })

  it('draws other numbers in every cell, fractions included, and every replica', () => {
    const words = (seed: number, cell: object, replica: number) =>
      String(keyOf(normalMeans.study, seed, cell, replica))
    const keys = [0, 1].flatMap((seed) =>
      [0, 1].flatMap((replica) =>
        [{ a: 0.25 }, { a: 0.5 }, { a: -1 }, { a: 1, b: 2 }, { a: 2, b: 1 }].map((cell) =>
          words(seed, cell, replica),
        ),
      ),
    )
    expect(new Set(keys).size).toBe(20)
    expect(words(0, { a: 1, name: 'x' }, 0)).toBe(words(0, { a: 1, name: 'y' }, 0))
  })
})

it('rows are grouped and picked by columns', () => {
  const rows = [
    { a: 1, b: 'x' },
    { a: 2, b: 'x' },
    { a: 1, b: 'y' },
  ] // prettier-ignore
  expect(where(rows, { a: 1 })).toHaveLength(2)
  expect(groupBy(rows, 'b').map(({ key, rows: own }) => [key, own.length])).toEqual([
    [{ b: 'x' }, 2],
    [{ b: 'y' }, 1],
  ])
})

it('says of a run without rows that it is older', async () => {
  const found = await run()
  const older = { ...found, result: { error: 1 } }
  expect(() => normalMeans.summary(older)).toThrow(
    /a run from before its experiment was a study; run it again/,
  )
})

describe('a study in JavaScript', () => {
  const { study } = normalMeans
  const mistakes: [string, object, RegExp][] = [
    [
      'no measure',
      { measure: undefined },
      /study "normal-means": measure: expected a function, got undefined/,
    ],
    [
      'a preset too few',
      { presets: { tiny: {} } },
      /presets\.tour: expected an object of fields, got undefined/,
    ],
    ['a label that is a text', { label: 'x' }, /label: expected a function, got a string/],
  ]
  it.each(mistakes)('is refused with the field: %s', (_, wrong, message) => {
    expect(() => defineStudy(import.meta.url, { ...study, ...wrong })).toThrow(message)
  })

  it('is refused without the address of its module', () => {
    expect(() => defineStudy(study as never, undefined as never)).toThrow(
      /defineStudy\(import\.meta\.url, \{ … \}\)/,
    )
  })

  const wrongResults: [string, object, RegExp][] = [
    ['cells', { cells: () => 3 }, /cells: expected to return a list of objects, got 3/],
    ['replicas', { replicas: () => 0 }, /replicas: expected to return a whole number ≥ 1, got 0/],
    [
      'claims',
      { findings: () => ({ headline: '', paragraph: '', charts: [] }) },
      /findings\.claims: .*got undefined/,
    ],
    [
      'charts',
      { findings: () => ({ headline: '', paragraph: '', claims: [], charts: [5] }) },
      /findings\.charts: .* got a list with a number in it/,
    ],
  ]
  it.each(wrongResults)('is named when its %s are something else', async (_, wrong, message) => {
    const made = defineStudy(normalMeansModule, { ...study, ...wrong })
    const config = composeConfig(made, { preset: 'tiny' })
    await expect(executeRun(made, config, { root: join(root, String(folders++)) })).rejects.toThrow(message)
  })
})

describe('grammars of a run', () => {
  const withGrammars = {
    ...normalMeans.study,
    grammarsOf: ({ shift }: { shift: number }, { key }: { key: random.Key }) =>
      shift === 1 ? [] : [makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, key)],
  }

  it('are named by their hashes, each once, also those of cells that rows asked for', async () => {
    const view = await run({ draws: 2 })
    const [table, ...others] = grammarTables(withGrammars, [view, view] as never)
    expect(others).toEqual([])
    expect(table!.columns).toEqual(['v', 'classes', 'm', 's', 'L', 'seed', 'names'])
    // shifts 0 and, once rows are known, 0.5
    const names = [0, 0.5].flatMap((shift) =>
      [0, 1].map((replica) =>
        grammarName(
          makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, keyOf(withGrammars, 0, { shift }, replica)),
        ),
      ),
    )
    expect(table!.rows).toEqual([[4, 4, 2, 2, 2, 0, names.join(', ')]])
    expect(table!.folded).toBe(false)
    expect(new Set(names).size).toBe(4)
  })

  it('are not spoken of where a study draws none', async () => {
    expect(grammarTables(normalMeans.study, [await run()] as never)).toEqual([])
  })
})
