/** @file `treeline sweep`: many runs of a grid, in a pool of processes or elsewhere; resumable, whatever ends it. */
import { basename, extname, join, resolve } from 'node:path'
import { Command } from 'commander'
import { duration, fail } from '../../base/index.ts'
import type {
  Carrier,
  CarryingExecutor,
  CostEstimate,
  Executor,
  Plan,
  SweepOutcome,
} from '../../lab/index.ts'
import { type AwayFlags, carrierSettings, isAway, leaving, timeLimit, withAwayOptions } from '../away.ts'
import { planText } from '../awayPlan.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { type Laboratory, laboratory } from '../laboratory.ts'
import { collect, examples, integerOption, jsonOption, quietOption } from '../options.ts'
import { makeSweepDisplay, tally } from '../sweepDisplay.ts'

interface SweepFlags extends AwayFlags {
  set?: string[]
  out: string
  threadsPerRun: number
  dryRun?: boolean
  skipInvalid?: boolean
  report?: boolean
  json?: boolean
  quiet?: boolean
}

/** The command. */
export function sweepCommand(io: Io): Command {
  const command = new Command('sweep')
    .description('run every config of a sweep file; finished runs are skipped, interrupted ones go on')
    .argument('<file>', 'a sweep in YAML or JSON: experiment, preset, set, grid, zip, repeat, filter')
    .option('--set <field=value>', 'set a config field in all runs; may be repeated', collect)
    .option('--out <dir>', 'the folder that holds all runs', 'runs')
    .addOption(integerOption('--parallel <n>', 'runs at once (default: as many as cores allow)', 1, 1024))
    .addOption(integerOption('--threads-per-run <n>', 'threads of each run', 1, 1024).default(1))
    .option('--dry-run', 'show the runs, what is done of them and what the rest would cost')
    .option('--skip-invalid', 'leave out configs that cannot be, instead of refusing the sweep')
    .option('--report', 'also write a report and a table of all its runs, to DIR/FILE’s name')
    .addOption(jsonOption())
    .addOption(quietOption())
  return withAwayOptions(command)
    .addHelpText(
      'after',
      examples(
        ['treeline sweep sweep.yaml --dry-run', 'what it would do'],
        ['treeline sweep sweep.yaml', 'do it; the same command goes on after any interruption'],
        ['treeline sweep sweep.yaml --set steps=10 --out try', 'all of it, shorter, elsewhere'],
      ),
    )
    .action(async (file: string, flags: SweepFlags) => {
      const lab = await laboratory()
      const executor = lab.findExecutor(flags.executor)
      const whole = await lab.planSweep(file, {
        root: flags.out,
        set: flags.set,
        findExperiment: lab.loadExperiment,
      })
      const plan = withoutRefused(whole, file, flags, io)
      const isElsewhere = isAway(executor, flags)
      const carrier = isElsewhere ? await carrierOf(lab, executor, whole, flags, io) : undefined
      if (carrier && flags.cancel) {
        io.out(`${await carrier.cancel()} submissions ended\n`)
        return
      }
      const parallel = isElsewhere
        ? whole.runs.length
        : (flags.parallel ?? executor.parallel(flags.threadsPerRun))
      const costs = lab.estimateCosts(plan.runs, flags.out)
      if (flags.dryRun) {
        showPlan(lab, plan, costs, parallel, flags, io)
        return
      }
      const outcome = await carryOut(lab, plan, { costs, parallel, carrier }, flags, io)
      conclude(lab, file, plan, outcome, flags, io)
    })
}

/** What carries the runs of a sweep to other machines. Its folder is named by all runs, done or not: the same sweep finds it again. */
async function carrierOf(
  lab: Laboratory,
  executor: CarryingExecutor,
  { runs }: Plan,
  flags: SweepFlags,
  io: Io,
): Promise<Carrier> {
  const name = lab.contentHash(runs.map(({ hash }) => hash)).slice(0, 12)
  const folder = join(resolve(flags.out), 'sent', name)
  return await executor.carrier(carrierSettings(flags, folder, flags.threadsPerRun, io.env))
}

