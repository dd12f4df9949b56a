/** @file One experiment's part of a report: what its runs say, claims, figures, tables, config and how to make it again. */
import { bytes, duration, formatMeasured } from '../../base/index.ts'
import { changedFields, configRows, reproduceCommand, shortestConfig } from '../config.ts'
import type { AnyExperiment, BaseConfig, ReportTable, RunGroup } from '../experiment.ts'
import { escapeText, type Figure, mathHtml } from '../figures/index.ts'
import { overSeeds, varyingFields } from '../groups.ts'
import type { FinishedRun } from '../runFolder.ts'
import { claimsOf } from '../study/outcomes.ts'
import { groupClaims } from './claims.ts'
import { claimsHtml, figureHtml, type Html, numbersHtml, tableHtml } from './html.ts'

const shown = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

/** More values of a field than this are counted. */
const mostValues = 4

/**
 * What made a figure, in one line: the experiment, the preset and the fields that differ from it, the seeds, the runs. The whole
 * config is in the report's table, and in the run folder.
 */
export function configLine(experiment: AnyExperiment, runs: readonly FinishedRun[]): string {
  const [first] = runs
  const { preset, changed } = shortestConfig(experiment, first!.config)
  const varying = varyingFields(
    experiment,
    runs.map(({ config }) => config),
  )
  const fixed = changed.filter(([path]) => path !== 'seed' && varying.every((field) => field.path !== path))
  const list = (name: string, values: readonly unknown[]): string => {
    const distinct = [...new Set(values.map(shown))]
    return distinct.length > mostValues
      ? `${name} (${distinct.length} values)`
      : `${name} ${distinct.join('|')}`
  }
  return [
    experiment.name,
    preset ? `preset ${preset}` : 'defaults',
    ...fixed.map(([path, value]) => `${path} ${shown(value)}`),
    ...varying.map(({ path, values }) => list(path, values)),
    list(
      'seed',
      runs.map(({ config }) => config.seed),
    ),
    runs.length > 3 ? `${runs.length} runs` : `run ${runs.map(({ hash }) => hash.slice(0, 12)).join(', ')}`,
  ].join(' · ')
}

