/** @file `treeline collect`: one tidy table of many runs. */
import { Command, Option } from 'commander'
import { fail, inSteps } from '../../base/index.ts'
import { checkFile } from '../../base/outputs.ts'
import type { Io } from '../io.ts'
import { checkForce, examples, forceOption, jsonOption, quietOption } from '../options.ts'

interface CollectFlags {
  out?: string
  metrics?: boolean
  claims?: boolean
  rows?: boolean
  verdicts?: boolean
  timing?: boolean
  force?: boolean
  json?: boolean
  quiet?: boolean
}

/** The command. */
export const collectCommand = (io: Io): Command =>
  new Command('collect')
    .description('gather finished runs into one table: configs and results, a row for each run')
    .argument('<dir...>', 'run folders, or folders of runs')
    .option('--out <file>', 'a file ending in .parquet or .csv (default: CSV on standard output)')
    .option('--metrics', 'a row for each line of metrics instead, with the config beside it')
    .option('--rows', 'a row for each row that a study measured instead')
    .option('--claims', 'a row for each claim instead: measured, error, predicted, outcome, tolerance')
    .addOption(new Option('--verdicts', 'as --claims, with pass in place of the outcome').hideHelp())
    .option('--timing', 'also when the runs were made, how long they took, on how many threads')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline collect runs --out runs.parquet', 'everything below runs'],
        ['treeline collect runs/digits --metrics > metrics.csv', 'how training went, for all runs'],
        ['treeline collect runs --claims --out claims.csv', 'every claim of every run'],
        ['treeline collect runs --rows --out rows.parquet', 'all that studies measured'],
      ),
    )
    .action(async (paths: string[], flags: CollectFlags) => {
      const kinds = (['metrics', 'rows', 'claims', 'verdicts'] as const).filter((kind) => flags[kind])
      if (kinds.length > 1)
        fail(
          'TL_USAGE',
          `${kinds.map((kind) => `--${kind}`).join(', ')}: a table has rows of one kind; give one of them`,
        )
      const lab = await import('../../lab/index.ts')
      checkForce(flags.force, flags.out, '--out')
      if (flags.out !== undefined) {
        lab.checkTablePath(flags.out)
        checkFile(flags.out)
      }
      const say = (text: string): void => {
        if (!flags.quiet) io.err(`${text}\n`)
      }
      const damaged: string[] = []
      const runs = await inSteps(
        lab.loadingRuns(
          paths,
          (folder) => say(`${folder}: not finished, left out`),
          (_, message) => {
            damaged.push(message)
            io.err(`${message}; left out\n`)
          },
        ),
      )
      const table = lab.tableOf(runs, flags)
      const columns = table.columns.map(({ name }) => name)
      if (flags.out !== undefined) {
        const rule = { inputs: runs.map(({ folder }) => folder), force: flags.force === true }
        lab.writeTable(flags.out, table, rule)
      }
      if (flags.json)
        io.out(
          lab.prettyJson({
            file: flags.out ?? null,
            rows: table.rows,
            columns,
            runs: runs.length,
            damaged,
            ...(flags.out === undefined
              ? { table: Object.fromEntries(table.columns.map(({ name, cells }) => [name, cells])) }
              : {}),
          }),
        )
      else if (flags.out === undefined) io.out(lab.csvText(table))
      else io.out(`${flags.out}: ${table.rows} rows, ${columns.length} columns\n`)
      if (damaged.length > 0)
        fail(
          'TL_BAD_FILE',
          `${damaged.length} damaged run folder${damaged.length === 1 ? ' is' : 's are'} left out`,
        )
    })