/** Say all that is impossible at once; go on without it only when asked to. */
function withoutRefused(plan: Plan, file: string, { skipInvalid, quiet }: SweepFlags, io: Io): Plan {
  const { refused, runs } = plan
  if (refused.length === 0) return plan
  const reasons = new Map<string, string[]>()
  for (const { reason, label } of refused) reasons.set(reason, [...(reasons.get(reason) ?? []), label])
  const all = refused.length + runs.length
  if (!skipInvalid || !quiet)
    for (const [reason, labels] of reasons) {
      const some = labels.slice(0, 3).join('; ')
      const others = labels.length > 3 ? `; and ${labels.length - 3} more` : ''
      io.err(`${reason}${some === '' ? '' : `  [${some}${others}]`}\n`)
    }
  const count = `${refused.length} of ${all} configs cannot be`
  if (!skipInvalid)
    fail(
      'TL_BAD_CONFIG',
      `${file}: ${count}; correct the file, add a filter, or leave them out with --skip-invalid`,
    )
  if (runs.length === 0) fail('TL_BAD_CONFIG', `${file}: ${count}, so there is nothing to run`)
  return plan
}

function showPlan(
  lab: Laboratory,
  { runs, refused, duplicates, filtered }: Plan,
  costs: CostEstimate,
  parallel: number,
  flags: SweepFlags,
  io: Io,
): void {
  const open = costs.seconds.filter((_, i) => runs[i]!.state !== 'done')
  const known = open.filter((value) => value !== null)
  const complete = known.length === open.length
  const seconds = complete ? known.reduce((sum, value) => sum + value, 0) : null
  const wall = complete ? lab.wallSeconds(known, parallel) : null
  if (flags.json) {
    io.out(
      lab.prettyJson({
        runs: runs.map(({ experiment, hash, folder, state, config }, i) => ({
          experiment: experiment.name,
          hash,
          folder,
          state,
          seconds: costs.seconds[i],
          config,
        })),
        refused,
        duplicates,
        filtered,
        estimate: { seconds, wallSeconds: wall, parallel, basis: costs.basis },
      }),
    )
    return
  }
  for (const [i, { state, hash, label, experiment }] of runs.entries()) {
    const cost = costs.seconds[i]
    const shown = cost === null || cost === undefined || state === 'done' ? '–' : duration(cost)
    io.out(`${state.padEnd(7)}  ${experiment.name}/${hash.slice(0, 12)}  ${shown.padStart(12)}  ${label}\n`)
  }
  const count = (state: string) => runs.filter((run) => run.state === state).length
  const asides = [
    duplicates > 0 ? `${duplicates} the same as another` : '',
    filtered > 0 ? `${filtered} left out by filters` : '',
    refused.length > 0 ? `${refused.length} impossible` : '',
  ].filter(Boolean)
  io.out(
    `\n${runs.length} runs: ${count('done')} done, ${count('partial')} begun, ${count('new')} new${asides.length ? ` (${asides.join(', ')})` : ''}\n`,
  )
  if (open.length === 0) {
    io.out('nothing is left to do\n')
    return
  }
  if (flags.executor !== 'local') {
    const jobs = runs.flatMap(({ label, state }, i) =>
      state === 'done' ? [] : [{ label, seconds: costs.seconds[i] ?? null }],
    )
    const plan = lab.planAway(jobs, { taskSeconds: flags.taskMinutes * 60, limit: timeLimit(lab, flags) })
    io.out(planText(plan, flags.executor, costs.basis.join('; ')))
    return
  }
  const total =
    seconds === null || wall === null
      ? 'estimated time unknown'
      : `estimated time ${duration(wall)} on ${parallel} process${parallel === 1 ? '' : 'es'} (${duration(seconds)} of work)`
  io.out(`${total}; ${costs.basis.join('; ')}\n`)
}

const localOf = (lab: Laboratory): Executor => lab.findExecutor('local') as Executor

