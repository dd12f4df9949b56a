/** @file `treeline merge --search`: candidates over a grid, scored by a command; the best becomes the model. */
import { join } from 'node:path'
import { writeAtomically } from '../../base/files.ts'
import { duration, fail, prettyJson } from '../../base/index.ts'
import type {
  Comparison,
  MeasuredScore,
  Recipe,
  SearchOutcome,
  SearchPlan,
  SearchRow,
} from '../../merge/index.ts'
import { columnsText } from '../columns.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { makeDisplay } from '../progress.ts'
import { checkScoreCommand, scoreByCommand } from '../scoreCommand.ts'
import { searchFigure, selectionFigure } from '../searchFigure.ts'
import { measureModel, readMeasures } from '../selectMeasures.ts'

/** The flags of `merge` that a search reads. */
export interface SearchFlags {
  search?: string[]
  select?: string[]
  score?: string
  maximize?: boolean
  minimize?: boolean
  timeout?: number
  keepAll?: boolean
  verbose?: boolean
  dryRun?: boolean
  lenient?: boolean
  threads?: number
  seed: number
  arithmetic: 'float32' | 'dtype'
  shardSize: number
  force?: boolean
  json?: boolean
  quiet?: boolean
}

type Merging = typeof import('../../merge/index.ts')

const short = (score: number): string => String(Number(score.toPrecision(6)))

/** Flags that only make sense together. */
export function checkSearchFlags(flags: SearchFlags): void {
  const { search, select, score, maximize, minimize, timeout, keepAll } = flags
  if (select !== undefined) {
    const odd = Object.entries({ '--score': score, '--minimize': minimize }).find(
      ([, value]) => value !== undefined,
    )
    if (odd) fail('TL_USAGE', `${odd[0]}: it has no effect with --select, whose measures are maximized`)
    return
  }
  if (search === undefined) {
    const alone = Object.entries({
      '--score': score,
      '--maximize': maximize,
      '--minimize': minimize,
      '--timeout': timeout,
      '--keep-all': keepAll,
    })
    const [flag] = alone.find(([, value]) => value !== undefined) ?? []
    if (flag !== undefined)
      fail(
        'TL_USAGE',
        `${flag}: only a search takes it; add --search NAME=VALUES, such as --search lambda=0.1..1.5:0.1, or --select`,
      )
    return
  }
  if (maximize && minimize)
    fail('TL_USAGE', '--minimize: expected one of --maximize and --minimize, got both')
  if (score === undefined && !flags.dryRun)
    fail('TL_USAGE', "--search: needs --score 'COMMAND {model}', a command that prints a number")
  if (score !== undefined) checkScoreCommand(score)
}

function showPlan(merging: Merging, plan: SearchPlan, lenient: boolean, flags: SearchFlags, io: Io): void {
  const merge = merging.planFromFiles(plan.config(0), { lenient, arithmetic: flags.arithmetic })
  const candidates = plan.candidates.map(({ values }) => values)
  if (flags.json) {
    io.out(prettyJson({ parameters: plan.parameters, candidates, merge }))
  } else {
    io.out(
      `${candidates.length} candidates over ${plan.parameters.join(', ')}, each ${merge.tensors.length} tensors by ${merge.method}\n`,
    )
    for (const values of candidates.slice(0, 20)) io.out(`  ${merging.valuesText(values)}\n`)
    if (candidates.length > 20) io.out(`  … ${candidates.length - 20} more\n`)
    for (const warning of merge.warnings) io.out(`warning: ${warning}\n`)
    for (const problem of merge.problems) io.out(`problem: ${merging.problemText(problem)}\n`)
  }
  merging.assertPlan(merge)
}

/** A mean with its interval, where there are items. */
function scoreText(merging: Merging, { score, items }: MeasuredScore): string {
  if (!items) return short(score)
  const { low, high } = merging.bootstrapMean(items)
  return `${score.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`
}

/** The ten best candidates as a table. */
function showBest(
  merging: Merging,
  { candidates, parameters, direction, best }: SearchOutcome,
  io: Io,
): void {
  const sign = direction === 'minimize' ? 1 : -1
  const ranked = candidates
    .filter(({ score }) => score !== null)
    .toSorted((a, b) => sign * (a.score! - b.score!))
  const table = [
    ['', ...parameters, ...(best.measures?.map(({ name }) => name) ?? ['score'])],
    ...ranked
      .slice(0, 10)
      .map((row) => [
        row.candidate === best.candidate ? '*' : '',
        ...parameters.map((name) => String(row.values[name])),
        ...(row.measures?.map((one) => scoreText(merging, one)) ?? [short(row.score!)]),
      ]),
  ]
  io.out(columnsText(table))
  if (ranked.length > 10) io.out(`… ${ranked.length - 10} more in search.csv\n`)
}

/** What a selection tries where no --search says it: methods, coefficients, and slopes of LiNeS. */
const standardAxes = [
  'merge_method=task_arithmetic,ties,consensus',
  'lambda=0.2..1:0.2',
  'lines.alpha=1',
  'lines.beta=0,0.5',
]

