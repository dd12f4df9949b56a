/** @file `treeline merge`: merges as mergekit's configuration files describe them. */
import { Command, Option } from 'commander'
import { bytes, duration, fail, prettyJson } from '../../base/index.ts'
import { readText } from '../../base/read.ts'
import type {
  LinesRow,
  MergeConfig,
  MergeOptions,
  MergeOutcome,
  MergePlan,
  PlannedTensor,
} from '../../merge/index.ts'
import { openMergeWorkers } from '../../merge/workers.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { collect, examples, forceOption, integerOption, jsonOption, quietOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'
import { carryOutSearch, checkSearchFlags, type SearchFlags } from './search.ts'

interface MergeFlags extends SearchFlags {
  check?: boolean
  replay?: string
  explain?: boolean
  force?: boolean
  arithmetic: 'float32' | 'dtype'
}

type Merging = typeof import('../../merge/index.ts')

/** Merge with progress, messages and the result on the right streams. */
export async function carryOut(
  merge: (options: MergeOptions) => Promise<MergeOutcome>,
  out: string,
  options: Omit<MergeOptions, 'signal' | 'onProgress'>,
  flags: { json?: boolean; quiet?: boolean },
  io: Io,
  title = 'merge',
): Promise<void> {
  const display = makeDisplay(title, io, flags.quiet)
  const interrupt = interruption(() => display.line('stopping; the same command goes on from here'))
  const begun = performance.now()
  const rate = (done: number): string => `${bytes(Math.round(done / ((performance.now() - begun) / 1000)))}/s`
  let first: number | undefined
  let outcome: MergeOutcome
  try {
    outcome = await merge({
      ...options,
      signal: interrupt.signal,
      onProgress({ phase, done, total }) {
        if (phase === 'measure') return display.update({ done, total, detail: 'measuring norms for alpha' })
        if (phase === 'hash')
          return display.update({ done, total, detail: 'hashing what went in and came out' })
        first ??= done
        // the first word is no pace yet
        const pace = done > first ? ` · ${rate(done - first)}` : ''
        display.update({ done, total, detail: `${bytes(done)} of ${bytes(total)}${pace}` })
      },
    })
  } finally {
    display.end()
    interrupt.stop()
  }
  const seconds = (performance.now() - begun) / 1000
  if (!flags.quiet) for (const warning of outcome.warnings) io.err(`warning: ${warning}\n`)
  if (flags.json) {
    io.out(prettyJson({ ...outcome, seconds }))
    return
  }
  const { tensors, lines, resumed, files, isUnchanged } = outcome
  const scaled = lines ? `, LiNeS α = ${Number(lines.alpha.toPrecision(4))}, β = ${lines.beta}` : ''
  const count = `${tensors} tensors, ${bytes(outcome.bytes)} in ${files.length} file${files.length === 1 ? '' : 's'}`
  const how = `${duration(seconds)}${resumed ? ' (resumed)' : ''}`
  io.out(`${out}: ${count}${scaled}; ${isUnchanged ? 'the same merge was there already' : how}\n`)
}

/** Parameters as `weight 0.5, density 0.3`. */
const parameterText = (parameters: Readonly<Record<string, unknown>>): string =>
  Object.entries(parameters)
    .map(
      ([name, value]) =>
        `${name} ${typeof value === 'number' ? Number(value.toPrecision(4)) : String(value)}`,
    )
    .join(', ')

/** Where a tensor is: the block that LiNeS scales it with, if there is LiNeS, else its layer. */
function placeOf({ depth }: PlannedTensor, row: LinesRow | undefined): string {
  const layer = row ? row.layer : depth && depth.layer + 1
  const count = row ? row.count : depth?.count
  return layer ? `layer ${layer} of ${count}` : 'outside layers'
}

/** One line for each tensor: its layer, its factor, and the parameters of every model. */
function explain(merging: Merging, plan: MergePlan, io: Io): void {
  const alpha = plan.lines?.alpha === 'auto' ? undefined : plan.lines?.alpha
  const rows = new Map(plan.lines ? merging.linesFactors(plan, alpha ?? 0).map((row) => [row.name, row]) : [])
  for (const tensor of plan.tensors) {
    const row = rows.get(tensor.name)
    const place = placeOf(tensor, row)
    const factor = row
      ? `factor ${alpha === undefined ? 'α + ' : ''}${Number(row.factor.toPrecision(4))}`
      : ''
    const inputs = [...(tensor.base ? [tensor.base] : []), ...tensor.models].map(({ model, parameters }) =>
      [model, parameterText(parameters)].filter(Boolean).join(': '),
    )
    const what = [
      place,
      factor,
      tensor.action === 'copy' ? 'copied' : parameterText(tensor.parameters),
      ...inputs,
    ]
    io.out(
      `${tensor.name} [${tensor.shape.join(', ')}] ${tensor.dtype}  ${what.filter(Boolean).join('; ')}\n`,
    )
  }
}

