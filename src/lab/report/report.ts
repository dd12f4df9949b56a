/** @file The report: finished runs in, one self-contained HTML page, figures as SVG, PNG and PDF, and a Parquet table out. */
import { join } from 'node:path'
import { fail, finish, type Steps } from '../../base/index.ts'
import { writeOwnFiles } from '../../base/outputFolder.ts'
import { sortRuns, tableOf } from '../collect/table.ts'
import { parquetBytes } from '../collect/write.ts'
import type { AnyExperiment } from '../experiment.ts'
import { escapeText, mathHtml, posterSvg, svgToPng } from '../figures/index.ts'
import { groupRuns } from '../groups.ts'
import { experimentOf } from '../known.ts'
import { svgToPdf } from '../pdf/index.ts'
import type { FinishedRun } from '../runFolder.ts'
import { outcomesInWords } from '../study/outcomes.ts'
import { groupClaims } from './claims.ts'
import { claimsHtml, figureSvg, type Html, pageHtml } from './html.ts'
import { experimentSection, type FinishedGroup, type Pictures, picturesOf } from './section.ts'

/** Where a report went. */
export interface ReportFiles {
  html: string
  /** The PNG files; each has an SVG beside it. */
  figures: string[]
  /** The PDF files, in the same order. */
  pdfs: string[]
  /** A Parquet file: one row for each run (see `tableOf`). */
  table: string
}

/** One experiment with its runs, sorted and grouped, and what they look like. */
interface Chapter {
  experiment: AnyExperiment
  runs: readonly FinishedRun[]
  groups: readonly FinishedGroup[]
  pictures: Pictures
}

/** One chapter for each experiment, in the order in which they are known. */
function* chaptersOf(runs: readonly FinishedRun[], known: readonly AnyExperiment[]): Steps<Chapter[]> {
  const found = new Map<AnyExperiment, FinishedRun[]>()
  for (const run of sortRuns(runs)) {
    const experiment = experimentOf(run, known)
    found.set(experiment, [...(found.get(experiment) ?? []), run])
  }
  const chapters: Chapter[] = []
  for (const experiment of known) {
    const own = found.get(experiment)
    if (!own) continue
    yield
    const groups = groupRuns(experiment, own)
    chapters.push({ experiment, runs: own, groups, pictures: picturesOf(experiment, own, groups) })
  }
  return chapters
}

/** The figures as SVG, as PDF, for papers, and as PNG, by their names in the report's folder. */
function* figureFiles(chapters: readonly Chapter[]): Steps<[name: string, content: Uint8Array | string][]> {
  const files: [string, Uint8Array | string][] = []
  for (const { experiment, pictures } of chapters)
    for (const figure of [...pictures.swept, ...pictures.figures]) {
      yield
      const prefix = chapters.length > 1 ? `${experiment.name}-` : ''
      const name = `figures/${prefix}${figure.name}`
      const svg = posterSvg(figure, figure.made)
      files.push([`${name}.png`, svgToPng(svg)], [`${name}.pdf`, svgToPdf(svg)], [`${name}.svg`, svg])
    }
  return files
}

/** Words that a newcomer meets below. */
const glossary: readonly (readonly [word: string, meaning: string])[] = [
  [
    'grammar',
    'rules that make strings: every symbol expands to tuples of symbols of the level below, level after level (the Random Hierarchy Model: v symbols, m rules each, tuples of s, L levels)',
  ],
  [
    'ε',
    'noise: the share of what a token says that is spread evenly over all symbols; ε* is where the class is lost',
  ],
  ['χ', 'susceptibility: how many tokens change together when a string is blurred and restored'],
  ['P*', 'strings that a network must see to learn a class'],
  [
    'claim',
    'what theory says, with a tolerance: it holds where the 95 % interval of what was measured lies inside, fails outside, and is undecided where the error is too large; a control must come out the other way',
  ],
]

const glossaryHtml = (): Html =>
  `<aside class="words"><h2>Words</h2><dl>${glossary
    .map(([word, meaning]) => `<dt>${mathHtml(word)}</dt><dd>${mathHtml(meaning)}</dd>`)
    .join('')}</dl></aside>`

/** Begins like a sentence; a name of one letter, such as χ or the k of k-means, stays as it is. */
const sentence = (text: string): string =>
  /^[a-z]{2}/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text

/** The first figure, as a picture among the words. */
const firstPicture = ({ experiment, pictures }: Chapter): Html => {
  const [figure] = [...pictures.swept, ...pictures.figures]
  return figure ? `<div class="picture">${figureSvg(figure, `first-${experiment.name}`)}</div>` : ''
}

