/** @file One experiment's part of a report: what its runs say, claims, figures, tables, config and how to make it again. */
import { duration, formatMeasured } from '../../base/index.ts'
import { shortestConfig } from '../config.ts'
import type { AnyExperiment, BaseConfig, ReportTable, RunGroup } from '../experiment.ts'
import { type Figure, mathHtml } from '../figures/index.ts'
import { overSeeds, varyingFields } from '../groups.ts'
import type { FinishedRun } from '../runFolder.ts'
import { claimsOf } from '../study/outcomes.ts'
import { groupClaims } from './claims.ts'
import { claimsHtml, figureHtml, type Html, numbersHtml, tableHtml } from './html.ts'
import { provenanceHtml } from './provenance.ts'
import { resultNames, sweptFigures } from './swept.ts'

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
    { quiet: true },
  )
}

/** Figures of a sweep that are not folded away. */
const mostSwept = 12

/** More columns than this nobody reads; the table beside the report has them all. */
const mostResults = 6

/** For each config its numbers over the seeds, mean ± standard error. Nothing when no config has two seeds. */
function seedTable(experiment: AnyExperiment, groups: readonly RunGroup<BaseConfig>[]): Html {
  if (groups.every(({ runs }) => runs.length === 1)) return ''
  const names = resultNames(groups).slice(0, mostResults)
  const labelOf = (name: string): string => experiment.resultNames?.[name] ?? name
  const table = tableHtml(
    {
      title: 'Over seeds',
      columns: ['config', 'seeds', ...names.map(labelOf)],
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
    { quiet: true },
  )
  return `<h2>Over seeds</h2><p class="note">Mean ± standard error of runs that differ only in their seed; (2 of 3) where only so many have a finite number.</p>${table}`
}

/** What one run says. */
function singleRun(experiment: AnyExperiment, run: FinishedRun, first: Html): Html {
  const conclusion = experiment.summary(run)
  const { paragraph, numbers = [] } = conclusion
  const judged = claimsHtml(claimsOf(conclusion))
  return `<p class="lead">${mathHtml(paragraph)}</p>${first}${numbersHtml(numbers)}${judged}`
}

/** What several runs say together. */
function severalRuns(
  experiment: AnyExperiment,
  runs: readonly FinishedRun[],
  groups: readonly RunGroup<BaseConfig>[],
  swept: Html,
): Html {
  const judged = claimsHtml(groupClaims(experiment, groups))
  // a study says of each config what all its seeds say together
  const leads = groups.map(({ label, runs: own }) => {
    const { paragraph } = experiment.together?.(own) ?? {}
    const whose = label === '' ? '' : `<strong>${mathHtml(label)}</strong>: `
    return paragraph === undefined ? '' : `<p class="lead">${whose}${mathHtml(paragraph)}</p>`
  })
  const said =
    leads.length > 2
      ? `<details><summary>What each of ${leads.length} configs says</summary>${leads.join('')}</details>`
      : leads.join('')
  return `${swept}${said}${seedTable(experiment, groups)}<h2>Runs</h2>${manyRuns(experiment, runs)}${judged}`
}

/** A group of finished runs. */
export interface FinishedGroup extends Omit<RunGroup<BaseConfig>, 'runs'> {
  readonly runs: readonly FinishedRun[]
}

/** A figure with the line that says what made it. */
type MadeFigure = Figure & { readonly made: string }

/** All that an experiment draws of its runs. */
export interface Pictures {
  /** Results against what was swept. */
  readonly swept: readonly MadeFigure[]
  /** Each with the line that says what made it. */
  readonly figures: readonly MadeFigure[]
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
    swept: sweptFigures(experiment, groups).map((figure) => ({
      ...figure,
      made: configLine(experiment, runs),
    })),
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

/** Figures of a sweep: the first of them open, for the rest is as much again. */
function sweptHtml(swept: readonly MadeFigure[], drawn: (some: readonly MadeFigure[]) => Html): Html {
  if (swept.length === 0) return ''
  const small = (some: readonly MadeFigure[]): Html => `<div class="figures small">${drawn(some)}</div>`
  const rest = swept.slice(mostSwept)
  const folded =
    rest.length > 0 ? `<details><summary>${rest.length} more figures</summary>${small(rest)}</details>` : ''
  return `<h2>Against what was swept</h2>${small(swept.slice(0, mostSwept))}${folded}`
}

/** The part of an experiment below its title. */
export function experimentSection(
  experiment: AnyExperiment,
  runs: readonly FinishedRun[],
  groups: readonly RunGroup<BaseConfig>[],
  { swept, figures, tables }: Pictures,
  /** The picture that a page of this experiment alone opens with. */
  first: Html = '',
): Html {
  const [only] = runs
  const single = runs.length === 1
  const drawn = (some: readonly MadeFigure[]): Html =>
    some.map((figure) => figureHtml(figure, `${experiment.name}-${figure.name}`)).join('')
  return [
    single
      ? singleRun(experiment, only!, first)
      : severalRuns(experiment, runs, groups, sweptHtml(swept, drawn)),
    figures.length > 0 ? `<h2>Figures</h2><div class="figures">${drawn(figures)}</div>` : '',
    tables.length > 0 ? `<h2>Tables</h2>${tables.map((table) => tableHtml(table)).join('')}` : '',
    provenanceHtml(experiment, runs),
  ].join('')
}
