/** @file Tables of runs: columns, order, types; CSV and Parquet read back by others. */
import fc from 'fast-check'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import {
  type Cell,
  csvText,
  executeRun,
  type FinishedRun,
  loadRuns,
  parquetBytes,
  sortRuns,
  type Table,
  tableOf,
  writeTable,
} from '../../src/lab/index.ts'
import { planFile, testFolder, toyPath } from './sweepHelp.ts'

const { path: root, file } = testFolder()

async function sweep(text: string): Promise<FinishedRun[]> {
  const { runs } = await planFile(file('s.yaml', `experiment: ${toyPath}\n${text}\n`), root())
  for (const { experiment, config } of runs)
    await executeRun(experiment, config, { root: root(), threads: 1 })
  return loadRuns([root()])
}

const column = ({ columns }: Table, name: string) => columns.find((each) => each.name === name)?.cells
const readParquet = async (table: Table) => {
  const bytes = parquetBytes(table)
  return await parquetReadObjects({ file: bytes.slice().buffer })
}

/** RFC 4180, read by its grammar: an independent reader. */
function readCsv(text: string): string[][] {
  const rows: string[][] = []
  let at = 0
  while (at < text.length) {
    const row: string[] = []
    for (;;) {
      const quoted = /^"((?:[^"]|"")*)"/.exec(text.slice(at))
      const plain = /^[^",\r\n]*/.exec(text.slice(at))!
      row.push(quoted ? quoted[1]!.replaceAll('""', '"') : plain[0])
      at += (quoted ?? plain)[0].length
      if (text[at] !== ',') break
      at++
    }
    expect(text.slice(at, at + 2)).toBe('\r\n')
    at += 2
    rows.push(row)
  }
  return rows
}

describe('the table of runs', () => {
  it('has every config leaf, every scalar of the result, and counts of verdicts', async () => {
    const table = tableOf(await sweep('grid: { a: [10, 9], sizes: [[1, 2], []] }\nrepeat: 2'))
    expect(table.columns.map(({ name }) => name)).toEqual([
      'experiment',
      'version',
      'hash',
      'seed',
      'a',
      'b',
      'steps',
      'pause',
      'mood',
      'name',
      'sizes',
      'noise.size',
      'noise.on',
      'result.value',
      'result.scaled',
      'result.inner.steps',
      'result.nothing',
      'claims.holds',
      'claims.fails',
      'claims.undecided',
      'verdicts.passed',
      'verdicts.failed',
    ])
    expect(table.rows).toBe(8)
    // numbers by size, seeds of one config together
    expect(column(table, 'a')).toEqual([9, 9, 9, 9, 10, 10, 10, 10])
    expect(column(table, 'seed')).toEqual([0, 1, 0, 1, 0, 1, 0, 1])
    expect(column(table, 'sizes')!.slice(0, 4)).toEqual(['[1,2]', '[1,2]', '[]', '[]'])
    const value = column(table, 'result.value') as number[]
    expect(column(table, 'result.scaled')).toEqual(value.map((each) => each / 7))
    expect(column(table, 'verdicts.passed')).toEqual(value.map((each) => (each % 2 === 0 ? 2 : 1)))
    expect(column(table, 'verdicts.failed')).toEqual(value.map((each) => each % 2))
  })

  it('does not depend on the order of the runs, nor on copies of them', async () => {
    const runs = await sweep('grid: { a: [3, 1, 2], steps: [2, 12] }\nrepeat: 2')
    const table = tableOf(runs)
    fc.assert(
      fc.property(fc.shuffledSubarray(runs, { minLength: runs.length }), (shuffled) => {
        expect(tableOf([...shuffled, ...shuffled.slice(0, 3)])).toEqual(table)
        expect(sortRuns(shuffled).map(({ hash }) => hash)).toEqual(column(table, 'hash'))
      }),
      { numRuns: 20 },
    )
  })

  it('has a row for each verdict when asked', async () => {
    const runs = sortRuns(await sweep('repeat: 2'))
    const table = tableOf(runs, { verdicts: true })
    const claims = runs.flatMap(({ summary }) => summary.verdicts)
    expect(claims.length).toBeGreaterThan(0)
    expect(table.rows).toBe(claims.length)
    for (const name of ['claim', 'measured', 'error', 'predicted', 'pass', 'control'] as const)
      expect(column(table, `verdict.${name}`)).toEqual(claims.map((verdict) => verdict[name]))
    const perRun = claims.length / runs.length
    expect(column(table, 'hash')).toEqual(runs.flatMap(({ hash }) => new Array(perRun).fill(hash)))
  })

  it('joins metrics with configs, and adds timing only when asked', async () => {
    const runs = await sweep('grid: { steps: [2, 3] }')
    const table = tableOf(runs, { metrics: true })
    expect(column(table, 'steps')).toEqual([2, 2, 3, 3, 3])
    expect(column(table, 'metric.step')).toEqual([1, 2, 1, 2, 3])
    expect(column(table, 'metric.half')).toEqual(
      (column(table, 'metric.value') as number[]).map((v) => v / 2),
    )
    expect(column(table, 'result.value')).toBeUndefined()
    expect(tableOf(runs).columns.some(({ name }) => name.startsWith('timing'))).toBe(false)
    const timed = tableOf(runs, { timing: true })
    expect(column(timed, 'timing.seconds')).toEqual(
      sortRuns(runs).map(({ summary }) => summary.timing.seconds),
    )
    expect(column(timed, 'timing.threads')).toEqual([1, 1])
  })

  it('holds several experiments; a field named like a fixed column is told apart', async () => {
    const [run] = await sweep('')
    const other = { ...run!, experiment: 'another', hash: 'ff', config: { seed: 3, hash: 'mine', z: true } }
    const table = tableOf([run!, other])
    expect(column(table, 'experiment')).toEqual(['another', 'walk'])
    expect(column(table, 'config.hash')).toEqual(['mine', null])
    expect(column(table, 'z')).toEqual([true, null])
    expect(column(table, 'a')).toEqual([null, 1])
  })
})

