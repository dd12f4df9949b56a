/** @file Search over merges: every candidate of a grid is merged, scored and forgotten; the best is merged into the output. */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { explainSystemError, makeFolder, writeAtomically } from '../../base/files.ts'
import { fail, TreelineError } from '../../base/index.ts'
import { claimFolder, openOutputFolder, refuseInputsIn, requireRoom } from '../../base/outputFolder.ts'
import type { Workers } from '../../base/workers.ts'
import { fileMarks, fingerprint, inputFiles, isModelFile } from '../../checkpoint/index.ts'
import { type MergeConfig, parseMergeConfig } from '../config/index.ts'
import { mergeInto, refuseFileName } from '../execute/execute.ts'
import {
  assertPlan,
  executeMerge,
  type MergeOptions,
  type MergeOutcome,
  planFromFiles,
} from '../execute/index.ts'
import { type MergePlan, modelsOf } from '../plan/index.ts'
import { openMergeWorkers } from '../workers.ts'
import { type Recipe, recipeWriter } from './apply.ts'
import { type Axis, gridOf, type SearchValue, valuesText } from './grid.ts'
import { csvOf, type MeasuredScore, openTable, type Row, type Table } from './table.ts'

/**
 * The score of the model in a folder: a finite number, or measures of which the first is the score. What it throws makes a failed candidate, but TL_USAGE, TL_IO and
 * TL_INTERRUPTED end the search.
 */
type Scored = number | readonly MeasuredScore[]
export type Score = (model: string, signal?: AbortSignal) => Promise<Scored> | Scored

/** How to search. */
export interface SearchOptions extends Omit<MergeOptions, 'onProgress'> {
  /** A name for the score, such as its command: scores of another name are never taken for this one's. */
  readonly scoreName: string
  /** Which score is the best. Default 'maximize'. */
  readonly direction?: 'maximize' | 'minimize'
  /** Keep every candidate, in `out/candidates`. */
  readonly keepAll?: boolean
  /** Called as candidates are merged and scored; `best` is the best until now. */
  readonly onProgress?: (progress: SearchProgress) => void
}

/** How far a search is. */
export interface SearchProgress {
  readonly phase: 'merge' | 'score' | 'write'
  readonly done: number
  readonly total: number
  readonly values: Readonly<Record<string, SearchValue>>
  readonly best?: Row
  /** The row of a candidate that has just been finished. */
  readonly row?: Row
}

/** The result of a search. */
export interface SearchOutcome {
  readonly out: string
  readonly parameters: readonly string[]
  readonly direction: 'maximize' | 'minimize'
  /** One for each candidate, in the order of the grid. */
  readonly candidates: readonly Row[]
  readonly best: Row
  /** Candidates whose scores an earlier run has found. */
  readonly reused: number
  /** How the best was written; absent when an earlier run has written it. */
  readonly merge?: MergeOutcome
  readonly warnings: readonly string[]
}

/** A search that was checked: its candidates by their recipes. */
export interface SearchPlan {
  readonly parameters: readonly string[]
  readonly candidates: readonly {
    readonly id: string
    readonly values: Readonly<Record<string, SearchValue>>
  }[]
  /** The configuration of a candidate. */
  readonly config: (index: number) => MergeConfig
}

/**
 * Check a search before any work: names, values, and that every candidate is a configuration. Throws TL_USAGE and
 * TL_BAD_CONFIG as `gridOf`, `recipeWriter` and `parseMergeConfig` do.
 */
export function planSearch(recipe: Recipe, axes: readonly Axis[], lenient = false): SearchPlan {
  const writer = recipeWriter(recipe, axes)
  const grid = gridOf(axes)
  const config = (index: number): MergeConfig =>
    parseMergeConfig(writer.fill(grid[index]!), recipe.path, { lenient })
  const candidates = grid.map((point, i) => {
    const values = Object.fromEntries(writer.names.map((name, axis) => [name, point[axis]!]))
    try {
      return { id: fingerprint(config(i).text).slice(0, 16), values }
    } catch (error) {
      if (!(error instanceof TreelineError)) throw error
      return fail(error.code, `with ${valuesText(values)}: ${error.message}`, error)
    }
  })
  return { parameters: writer.names, candidates, config }
}

/** Candidates fail by themselves; these end the search. */
const ends = (error: unknown): boolean =>
  !(error instanceof TreelineError) ||
  ['TL_USAGE', 'TL_IO', 'TL_INTERRUPTED', 'TL_BAD_CONFIG'].includes(error.code)

const isBetter = (score: number, than: number, direction: 'maximize' | 'minimize'): boolean =>
  direction === 'maximize' ? score > than : score < than

/** The best of the rows; of equal ones the first. */
function bestOf(rows: readonly Row[], direction: 'maximize' | 'minimize'): Row | undefined {
  let best: Row | undefined
  for (const row of rows)
    if (row.score !== null && (best === undefined || isBetter(row.score, best.score!, direction))) best = row
  return best
}

