/** @file Run folders: where a config's run lives, and reading finished ones. The folder is the database. */
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { explainSystemError, statusOf } from '../base/files.ts'
import {
  fail,
  finish,
  isObject,
  type Json,
  type NotFinite,
  type Steps,
  TreelineError,
} from '../base/index.ts'
import { readText } from '../base/read.ts'
import type { BaseConfig, RunView, Verdict } from './experiment.ts'
import type { Machine } from './machine.ts'
import { readMetrics } from './metrics.ts'
import type { Claim } from './study/claim.ts'

/** `config.json`. */
export interface ConfigFile {
  experiment: string
  /** The experiment's own version. */
  version: number
  hash: string
  /** The package's version that began the run. */
  treeline: string
  /** The module that exports the experiment, when it is none of Treeline's own. */
  module?: string
  config: BaseConfig
}

/** `summary.json`: the contract with scripts. */
export interface Summary {
  experiment: string
  version: number
  hash: string
  treeline: string
  /** Of the checkout that finished the run; absent where Treeline was installed as a package. */
  commit?: string
  config: BaseConfig
  headline: string
  result: Record<string, Json>
  /** Numbers of `result` that are not finite, null there, by dotted path; absent where there is none. */
  notFinite?: NotFinite
  claims: readonly Claim[]
  /** The same as held or not, until 0.2. */
  verdicts: readonly Verdict[]
  timing: { startedAt: string; finishedAt: string; seconds: number; sessions: number; threads: number }
  machine: Machine
}

/** A finished run, read from its folder. */
export interface FinishedRun extends RunView<BaseConfig> {
  readonly experiment: string
  /** See `ConfigFile`. */
  readonly module?: string
  readonly summary: Summary
}

/** `<root>/<experiment>/<first twelve digits of the hash>`. */
export const runFolder = (root: string, experiment: string, hash: string): string =>
  join(root, experiment, hash.slice(0, 12))

/** True when `done` is there: everything else was written before it. */
export const isFinished = (folder: string): boolean => existsSync(join(folder, 'done'))

/** Parse a JSON file that must hold an object (or, with `any`, any JSON). Throws TL_BAD_FILE or TL_IO in one line. */
export function readJson(path: string, any = false): Json {
  const text = readText(path)
  try {
    const value = JSON.parse(text) as Json
    if (any || (typeof value === 'object' && value !== null && !Array.isArray(value))) return value
  } catch {
    // reported below, with the same words as a file of the wrong kind
  }
  return fail(
    'TL_BAD_FILE',
    `${path}: expected a JSON ${any ? 'file' : 'object'}; it is damaged (run again with --fresh)`,
  )
}

/** Read `config.json` and check that it is one. */
export function readConfigFile(folder: string): ConfigFile {
  const path = join(folder, 'config.json')
  const file = readJson(path) as unknown as ConfigFile
  if (typeof file.experiment !== 'string' || typeof file.hash !== 'string' || !isObject(file.config))
    fail('TL_BAD_FILE', `${path}: expected experiment, hash and config; it is no run of treeline's`)
  return file
}

/** Read `summary.json`. */
export function readSummary(folder: string): Summary {
  const path = join(folder, 'summary.json')
  const summary = readJson(path) as unknown as Summary
  if (typeof summary.experiment !== 'string' || typeof summary.result !== 'object' || !summary.timing)
    fail('TL_BAD_FILE', `${path}: expected a run's summary; it is damaged (run again with --fresh)`)
  return summary
}

/** Read a finished run. Throws TL_BAD_FILE when it is none, saying what to do. */
export function loadRun(folder: string): FinishedRun {
  const { experiment, hash, config, module } = readConfigFile(folder)
  if (!isFinished(folder))
    fail('TL_BAD_FILE', `${folder}: this run of ${experiment} is not finished; run it again to resume it`)
  const summary = readSummary(folder)
  return {
    folder,
    experiment,
    module,
    hash,
    config,
    summary,
    result: summary.result,
    metrics: readMetrics(join(folder, 'metrics.jsonl')),
    read: (name) => readJson(join(folder, name), true),
  }
}

/** True when a folder looks like a run's: its `config.json` is one of ours, or cannot be read. */
export function holdsRun(path: string): boolean {
  const file = join(path, 'config.json')
  if (!existsSync(file)) return false
  try {
    return 'hash' in (readJson(file) as object)
  } catch {
    return true
  }
}

/** Folders that hold runs, finished, damaged or not, in `path` or up to three levels below it, sorted. */
export function findRunFolders(path: string, depth = 3): string[] {
  if (holdsRun(path)) return [path]
  if (depth === 0) return []
  let names: string[]
  try {
    names = readdirSync(path).sort()
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  return names
    .map((name) => join(path, name))
    .filter((child) => statusOf(child)?.isDirectory())
    .flatMap((child) => findRunFolders(child, depth - 1))
}

/**
 * All finished runs in the given folders: run folders, or folders above them. Unfinished ones are passed to
 * `onUnfinished`, damaged ones to `onDamaged` with the reason; without it, and when named directly, they are refused.
 * Throws TL_BAD_FILE when a path holds no run at all, or when no finished run is left.
 */
export const loadRuns = (
  paths: readonly string[],
  onUnfinished?: (folder: string) => void,
  onDamaged?: (folder: string, message: string) => void,
): FinishedRun[] => finish(loadingRuns(paths, onUnfinished, onDamaged))

/** The same in steps. */
export function* loadingRuns(
  paths: readonly string[],
  onUnfinished?: (folder: string) => void,
  onDamaged?: (folder: string, message: string) => void,
): Steps<FinishedRun[]> {
  const runs = new Map<string, FinishedRun>()
  const load = (folder: string, named: boolean): void => {
    try {
      runs.set(resolve(folder), loadRun(folder))
    } catch (error) {
      if (named || !onDamaged || !(error instanceof TreelineError)) throw error
      onDamaged(folder, error.message)
    }
  }
  for (const path of paths) {
    if (!statusOf(path)?.isDirectory())
      fail('TL_IO', `${path}: expected a run folder, or a folder of runs; there is no such folder`)
    const folders = findRunFolders(path)
    if (folders.length === 0)
      fail(
        'TL_BAD_FILE',
        `${path}: no runs here; make one with \`treeline run NAME\` (see \`treeline list\`)`,
      )
    for (const folder of folders) {
      yield
      if (folder !== path && !isFinished(folder)) onUnfinished?.(folder)
      else load(folder, folder === path)
    }
  }
  if (runs.size === 0)
    fail('TL_BAD_FILE', `${paths.join(', ')}: no finished runs here; run them again to resume`)
  yield
  return [...runs.values()]
}
