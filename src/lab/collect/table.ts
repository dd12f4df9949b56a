/** @file One tidy table of many runs: a row for each run, each row of a study, each line of its metrics or each claim; the same whatever the order. */
import { type Json, toJson } from '../../base/index.ts'
import { canonicalJson } from '../canonical.ts'
import type { FinishedRun } from '../runFolder.ts'
import { claimsOfSummary, countOutcomes } from '../study/outcomes.ts'
import { studyRows } from '../study/rows.ts'

/** What a cell can hold. */
export type Cell = number | string | boolean | null

/** A named column; all columns of a table have the same length. */
export interface Column {
  readonly name: string
  readonly cells: readonly Cell[]
}

/** A table by columns. */
export interface Table {
  readonly columns: readonly Column[]
  readonly rows: number
}

/** What the table holds. */
export interface TableOptions {
  /** One row for each line of metrics instead of one for each run. */
  readonly metrics?: boolean
  /** One row for each claim instead: claim, measured, error, predicted, outcome, control, tolerance. */
  readonly claims?: boolean
  /** The same as before 0.2, with `pass` in place of the outcome. */
  readonly verdicts?: boolean
  /** One row for each row that a study measured. */
  readonly rows?: boolean
  /** Also when, how long, and on how many threads: two sweeps never agree on these. */
  readonly timing?: boolean
}

type Leaf = readonly [name: string, cell: Cell]
const isGroup = (node: Json): node is { readonly [key: string]: Json } =>
  typeof node === 'object' && node !== null && !Array.isArray(node)

/** Leaves in which what was not finite has its value again. */
function restored(found: readonly Leaf[], notFinite: unknown): Leaf[] {
  if (typeof notFinite !== 'object' || notFinite === null) return [...found]
  const values = notFinite as Readonly<Record<string, string>>
  return found.map(([name, cell]) => [name, Object.hasOwn(values, name) ? Number(values[name]) : cell])
}

/** Leaves by dotted name. Lists become their JSON text (`[32,64]`), or are left out. */
export function leaves(node: Json, lists: 'text' | 'none', prefix = ''): Leaf[] {
  if (isGroup(node))
    return Object.entries(node).flatMap(([key, child]) =>
      leaves(child, lists, prefix === '' ? key : `${prefix}.${key}`),
    )
  if (Array.isArray(node)) return lists === 'text' ? [[prefix, JSON.stringify(node)]] : []
  return [[prefix, node as Cell]]
}

const fixed = ['experiment', 'version', 'hash']

/** Config fields have their own names; one that is named like a fixed column is told apart. */
const configLeaves = (run: FinishedRun): Leaf[] =>
  leaves(run.config as unknown as Json, 'text').map(([name, cell]) => [
    fixed.includes(name) ? `config.${name}` : name,
    cell,
  ])

const named = (prefix: string, found: readonly Leaf[]): Leaf[] =>
  found.map(([name, cell]) => [`${prefix}.${name}`, cell])

const aboutLeaves = ({ experiment, hash, summary }: FinishedRun): Leaf[] => [
  ['experiment', experiment],
  ['version', summary.version],
  ['hash', hash],
]

function resultLeaves({ summary }: FinishedRun, timing: boolean): Leaf[] {
  const { holds, fails, undecided } = countOutcomes(claimsOfSummary(summary))
  const found: Leaf[] = [
    ...named('result', restored(leaves(summary.result, 'none'), summary.notFinite)),
    ['claims.holds', holds],
    ['claims.fails', fails],
    ['claims.undecided', undecided],
    // until 0.2
    ['verdicts.passed', holds],
    ['verdicts.failed', fails + undecided],
  ]
  if (!timing) return found
  const { startedAt, finishedAt, seconds, sessions, threads } = summary.timing
  return [...found, ...named('timing', leaves({ startedAt, finishedAt, seconds, sessions, threads }, 'none'))]
}

/** Numbers by size, then texts by their letters; nothing comes first. */
export function compareCells(a: Cell | undefined, b: Cell | undefined): number {
  const rank = (cell: Cell | undefined): number =>
    cell === undefined || cell === null ? 0 : typeof cell === 'number' ? 1 : 2
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [String(a), String(b)]
  return Number(left > right) - Number(left < right)
}

/** Runs in the order of experiment, config fields (the seed last) and hash: independent of when and where they were made. */
export function sortRuns(runs: readonly FinishedRun[]): FinishedRun[] {
  const keyed = [...runs]
    .sort((a, b) => compareCells(a.hash, b.hash))
    .map((run) => ({ run, cells: new Map(configLeaves(run)) }))
  const fields = new Set(keyed.flatMap(({ cells }) => [...cells.keys()]))
  // seeds of one config stand together
  fields.delete('seed')
  const names = [...fields, 'seed']
  return keyed
    .sort((a, b) => {
      let order = compareCells(a.run.experiment, b.run.experiment)
      for (const name of names) {
        if (order !== 0) return order
        order = compareCells(a.cells.get(name), b.cells.get(name))
      }
      return order || compareCells(a.run.hash, b.run.hash)
    })
    .map(({ run }) => run)
}

/** The same run may be in several folders: it is counted once. */
function once(runs: readonly FinishedRun[]): FinishedRun[] {
  const found = new Map<string, FinishedRun>()
  for (const run of runs) {
    const key = canonicalJson([run.experiment, run.hash])
    if (!found.has(key)) found.set(key, run)
  }
  return [...found.values()]
}

/**
 * The table of some finished runs. Columns: experiment, version, hash; every config field by its dotted name; then
 * `result.*` (all that are no lists), `claims.holds`, `claims.fails`, `claims.undecided`, or with `metrics` the `metric.*` of each
 * line, with `claims` the `claim.*` of each claim, with `rows` the `row.*` of each row of a study; with `timing` also `timing.*`. What a run does not have is null.
 */
export function tableOf(runs: readonly FinishedRun[], options: TableOptions = {}): Table {
  const sorted = sortRuns(once(runs))
  const rows = sorted.flatMap((run): { about: Leaf[]; measured: Leaf[] }[] => {
    const about = [...aboutLeaves(run), ...configLeaves(run)]
    if (options.metrics)
      return run.metrics.map(({ notFinite, ...line }) => ({
        about,
        measured: named('metric', restored(leaves(line, 'none'), notFinite)),
      }))
    if (options.rows)
      return (studyRows(run) ?? []).map((row) => ({ about, measured: named('row', leaves(row, 'text')) }))
    if (options.claims)
      return claimsOfSummary(run.summary).map((claim) => ({
        about,
        measured: named('claim', leaves(toJson(claim), 'text')),
      }))
    if (options.verdicts)
      return run.summary.verdicts.map((verdict) => ({
        about,
        measured: named('verdict', Object.entries(verdict) as Leaf[]),
      }))
    return [{ about, measured: resultLeaves(run, options.timing ?? false) }]
  })
  // what is known of all runs stands before what was measured
  const names = new Set([...fixed, ...rows.flatMap(({ about }) => about.map(([name]) => name))])
  for (const { measured } of rows) for (const [name] of measured) names.add(name)
  const cells = rows.map(({ about, measured }) => new Map([...about, ...measured]))
  return {
    rows: rows.length,
    columns: [...names].map((name) => ({ name, cells: cells.map((row) => row.get(name) ?? null) })),
  }
}
