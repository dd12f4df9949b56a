/** @file Which row of which table every token of the output takes, by mergekit's rules, as data that a worker can share. */
import type { TokenRule } from '../config/index.ts'
import type { Problem } from '../problems.ts'
import type { Vocabulary } from './build.ts'

/** A table of one model as the rows of the output's vocabulary. */
export interface TableView {
  readonly rows: number
  /** Int32 for each row: the row of the model's own table; `fromDonors`; or `padding`. */
  readonly own: SharedArrayBuffer
  /** Int32: for each row and one more the end of its donors, then the donors: number in `donors`, row. None: zeros. */
  readonly fills: SharedArrayBuffer
  readonly donors: readonly { readonly model: string; readonly tensor: string }[]
}

/** The row is the mean of its donors. */
export const fromDonors = -1
/** The row belongs to no token: it is the mean of all rows that do. */
export const padding = -2

/** One table of a group that is merged. */
export interface Table {
  readonly model: string
  readonly tensor: string
  /** Rows that it has. */
  readonly rows: number
}

/** The views of a group of tables, one for each model; undefined where the table is taken as it is. */
interface GroupViews {
  readonly of: (table: Table) => TableView | undefined
  readonly problems: readonly Problem[]
  readonly warnings: readonly string[]
}

type Donor = readonly [table: number, row: number]

const quote = (token: string): string => JSON.stringify(token).slice(0, 60)

/** What a group's tables have of each token: the row, or −1. */
function ownRows(vocabulary: Vocabulary, table: Table): Int32Array {
  const rows = new Int32Array(vocabulary.rows).fill(-1)
  const { ids, limit } = vocabulary.own.get(table.model)!
  for (const [token, id] of vocabulary.tokenizer.ids) {
    const row = ids.get(token)
    if (row !== undefined && row < Math.min(limit, table.rows)) rows[id] = row
  }
  return rows
}

interface Group {
  readonly vocabulary: Vocabulary
  readonly tables: readonly Table[]
  readonly own: readonly Int32Array[]
  readonly base: number
  readonly problems: Map<string, Problem>
}

/** The donors that the recipe names for a token. */
function namedDonors(rule: TokenRule, id: number, { tables, own, vocabulary, problems }: Group): Donor[] {
  const { source, token, where } = rule
  const refuse = (why: string): Donor[] => {
    const message = `token ${quote(token)}: ${why}`
    problems.set(message, { where, message, code: 'TL_SHAPE_MISMATCH' })
    return []
  }
  if (source === undefined)
    return refuse(
      'a model lacks it or it is forced; say where its row comes from: source: MODEL or { kind: zero }',
    )
  if (source.kind === 'zero') return []
  const at = tables.findIndex(({ model }) => model === source.model)
  if (at < 0)
    return refuse(
      `its source ${source.model} is none of the models merged here (${tables.map(({ model }) => model).join(', ')})`,
    )
  if (source.kind === 'model')
    return own[at]![id]! >= 0 ? [[at, own[at]![id]!]] : refuse(`its source ${source.model} does not have it`)
  const row = source.id ?? vocabulary.own.get(source.model)!.ids.get(source.token!)
  if (row === undefined)
    return refuse(`${source.model} has no token ${quote(source.token!)} to take the row from`)
  if (row >= tables[at]!.rows)
    return refuse(`${source.model} has ${tables[at]!.rows} rows, so row ${row} is not there`)
  return [[at, row]]
}

/** Where a token's row comes from in the models that lack it: its only owner, else the base, else the mean of its owners. */
function donorsOf(id: number, { own, base }: Group): Donor[] {
  const owners = own.flatMap((rows, at): Donor[] => (rows[id]! >= 0 ? [[at, rows[id]!]] : []))
  const fromBase = owners.find(([at]) => at === base)
  return fromBase ? [fromBase] : owners
}

function shared(values: readonly number[] | Int32Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(values.length * 4)
  new Int32Array(buffer).set(values)
  return buffer
}

/**
 * The views of tables that are merged into one. `rules`: tokens that the recipe says something about; `base`: the model
 * whose row a missing token takes where it has one.
 */
export function viewsOf(
  vocabulary: Vocabulary,
  rules: readonly TokenRule[],
  tables: readonly Table[],
  base: string | undefined,
): GroupViews {
  const own = tables.map((table) => ownRows(vocabulary, table))
  const problems = new Map<string, Problem>()
  const at = tables.findIndex(({ model }) => model === base)
  const group: Group = { vocabulary, tables, own, base: at, problems }
  const byToken = new Map(rules.map((rule) => [rule.token, rule]))
  const forced = new Set<number>()
  const isToken = new Uint8Array(vocabulary.rows)
  const donors = new Map<number, Donor[]>()
  const orphans: string[] = []
  for (const [token, id] of vocabulary.tokenizer.ids) {
    isToken[id] = 1
    const rule = byToken.get(token)
    const isNeeded = rule?.force === true || own.some((rows) => rows[id]! < 0)
    if (rule?.force) forced.add(id)
    const list = rule && isNeeded ? namedDonors(rule, id, group) : donorsOf(id, group)
    if (list.length === 0 && !rule) orphans.push(token)
    donors.set(id, list)
  }
  const ends = new Int32Array(vocabulary.rows + 1)
  const pairs: number[] = []
  for (let id = 0; id < vocabulary.rows; id++) {
    pairs.push(...(donors.get(id) ?? []).flat())
    ends[id + 1] = pairs.length / 2
  }
  const fills = shared([...ends, ...pairs])
  const warnings =
    orphans.length === 0
      ? []
      : [
          `${orphans.length} token${orphans.length === 1 ? '' : 's'} of the output that no model of ${tables.map(({ model }) => model).join(', ')} has get${orphans.length === 1 ? 's' : ''} zeros: ${orphans.slice(0, 3).map(quote).join(', ')}`,
        ]
  const view = (table: Table): TableView | undefined => {
    const known = tables.findIndex(({ model }) => model === table.model)
    const rows = (known >= 0 ? own[known]! : ownRows(vocabulary, table)).slice()
    for (let id = 0; id < rows.length; id++) {
      if (!isToken[id]) rows[id] = padding
      else if (forced.has(id) || rows[id]! < 0) rows[id] = fromDonors
    }
    if (table.rows === rows.length && rows.every((row, id) => row === id)) return undefined
    return {
      rows: rows.length,
      own: shared(rows),
      fills,
      donors: tables.map(({ model, tensor }) => ({ model, tensor })),
    }
  }
  return { of: view, problems: [...problems.values()], warnings }
}
