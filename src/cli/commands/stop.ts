/** @file `treeline stop`: from logged curves, when to stop a training on more data. */
import { Command, Option } from 'commander'
import { didYouMean, fail, fixed, formatNumber, inSteps } from '../../base/index.ts'
import { checkFile, formatOf, statusOf, writeOutput } from '../../base/outputs.ts'
import { readText } from '../../base/read.ts'
import type { CurveRow, StopPlan } from '../../lab/index.ts'
import { columnsText } from '../columns.ts'
import type { Io } from '../io.ts'
import { checkForce, examples, forceOption, jsonOption, quietOption } from '../options.ts'

type Criterion = 'validation' | 'copies'

interface Flags {
  at?: number[]
  by: Criterion
  share?: number
  svg?: string
  force?: boolean
  json?: boolean
  quiet?: boolean
}

type Lab = typeof import('../../lab/index.ts')

const defaultShare = 0.02

/** A number in an open interval, as the words of an option. */
const numberWord = (name: string, expected: string, fits: (value: number) => boolean) => (word: string) => {
  const value = Number(word)
  if (word.trim() === '' || !Number.isFinite(value) || !fits(value))
    fail('TL_USAGE', `${name}: expected ${expected}, got ${word}`)
  return value
}
const examplesOf = numberWord('--at', 'a number of training examples above 0', (value) => value > 0)
const shareOf = numberWord('--share', 'a share above 0 and below 1', (value) => value > 0 && value < 1)

const criteria = ['validation', 'copies'] as const
const criterionOf = (word: string): Criterion =>
  criteria.find((name) => name === word) ??
  fail('TL_USAGE', `--by ${word}: there is no such mark: ${didYouMean(word, criteria)}`)

/** The rows of run folders and of files, and what is to be said about them. */
async function readRows(
  lab: Lab,
  paths: readonly string[],
): Promise<{ rows: CurveRow[]; notes: readonly string[] }> {
  const isFolder = (path: string): boolean => statusOf(path)?.isDirectory() === true
  const once = [...new Set(paths)]
  const files = once.filter((path) => !isFolder(path))
  const folders = once.filter(isFolder)
  const rows = files.flatMap((path) => lab.curveRowsOf(readText(path), path))
  if (folders.length === 0) return { rows, notes: [] }
  const unfinished: string[] = []
  const runs = await inSteps(lab.loadingRuns(folders, (folder) => unfinished.push(folder)))
  const found = lab.curveRowsOfRuns(runs)
  const notes = unfinished.map((folder) => `${folder}: not finished, left out`)
  return { rows: [...rows, ...found.rows], notes: [...notes, ...found.notes] }
}

/** `900 (600 to 1,400)` */
const within = (lab: Lab, tau: number, low: number, high: number): string =>
  `${lab.shownSteps(tau)} (${lab.shownSteps(low)} to ${lab.shownSteps(high)})`

/** A row for each P: what was found, what the other P predict, and the other mark where there is one. */
function tableOf(lab: Lab, plan: StopPlan, besideName: string): string[][] {
  const { points, leaveOneOut, beside } = plan
  const steps = lab.shownSteps
  const head = ['P', 'trainings', 'tau', '95 %', 'predicted by the other P']
  const rows = points.map(({ P, tau, low, high, bound, found, bounds }) => {
    const check = leaveOneOut.find((one) => one.P === P)
    const other = beside?.points.find((one) => one.P === P)
    const otherTau = other?.bound ? `> ${steps(other.low)}` : other && steps(other.tau)
    return [
      formatNumber(P),
      String(found + bounds),
      bound ? `> ${steps(low)}` : steps(tau),
      bound ? `not by step ${steps(tau)}` : `${steps(low)} to ${steps(high!)}`,
      check ? within(lab, check.predicted, check.predictedLow, check.predictedHigh) : '–',
      ...(beside ? [otherTau ?? '–'] : []),
    ]
  })
  return rows.length > 0 ? [[...head, ...(beside ? [besideName] : [])], ...rows] : []
}