/** Runs on their way to other machines. */
function elsewhere(
  lab: Laboratory,
  { runs }: Plan,
  { seconds }: CostEstimate,
  carrier: Carrier,
  signal: AbortSignal,
  onNote: (line: string) => void,
): Executor {
  const known = new Map(
    runs.map(({ folder, experiment }, i) => [
      folder,
      { version: experiment.version, seconds: seconds[i] ?? null },
    ]),
  )
  return lab.carriedExecutor('elsewhere', carrier, {
    signal,
    onNote,
    about: ({ folder }) => known.get(folder)!,
  })
}

async function carryOut(
  lab: Laboratory,
  plan: Plan,
  how: { readonly costs: CostEstimate; readonly parallel: number; readonly carrier: Carrier | undefined },
  flags: SweepFlags,
  io: Io,
): Promise<SweepOutcome> {
  const { carrier, parallel, costs } = how
  const weights = lab.weights(costs)
  const before = { done: 0, total: 0 }
  for (const [i, { state }] of plan.runs.entries()) {
    before.total += weights[i]!
    if (state === 'done') before.done += weights[i]!
  }
  const display = makeSweepDisplay(io, before, flags.quiet)
  const done = plan.runs.filter(({ state }) => state === 'done').length
  if (!flags.quiet)
    io.err(
      `${plan.runs.length} runs${done > 0 ? `, ${done} of them done before` : ''}; ${carrier ? `by ${flags.executor}` : `${parallel} at once`} with ${flags.threadsPerRun} thread${flags.threadsPerRun === 1 ? '' : 's'} each\n`,
    )
  const interrupt = carrier
    ? leaving(io)
    : interruption(() => display.line('asking the runs to stop and save; press Ctrl-C again to stop at once'))
  try {
    return await lab.runSweep(plan.runs, {
      executor: carrier
        ? elsewhere(lab, plan, how.costs, carrier, interrupt.signal, display.line)
        : localOf(lab),
      registry: lab.registry,
      root: flags.out,
      parallel,
      threads: flags.threadsPerRun,
      weights,
      signal: interrupt.signal,
      onState(run, all) {
        const work = lab.workDone(all)
        if (['finished', 'failed', 'busy', 'interrupted'].includes(run.state)) display.ended(run, all, work)
        else display.update(all, work)
      },
      onProgress: (_, all) => display.update(all, lab.workDone(all)),
    })
  } finally {
    display.end()
    interrupt.stop()
  }
}

function conclude(
  lab: Laboratory,
  file: string,
  plan: Plan,
  outcome: SweepOutcome,
  flags: SweepFlags,
  io: Io,
): void {
  const { runs, interrupted } = outcome
  const finished = runs.filter(({ state }) => state === 'finished' || state === 'skipped')
  const failed = runs.filter(({ state }) => state === 'failed')
  const count = `${finished.length} of ${runs.length} runs are done`
  if (interrupted && flags.detach) {
    io.out(
      `${count}; the others go on by ${flags.executor}; the same command attaches again, --cancel ends them\n`,
    )
    return
  }
  if (interrupted)
    fail('TL_INTERRUPTED', `interrupted; ${count}, and everything is kept; the same command goes on`)
  const report =
    flags.report && finished.length > 0
      ? lab.writeReport(
          finished.map(({ planned }) => lab.loadRun(planned.folder)),
          [...new Set(plan.runs.map(({ experiment }) => experiment))],
          join(flags.out, basename(file, extname(file))),
        )
      : undefined
  if (flags.json)
    io.out(
      lab.prettyJson({
        runs: runs.map(({ planned, state, seconds, message }) => ({
          experiment: planned.experiment.name,
          hash: planned.hash,
          folder: planned.folder,
          state,
          seconds: seconds ?? null,
          message: message ?? null,
          config: planned.config,
        })),
        done: finished.length,
        failed: failed.length,
        skippedInvalid: plan.refused.length,
        report: report?.html ?? null,
        table: report?.table ?? null,
      }),
    )
  else {
    io.out(`${tally(runs)}\n`)
    if (report) io.out(`${report.html}\n`)
  }
  if (failed.length === 0) return
  for (const { planned, message } of failed)
    io.err(`failed: ${planned.label}: ${message}; see ${join(planned.folder, 'log.txt')}\n`)
  fail('TL_IO', `${failed.length} of ${runs.length} runs failed; the same command tries them again`)
}