/** What a merge would do, for `--dry-run`. Throws when something stands against it. */
export function showPlan(
  merging: Merging,
  config: MergeConfig,
  flags: { lenient?: boolean; explain?: boolean; json?: boolean },
  io: Io,
): void {
  const plan = merging.planFromFiles(config, { lenient: flags.lenient ?? false })
  if (flags.json) io.out(prettyJson(plan))
  else showText(merging, config, plan, flags.explain ?? false, io)
  merging.assertPlan(plan)
}

function showText(merging: Merging, config: MergeConfig, plan: MergePlan, inFull: boolean, io: Io): void {
  if (inFull) explain(merging, plan, io)
  const { tensors, problems, warnings, outputBytes, method } = plan
  const types = [...new Set(tensors.map(({ dtype }) => dtype))].join(', ')
  const what =
    tensors.length === 0
      ? 'no tensor can be merged'
      : `${tensors.length} tensors of ${types}, ${bytes(outputBytes)}`
  io.out(`${method} of ${config.models.join(', ')}: ${what}\n`)
  for (const warning of warnings) io.out(`warning: ${warning}\n`)
  for (const problem of problems) io.out(`problem: ${merging.problemText(problem)}\n`)
  if (problems.length === 0) io.out('no problems found\n')
}

/** Every mistake that can be known before work, for `--check`. Throws when there is one. */
function showCheck(
  merging: Merging,
  recipe: { readonly text: string; readonly path: string },
  out: string | undefined,
  flags: MergeFlags,
  io: Io,
): void {
  const { lenient = false, seed, shardSize, arithmetic, force = false } = flags
  const options = { lenient, seed, shardSize, arithmetic, force }
  const { problems, warnings, tensors, bytes: size } = merging.checkMerge(recipe, options, out)
  // of the whole process: that is what a person waits for
  const seconds = Number((performance.now() / 1000).toFixed(3))
  if (flags.json)
    io.out(
      prettyJson({
        problems: problems.map(({ where, message }) => ({ where, message })),
        tensors,
        bytes: size,
        seconds,
      }),
    )
  else {
    if (!flags.quiet) for (const warning of warnings) io.out(`warning: ${warning}\n`)
    for (const problem of problems) io.out(`problem: ${merging.problemText(problem)}\n`)
    const what = `${tensors} tensors, ${bytes(size)}, checked in ${duration(seconds)}`
    io.out(problems.length === 0 ? `${recipe.path}: no problems found; ${what}\n` : `${what}\n`)
  }
  const { length } = problems
  if (length > 0) fail('TL_BAD_ARGUMENT', `${recipe.path}: ${length} problem${length === 1 ? '' : 's'} found`)
}

/** Options that a manifest decides, or that are another command's. */
const notWithReplay = [
  'check',
  'dryRun',
  'explain',
  'search',
  'select',
  'lenient',
  'seed',
  'arithmetic',
  'shardSize',
] as const

/** The folder of `--replay FILE OUT`. */
function replayFolder(out: string | undefined, more: string | undefined, command: Command): string {
  const odd = command.options.find(
    (option) =>
      (notWithReplay as readonly string[]).includes(option.attributeName()) &&
      command.getOptionValueSource(option.attributeName()) === 'cli',
  )
  if (odd)
    fail('TL_USAGE', `${odd.long}: it has no effect with --replay: the manifest says it all; leave it out`)
  if (out === undefined) fail('TL_USAGE', 'merge --replay FILE: expected OUT, the folder of the new model')
  if (more !== undefined)
    fail(
      'TL_USAGE',
      `merge --replay FILE: expected one OUT, got ${out} and ${more}; the recipe is in the manifest`,
    )
  return out
}

/** A merge once more, from its manifest. */
async function replay(path: string, out: string, flags: MergeFlags, io: Io): Promise<void> {
  const workers = openMergeWorkers(flags.threads)
  try {
    const merging = await import('../../merge/index.ts')
    const again = (options: MergeOptions) => merging.replayMerge(path, out, options)
    await carryOut(again, out, { workers, force: flags.force ?? false }, flags, io, 'replay')
  } finally {
    await workers.close()
  }
}

const searchExample = `A search, here over fifteen candidates; table, curve and the best model go to best/:
  treeline merge merge.yaml best --search lambda=0.1..1.5:0.1 --score 'node eval.mjs {model}'
  treeline merge merge.yaml best --select answers=task.json --select texts=general.json
  treeline merge merge.yaml best --search merge_method=task_arithmetic,ties --search lambda=0.2..1:0.2 --select texts=held-out.json
  treeline merge merge.yaml best --search beta=0.1..1:0.1 --search alpha=auto,0.2 --score 'python eval.py {model}' --minimize
`