const day = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`

function runDetails(experiment: AnyExperiment, run: FinishedRun): Html {
  const { timing, machine, treeline } = run.summary
  const changed = new Set(changedFields(experiment, run.config).map(([path]) => path))
  const config = tableHtml(
    {
      title: 'Config',
      columns: ['field', 'value', 'meaning'],
      rows: configRows(experiment, run.config).map(({ path, value, description }) => [
        path,
        `${shown(value)}${changed.has(path) ? '' : ' (default)'}`,
        description,
      ]),
    },
    true,
  )
  const made = tableHtml(
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
        ['treeline', `${treeline}, experiment version ${run.summary.version}`],
        ['hash', run.hash],
      ],
    },
    true,
  )
  return (
    `<h2>Config</h2>${config}<h2>Timing and machine</h2>${made}` +
    `<h2>Make it again</h2>${command(experiment, run)}`
  )
}

const command = (experiment: AnyExperiment, run: FinishedRun): Html =>
  `<pre>${escapeText(`${reproduceCommand(experiment, run.config, { word: run.module })} --threads ${run.summary.timing.threads} --report`)}</pre>`

/** The seed and the other fields in which the runs differ, their results and times. */
function manyRuns(experiment: AnyExperiment, runs: readonly FinishedRun[]): Html {
  const configs = runs.map(({ config }) => config)
  const seeds = new Set(configs.map(({ seed }) => seed)).size > 1
  const varying = [
    ...(seeds ? [{ path: 'seed', values: configs.map(({ seed }) => seed) }] : []),
    ...varyingFields(experiment, configs),
  ]
  return tableHtml(
    {
      title: 'Runs',
      columns: ['run', ...varying.map(({ path }) => path), 'result', 'time'],
      rows: runs.map((run, index) => [
        run.hash.slice(0, 12),
        ...varying.map(({ values }) => shown(values[index])),
        run.summary.headline,
        duration(run.summary.timing.seconds),
      ]),
    },
    true,
  )
}

/** More columns than this nobody reads; the table beside the report has them all. */
const mostResults = 6

/** For each config its numbers over the seeds, mean ± standard error. Nothing when no config has two seeds. */
function seedTable(groups: readonly RunGroup<BaseConfig>[]): Html {
  if (groups.every(({ runs }) => runs.length === 1)) return ''
  const views = groups.flatMap(({ runs }) => runs)
  const names = [...new Set(views.flatMap(({ result }) => Object.keys(result)))]
    .filter((name) => views.some(({ result }) => typeof result[name] === 'number'))
    .slice(0, mostResults)
  const table = tableHtml(
    {
      title: 'Over seeds',
      columns: ['config', 'seeds', ...names],
      rows: groups.map(({ label, runs }) => [
        label === '' ? 'all runs' : label,
        runs.length,
        ...names.map((name) => {
          const { mean, error, count } = overSeeds(runs.map(({ result }) => result[name] as number | null))
          const some = count < runs.length ? ` (${count} of ${runs.length})` : ''
          return `${formatMeasured(count > 0 ? mean : null, error)}${some}`
        }),
      ]),
    },
    true,
  )
  return `<h2>Over seeds</h2><p class="note">Mean ± standard error of runs that differ only in their seed; (2 of 3) where only so many have a finite number.</p>${table}`
}

/** Commands that make the runs again; many of them are folded away. */
function commands(experiment: AnyExperiment, runs: readonly FinishedRun[]): Html {
  const all = runs.map((run) => command(experiment, run)).join('')
  const folded = runs.length > 8
  return `<h2>Make them again</h2>${folded ? `<details><summary>${runs.length} commands</summary>${all}</details>` : all}`
}

/** What one run says. */
function singleRun(experiment: AnyExperiment, run: FinishedRun): Html {
  const conclusion = experiment.summary(run)
  const { paragraph, numbers = [] } = conclusion
  const judged = claimsHtml(claimsOf(conclusion))
  return `<p class="lead">${mathHtml(paragraph)}</p>${numbersHtml(numbers)}${judged}`
}

/** What several runs say together. */
function severalRuns(
  experiment: AnyExperiment,
  runs: readonly FinishedRun[],
  groups: readonly RunGroup<BaseConfig>[],
): Html {
  const judged = claimsHtml(groupClaims(experiment, groups))
  // a study says of each config what all its seeds say together
  const leads = groups.map(({ label, runs: own }) => {
    const { paragraph } = experiment.together?.(own) ?? {}
    const whose = label === '' ? '' : `<strong>${mathHtml(label)}</strong>: `
    return paragraph === undefined ? '' : `<p class="lead">${whose}${mathHtml(paragraph)}</p>`
  })
  return `${leads.join('')}${seedTable(groups)}<h2>Runs</h2>${manyRuns(experiment, runs)}${judged}`
}

/** A group of finished runs. */
export interface FinishedGroup extends Omit<RunGroup<BaseConfig>, 'runs'> {
  readonly runs: readonly FinishedRun[]
}

/** All that an experiment draws of its runs. */
export interface Pictures {
  /** Each with the line that says what made it. */
  readonly figures: readonly (Figure & { readonly made: string })[]
  readonly tables: readonly ReportTable[]
}

/** Figures and tables of some runs: of all together, config by config, or of one run of each config (`experiment.draws`). */
export function picturesOf(
  experiment: AnyExperiment,
  runs: readonly FinishedRun[],
  groups: readonly FinishedGroup[],
): Pictures {
  const { draws = 'all' } = experiment
  const parts =
    draws === 'all'
      ? [{ label: '', runs, groups }]
      : groups.map((group) => {
          const own = draws === 'run' ? group.runs.slice(0, 1) : group.runs
          return { label: group.label, runs: own, groups: [{ ...group, runs: own }] }
        })
  const titled = (title: string, label: string): string => (label === '' ? title : `${title} (${label})`)
  return {
    figures: parts.flatMap((part, index) =>
      experiment.figures(part.runs, part.groups).map((figure) => ({
        ...figure,
        made: configLine(experiment, part.runs),
        name: index === 0 ? figure.name : `${figure.name}-${index + 1}`,
        title: titled(figure.title, part.label),
      })),
    ),
    tables: parts.flatMap((part) =>
      (experiment.tables?.(part.runs, part.groups) ?? []).map((table) => ({
        ...table,
        title: titled(table.title, part.label),
      })),
    ),
  }
}

/** The part of an experiment below its title. */
export function experimentSection(
  experiment: AnyExperiment,
  runs: readonly FinishedRun[],
  groups: readonly RunGroup<BaseConfig>[],
  { figures, tables }: Pictures,
): Html {
  const [only] = runs
  const single = runs.length === 1
  const drawn = figures.map((figure) => figureHtml(figure, `${experiment.name}-${figure.name}`))
  return [
    single ? singleRun(experiment, only!) : severalRuns(experiment, runs, groups),
    drawn.length > 0 ? `<h2>Figures</h2><div class="figures">${drawn.join('')}</div>` : '',
    tables.length > 0 ? `<h2>Tables</h2>${tables.map((table) => tableHtml(table)).join('')}` : '',
    single ? runDetails(experiment, only!) : commands(experiment, runs),
  ].join('')
}