describe('files', () => {
  it('Parquet read back gives every value and type', async () => {
    const table = tableOf(await sweep('grid: { a: [1, 2], name: ["plain", "ü, \\"x\\""] }'))
    const rows = await readParquet(table)
    expect(rows).toHaveLength(4)
    for (const { name, cells } of table.columns) expect(rows.map((row) => row[name] ?? null)).toEqual(cells)
    const bytes = parquetBytes(table)
    const types = new Map(parquetMetadata(bytes.slice().buffer).schema.map(({ name, type }) => [name, type]))
    expect(
      ['a', 'noise.size', 'result.value', 'noise.on', 'name', 'hash'].map((name) => types.get(name)),
    ).toEqual(['INT32', 'DOUBLE', 'DOUBLE', 'BOOLEAN', 'BYTE_ARRAY', 'BYTE_ARRAY'])
    expect(Buffer.compare(bytes, parquetBytes(table))).toBe(0)
  })

  it('any table survives CSV and Parquet', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '\r', '\n', 'é', ' ', '😀', '0') })
    const kinds: fc.Arbitrary<fc.Arbitrary<Cell>> = fc.constantFrom<fc.Arbitrary<Cell>>(
      fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0)),
      fc.option(fc.integer()),
      fc.option(fc.boolean()),
      fc.option(text),
      fc.constant(null),
    )
    const tables = fc.integer({ min: 1, max: 8 }).chain((rows) =>
      fc
        .array(
          kinds.chain((kind) => fc.array(kind, { minLength: rows, maxLength: rows })),
          { minLength: 1, maxLength: 5 },
        )
        .map((columns): Table => ({ rows, columns: columns.map((cells, i) => ({ name: `c${i}`, cells })) })),
    )
    await fc.assert(
      fc.asyncProperty(tables, async (table) => {
        const [names, ...rows] = readCsv(csvText(table))
        expect(names).toEqual(table.columns.map(({ name }) => name))
        expect(rows).toHaveLength(table.rows)
        for (const [i, { cells }] of table.columns.entries())
          expect(rows.map((row) => row[i])).toEqual(cells.map((cell) => (cell === null ? '' : String(cell))))
        const objects = await readParquet(table)
        for (const { name, cells } of table.columns)
          expect(objects.map((row) => row[name] ?? null)).toEqual(cells)
      }),
      { numRuns: 150 },
    )
  })

  it('a column of several kinds is one of texts; whole numbers beyond 32 bits stay exact', async () => {
    const table: Table = {
      rows: 2,
      columns: [
        { name: 'limit', cells: ['none', 3] },
        { name: 'seed', cells: [0xffff_ffff, 2 ** 40] },
        { name: 'flag', cells: [true, 0] },
      ],
    }
    expect(await readParquet(table)).toEqual([
      { limit: 'none', seed: 0xffff_ffff, flag: 'true' },
      { limit: '3', seed: 2 ** 40, flag: '0' },
    ])
  })

  it('refuses another ending', () => {
    expect(() => writeTable('x.xlsx', { rows: 0, columns: [] })).toThrow(
      'x.xlsx: expected a file that ends in .parquet or .csv',
    )
  })
})
