/** @file `treeline page`: the theory alive in a browser, and runs while they work. */
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { whenInterrupted } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { examples, integerOption, jsonOption, quietOption } from '../options.ts'

interface Flags {
  port?: number
  json?: boolean
  quiet?: boolean
}

/** Where `npm run build:page` puts it, and where it lies in the package. */
const built = fileURLToPath(new URL('../../../web/dist', import.meta.url))

/** The runtime's files, once in the package (`scripts/finish-build.mjs`). */
const runtime = fileURLToPath(new URL('../../onnxruntime', import.meta.url))

/** The command. */
export function pageCommand(io: Io): Command {
  return new Command('page')
    .description(
      'open the page on 127.0.0.1: grammars, noise, training, your files; with folders, runs as they work',
    )
    .argument('[dir...]', 'run folders, or folders of runs, to be shown; they are only read')
    .addOption(integerOption('--port <n>', 'where to listen (default: a free one)', 0, 65_535))
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline page', 'the page; Ctrl-C ends it'],
        ['treeline page runs', 'the same, with the table of runs'],
        ['treeline page --port 8000 --json', 'prints { "url" } in one line first, for scripts'],
      ),
    )
    .action(async (runs: string[], { port, json, quiet }: Flags) => {
      const { servePage } = await import('../../lab/page/index.ts')
      const { url, close } = await servePage({
        page: built,
        runtime,
        runs,
        ...(port !== undefined && { port }),
      })
      if (json) io.out(`${JSON.stringify({ url })}\n`)
      else io.out(`${url}\n`)
      if (!json && !quiet) io.err('open this address in a browser; Ctrl-C ends it\n')
      await new Promise<void>((resolve) => {
        whenInterrupted(() => resolve())
      })
      await close()
    })
}
