/** @file metrics.jsonl: one JSON object a line, appended during the run, cut back on resume, read tolerantly. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { explainSystemError, writeAtomically } from '../base/files.ts'
import { fail, notFiniteIn } from '../base/index.ts'
import { type Json, toJson } from './canonical.ts'

/** One line of measurements: the step it belongs to, and any named values. */
export interface Metric {
  readonly step: number
  readonly [name: string]: Json
}

const isMetric = (value: unknown): value is Metric =>
  typeof value === 'object' && value !== null && typeof (value as Metric).step === 'number'

/**
 * Read all complete lines. A half-written last line (a killed process) is left out; a damaged line before the last is
 * TL_BAD_FILE with its number.
 */
export function readMetrics(path: string): Metric[] {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n')
  const metrics: Metric[] = []
  for (const [index, line] of lines.entries()) {
    if (line === '') continue
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      value = undefined
    }
    const complete = index < lines.length - 1
    if (complete && !isMetric(value))
      fail(
        'TL_BAD_FILE',
        `${path}:${index + 1}: expected a JSON object with a step, got ${line.slice(0, 60)} (run again with --fresh)`,
      )
    if (complete) metrics.push(value as Metric)
  }
  return metrics
}

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
export function appendMetrics(path: string, metrics: readonly Measured[]): void {
  try {
    appendFileSync(path, metrics.map((metric) => `${JSON.stringify(toJson(named(metric)))}\n`).join(''))
  } catch (error) {
    explainSystemError(error, `cannot write ${path}`)
  }
}

/** Drop the lines after `step`, as if the run had been cut exactly there. */
export function truncateMetrics(path: string, step: number): void {
  const kept = readMetrics(path).filter((metric) => metric.step <= step)
  writeAtomically(path, kept.map((metric) => `${JSON.stringify(metric)}\n`).join(''))
}
