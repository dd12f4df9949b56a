/** @file `treeline schema`: JSON Schema of the YAML files that people write, for their editors. */
import { Argument, Command } from 'commander'
import { prettyJson } from '../../base/index.ts'
import type { Io } from '../io.ts'
import { laboratory } from '../laboratory.ts'
import { examples } from '../options.ts'

const schemas = {
  merge: async () => (await import('../../merge/index.ts')).mergeConfigSchema(),
  sweep: async () => {
    const lab = await laboratory()
    return lab.sweepFileSchema(await lab.loadExperiments())
  },
} as const

/** The command. */
export const schemaCommand = (io: Io): Command =>
  new Command('schema')
    .description('print the JSON Schema of a YAML file, with which editors complete and check it')
    .addArgument(new Argument('<kind>', 'which file').choices(Object.keys(schemas)))
    .addHelpText(
      'after',
      examples(
        ['treeline schema merge > merge.schema.json', 'then begin merge.yaml with the line below'],
        [
          '# yaml-language-server: $schema=merge.schema.json',
          'read by VS Code (YAML), Neovim, Zed, IntelliJ',
        ],
        ['treeline schema sweep > sweep.schema.json', 'the same for sweep files'],
      ),
    )
    .action(async (kind: keyof typeof schemas) => {
      io.out(prettyJson(await schemas[kind]()))
    })