/** Characters that every file system takes. */
const folderName = (values: Row['values']): string =>
  valuesText(values)
    .replace(/, /g, ',')
    .replace(/[^\w.,=[\]-]/g, '_')

/** The part of the model card about the search: the ten best candidates. */
function cardSection(
  names: readonly string[],
  rows: readonly Row[],
  { direction, scoreName }: SearchOptions,
): string {
  const scored = rows.filter((row) => row.score !== null)
  const sign = direction === 'minimize' ? 1 : -1
  const ranked = scored.toSorted((a, b) => sign * (a.score! - b.score!))
  const line = (cells: readonly unknown[]): string =>
    `| ${cells.map((one) => String(one).replaceAll('|', '\\|')).join(' | ')} |`
  const failed = rows.length - scored.length
  return [
    '',
    '## Search',
    '',
    `The best of ${scored.length} candidates (${direction ?? 'maximize'}), scored with \`${scoreName.replaceAll('`', "'").replace(/\s+/g, ' ')}\`${failed > 0 ? `; ${failed} more failed` : ''}. All of them are in \`search.csv\`.`,
    '',
    line([...names, 'score']),
    line([...names, 'score'].map(() => '---')),
    ...ranked.slice(0, 10).map(({ values, score }) => line([...names.map((name) => values[name]), score])),
    '',
  ].join('\n')
}

function writeResults(out: string, plan: SearchPlan, rows: readonly Row[], options: SearchOptions): void {
  writeAtomically(join(out, 'search.csv'), csvOf(plan.parameters, rows))
  const card = join(out, 'README.md')
  const text = existsSync(card) ? readFileSync(card, 'utf8') : ''
  const [before] = text.split('\n## Search\n')
  writeAtomically(card, `${before!.trimEnd()}\n${cardSection(plan.parameters, rows, options)}`)
}

/** The table, the picture, the candidates that were kept: they lie beside the model. */
const besideModel = (name: string): boolean => /^search\.(jsonl|csv|svg)$|^candidates$/.test(name)

const stagingFolder = '.treeline-search'

/** What was scored is what was merged: a score under the values of another model would be believed by every later run. */
function requireOwn(folder: string, { text }: MergeConfig): void {
  const path = join(folder, 'mergekit_config.yml')
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return
  fail(
    'TL_IO',
    `${folder}: somebody has replaced the candidate while it was scored; its score is not kept: run the same command again`,
  )
}

/** Merge one candidate, score it, and put it away. */
async function tryCandidate(
  plan: SearchPlan,
  index: number,
  out: string,
  score: Score,
  options: SearchOptions,
  tell: (phase: 'merge' | 'score') => void,
): Promise<Row> {
  const { id, values } = plan.candidates[index]!
  const { workers, seed, lenient, shardSize, arithmetic, signal, keepAll } = options
  const folder = resolve(out, stagingFolder, 'candidate')
  const begun = performance.now()
  const row = (result: Pick<Row, 'score' | 'error' | 'measures'>): Row => ({
    candidate: id,
    values,
    ...result,
    seconds: Number(((performance.now() - begun) / 1000).toFixed(3)),
  })
  const merging = Object.fromEntries(
    Object.entries({ workers, seed, lenient, shardSize, arithmetic, signal }).filter(
      ([, value]) => value !== undefined,
    ),
  ) as MergeOptions
  try {
    rmSync(folder, { recursive: true, force: true })
    makeFolder(join(out, stagingFolder))
    const config = plan.config(index)
    tell('merge')
    await executeMerge(config, folder, { ...merging, manifest: false })
    tell('score')
    const scored = await score(folder, signal)
    requireOwn(folder, config)
    const measures = typeof scored === 'number' ? [{ name: 'score', score: scored }] : scored
    for (const { name, score: one } of measures)
      if (!Number.isFinite(one)) fail('TL_NOT_FINITE', `the ${name} is ${one}; expected a finite number`)
    const value = measures[0]!.score
    if (keepAll) {
      const kept = join(out, 'candidates', folderName(values))
      makeFolder(join(out, 'candidates'))
      rmSync(kept, { recursive: true, force: true })
      renameSync(folder, kept)
    }
    return row({ score: value, ...(typeof scored === 'number' ? {} : { measures }) })
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) explainSystemError(error, `cannot write ${out}`)
    if (ends(error)) throw error
    return row({ score: null, error: (error as Error).message })
  }
}

/** Has an earlier run of this search written its model? It may have been cut off a moment later. */
const hasModel = (out: string, { published }: Table): boolean =>
  published !== undefined &&
  ['model.safetensors', 'model.safetensors.index.json'].some((name) => existsSync(join(out, name))) &&
  existsSync(join(out, 'README.md')) &&
  !existsSync(join(out, '.treeline-merge'))

