/** @file The report: finished runs in, one self-contained HTML page and PNG figures out. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError, writeAtomically } from '../../base/files.ts'
import { bytes, duration } from '../../base/index.ts'
import { changedFields, configRows, reproduceCommand } from '../config.ts'
import type { AnyExperiment } from '../experiment.ts'
import { escapeText, type Figure, posterSvg, svgToPng } from '../figures/index.ts'
import { experimentOf } from '../registry.ts'
import type { FinishedRun } from '../runFolder.ts'
import { figureHtml, type Html, numbersHtml, pageHtml, tableHtml, verdictsHtml } from './html.ts'

/** Where a report went. */
export interface ReportFiles {
  html: string
  figures: string[]
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

/** Experiment, every config value and the hash on one line: the part of a caption that says what made the figure. */
export function configLine(experiment: AnyExperiment, runs: readonly FinishedRun[]): string {
  const [first, ...others] = runs
  const parts = configRows(experiment, first!.config).map(({ path, value }) => {
    const values = new Set([value, ...others.flatMap((run) => pathValues(experiment, run, path))].map(shown))
    return values.size > 4 ? `${path} (${values.size} values)` : `${path} ${[...values].join('|')}`
  })
  const hashes =
    runs.length > 3 ? `${runs.length} runs` : runs.map(({ hash }) => hash.slice(0, 12)).join(', ')
  return [experiment.name, ...parts, hashes].join(' · ')
}

const pathValues = (experiment: AnyExperiment, run: FinishedRun, path: string): unknown[] =>
  configRows(experiment, run.config).flatMap((row) => (row.path === path ? [row.value] : []))

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
    `<div class="details"><div><h2>Config</h2>${config}</div><div><h2>Timing and machine</h2>${made}</div></div>` +
    `<h2>Make it again</h2>${command(experiment, run)}`
  )
}

const command = (experiment: AnyExperiment, run: FinishedRun): Html =>
  `<pre>${escapeText(`${reproduceCommand(experiment, run.config, { word: run.module })} --threads ${run.summary.timing.threads} --report`)}</pre>`

function manyRuns(experiment: AnyExperiment, runs: readonly FinishedRun[]): Html {
  const varying = configRows(experiment, runs[0]!.config)
    .map(({ path }) => path)
    .filter((path) => new Set(runs.flatMap((run) => pathValues(experiment, run, path).map(shown))).size > 1)
  return tableHtml(
    {
      title: 'Runs',
      columns: ['run', ...varying, 'result', 'time'],
      rows: runs.map((run) => [
        run.hash.slice(0, 12),
        ...varying.map((path) => shown(pathValues(experiment, run, path)[0])),
        run.summary.headline,
        duration(run.summary.timing.seconds),
      ]),
    },
    true,
  )
}

function experimentSection(
  experiment: AnyExperiment,
  runs: readonly FinishedRun[],
  figures: readonly Figure[],
): Html {
  const made = configLine(experiment, runs)
  const conclusions = runs.map((run) => experiment.summary(run))
  const [only] = conclusions
  const parts: Html[] = []
  if (runs.length === 1)
    parts.push(
      `<p class="lead">${escapeText(only!.paragraph)}</p>`,
      numbersHtml(only!.numbers ?? []),
      only!.verdicts?.length ? `<h2>Verdicts</h2>${verdictsHtml(only!.verdicts)}` : '',
    )
  else {
    parts.push(`<h2>Runs</h2>${manyRuns(experiment, runs)}`)
    const verdicts = conclusions.flatMap(({ verdicts = [] }, index) =>
      verdicts.map((verdict) => ({
        ...verdict,
        claim: `${verdict.claim} [${runs[index]!.hash.slice(0, 12)}]`,
      })),
    )
    if (verdicts.length > 0) parts.push(`<h2>Verdicts</h2>${verdictsHtml(verdicts)}`)
  }
  const drawn = figures.map((figure) => figureHtml(figure, made, `${experiment.name}-${figure.name}`))
  if (drawn.length > 0) parts.push(`<h2>Figures</h2><div class="figures">${drawn.join('')}</div>`)
  const tables = experiment.tables?.(runs) ?? []
  if (tables.length > 0) parts.push(`<h2>Tables</h2>${tables.map((table) => tableHtml(table)).join('')}`)
  parts.push(
    runs.length === 1
      ? runDetails(experiment, runs[0]!)
      : `<h2>Make them again</h2>${runs.map((run) => command(experiment, run)).join('')}`,
  )
  return parts.join('')
}

/**
 * Write `report.html` and `figures/*.png` into `folder`. Runs are grouped by experiment; several runs of one experiment
 * share its figures. Throws TL_BAD_FILE when a run's experiment is not among `known`.
 */
export function writeReport(
  runs: readonly FinishedRun[],
  known: readonly AnyExperiment[],
  folder: string,
): ReportFiles {
  const groups = new Map<AnyExperiment, FinishedRun[]>()
  for (const run of runs) {
    const experiment = experimentOf(run, known)
    groups.set(experiment, [...(groups.get(experiment) ?? []), run])
  }
  const figureFolder = join(folder, 'figures')
  const written: string[] = []
  const sections: Html[] = []
  try {
    mkdirSync(figureFolder, { recursive: true })
  } catch (error) {
    explainSystemError(error, `cannot make ${figureFolder}`)
  }
  for (const [experiment, group] of groups) {
    const figures = experiment.figures(group)
    const made = configLine(experiment, group)
    for (const figure of figures) {
      const path = join(figureFolder, `${groups.size > 1 ? `${experiment.name}-` : ''}${figure.name}.png`)
      writeAtomically(path, svgToPng(posterSvg(figure, made)))
      written.push(path)
    }
    const head =
      groups.size > 1
        ? `<h2>${escapeText(experiment.title)}</h2><p>${escapeText(experiment.description)}</p>`
        : `<header><p class="kind">treeline · ${escapeText(experiment.name)}</p><h1>${escapeText(experiment.title)}</h1><p class="note">${escapeText(experiment.description)}</p></header>`
    sections.push(`<section class="run">${head}${experimentSection(experiment, group, figures)}</section>`)
  }
  const title = groups.size === 1 ? [...groups.keys()][0]!.title : 'Treeline: a report'
  const header =
    groups.size > 1
      ? `<header><p class="kind">treeline</p><h1>${groups.size} experiments, ${runs.length} runs</h1></header>`
      : ''
  const footer =
    '<footer>Made by Treeline. Every number and figure here is in the run folder, as text; ' +
    'the figures are also PNG files in <code>figures/</code>.</footer>'
  const html = join(folder, 'report.html')
  writeAtomically(html, pageHtml(title, `${header}${sections.join('')}${footer}`))
  return { html, figures: written }
}