/** The command. */
export const mergeCommand = (io: Io): Command =>
  new Command('merge')
    .description('merge models as a mergekit configuration says; an interrupted merge goes on where it was')
    .argument(
      '[config]',
      'a YAML file: merge_method, models or slices, parameters, dtype, lines … (docs/merge-config.md)',
    )
    .argument('[out]', 'the folder of the new model; --check and --dry-run need none')
    .option('--check', 'every mistake that can be known before work, from headers; nothing is written')
    .option('--dry-run', 'only the plan, from headers: tensors, sizes, and everything that does not fit')
    .option('--replay <file>', 'the treeline-merge.json of a merged model: make the same bytes in OUT again')
    .option('--explain', 'with --dry-run: the layer, factor and parameters of every tensor')
    .option('--lenient', 'unknown keys, keys without effect and missing tensors are warnings; NaN may pass')
    .addOption(integerOption('--threads <n>', 'worker threads (default: all cores, at most 8)', 1, 1024))
    .addOption(integerOption('--seed <n>', 'randomness of dare and della', 0, 0xffff_ffff).default(0))
    .addOption(
      new Option(
        '--arithmetic <type>',
        'float32: everything in f32, rounded once; dtype: in `dtype` of the file, rounded after every operation, as mergekit does',
      )
        .choices(['float32', 'dtype'])
        .default('float32'),
    )
    .addOption(
      integerOption(
        '--shard-size <bytes>',
        'bytes of weights in each file of the output',
        1,
        Number.MAX_SAFE_INTEGER,
      ).default(5e9, '5 GB'),
    )
    .option(
      '--search <name=values>',
      'try values of a parameter: FROM..TO:STEP or A,B,C; several make a grid (lambda, weight, models[1].weight, lines.beta)',
      collect,
    )
    .option(
      '--select <measure>',
      'choose among methods, coefficients and slopes of LiNeS (or the values of --search) by your own data: texts=FILE.json, answers=FILE.json or command=COMMAND; repeated, the first decides',
      collect,
    )
    .option(
      '--score <command>',
      'a shell command that prints the score last; {model} is the folder of the candidate',
    )
    .option('--maximize', 'the highest score is the best (default)')
    .option('--minimize', 'the lowest is')
    .addOption(
      integerOption('--timeout <seconds>', 'longest time for one score, in seconds (default: none)', 1, 1e6),
    )
    .option('--keep-all', 'keep every candidate in OUT/candidates')
    .option('--verbose', 'every score, and what the score command writes on standard error')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline merge merge.yaml --check', 'all mistakes, in a second; with a folder, its room, too'],
        ['treeline merge merge.yaml merged --dry-run', 'what it would do, and what stands against it'],
        ['treeline merge --replay merged/treeline-merge.json again', 'the same bytes, from the same inputs'],
        ['treeline merge merge.yaml merged', 'do it; the same command goes on after any interruption'],
      ),
    )
    .addHelpText('after', searchExample)
    .action(
      async (config: string | undefined, folder: string | undefined, flags: MergeFlags, own: Command) => {
        checkSearchFlags(flags)
        if (flags.replay !== undefined) {
          const out = replayFolder(config, folder, own)
          await replay(flags.replay, out, flags, io)
          return
        }
        const [path, given] = [config, folder]
        if (path === undefined) fail('TL_USAGE', 'merge: expected CONFIG and OUT, or --replay FILE and OUT')
        if (given === undefined && !flags.check && !flags.dryRun)
          fail('TL_USAGE', 'merge: expected CONFIG and OUT, the folder of the new model; got no OUT')
        const out = given ?? ''
        const { lenient = false, threads, seed, shardSize, arithmetic, force = false } = flags
        const text = readText(path)
        // threads load what they need while this one does, reads and plans
        const workers =
          flags.dryRun || flags.check || flags.search || flags.select ? undefined : openMergeWorkers(threads)
        try {
          const merging = await import('../../merge/index.ts')
          if (flags.check) {
            showCheck(merging, { path, text }, given, flags, io)
            return
          }
          if (flags.search || flags.select) {
            await carryOutSearch(merging, { path, text }, out, flags, io)
            return
          }
          const config = merging.parseMergeConfig(text, path, { lenient })
          if (!workers) return showPlan(merging, config, flags, io)
          await carryOut(
            (rest) => merging.executeMerge(config, out, rest),
            out,
            { lenient, seed, shardSize, arithmetic, force, workers },
            flags,
            io,
          )
        } finally {
          await workers?.close()
        }
      },
    )
