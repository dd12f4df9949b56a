/** @file What runs have measured, as lines of Markdown, and pages that hold such lines between two marks. */
import { writeAtomically } from '../../base/files.ts'
import { fail, formatMeasured } from '../../base/index.ts'
import { readText } from '../../base/read.ts'
import type { AnyExperiment, BaseConfig, RunGroup } from '../experiment.ts'
import { groupRuns } from '../groups.ts'
import { experimentOf } from '../known.ts'
import type { FinishedRun } from '../runFolder.ts'
import { outcomesInWords } from '../study/outcomes.ts'
import { groupClaims } from './claims.ts'
import { configLine } from './section.ts'

const cell = (text: string): string => text.replaceAll('|', '\\|')

/** One experiment's claims as a table, under the line that says what made it. */
function measured(
  experiment: AnyExperiment,
  runs: readonly FinishedRun[],
  groups: readonly RunGroup<BaseConfig>[],
): string {
  const claims = groupClaims(experiment, groups)
  const rows = claims.map(
    ({ claim, measured: value, error, predicted, outcome, control, of }) =>
      `| ${cell(`${claim}${control ? ' (control)' : ''}${of ? ` [${of}]` : ''}`)} | ${formatMeasured(value, error)} | ${formatMeasured(predicted, null)} | ${outcome} |`,
  )
  const lines = [`${configLine(experiment, runs)}. ${outcomesInWords(claims)}.`]
  if (rows.length > 0) lines.push('', '| claim | measured | predicted | |', '|---|---|---|---|', ...rows)
  return lines.join('\n')
}

/** Measured parts of some runs, by experiment, in the order in which experiments are known. */
export function measuredMarkdown(
  runs: readonly FinishedRun[],
  known: readonly AnyExperiment[],
): { readonly experiment: string; readonly text: string }[] {
  for (const run of runs) experimentOf(run, known)
  return known.flatMap((experiment) => {
    const own = runs.filter((run) => run.experiment === experiment.name)
    if (own.length === 0) return []
    return [{ experiment: experiment.name, text: measured(experiment, own, groupRuns(experiment, own)) }]
  })
}

const begin = '<!-- measured -->'
const end = '<!-- /measured -->'

/** Put a text between the marks of a page. Throws TL_BAD_FILE where there are none. */
export function putMeasured(path: string, text: string): void {
  const page = readText(path)
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from)
    fail('TL_BAD_FILE', `${path}: expected a part between ${begin} and ${end}, where measured figures go`)
  writeAtomically(path, `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`)
}
