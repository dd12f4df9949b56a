/** @file `treeline list`: the experiments, or one experiment's config fields and presets. */
import { Command } from 'commander'
import type { AnyExperiment } from '../../lab/index.ts'
import type { Io } from '../io.ts'
import { examples, jsonOption } from '../options.ts'

type Lab = typeof import('../../lab/index.ts')

function describe(lab: Lab, experiment: AnyExperiment) {
  const defaults = lab.completeConfig(experiment, {})
  const { name, title, description, version, presets } = experiment
  const config = lab.configRows(experiment, defaults).map(({ path, value, description, accepts }) => ({
    field: path,
    accepts,
    default: value,
    description,
  }))
  return { name, title, description, version, presets, config }
}

/** The command. */
export const listCommand = (io: Io): Command =>
  new Command('list')
    .description('list the experiments, or the config fields of one')
    .argument('[name]', 'an experiment')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline list', 'all experiments'],
        ['treeline list digits', 'its fields, defaults and presets'],
      ),
    )
    .action(async (name: string | undefined, options: { json?: boolean }) => {
      const lab = await import('../../lab/index.ts')
      const chosen = name === undefined ? lab.experiments : [lab.findExperiment(name)]
      if (options.json) {
        const all = chosen.map((experiment) => describe(lab, experiment))
        io.out(lab.prettyJson(name === undefined ? { experiments: all } : all[0]))
        return
      }
      if (name === undefined) {
        const width = Math.max(...chosen.map((experiment) => experiment.name.length))
        for (const experiment of chosen) io.out(`${experiment.name.padEnd(width)}  ${experiment.title}\n`)
        io.out('\ntreeline list NAME shows the config of one, treeline run NAME runs it\n')
        return
      }
      const { title, description, config, presets } = describe(lab, chosen[0]!)
      io.out(`${title}\n${description}\n\nConfig (change with --set field=value):\n`)
      const rows = config.map((row) => [
        `  ${row.field} = ${JSON.stringify(row.default)}`,
        row.accepts,
        row.description,
      ])
      const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
      for (const [field, accepts, about] of rows)
        io.out(`${field!.padEnd(widths[0]!)}  ${accepts!.padEnd(widths[1]!)}  ${about}`.trimEnd() + '\n')
      io.out('\nPresets (--preset NAME):\n')
      for (const [preset, values] of Object.entries(presets))
        io.out(`  ${preset}  ${JSON.stringify(values)}\n`)
    })
