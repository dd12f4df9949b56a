/** @file Runs as a table for people. */
import { duration } from '../../../base/index.ts'
import type { RunRecord, RunState } from '../../../lab/runs/index.ts'
import type { Io } from '../../io.ts'

const states: readonly RunState[] = ['running', 'waiting', 'interrupted', 'failed', 'finished']

/** `3 ✓ 1 ✗ 1 ?`, without what there is none of. */
export const claimsText = ({ holds, fails, undecided }: RunRecord['claims']): string =>
  [
    [holds, '✓'],
    [fails, '✗'],
    [undecided, '?'],
  ]
    .flatMap(([count, mark]) => (count ? [`${count} ${mark}`] : []))
    .join(' ')

/** A line for each run: state, folder, claims, time, and what sets it apart. */
export function runsText(
  runs: readonly RunRecord[],
  labels: readonly string[],
  { terminal, columns }: Io,
): string {
  const cells = runs.map(({ state, folder, claims, seconds }) => [
    state,
    folder,
    claimsText(claims),
    seconds === null ? '' : duration(seconds),
  ])
  const widths = [0, 1, 2, 3].map((column) =>
    cells.reduce((most, row) => Math.max(most, row[column]!.length), 0),
  )
  const lines = cells.map(([state, folder, claims, time], i) => {
    const front = `${state!.padEnd(widths[0]!)}  ${folder!.padEnd(widths[1]!)}  ${claims!.padEnd(widths[2]!)}  ${time!.padStart(widths[3]!)}`
    const line = `${front}  ${labels[i]}`.trimEnd()
    return terminal ? line.slice(0, columns() - 1) : line
  })
  return `${lines.join('\n')}\n`
}

/** `12 runs: 2 running, 10 finished`. */
export function tallyRuns(runs: readonly RunRecord[]): string {
  const parts = states.flatMap((state) => {
    const count = runs.filter((run) => run.state === state).length
    return count > 0 ? [`${count} ${state}`] : []
  })
  return `${runs.length} run${runs.length === 1 ? '' : 's'}: ${parts.join(', ')}`
}
