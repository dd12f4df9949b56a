/** @file One run from config to `done`: skipped when finished, resumed when cut, refused when somebody is at it. */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { explainSystemError, makeFolder, writeAtomically } from '../base/files.ts'
import { fail, notFiniteIn, notFiniteText, prettyJson, TreelineError, toJson } from '../base/index.ts'
import { lockFolder } from '../base/lock.ts'
import { packageVersion } from '../base/version.ts'
import type { Away } from './away.ts'
import { packageCommit } from './commit.ts'
import { configHash, configRows, resumeCommand } from './config.ts'
import { appendLog, makeContext, type RunListeners } from './context.ts'
import type { AnyExperiment, BaseConfig } from './experiment.ts'
import { thisMachine } from './machine.ts'
import { readMetrics } from './metrics.ts'
import {
  type ConfigFile,
  isFinished,
  readConfigFile,
  readJson,
  readSummary,
  runFolder,
  type Summary,
} from './runFolder.ts'
import { hasCellFiles } from './study/measure.ts'
import { claimsOf, verdictOf } from './study/outcomes.ts'

/** How a run is to be carried out. */
export interface RunOptions extends RunListeners {
  /** The folder that holds all runs; default `runs`. */
  root?: string
  /** Threads for compiled programs; default all cores. */
  threads?: number
  /** Throw away what the folder holds and begin again. */
  fresh?: boolean
  signal?: AbortSignal
  /** The module that exports the experiment, when it is none of Treeline's own. */
  module?: string
  /** The name of the work that this run is, for a worker that somebody sent (see `lockFolder`). */
  work?: string
  /** Where a study's measurements are made; on threads of this process when absent. */
  away?: Away
}

/** What became of it. */
export interface RunOutcome {
  folder: string
  summary: Summary
  /** True when the run was finished before and nothing was done. */
  skipped: boolean
  /** True when it went on from a saved state. */
  resumed: boolean
}

/** One stretch of work by one process. `seconds` is null while it works, or when it was killed. */
interface Session {
  startedAt: string
  seconds: number | null
  threads: number
}

