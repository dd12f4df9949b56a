/** @file One run in a line of a list: what it is, how far it is, how its claims came out. Read from its folder alone. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { isObject, TreelineError } from '../../base/index.ts'
import { lockHolder } from '../../base/lock.ts'
import { isFinished, readConfigFile, readJson, readSummary } from '../runFolder.ts'
import { claimsOfSummary, countOutcomes } from '../study/outcomes.ts'

/** `waiting`: handed to an executor, not begun yet. `interrupted`: cut, and can go on. */
export type RunState = 'waiting' | 'running' | 'finished' | 'failed' | 'interrupted'

/** A run as `treeline runs --json` prints it. */
export interface RunRecord {
  readonly folder: string
  readonly experiment: string
  readonly hash: string
  readonly seed: number | null
  readonly state: RunState
  readonly claims: { readonly holds: number; readonly fails: number; readonly undecided: number }
  /** Seconds of work, all sessions that are known. */
  readonly seconds: number | null
  readonly config: Readonly<Record<string, unknown>>
}

/** The end of a log is enough to know how a run ended. */
const tailBytes = 16_384

/** The end of a text file; empty where there is none. */
export function tailOf(path: string, bytes = tailBytes): string {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch {
    return ''
  }
  try {
    const { size } = fstatSync(descriptor)
    const tail = Buffer.alloc(Math.min(size, bytes))
    readSync(descriptor, tail, 0, tail.length, size - tail.length)
    return tail.toString('utf8')
  } finally {
    closeSync(descriptor)
  }
}

/** Whether the last entry of a run's log says that it failed; entries begin with a time, and may have several lines. */
function saysFailed(folder: string): boolean {
  const entries = [...tailOf(join(folder, 'log.txt')).matchAll(/^\d{4}-\d\d-\d\dT[\d:.]+Z (.*)$/gm)]
  return /^failed: |ended with exit code \d/.test(entries.at(-1)?.[1] ?? '')
}

function stateOf(folder: string): RunState {
  if (lockHolder(folder)) return 'running'
  if (!existsSync(join(folder, 'sessions.json'))) return 'waiting'
  return saysFailed(folder) ? 'failed' : 'interrupted'
}

/** Seconds that sessions say they took; null where no session has ended. */
function sessionSeconds(folder: string): number | null {
  try {
    const sessions = readJson(join(folder, 'sessions.json'), true)
    const known = (Array.isArray(sessions) ? sessions : []).flatMap((session) =>
      isObject(session) && typeof session['seconds'] === 'number' ? [session['seconds']] : [],
    )
    return known.length > 0 ? known.reduce((sum, seconds) => sum + seconds, 0) : null
  } catch {
    return null
  }
}

/**
 * The record of the run in a folder. A finished run whose summary cannot be read has failed, for nothing can use it. Throws
 * TL_BAD_FILE or TL_IO when `config.json` cannot be read.
 */
export function readRecord(folder: string): RunRecord {
  const { experiment, hash, config } = readConfigFile(folder)
  const { seed } = config as { seed?: unknown }
  const about = { folder, experiment, hash, seed: typeof seed === 'number' ? seed : null }
  const record = (
    state: RunState,
    seconds: number | null,
    claims: RunRecord['claims'] = { holds: 0, fails: 0, undecided: 0 },
  ): RunRecord => ({ ...about, state, claims, seconds, config: { ...config } })
  if (!isFinished(folder)) return record(stateOf(folder), sessionSeconds(folder))
  try {
    const summary = readSummary(folder)
    return record('finished', summary.timing.seconds, countOutcomes(claimsOfSummary(summary)))
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    return record('failed', null)
  }
}