/** Say how the best was chosen, and which methods are not shown to beat task arithmetic. */
function showSelection(found: readonly Comparison[], outcome: SearchOutcome, io: Io): void {
  const [rule] = outcome.best.measures!
  io.out(`rule: the highest mean of ${rule!.name}; of equal means the first in the grid\n`)
  for (const { family, difference, isBetter } of found) {
    const { mean, low, high } = difference
    const text = `${family} minus task_arithmetic, both at their best: ${mean.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`
    io.out(isBetter ? `${text}\n` : `warning: ${text}: it does not beat task arithmetic beyond the error\n`)
  }
}

/** Search with progress, and write the table, the picture and the best. */
export async function carryOutSearch(
  merging: Merging,
  recipe: Recipe,
  out: string,
  flags: SearchFlags,
  io: Io,
): Promise<void> {
  const measures = flags.select && readMeasures(flags.select)
  const words = flags.search ?? standardAxes
  const axes = words.map(merging.parseAxis)
  const { lenient = false, threads, seed, shardSize, timeout, keepAll, verbose, score: command = '' } = flags
  const { force = false } = flags
  if (flags.dryRun) {
    showPlan(merging, merging.planSearch(recipe, axes, lenient), lenient, flags, io)
    return
  }
  const [config] = measures ? [merging.planSearch(recipe, axes, lenient).config(0)] : []
  if (config && !lenient) {
    merging.assertPlan(merging.planFromFiles(config, { lenient, arithmetic: flags.arithmetic }))
    merging.requireFineTunes(config)
  }
  const method = config?.method.name ?? ''
  const display = makeDisplay('search', io, flags.quiet)
  const interrupt = interruption(() => display.line('stopping; the same command goes on from here'))
  const say = ({ values, score, error, seconds }: SearchRow): void => {
    const what = merging.valuesText(values)
    if (score === null) display.line(`${what}: failed: ${error!.replace(/\s*\n\s*/g, ' ')}`)
    else if (verbose) display.line(`${what}: ${short(score)} (${duration(seconds)})`)
  }
  const begun = performance.now()
  let outcome: SearchOutcome
  try {
    outcome = await merging.searchMerge(
      recipe,
      axes,
      out,
      (model, signal) => {
        const how = {
          ...(timeout === undefined ? {} : { timeout }),
          ...(verbose ? { onError: (text: string) => display.line(text.trimEnd()) } : {}),
        }
        if (!measures) return scoreByCommand(command, model, how, signal)
        return measureModel(
          measures,
          model,
          { ...how, ...(threads === undefined ? {} : { threads }) },
          signal,
        )
      },
      {
        scoreName: measures?.map(({ mark }) => mark).join('; ') ?? command,
        direction: flags.minimize ? 'minimize' : 'maximize',
        lenient,
        seed,
        shardSize,
        force,
        arithmetic: flags.arithmetic,
        ...(threads === undefined ? {} : { threads }),
        ...(keepAll ? { keepAll } : {}),
        signal: interrupt.signal,
        onProgress: ({ done, total, phase, values, best, row }) => {
          if (row) say(row)
          const at =
            phase === 'write'
              ? 'writing the best'
              : `${phase === 'merge' ? 'merging' : 'scoring'} ${merging.valuesText(values)}`
          const lead = best ? `best ${short(best.score!)} at ${merging.valuesText(best.values)}` : ''
          // the last step is the writing of the best
          display.update({
            done,
            total: total + 1,
            detail: [`${done} of ${total}`, at, lead].filter(Boolean).join(' · '),
          })
        },
      },
    )
  } finally {
    display.end()
    interrupt.stop()
  }
  const lab = await import('../../lab/index.ts')
  const figure = measures
    ? selectionFigure(lab, merging, outcome, method)
    : searchFigure(lab, outcome, merging.valuesText)
  const compared = measures ? merging.comparisons(outcome.candidates, method) : []
  writeAtomically(
    join(out, 'search.svg'),
    lab.posterSvg(
      figure,
      `treeline merge ${recipe.path} ${words.map((one) => `--search ${one}`).join(' ')} ${measures ? flags.select!.map((one) => `--select '${one}'`).join(' ') : `--score '${command}'`}`,
    ),
  )
  if (!flags.quiet) for (const warning of outcome.warnings) io.err(`warning: ${warning}\n`)
  if (flags.json) {
    io.out(prettyJson(measures ? { ...outcome, comparisons: compared } : outcome))
    return
  }
  const { best, reused, candidates, merge } = outcome
  showBest(merging, outcome, io)
  if (measures) showSelection(compared, outcome, io)
  const again = reused > 0 ? `, ${reused} of ${candidates.length} scored by earlier runs` : ''
  io.out(
    `${out}: ${merge ? '' : 'already '}written with ${merging.valuesText(best.values)}, score ${short(best.score!)}${again}, ${duration((performance.now() - begun) / 1000)}; curve in search.svg, table in search.csv\n`,
  )
}