/** Seconds of kept work: of a killed session only what its last saved state covers. */
function closeKilled(session: Session, statePath: string): Session {
  if (session.seconds !== null) return session
  const saved = statSync(statePath, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return { ...session, seconds: Math.max(0, (saved - Date.parse(session.startedAt)) / 1000) }
}

function prepareFolder(folder: string, fresh: boolean): void {
  // first of all, or a run cut in the middle of this would look finished
  if (fresh) rmSync(join(folder, 'done'), { force: true })
  for (const name of readdirSync(folder))
    if (name.endsWith('.tmp') || (fresh && name !== 'lock'))
      rmSync(join(folder, name), { recursive: true, force: true })
}

/** Read the sessions before this one; a damaged list loses nothing but the time. */
function readSessions(folder: string): Session[] {
  const path = join(folder, 'sessions.json')
  try {
    return existsSync(path) ? (readJson(path, true) as unknown as Session[]) : []
  } catch {
    return []
  }
}

/** Throws TL_BAD_CONFIG for the first required field that is empty. */
function checkRequired(experiment: AnyExperiment, config: BaseConfig): void {
  const rows = configRows(experiment, config)
  const empty = rows.find(
    ({ path, value }) => experiment.requires?.includes(path as keyof BaseConfig) && value === '',
  )
  if (empty)
    fail(
      'TL_BAD_CONFIG',
      `config.${empty.path}: ${experiment.name} needs it (${empty.description}); give it with --set ${empty.path}=…`,
    )
}

/**
 * Run `experiment` with a complete config in its own folder.
 * Throws TL_BAD_CONFIG when a required field is empty, TL_BUSY when a live process works there, TL_INTERRUPTED when the signal was aborted (the state is kept), and
 * whatever the experiment throws (noted in log.txt; the folder can be resumed).
 */
export async function executeRun(
  experiment: AnyExperiment,
  config: BaseConfig,
  options: RunOptions = {},
): Promise<RunOutcome> {
  checkRequired(experiment, config)
  const hash = configHash(experiment, config)
  const folder = runFolder(options.root ?? 'runs', experiment.name, hash)
  const threads = options.threads ?? availableParallelism()
  if (isFinished(folder) && !options.fresh)
    return { folder, summary: readSummary(folder), skipped: true, resumed: false }
  try {
    makeFolder(folder)
  } catch (error) {
    explainSystemError(error, `cannot make ${folder}`)
  }
  const unlock = lockFolder(folder, 'lock', options.work)
  try {
    // somebody may have finished it between the first look and the lock
    if (isFinished(folder) && !options.fresh)
      return { folder, summary: readSummary(folder), skipped: true, resumed: false }
    return await work(experiment, config, hash, folder, threads, options)
  } finally {
    unlock()
  }
}

async function work(
  experiment: AnyExperiment,
  config: BaseConfig,
  hash: string,
  folder: string,
  threads: number,
  options: RunOptions,
): Promise<RunOutcome> {
  const { name, version } = experiment
  const file = (child: string) => join(folder, child)
  prepareFolder(folder, options.fresh ?? false)
  if (existsSync(file('config.json')) && readConfigFile(folder).hash !== hash)
    fail('TL_BAD_FILE', `${folder}: holds another config than its name says; run again with --fresh`)
  const { module } = options
  const about: ConfigFile = { experiment: name, version, hash, treeline: packageVersion(), module, config }
  if (!existsSync(file('config.json'))) writeAtomically(file('config.json'), prettyJson(about))

  const hasState = existsSync(file('state.safetensors'))
  /** Whether this folder holds work that the next process goes on with. */
  const isBegun = (): boolean =>
    ['state.safetensors', 'jobs.jsonl'].some((name) => existsSync(file(name))) || hasCellFiles(folder)
  const resumed = isBegun()
  if (!hasState) rmSync(file('metrics.jsonl'), { force: true })
  const sessions = readSessions(folder).map((session) => closeKilled(session, file('state.safetensors')))
  const start = performance.now()
  const session: Session = { startedAt: new Date().toISOString(), seconds: null, threads }
  const saveSessions = () => writeAtomically(file('sessions.json'), prettyJson([...sessions, session]))
  saveSessions()
  appendLog(folder, resumed ? 'resumed' : 'started')

  const signal = options.signal ?? new AbortController().signal
  const { away } = options
  const context = makeContext({ config, threads, folder, resumed: hasState, signal, away }, options)
  let result: Summary['result']
  let notFinite: Summary['notFinite']
  try {
    const found = await experiment.run(context)
    notFinite = notFiniteIn(found)
    result = toJson(found) as Summary['result']
  } catch (error) {
    session.seconds = (performance.now() - start) / 1000
    saveSessions()
    if (signal.aborted) {
      appendLog(folder, 'interrupted')
      const kept = isBegun() ? 'resume' : 'start again'
      fail(
        'TL_INTERRUPTED',
        `interrupted; everything finished is kept in ${folder}; ${kept} with: ${resumeCommand(experiment, config, { root: options.root, word: options.module })}`,
        error,
      )
    }
    appendLog(folder, `failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    throw error
  }
  session.seconds = (performance.now() - start) / 1000
  saveSessions()

  const metrics = readMetrics(file('metrics.jsonl'))
  const read = (child: string) => readJson(file(child), true)
  const conclusion = experiment.summary({ folder, hash, config, result, metrics, read })
  // what words are made of has null there, so they are told besides
  const headline = `${conclusion.headline}${notFinite ? ` (not finite: ${notFiniteText(notFinite)})` : ''}`
  const claims = claimsOf(conclusion)
  const all = [...sessions, session]
  const commit = packageCommit()
  const summary: Summary = {
    experiment: name,
    version,
    hash,
    treeline: about.treeline,
    ...(commit && { commit }),
    config,
    headline,
    result,
    ...(notFinite && { notFinite }),
    claims,
    verdicts: claims.map(verdictOf),
    timing: {
      startedAt: all[0]!.startedAt,
      finishedAt: new Date().toISOString(),
      seconds: all.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0),
      sessions: all.length,
      threads,
    },
    machine: thisMachine(),
  }
  writeAtomically(file('summary.json'), prettyJson(summary))
  appendLog(folder, `finished: ${headline}`)
  writeAtomically(file('done'), `${hash}\n`)
  return { folder, summary: toJson(summary) as unknown as Summary, skipped: false, resumed }
}

/** True for the error of an interrupted run. */
export const isInterruption = (error: unknown): boolean =>
  error instanceof TreelineError && error.code === 'TL_INTERRUPTED'
