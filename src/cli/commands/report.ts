/** @file `treeline report`: one page for one or several finished runs. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { fail, inSteps } from '../../base/index.ts'
import type { Io } from '../io.ts'
import { laboratory } from '../laboratory.ts'
import { collect, examples, forceOption, jsonOption, quietOption } from '../options.ts'

interface ReportFlags {
  out?: string
  experiment?: string[]
  markdown?: string | true
  force?: boolean
  json?: boolean
  quiet?: boolean
}

/** Print the parts, or put each into its page; a page that is not there is named. */
function writeMarkdown(
  parts: readonly { readonly experiment: string; readonly text: string }[],
  into: string | true,
  put: (path: string, text: string) => void,
  io: Io,
): void {
  if (into === true) {
    io.out(parts.map(({ experiment, text }) => `## ${experiment}\n\n${text}\n`).join('\n'))
    return
  }
  for (const { experiment, text } of parts) {
    const path = join(into, `${experiment}.md`)
    if (!existsSync(path)) io.err(`${path}: there is no such page, left out\n`)
    else {
      put(path, text)
      io.out(`${path}\n`)
    }
  }
}

/** The command. */
export const reportCommand = (io: Io): Command =>
  new Command('report')
    .description(
      'write a report of finished runs: one HTML page, with SVG, PNG and PDF figures and a Parquet table beside it',
    )
    .argument('<dir...>', 'run folders, or folders of runs')
    .option('--out <dir>', 'where to write report.html and figures/ (default: DIR, or "report" for several)')
    .option(
      '--experiment <file>',
      'a module of your own that exports an experiment; may be repeated',
      collect,
    )
    .option(
      '--markdown [dir]',
      'print what was measured as Markdown instead, or put it between the marks of the pages DIR/NAME.md',
    )
    .addOption(forceOption('also replace files in its place that Treeline did not write'))
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline report runs/digits/3f2a19c0bd11', 'of one run, into its folder'],
        ['treeline report runs --out report', 'of everything below runs'],
        ['treeline report runs --markdown', 'the claims as Markdown, for a page of your own'],
      ),
    )
    .action(async (paths: string[], flags: ReportFlags) => {
      const lab = await laboratory()
      const own = await Promise.all((flags.experiment ?? []).map((path) => lab.importExperiment(path)))
      const damaged: string[] = []
      const runs = await inSteps(
        lab.loadingRuns(
          paths,
          (folder) => {
            if (!flags.quiet) io.err(`${folder}: not finished, left out\n`)
          },
          (_, message) => {
            damaged.push(message)
            io.err(`${message}; left out\n`)
          },
        ),
      )
      const known = [...own, ...(await lab.loadExperiments())]
      if (flags.markdown !== undefined) {
        writeMarkdown(lab.measuredMarkdown(runs, known), flags.markdown, lab.putMeasured, io)
        return
      }
      const folder = flags.out ?? (paths.length === 1 ? paths[0]! : 'report')
      const { html, figures, pdfs, table } = await inSteps(
        lab.writingReport(runs, known, folder, { force: flags.force === true }),
      )
      if (flags.json)
        io.out(
          lab.prettyJson({
            report: html,
            figures,
            pdfs,
            table,
            runs: runs.map((run) => run.folder),
            damaged,
          }),
        )
      else io.out(`${html}\n`)
      if (damaged.length > 0)
        fail(
          'TL_BAD_FILE',
          `${damaged.length} damaged run folder${damaged.length === 1 ? ' is' : 's are'} left out of the report`,
        )
    })
