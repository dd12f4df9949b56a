/** @file `treeline run`: one experiment, once; skipped when done, resumed when cut. */

import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { duration, fail } from '../../base/index.ts'
import type { AnyExperiment, BaseConfig, CarryingExecutor, StudyExperiment } from '../../lab/index.ts'
import { type AwayFlags, carrierSettings, isAway, leaving, timeLimit, withAwayOptions } from '../away.ts'
import { planText } from '../awayPlan.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { type Laboratory, laboratory } from '../laboratory.ts'
import { collect, examples, jsonOption, quietOption, seedOption, threadsOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

interface RunFlags extends AwayFlags {
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
  dryRun?: boolean
}

/** What a run would take; the study's own estimate is scaled by finished runs of the same experiment. */
function showPlan(
  lab: Laboratory,
  experiment: AnyExperiment,
  config: BaseConfig,
  flags: RunFlags,
  io: Io,
): void {
  const { seconds, basis } = lab.estimateCosts([{ experiment, config }], flags.out)
  const own = experiment.cost?.(config) ?? Number.NaN
  const scale = own > 0 && seconds[0] ? seconds[0] / own : 1
  const jobs =
    'study' in experiment
      ? lab.jobsOfStudy((experiment as StudyExperiment).study, config, scale)
      : [{ label: experiment.name, seconds: seconds[0] ?? null }]
  const plan = lab.planAway(jobs, { taskSeconds: flags.taskMinutes * 60, limit: timeLimit(lab, flags) })
  io.out(flags.json ? lab.prettyJson({ ...plan, basis }) : planText(plan, flags.executor, basis.join('; ')))
}

/** What carries the measurements of a run to other machines. */
async function carrierOf(
  lab: Laboratory,
  executor: CarryingExecutor,
  experiment: AnyExperiment,
  config: BaseConfig,
  flags: RunFlags,
  io: Io,
) {
  if (!('study' in experiment))
    fail(
      'TL_UNSUPPORTED',
      `${experiment.name}: it is no study, so it is one job: use treeline sweep with --executor ${flags.executor}`,
    )
  const folder = lab.runFolder(resolve(flags.out), experiment.name, lab.configHash(experiment, config))
  const settings = carrierSettings(flags, join(folder, 'sent'), flags.threads ?? 1, io.env)
  return { folder, carrier: await executor.carrier(settings), experiment: experiment as StudyExperiment }
}

/** The command. */
export function runCommand(io: Io): Command {
  const command = new Command('run')
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
    .option('--dry-run', 'show how many measurements there are, and what they would cost')
    .addOption(jsonOption())
    .addOption(quietOption())
  return withAwayOptions(command)
    .addHelpText(
      'after',
      examples(
        ['treeline run digits --report', 'train on MNIST and write a report'],
        ['treeline run digits --preset quick', 'the short version'],
        ['treeline run digits --set epochs=2 --seed 7', 'with other values'],
        ['treeline run digits --config my.yaml', 'with the values of a file'],
        ['treeline run digits --json > summary.json', 'for scripts'],
        ['treeline run composition --preset paper --executor slurm --slurm time=2:00:00', 'on a cluster'],
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
      if (flags.dryRun) {
        showPlan(lab, experiment, config, flags, io)
        return
      }
      const display = makeDisplay(experiment.name, io, flags.quiet)
      const executor = lab.findExecutor(flags.executor)
      const isElsewhere = isAway(executor, flags)
      const carrier = isElsewhere ? await carrierOf(lab, executor, experiment, config, flags, io) : undefined
      if (carrier && flags.cancel) {
        io.out(`${await carrier.carrier.cancel()} submissions ended\n`)
        return
      }
      const interrupt = isElsewhere
        ? leaving(io)
        : interruption(() =>
            display.line('stopping after this step and saving; press Ctrl-C again to stop at once'),
          )
      const away =
        carrier &&
        lab.cellsAway(carrier.carrier, carrier.experiment, carrier.folder, {
          module: own ? name : undefined,
          onNote: display.line,
        })
      try {
        const outcome = await lab.executeRun(experiment, config, {
          root: flags.out,
          threads: away ? (flags.threads ?? 1) : flags.threads,
          away,
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
}
