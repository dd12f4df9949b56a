/** @file `treeline run`: one experiment, once; skipped when done, resumed when cut. */
import { Command } from 'commander'
import { duration } from '../../base/index.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { laboratory } from '../laboratory.ts'
import { collect, examples, jsonOption, quietOption, seedOption, threadsOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

interface RunFlags {
  preset?: string
  config?: string
  set?: string[]
  seed?: number
  threads?: number
  out: string
  report?: boolean
  json?: boolean
  quiet?: boolean
  fresh?: boolean
}

/** The command. */
export const runCommand = (io: Io): Command =>
  new Command('run')
    .description('run an experiment; a finished run is shown, an interrupted one goes on')
    .argument('<name>', 'an experiment (see treeline list), or a module of your own that exports one')
    .option('--preset <name>', 'begin with the values of a preset: quick or paper')
    .option('--config <file>', 'then the values of a YAML or JSON file, or of the config.json of a run')
    .option('--set <field=value>', 'set a config field; may be repeated', collect)
    .addOption(seedOption())
    .addOption(threadsOption())
    .option('--out <dir>', 'the folder that holds all runs', 'runs')
    .option('--report', 'also write a report: one HTML page and SVG, PNG and PDF figures in the run folder')
    .option('--fresh', 'throw away what the run folder holds and begin again')
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline run digits --report', 'train on MNIST and write a report'],
        ['treeline run digits --preset quick', 'the short version'],
        ['treeline run digits --set epochs=2 --seed 7', 'with other values'],
        ['treeline run digits --config my.yaml', 'with the values of a file'],
        ['treeline run digits --json > summary.json', 'for scripts'],
      ),
    )
    .action(async (name: string, flags: RunFlags) => {
      const lab = await laboratory()
      const own = lab.isModule(name)
      const experiment = await (own ? lab.importExperiment(name) : lab.loadExperiment(name))
      const config = lab.composeConfig(experiment, {
        preset: flags.preset,
        assignments:
          flags.config === undefined ? [] : lab.fileAssignments(experiment, lab.readWritten(flags.config)),
        set: flags.set,
        values: flags.seed === undefined ? {} : { seed: flags.seed },
      })
      const display = makeDisplay(experiment.name, io, flags.quiet)
      const interrupt = interruption(() =>
        display.line('stopping after this step and saving; press Ctrl-C again to stop at once'),
      )
      try {
        const outcome = await lab.executeRun(experiment, config, {
          root: flags.out,
          threads: flags.threads,
          fresh: flags.fresh,
          signal: interrupt.signal,
          module: own ? name : undefined,
          onProgress: display.update,
          onLog: display.line,
        })
        display.end()
        const { folder, summary, skipped } = outcome
        const report = flags.report ? lab.writeReport([lab.loadRun(folder)], [experiment], folder) : undefined
        if (flags.json) {
          io.out(lab.prettyJson({ ...summary, folder, skipped, report: report?.html ?? null }))
          return
        }
        if (!flags.quiet) {
          const when = summary.timing.finishedAt.slice(0, 16).replace('T', ' ')
          const how = skipped
            ? `finished before, ${when} UTC; --fresh runs it again`
            : duration(summary.timing.seconds)
          io.err(`${folder} (${how})\n`)
        }
        for (const { claim, outcome } of lab.claimsOfSummary(summary))
          io.out(`${lab.outcomeMark[outcome]} ${claim}\n`)
        io.out(`${summary.headline}\n`)
        if (report) io.out(`${report.html}\n`)
      } finally {
        display.end()
        interrupt.stop()
      }
    })
