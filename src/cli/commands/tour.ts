/** @file `treeline tour`: the headline of everything there is, and one report. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Command } from 'commander'
import { duration, fail } from '../../base/index.ts'
import type { AnyExperiment, RunOutcome } from '../../lab/index.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { type Laboratory, laboratory } from '../laboratory.ts'
import { examples, jsonOption, quietOption, threadsOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

interface TourFlags {
  only?: string[]
  all?: boolean
  threads?: number
  out: string
  json?: boolean
  quiet?: boolean
}

/** Four sentences: what was done, what came out, what did not hold, where to look. */
function closing(
  lab: Laboratory,
  chosen: readonly AnyExperiment[],
  done: readonly RunOutcome[],
  seconds: number,
  path: string,
): string {
  const claims = done.flatMap(({ summary }) =>
    lab.claimsOfSummary(summary).map((claim) => ({ ...claim, of: summary.experiment })),
  )
  const failed = claims
    .flatMap(({ of, claim, outcome }) => (outcome === 'fails' ? [`${of}, “${claim}”`] : []))
    .join('; ')
  // short runs leave many open: how many of which experiment is enough here
  const open = claims.filter(({ outcome }) => outcome === 'undecided').map(({ of }) => of)
  const undecided = [...new Set(open)]
    .map((name) => `${open.filter((of) => of === name).length} of ${name}`)
    .join(', ')
  const before = done.filter(({ skipped }) => skipped).length
  const titles = done.map(({ summary }) => chosen.find(({ name }) => name === summary.experiment)!.title)
  const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`
  const sentences = [
    `${count(done.length, 'experiment')} ran in ${duration(seconds)}${before > 0 ? ` (${before} had finished before)` : ''}: ${titles.join('; ')}.`,
    `Of what theory says about them, ${lab.outcomesInWords(claims)}.`,
    [
      failed === '' ? 'No claim fails.' : `These fail: ${failed}.`,
      ...(undecided === '' ? [] : [`Too few data decide the others: ${undecided}.`]),
    ].join(' '),
    'The report shows every claim with its measurement, the figures, and the commands that repeat each run:',
  ]
  return `\n${sentences.join('\n')}\n${pathToFileURL(path).href}\n`
}

/** The command. */
export const tourCommand = (io: Io): Command =>
  new Command('tour')
    .description(
      'show the headline of every experiment that needs no files of yours, in one report (about four minutes on two cores)',
    )
    .option('--only <names...>', 'just these experiments')
    .option('--all', 'run the quick presets: every claim and figure (about ten minutes)')
    .addOption(threadsOption())
    .option('--out <dir>', 'the folder that holds all runs; the report goes to DIR/tour', 'runs')
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline tour', 'everything; run it again to go on after an interruption'],
        ['treeline tour --all', 'every claim and figure of the quick presets'],
        ['treeline tour --only phase-transition clustering', 'a part of it'],
      ),
    )
    .action(async (flags: TourFlags) => {
      const lab = await laboratory()
      const chosen =
        flags.only === undefined
          ? (await lab.loadExperiments()).filter(({ requires = [] }) => requires.length === 0)
          : await Promise.all(flags.only.map(lab.loadExperiment))
      const { bold, green, red, dim } = io.colors
      const display = makeDisplay('tour', io, { quiet: flags.quiet, heartbeat: 4 })
      const interrupt = interruption(() =>
        display.line('stopping after this step and saving; press Ctrl-C again to stop at once'),
      )
      const begun = performance.now()
      let where = ''
      try {
        const stops = await lab.tour(chosen, {
          root: flags.out,
          preset: flags.all ? 'quick' : 'tour',
          threads: flags.threads,
          signal: interrupt.signal,
          onBegin({ name, title }, index) {
            where = `${index + 1}/${chosen.length} ${name}`
            display.line(bold(where) + dim(`  ${title}`))
          },
          onOverall: ({ share, secondsLeft }, detail) =>
            display.update({
              ...{ done: Math.floor(1000 * share), total: 1000, secondsLeft },
              detail: [where, detail].filter(Boolean).join(' · '),
            }),
          onEnd({ outcome, error }) {
            if (error) return display.line(red(`  ✗ ${error}`))
            const { summary } = outcome!
            const { headline, timing } = summary
            const paint = { holds: green, fails: red, undecided: dim }
            for (const { claim, outcome: how } of lab.claimsOfSummary(summary))
              display.line(`  ${paint[how](lab.outcomeMark[how])} ${claim}`)
            display.line(
              `  ${headline}${dim(` (${outcome!.skipped ? 'finished before' : duration(timing.seconds)})`)}`,
            )
          },
        })
        display.line('writing the report')
        const done = stops.flatMap(({ outcome }) => outcome ?? [])
        if (done.length === 0) fail('TL_IO', `no experiment of the tour could be run: ${stops[0]?.error}`)
        const runs = done.map(({ folder }) => lab.loadRun(folder))
        const report = lab.writeReport(runs, chosen, `${flags.out}/tour`)
        const failed = stops.filter(({ error }) => error)
        if (flags.json)
          io.out(
            lab.prettyJson({
              runs: done.map(({ folder, summary }) => ({ ...summary, folder })),
              failed: failed.map(({ experiment, error }) => ({ experiment: experiment.name, error })),
              report: report.html,
            }),
          )
        else {
          display.end()
          io.out(closing(lab, chosen, done, (performance.now() - begun) / 1000, resolve(report.html)))
        }
        if (failed.length > 0)
          fail(
            'TL_IO',
            `${failed.map(({ experiment }) => experiment.name).join(', ')} could not be run (${failed[0]!.error}); the report holds the rest`,
          )
      } catch (error) {
        if (!lab.isInterruption(error)) throw error
        fail(
          'TL_INTERRUPTED',
          `interrupted; everything finished is kept in ${flags.out}, and the same command goes on: treeline tour`,
          error,
        )
      } finally {
        display.end()
        interrupt.stop()
      }
    })
