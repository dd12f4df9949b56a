/**
 * @file The state of training in one safetensors file: `parameters.…` (all of them, frozen too), `optimizer.…`, `average.…`,
 * `best.…`, and a JSON text with the step, the counters and what the run is a function of.
 */
import { existsSync } from 'node:fs'
import { fail, isObject } from '../../base/index.ts'
import { readSafetensors, writeSafetensors } from '../../checkpoint/index.ts'
import type { Parameters } from '../layer.ts'
import { restore, storable } from '../parameters.ts'

const format = 'treeline-training/1'

/** What must be equal for a run to go on from another's checkpoint: values by the name of the option. */
export type Fingerprint = Readonly<Record<string, unknown>>

/** Everything the loop knows beside tensors. */
export interface Counters {
  /** Steps done. */
  step: number
  /** Sums of the reported values since the last metrics line, and how many steps they cover. */
  sums: number[]
  summed: number
  /** Latest value of every metric. */
  metrics: Record<string, number>
  best: { step: number; value: number } | undefined
  /** Evaluations since the best one. */
  stale: number
  /** Why training ended, once it has. */
  reason: 'steps' | 'patience' | 'stopWhen' | undefined
}

/** Trees of tensors in the file, by the first part of their names. */
type Trees = Readonly<Record<string, Parameters>>

interface CheckpointContents {
  readonly fingerprint: Fingerprint
  /** Learning rates of some steps that were made, to recognise another schedule. */
  readonly rates: Readonly<Record<string, number>>
  readonly counters: Counters
  readonly trees: Trees
}

// JSON knows no NaN and no infinity, an evaluation may
const plain = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
const revive = (_: string, value: unknown): unknown =>
  value === 'NaN' || value === 'Infinity' || value === '-Infinity' ? Number(value) : value

/** Write a checkpoint atomically. Throws TL_IO. */
export function saveTraining(
  path: string,
  { fingerprint, rates, counters, trees }: CheckpointContents,
): void {
  const tensors = Object.entries(trees).flatMap(([prefix, tree]) => storable(tree, prefix))
  const text = JSON.stringify({ format, fingerprint, rates, counters: JSON.stringify(counters, plain) })
  writeSafetensors(path, tensors, { treeline: text })
}

export interface SavedTraining {
  readonly counters: Counters
  readonly has: (prefix: string) => boolean
  /** A tree of the file, of the structure of `like`. Throws TL_BAD_FILE where it differs. */
  readonly tree: <T extends Parameters>(prefix: string, like: T) => T
}

/** Read a checkpoint, if there is one. Throws TL_BAD_CONFIG when it belongs to another run, TL_BAD_FILE when damaged. */
export function loadTraining(
  path: string,
  fingerprint: Fingerprint,
  rate: (step: number) => number,
): SavedTraining | undefined {
  if (!existsSync(path)) return undefined
  const { tensors, metadata } = readSafetensors(path)
  const saved = parse(path, metadata['treeline'])
  for (const name of new Set([...Object.keys(fingerprint), ...Object.keys(saved.fingerprint)])) {
    const [old, now] = [saved.fingerprint[name], fingerprint[name]].map((value) => JSON.stringify(value))
    if (old !== now)
      fail(
        'TL_BAD_CONFIG',
        `${path}: the checkpoint is of a run with ${name} ${brief(old)}, this one has ${brief(now)} (delete the file, or go on with the same options)`,
      )
  }
  for (const [step, old] of Object.entries(saved.rates))
    if (rate(Number(step)) !== old)
      fail(
        'TL_BAD_CONFIG',
        `${path}: the checkpoint is of a run with learning rate ${old} at step ${step}, this one has ${rate(Number(step))} (delete the file, or go on with the same schedule)`,
      )
  return {
    counters: saved.counters,
    has: (prefix) => [...tensors.keys()].some((name) => name === prefix || name.startsWith(`${prefix}.`)),
    tree: (prefix, like) => restore(like, tensors, path, prefix),
  }
}

function parse(path: string, text: string | undefined) {
  const wrong = (what: string): never =>
    fail(
      'TL_BAD_FILE',
      `${path}: ${what}: not a checkpoint of training, or a damaged one (delete it to begin anew)`,
    )
  if (text === undefined) return wrong('no "treeline" entry in its metadata')
  let value: { format?: string; fingerprint: Fingerprint; rates: Record<string, number> }
  let counters: Counters
  try {
    value = JSON.parse(text)
    counters = JSON.parse((value as { counters?: string }).counters ?? 'null', revive)
  } catch {
    return wrong('its "treeline" entry is not JSON')
  }
  if (value?.format !== format) return wrong(`format ${JSON.stringify(value?.format)}, expected "${format}"`)
  const { fingerprint, rates } = value
  if (!isObject(counters) || !isObject(fingerprint) || !isObject(rates))
    return wrong('a part of its entry is missing')
  const { step, sums, summed, metrics, best, stale, reason } = counters
  const isCount = (n: unknown): boolean => Number.isSafeInteger(n) && (n as number) >= 0
  if (![step, summed, stale].every(isCount) || !Array.isArray(sums) || !isObject(metrics))
    return wrong('its counters are damaged')
  // every field, in the order of a new run: a resumed run writes the same bytes
  return { fingerprint, rates, counters: { step, sums, summed, metrics, best, stale, reason } }
}

const brief = (text: string | undefined): string =>
  text === undefined ? 'absent' : text.length > 60 ? `${text.slice(0, 60)}…` : text
