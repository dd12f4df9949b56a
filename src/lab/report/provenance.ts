/** @file Where results come from: command, version, commit, machine and time in one line that unfolds. */
import { bytes, duration } from '../../base/index.ts'
import { changedFields, configRows, reproduceCommand, resumeCommand } from '../config.ts'
import type { AnyExperiment } from '../experiment.ts'
import { escapeText } from '../figures/index.ts'
import { readMachines } from '../machine.ts'
import type { FinishedRun } from '../runFolder.ts'
import { type Html, tableHtml } from './html.ts'

const day = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`

const shown = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

/** What all runs share, or how many different ones there are. */
const shared = (values: readonly string[], many: string): string => {
  const distinct = [...new Set(values)]
  return distinct.length === 1 ? distinct[0]! : `${distinct.length} ${many}`
}

/** The line itself. */
/** What runs were made on. Other processors and other versions of Node round differently, so several kinds are said to be several. */
function machinesText(runs: readonly FinishedRun[]): string {
  const kinds = runs.flatMap(({ folder, summary }) => {
    const away = readMachines(folder)
    return (away.length > 0 ? away : [summary.machine]).map(({ cpu, node }) => `${cpu}, Node ${node}`)
  })
  const text = shared(kinds, 'machines')
  return new Set(kinds).size > 1 ? `${text}, whose numbers differ by rounding` : text
}

function provenanceLine(experiment: AnyExperiment, runs: readonly FinishedRun[]): string {
  const [first] = runs
  const of = (what: (summary: FinishedRun['summary']) => string, many: string): string =>
    shared(
      runs.map(({ summary }) => what(summary)),
      many,
    )
  const days = runs.map(({ summary }) => summary.timing.finishedAt.slice(0, 10)).sort()
  const seconds = runs.reduce((sum, { summary }) => sum + summary.timing.seconds, 0)
  return [
    runs.length === 1
      ? resumeCommand(experiment, first!.config, { word: first!.module })
      : `${runs.length} runs`,
    of(({ treeline, version }) => `treeline ${treeline}, ${experiment.name} ${version}`, 'versions'),
    of(({ commit }) => (commit ? `commit ${commit}` : 'no commit'), 'commits'),
    machinesText(runs),
    runs.length === 1 ? duration(seconds) : `${duration(seconds)} in all`,
    days[0] === days.at(-1) ? days[0]! : `${days[0]} to ${days.at(-1)}`,
  ].join(' · ')
}

const command = (experiment: AnyExperiment, run: FinishedRun): Html =>
  `<pre>${escapeText(`${reproduceCommand(experiment, run.config, { word: run.module })} --threads ${run.summary.timing.threads} --report`)}</pre>`

function configTable(experiment: AnyExperiment, run: FinishedRun): Html {
  const changed = new Set(changedFields(experiment, run.config).map(([path]) => path))
  return tableHtml(
    {
      title: 'Config',
      columns: ['field', 'value', 'meaning'],
      rows: configRows(experiment, run.config).map(({ path, value, description }) => [
        path,
        `${shown(value)}${changed.has(path) ? '' : ' (default)'}`,
        description,
      ]),
    },
    { code: true },
  )
}

function timingTable(run: FinishedRun): Html {
  const { timing, machine, treeline, commit, version } = run.summary
  return tableHtml(
    {
      title: 'Timing and machine',
      columns: ['what', 'value'],
      rows: [
        ['time', duration(timing.seconds)],
        ['finished', day(timing.finishedAt)],
        ['sessions', timing.sessions === 1 ? '1, not interrupted' : `${timing.sessions}, resumed`],
        ['threads', String(timing.threads)],
        ['machine', `${machine.cpu}, ${machine.cores} cores, ${bytes(machine.memory)}`],
        ['system', `${machine.platform}, Node ${machine.node}`],
        ['treeline', `${treeline}, experiment version ${version}`],
        ...(commit ? [['commit', commit]] : []),
        ['hash', run.hash],
      ],
    },
    { code: true },
  )
}

/** The line, and below it the commands that make the runs again, and of a single run its config, timing and machine. */
export function provenanceHtml(experiment: AnyExperiment, runs: readonly FinishedRun[]): Html {
  const [first] = runs
  const about = runs.length === 1 ? configTable(experiment, first!) + timingTable(first!) : ''
  const again = runs.map((run) => command(experiment, run)).join('')
  return (
    `<details class="provenance"><summary>${escapeText(provenanceLine(experiment, runs))}</summary>` +
    `<p>Make ${runs.length === 1 ? 'it' : 'them'} again:</p>${again}${about}</details>`
  )
}
