/** @file metrics.jsonl: one JSON object a line, appended during the run, cut back on resume, read tolerantly. */
import { writeAtomically } from '../base/files.ts'
import { isObject, type Json, notFiniteIn, toJson } from '../base/index.ts'
import { appendJournal, type JournalKind, readJournal } from '../base/journal.ts'

/** One line of measurements: the step it belongs to, and any named values. */
export interface Metric {
  readonly step: number
  readonly [name: string]: Json
}

const lines: JournalKind<Metric> = {
  is: (value): value is Metric => isObject(value) && typeof value['step'] === 'number',
  expected: 'a JSON object with a step',
  fix: 'run again with --fresh',
}

/** Read all lines (see `readJournal`). */
export const readMetrics = (path: string): Metric[] => readJournal(path, lines)

/** What is measured at a step. Numbers that are not finite become null and are named besides. */
type Measured = { step: number; [name: string]: unknown }

/** With what is not finite named in the line: `"notFinite": { "loss": "NaN" }`. */
function named(metric: Measured): Measured {
  const notFinite = notFiniteIn(metric)
  return notFinite ? { ...metric, notFinite } : metric
}

/** Append one line. */
export const appendMetric = (path: string, metric: Measured): void => appendMetrics(path, [metric])

/** Append several lines at once. */
export const appendMetrics = (path: string, metrics: readonly Measured[]): void =>
  appendJournal(
    path,
    metrics.map((metric) => toJson(named(metric))),
  )

/** Drop the lines after `step`, as if the run had been cut exactly there. */
export function truncateMetrics(path: string, step: number): void {
  const kept = readMetrics(path).filter((metric) => metric.step <= step)
  writeAtomically(path, kept.map((metric) => `${JSON.stringify(metric)}\n`).join(''))
}
