/** @file `treeline export`: the network of a finished run as an ONNX file for other programs. */
import { Command } from 'commander'
import { bytes } from '../../base/index.ts'
import type { Io } from '../io.ts'
import { laboratory } from '../laboratory.ts'
import { collect, examples, forceOption, jsonOption } from '../options.ts'

/** The command. */
export const exportCommand = (io: Io): Command =>
  new Command('export')
    .description('write the network of a finished run as an ONNX file')
    .argument('<run>', 'a run folder')
    .argument('<file>', 'the file to write, with a name that ends in .onnx')
    .option(
      '--experiment <file>',
      'a module of your own that exports an experiment; may be repeated',
      collect,
    )
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(['treeline export runs/digits/3f2a19c0bd11 digits.onnx', 'opens in any ONNX runtime']),
    )
    .action(
      async (
        folder: string,
        path: string,
        flags: { experiment?: string[]; force?: boolean; json?: boolean },
      ) => {
        const lab = await laboratory()
        const own = await Promise.all((flags.experiment ?? []).map((file) => lab.importExperiment(file)))
        const written = await lab.exportRun(
          lab.loadRun(folder),
          [...own, ...(await lab.loadExperiments())],
          path,
          {
            force: flags.force === true,
          },
        )
        if (flags.json) io.out(lab.prettyJson(written))
        else io.out(`${written.file} (${bytes(written.bytes)}): ${written.about}\n`)
      },
    )
