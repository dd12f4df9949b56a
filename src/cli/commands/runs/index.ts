/** @file `treeline runs`: what there is in folders of runs; a command each for what is done with some of them. */
import { Command } from 'commander'
import { fail } from '../../../base/index.ts'
import type { Listing, RunRecord } from '../../../lab/runs/index.ts'
import type { Io } from '../../io.ts'
import { examples, integerOption, jsonOption, quietOption } from '../../options.ts'
import { prettyList } from './json.ts'
import { compareCommand, removeCommand, showCommand } from './some.ts'
import { runsText, tallyRuns } from './text.ts'

interface RunsFlags {
  where?: string
  sort?: string
  limit?: number
  watch?: boolean
  json?: boolean
  quiet?: boolean
}

/** Milliseconds between two looks of `--watch`. */
const pace = 2000

const rooms = async () => await import('../../../lab/runs/index.ts')
type Rooms = Awaited<ReturnType<typeof rooms>>

/** The runs that are meant, and how many they are before `--limit`. */
function wanted(
  { listRuns, orderRuns, selectRuns }: Rooms,
  paths: readonly string[],
  { where, sort, limit }: RunsFlags,
): Listing & { total: number } {
  const { runs, damaged } = listRuns(paths)
  const found = where === undefined ? runs : selectRuns(runs, where)
  const sorted = sort === undefined ? found : orderRuns(found, sort)
  return { runs: limit === undefined ? sorted : sorted.slice(0, limit), damaged, total: found.length }
}

function show(
  { labelsOf }: Rooms,
  { runs, total }: { runs: readonly RunRecord[]; total: number },
  io: Io,
): string {
  if (total === 0) return 'no runs\n'
  const rest = total > runs.length ? `\n${total - runs.length} more are not shown (--limit)` : ''
  return `${runsText(runs, labelsOf(runs), io)}\n${tallyRuns(runs)}${rest}\n`
}

/** List again and again; on a terminal in place, elsewhere a line for each run whose state has changed. */
async function watch(lab: Rooms, paths: readonly string[], flags: RunsFlags, io: Io): Promise<never> {
  let states = new Map<string, string>()
  for (let first = true; ; first = false) {
    const found = wanted(lab, paths, flags)
    if (io.terminal) io.out(`\u001b[H\u001b[2J${show(lab, found, io)}`)
    else if (first) io.out(show(lab, found, io))
    else
      for (const { folder, state } of found.runs)
        if (states.get(folder) !== state) io.out(`${folder}: ${states.get(folder) ?? 'new'} → ${state}\n`)
    states = new Map(found.runs.map(({ folder, state }) => [folder, state]))
    await new Promise((resolve) => setTimeout(resolve, pace))
  }
}

/** The command. */
export function runsCommand(io: Io): Command {
  const command = new Command('runs')
    .description('list runs, finished or not: filter, sort, watch; show, compare or remove some')
    .argument('[dir...]', 'run folders, or folders of runs (default: runs)')
    .option(
      '--where <expression>',
      'only runs for which it holds, over config fields, state, seconds, claims.fails',
    )
    .option(
      '--sort <field>',
      'by a config field, experiment, state, seconds or claims.holds; -FIELD: downwards',
    )
    .addOption(integerOption('--limit <n>', 'show only so many', 1, 1_000_000))
    .option('--watch', 'look again every two seconds, until Ctrl-C')
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline runs', 'everything below runs'],
        ["treeline runs --where 'L == 3 && m > 2'", 'by config fields, as in sweep files'],
        ['treeline runs --where \'state != "finished"\' --watch', 'what is not done yet'],
        ['treeline runs --sort -seconds --limit 10', 'what took longest'],
        ['treeline runs show runs/digits/1f2e3d4c5b6a', 'one run: claims, time, where it was made'],
      ),
    )
    .action(async (paths: string[], flags: RunsFlags) => {
      const roots = paths.length > 0 ? paths : ['runs']
      if (flags.watch && flags.json)
        fail('TL_USAGE', '--watch, --json: one document has no end; give one of them')
      const lab = await rooms()
      if (flags.watch) await watch(lab, roots, flags, io)
      const found = wanted(lab, roots, flags)
      if (flags.json) io.out(prettyList(found.total, found.runs))
      else io.out(show(lab, found, io))
      if (!flags.quiet) for (const { message } of found.damaged) io.err(`${message}; left out\n`)
    })
  for (const make of [showCommand, compareCommand, removeCommand]) command.addCommand(make(io))
  return command
}