/** What the curves say, for people. */
function show(lab: Lab, plan: StopPlan, io: Io): void {
  const { by, share, law, predictions, beside } = plan
  const mark = (which: Criterion): string =>
    which === 'copies' ? `${lab.markOf(which)} (${formatNumber(100 * share)} %)` : lab.markOf(which)
  const besideName = beside ? `by ${mark(beside.by)}` : ''
  const table = tableOf(lab, plan, besideName)
  io.out(`tau: step of the ${mark(by)}\n\n`)
  io.out(columnsText(table))
  if (law)
    io.out(
      `\ntau = ${formatNumber(Number(law.a.toPrecision(3)))}·P^b, b = ${lab.shownExponent(law)}, ${lab.besideOne(law)}\n`,
    )
  if (law?.bend) io.out(`b changes by ${lab.shownBend(law.bend)} with each doubling of P\n`)
  if (beside?.law)
    io.out(`${besideName}: b = ${lab.shownExponent(beside.law)}, ${lab.besideOne(beside.law)}\n`)
  for (const one of predictions) {
    const other = beside?.law?.predict(one.P)
    const otherWords = other ? `; ${besideName}: ${within(lab, other.tau, other.low, other.high)}` : ''
    io.out(
      `P=${formatNumber(one.P)}: stop at step ${lab.shownSteps(one.tau)} (95 % ${lab.shownSteps(one.low)} to ${lab.shownSteps(one.high)}, a factor ${fixed(lab.widthOf(one), 1)} each way)${otherWords}\n`,
    )
  }
}

async function stop(paths: string[], flags: Flags, io: Io): Promise<void> {
  const rule = { inputs: paths, force: flags.force === true }
  checkForce(flags.force, flags.svg, '--svg')
  if (flags.svg !== undefined) {
    formatOf(flags.svg, ['.svg'])
    checkFile(flags.svg, rule)
  }
  const say = (text: string): void => {
    if (!flags.quiet) io.err(`${text}\n`)
  }
  const lab = await import('../../lab/index.ts')
  const { rows, notes } = await readRows(lab, paths)
  const { curves, notes: repeated } = lab.gatherCurves(rows)
  const plan = lab.planStop(curves, {
    ...{ by: flags.by, share: flags.share ?? defaultShare },
    at: [...new Set(flags.at)],
  })
  if (flags.json) io.out(lab.prettyJson(lab.toJson(lab.stopJson(plan))))
  else show(lab, plan, io)
  for (const note of [...notes, ...repeated, ...plan.notes]) say(`note: ${note}`)
  // last: a picture that cannot be written takes no numbers away
  if (flags.svg !== undefined)
    writeOutput(
      flags.svg,
      `${lab.posterSvg(lab.stopFigure(plan), `treeline stop ${paths.join(' ')}`)}\n`,
      rule,
    )
  if (plan.advice !== undefined) fail('TL_BAD_FILE', plan.advice)
}

/** The command. */
export const stopCommand = (io: Io): Command =>
  new Command('stop')
    .description('when to stop training: the onset of memorization in logged curves, its law, predictions')
    .argument(
      '<curves...>',
      'CSV files with the columns P, step, validationLoss, and where there are any copies and seed; run folders with such rows',
    )
    .addOption(
      new Option('--at <P>', 'predict for so many training examples; may be repeated').argParser(
        (word: string, before: number[] = []) => [...before, examplesOf(word)],
      ),
    )
    .addOption(
      new Option(
        '--by <mark>',
        'what marks memorization: validation, the minimum of the validation loss, or copies, their onset',
      )
        .default('validation')
        .argParser(criterionOf),
    )
    .addOption(
      new Option(
        '--share <x>',
        `share of copies above chance that counts as their onset (default: ${defaultShare})`,
      ).argParser(shareOf),
    )
    .option('--svg <file>', 'a picture: memorization times, the law, slope 1, predictions')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline stop curves.csv --at 1024', 'when to stop on 1024 examples, with an interval'],
        ['treeline stop a.csv b.csv --by copies --share 0.05', 'by the step at which 5 % are copies'],
        ['treeline stop runs/memorization --at 512 --svg stop.svg', 'of finished runs, and a picture'],
      ),
    )
    .action((paths: string[], flags: Flags) => stop(paths, flags, io))
