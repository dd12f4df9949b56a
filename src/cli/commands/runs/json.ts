/** @file The list of runs as JSON, a run a line: a document of 10,000 runs is written as fast as it is read. */
import type { RunRecord } from '../../../lab/runs/index.ts'

/** `{ "total", "runs": [ … ] }`. */
export function prettyList(total: number, runs: readonly RunRecord[]): string {
  if (runs.length === 0) return `{ "total": ${total}, "runs": [] }\n`
  return `{ "total": ${total}, "runs": [\n${runs.map((run) => JSON.stringify(run)).join(',\n')}\n] }\n`
}