/**
 * Merge and score every candidate of a grid, one after another, and write the best to `out`, with the table (`search.csv`,
 * `search.jsonl`) and a model card that shows its best rows. Of equal scores the first in the grid wins. Interrupted at any
 * moment, the same call goes on: candidates that have a score keep it, also when the grid has grown; those that failed are
 * tried again. Throws as `planSearch`, `planFromFiles` and `executeMerge` do; TL_BUSY when another process searches there;
 * TL_BAD_CONFIG when `out` holds scores of other inputs, another recipe or another score (`force` drops them); TL_SCORE when no candidate could be scored.
 */
export async function searchMerge(
  recipe: Recipe,
  axes: readonly Axis[],
  out: string,
  score: Score,
  options: SearchOptions,
): Promise<SearchOutcome> {
  const { lenient = false } = options
  const plan = planSearch(recipe, axes, lenient)
  const first = plan.config(0)
  const headers = planFromFiles(first, options)
  assertPlan(headers)
  refuseFileName(out)
  const inputs = [...modelsOf(first).flatMap(inputFiles), recipe.path]
  const release = claimFolder(out, { inputs })
  const workers = options.workers ?? openMergeWorkers(options.threads)
  try {
    // before hours of scoring, not after them
    if (options.force) refuseInputsIn(out, isModelFile, inputs)
    return await searchWith(recipe, plan, headers, out, score, { ...options, workers })
  } finally {
    if (workers !== options.workers) await workers.close()
    release()
  }
}

async function searchWith(
  recipe: Recipe,
  plan: SearchPlan,
  headers: MergePlan,
  out: string,
  score: Score,
  options: SearchOptions & { readonly workers: Workers },
): Promise<SearchOutcome> {
  const { direction = 'maximize', seed = 0, lenient = false, arithmetic = 'float32', force = false } = options
  const { signal, onProgress } = options
  const jsonl = join(out, 'search.jsonl')
  if (!existsSync(jsonl) && !force) requireRoom(out)
  const conditions = {
    recipe: recipe.text,
    inputs: fingerprint(modelsOf(plan.config(0)).map(fileMarks)).slice(0, 16),
    score: options.scoreName,
    seed,
    lenient,
    arithmetic,
  }
  const table = openTable(jsonl, conditions, force)
  const total = plan.candidates.length
  const known = (): Row[] =>
    plan.candidates.flatMap(({ id, values }) => {
      const row = table.rows.get(id)
      return row ? [{ ...row, values }] : []
    })
  // with force even a model that is right is written anew
  const isThere = !force && hasModel(out, table)
  const isOver = isThere && table.published!.isComplete
  // failures of a search that is over are results; of one that is not, the cause may be gone
  const isOpen = (row: Row | undefined): boolean => !row || (row.score === null && !isOver)
  const open = plan.candidates.flatMap(({ id }, i) => (isOpen(table.rows.get(id)) ? [i] : []))
  const isSame = open.length === 0 && bestOf(known(), direction)?.candidate === table.published?.candidate
  if (isThere && !isSame)
    fail(
      'TL_EXISTS',
      `${out}: it holds the best of another grid: choose another folder, or replace the model with --force; the scores in search.jsonl are used again`,
    )
  // hours of scoring must not end at a folder that cannot take the result
  if (!isThere && !force && !existsSync(join(out, '.treeline-merge'))) requireRoom(out, besideModel)
  const outcome = (merge?: MergeOutcome): SearchOutcome => ({
    out,
    parameters: plan.parameters,
    direction,
    candidates: known(),
    best: bestOf(known(), direction)!,
    reused: total - open.length,
    ...(merge ? { merge } : {}),
    warnings: merge?.warnings ?? headers.warnings,
  })
  if (isOver) return outcome()

  let done = total - open.length
  for (const index of open) {
    if (signal?.aborted) fail('TL_INTERRUPTED', `interrupted after ${done} of ${total} candidates`)
    const { values } = plan.candidates[index]!
    const tell = (phase: 'merge' | 'score', row?: Row): void => {
      const best = bestOf(known(), direction)
      onProgress?.({ phase, done, total, values, ...(best ? { best } : {}), ...(row ? { row } : {}) })
    }
    const row = await tryCandidate(plan, index, out, score, options, tell)
    table.append(row)
    done++
    tell('score', row)
  }
  const rows = known()
  const best = bestOf(rows, direction)
  if (!best) {
    const { values, error } = rows[0]!
    return fail('TL_SCORE', `none of ${total} candidates could be scored; ${valuesText(values)}: ${error}`)
  }
  onProgress?.({ phase: 'write', done, total, values: best.values, best })
  let merge: MergeOutcome | undefined
  if (!isThere) {
    table.publish(best.candidate, false)
    const index = plan.candidates.findIndex(({ id }) => id === best.candidate)
    const { scoreName, direction: _, keepAll, onProgress: __, ...merging } = options
    merge = await mergeInto(options.workers, plan.config(index), out, merging, (work) =>
      // the search holds the folder
      openOutputFolder(out, { ...work, spares: besideModel }, () => undefined),
    )
  }
  writeResults(out, plan, rows, options)
  rmSync(join(out, stagingFolder), { recursive: true, force: true })
  table.publish(best.candidate, true)
  return outcome(merge)
}
