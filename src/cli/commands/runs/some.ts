/** @file `treeline runs show | compare | remove FOLDER…`. */
import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { duration, fail, formatMeasured, prettyJson } from '../../../base/index.ts'
import type { Comparison, RunRecord } from '../../../lab/runs/index.ts'
import { columnsText } from '../../columns.ts'
import type { Io } from '../../io.ts'
import { examples, jsonOption, quietOption } from '../../options.ts'
import { claimsText } from './text.ts'

const rooms = async () => await import('../../../lab/runs/index.ts')
type Rooms = Awaited<ReturnType<typeof rooms>>

/** What is known of one run, as JSON. */
function known(lab: Rooms, folder: string) {
  const record = lab.readRecord(folder)
  const { version, treeline, module } = lab.readConfigFile(folder)
  const about = { ...record, version, treeline, module: module ?? null }
  if (record.state !== 'finished') return { ...about, log: lab.tailOf(`${folder}/log.txt`, 2000) }
  const { headline, timing, machine, commit, result } = lab.readSummary(folder)
  const { rows, ...numbers } = result
  return {
    ...about,
    ...{ headline, timing, machine },
    commit: commit ?? null,
    result: numbers,
    rows: Array.isArray(rows) ? rows.length : null,
    outcomes: lab.claimsOfSummary(lab.readSummary(folder)),
  }
}

function inWords(lab: Rooms, folder: string): string {
  const one = known(lab, folder)
  const lines = [
    `${folder}: ${one.experiment}, ${one.state}${one.seconds === null ? '' : `, ${duration(one.seconds)}`}`,
    `  config   ${JSON.stringify(one.config)}`,
  ]
  if ('headline' in one) {
    const { timing, machine } = one
    lines.push(`  headline ${one.headline}`)
    for (const { claim, outcome } of one.outcomes) lines.push(`  ${lab.outcomeMark[outcome]} ${claim}`)
    lines.push(
      `  made     ${timing.finishedAt.slice(0, 16).replace('T', ' ')} UTC by treeline ${one.treeline} on Node ${machine.node}, ${machine.cpu}, ${timing.sessions} session${timing.sessions === 1 ? '' : 's'}`,
    )
    if (one.rows !== null) lines.push(`  rows     ${one.rows} (treeline collect ${folder} --rows)`)
  } else {
    const last = one.log.trimEnd().split('\n').slice(-3)
    for (const line of last) lines.push(`  log      ${line}`)
  }
  return `${lines.join('\n')}\n`
}

/** `treeline runs show` */
export const showCommand = (io: Io): Command =>
  new Command('show')
    .description('all that is known of some runs')
    .argument('<folder...>', 'run folders')
    .addOption(jsonOption())
    .addHelpText('after', examples(['treeline runs show runs/digits/1f2e3d4c5b6a', 'one run']))
    .action(async (folders: string[], _: unknown, command: Command) => {
      const { json } = command.optsWithGlobals<{ json?: boolean }>()
      const lab = await rooms()
      if (json) io.out(prettyJson(folders.map((folder) => known(lab, folder))))
      else io.out(folders.map((folder) => inWords(lab, folder)).join('\n'))
    })

const cell = (value: unknown): string => {
  if (value === null || value === undefined) return '–'
  return String(value)
}

function comparisonText({ runs, config, result, claims, made }: Comparison): string {
  const names = runs.map((_, i) => String.fromCharCode(65 + (i % 26)))
  const lines = runs.map(
    ({ folder, state, claims }, i) =>
      `${names[i]}: ${folder} (${[state, claimsText(claims)].filter(Boolean).join(', ')})`,
  )
  const part = (title: string, rows: readonly (readonly string[])[]): void => {
    if (rows.length > 0)
      lines.push('', columnsText([[title, ...names], ...rows], { firstIsText: true }).trimEnd())
  }
  const rowsOf = (all: Comparison['config']) => all.map(({ name, values }) => [name, ...values.map(cell)])
  part('config', rowsOf(config))
  part('result', rowsOf(result))
  part(
    'claims',
    claims.map(({ claim, outcomes, measured, errors }) => [
      claim,
      ...outcomes.map((outcome, i) =>
        outcome === null ? '–' : `${outcome} ${formatMeasured(measured[i] ?? Number.NaN, errors[i] ?? null)}`,
      ),
    ]),
  )
  part('made by', rowsOf(made))
  if (lines.length === runs.length) lines.push('', 'nothing differs but the time')
  return `${lines.join('\n')}\n`
}

/** `treeline runs compare` */
export const compareCommand = (io: Io): Command =>
  new Command('compare')
    .description('what differs between runs: config, numbers, claims, where they were made')
    .argument('<folder...>', 'two or more run folders')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples([
        'treeline runs compare runs/digits/1f2e3d4c5b6a runs/digits/6a5b4c3d2e1f',
        'two runs side by side',
      ]),
    )
    .action(async (folders: string[], _: unknown, command: Command) => {
      const { json } = command.optsWithGlobals<{ json?: boolean }>()
      const comparison = (await rooms()).compareRuns(folders)
      io.out(json ? prettyJson(comparison) : comparisonText(comparison))
    })

/** One line of an answer; empty at the end of the input. */
function ask(question: string, io: Io): Promise<string> {
  io.err(question)
  return new Promise((resolve) => {
    const lines = createInterface({ input: io.input! })
    lines.once('line', (line) => {
      resolve(line.trim())
      lines.close()
    })
    lines.once('close', () => resolve(''))
  })
}

const plural = (runs: readonly RunRecord[]): string =>
  runs.length === 1 ? 'this run' : `these ${runs.length} runs`

/** `treeline runs remove` */
export const removeCommand = (io: Io): Command =>
  new Command('remove')
    .description('remove run folders, after asking; never one that is at work')
    .argument('<folder...>', 'run folders')
    .option('--yes', 'do not ask')
    .addOption(quietOption())
    .addHelpText('after', examples(['treeline runs remove runs/digits/1f2e3d4c5b6a', 'asks first']))
    .action(async (folders: string[], _: unknown, command: Command) => {
      const { yes, quiet } = command.optsWithGlobals<{ yes?: boolean; quiet?: boolean }>()
      const lab = await rooms()
      // nothing goes before all may go
      for (const folder of folders) lab.checkRemovable(folder)
      if (!yes) {
        if (!io.terminal || !io.input)
          fail('TL_USAGE', 'remove: there is no terminal to ask at; add --yes to remove without asking')
        const runs = folders.map((folder) => lab.readRecord(folder))
        for (const { folder, state, experiment } of runs) io.err(`${folder}: ${experiment}, ${state}\n`)
        if (!/^y(es)?$/i.test(await ask(`remove ${plural(runs)}? [y/N] `, io))) {
          io.err('nothing was removed\n')
          return
        }
      }
      for (const folder of folders) {
        lab.removeRun(folder)
        if (!quiet) io.err(`${folder}: removed\n`)
      }
    })