/** What one experiment asks and finds: two sentences, how its claims came out, its first figure. */
function found(chapter: Chapter): Html {
  const { experiment, runs, groups } = chapter
  const own = groups[0]!.runs
  const { headline } = experiment.together?.(own) ?? experiment.summary(own[0]!)
  const claims = groupClaims(experiment, groups)
  const about = [
    `${runs.length} run${runs.length === 1 ? '' : 's'}`,
    ...(claims.length > 0 ? [outcomesInWords(claims)] : []),
  ].join(', ')
  const [{ label }] = groups as readonly [FinishedGroup]
  return (
    `<li><h3><a href="#${experiment.name}">${mathHtml(experiment.title)}</a></h3>` +
    `<p>${mathHtml(experiment.description)} <strong>${mathHtml(label ? `${label}: ${headline}` : sentence(headline))}.</strong> <span class="note">${about}.</span></p>` +
    `${firstPicture(chapter)}</li>`
  )
}

/** The beginning of a report of several experiments: what was asked and found, then all claims, folded. */
function overview(chapters: readonly Chapter[]): Html {
  const count = chapters.reduce((sum, { runs }) => sum + runs.length, 0)
  const judged = chapters.flatMap(({ experiment, groups }) =>
    groupClaims(experiment, groups).map((claim) => ({
      ...claim,
      of: [experiment.name, claim.of].filter(Boolean).join(' '),
    })),
  )
  return (
    `<header><p class="kind">treeline</p><h1>${chapters.length} experiments, ${count} runs</h1></header>` +
    `<nav aria-label="What was asked and found"><ol class="found">${chapters.map(found).join('')}</ol></nav>` +
    claimsHtml(judged, true) +
    glossaryHtml()
  )
}

/** The head of a chapter: the page's own when there is no other. */
const head = ({ name, title, description }: AnyExperiment, alone: boolean): Html =>
  alone
    ? `<header><p class="kind">treeline · ${escapeText(name)}</p><h1>${mathHtml(title)}</h1><p class="note">${mathHtml(description)}</p></header>`
    : `<h2>${mathHtml(title)}</h2><p>${mathHtml(description)}</p>`

/**
 * Write `report.html`, `runs.parquet`, `figures/*.svg`, `*.png` and `*.pdf` into `folder`. Runs are sorted (see `sortRuns`) and grouped by
 * experiment; several runs of one experiment share its figures. Throws TL_BAD_FILE when a run's experiment is not among
 * `known`, or when there are no runs; TL_EXISTS, unless `force`, for files in their place that Treeline did not write: its own
 * it writes anew.
 */
export const writeReport = (
  runs: readonly FinishedRun[],
  known: readonly AnyExperiment[],
  folder: string,
  rule: { readonly force?: boolean } = {},
): ReportFiles => finish(writingReport(runs, known, folder, rule))

/** The same in steps. Nothing is written before everything is made. */
export function* writingReport(
  runs: readonly FinishedRun[],
  known: readonly AnyExperiment[],
  folder: string,
  rule: { readonly force?: boolean } = {},
): Steps<ReportFiles> {
  if (runs.length === 0) fail('TL_BAD_FILE', `${folder}: there are no finished runs to report`)
  const chapters = yield* chaptersOf(runs, known)
  const alone = chapters.length === 1
  const figures = yield* figureFiles(chapters)
  const sections = chapters.map((chapter) => {
    const { experiment, runs: own, groups, pictures } = chapter
    const part = experimentSection(experiment, own, groups, pictures, alone ? firstPicture(chapter) : '')
    return `<section class="run" id="${experiment.name}">${head(experiment, alone)}${part}</section>`
  })
  const footer =
    '<footer>Made by Treeline. Every number and figure here is in the run folders, as text; beside this page the ' +
    'figures are SVG, PNG and PDF files in <code>figures/</code>, and all configs and results a table, <code>runs.parquet</code>.</footer>'
  const title = alone ? chapters[0]!.experiment.title : 'Treeline: a report'
  const page = pageHtml(
    title,
    `${alone ? '' : overview(chapters)}${sections.join('')}${alone ? glossaryHtml() : ''}${footer}`,
  )
  // the page last: where there is a new one, there is everything it names
  const files = new Map<string, string | Uint8Array>([
    ...figures,
    ['runs.parquet', parquetBytes(tableOf(runs))],
    ['report.html', page],
  ])
  yield
  writeOwnFiles(folder, 'report', files, rule)
  const ending = (end: string): string[] =>
    figures.flatMap(([name]) => (name.endsWith(end) ? [join(folder, name)] : []))
  return {
    html: join(folder, 'report.html'),
    figures: ending('.png'),
    pdfs: ending('.pdf'),
    table: join(folder, 'runs.parquet'),
  }
}
