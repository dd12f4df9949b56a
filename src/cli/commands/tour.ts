/** @file `treeline tour`: the quick presets of everything there is, and one report. */
import { Command } from 'commander'
import { duration, fail } from '../../base/index.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { examples, jsonOption, quietOption, threadsOption } from '../options.ts'
import { type Display, makeDisplay } from '../progress.ts'

interface TourFlags {
  only?: string[]
  threads?: number
  out: string
  json?: boolean
  quiet?: boolean
}

/** The command. */
export const tourCommand = (io: Io): Command =>
  new Command('tour')
    .description(
      'run the quick preset of every experiment that needs no files of yours and write one report (under five minutes on two cores)',
    )
    .option('--only <names...>', 'just these experiments')
    .addOption(threadsOption())
    .option('--out <dir>', 'the folder that holds all runs; the report goes to DIR/tour', 'runs')
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline tour', 'everything; run it again to go on after an interruption'],
        ['treeline tour --only phase-transition clustering', 'a part of it'],
      ),
    )
    .action(async (flags: TourFlags) => {
      const lab = await import('../../lab/index.ts')
      const chosen =
        flags.only?.map((name) => lab.findExperiment(name)) ??
        lab.experiments.filter(({ requires = [] }) => requires.length === 0)
      const { bold, green, red, dim } = io.colors
      const say = (text: string): void => {
        if (!flags.quiet) io.err(`${text}\n`)
      }
      let display: Display | undefined
      const interrupt = interruption(() =>
        display?.line('stopping after this step and saving; press Ctrl-C again to stop at once'),
      )
      const begun = performance.now()
      try {
        const stops = await lab.tour(chosen, {
          root: flags.out,
          threads: flags.threads,
          signal: interrupt.signal,
          onBegin({ name, title }, index) {
            say(bold(`${index + 1}/${chosen.length} ${name}`) + dim(`  ${title}`))
            display = makeDisplay(name, io, flags.quiet)
          },
          onProgress: (step) => display?.update(step),
          onEnd({ outcome, error }) {
            display?.end()
            if (error) return say(red(`  ✗ ${error}`))
            const { verdicts, headline, timing } = outcome!.summary
            for (const { claim, pass } of verdicts)
              say(pass ? `  ${green('✓')} ${claim}` : `  ${red('✗')} ${claim}`)
            say(
              `  ${headline}${dim(` (${outcome!.skipped ? 'finished before' : duration(timing.seconds)})`)}`,
            )
          },
        })
        const done = stops.flatMap(({ outcome }) => outcome ?? [])
        if (done.length === 0) fail('TL_IO', `no experiment of the tour could be run: ${stops[0]?.error}`)
        const runs = done.map(({ folder }) => lab.loadRun(folder))
        const report = lab.writeReport(runs, chosen, `${flags.out}/tour`)
        const failed = stops.filter(({ error }) => error)
        const verdicts = done.flatMap(({ summary }) => summary.verdicts)
        const held = verdicts.filter(({ pass }) => pass).length
        if (flags.json)
          io.out(
            lab.prettyJson({
              runs: done.map(({ folder, summary }) => ({ ...summary, folder })),
              failed: failed.map(({ experiment, error }) => ({ experiment: experiment.name, error })),
              report: report.html,
            }),
          )
        else {
          const seconds = (performance.now() - begun) / 1000
          io.out(
            `${held} of ${verdicts.length} verdicts hold; ${done.length} experiments in ${duration(seconds)}\n`,
          )
          for (const { summary } of done) io.out(`${summary.experiment}: ${summary.headline}\n`)
          io.out(`${report.html}\n`)
        }
        if (failed.length > 0)
          fail(
            'TL_IO',
            `${failed.map(({ experiment }) => experiment.name).join(', ')} could not be run (${failed[0]!.error}); the report holds the rest`,
          )
      } finally {
        display?.end()
        interrupt.stop()
      }
    })
