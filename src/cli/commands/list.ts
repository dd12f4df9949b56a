/** @file `treeline list`: the experiments, or one experiment's config fields and presets. */
import { Command } from 'commander'
import type { AnyExperiment } from '../../lab/index.ts'
import type { Io } from '../io.ts'
import { type Laboratory, laboratory } from '../laboratory.ts'
import { examples, jsonOption } from '../options.ts'
import { wrap } from '../wrap.ts'

function describe(lab: Laboratory, experiment: AnyExperiment) {
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

/** One experiment in the width of a terminal: each field with its default, below it what it accepts and means. */
function inWords(
  { title, description, config, presets }: ReturnType<typeof describe>,
  columns: number,
): string {
  const field = (path: string, value: unknown): string => `${path} = ${JSON.stringify(value)}`
  const lines = [
    title,
    wrap(description, columns),
    '',
    'Config (change with --set field=value):',
    ...config.flatMap((row) => [
      wrap(field(row.field, row.default), columns, 2),
      wrap([row.accepts, row.description].filter(Boolean).join('; '), columns, 6),
    ]),
    '',
    'Presets (--preset NAME):',
    ...Object.entries(presets).flatMap(([preset, values]) => [
      `  ${preset}`,
      ...Object.entries(values).map(([path, value]) => wrap(field(path, value), columns, 6)),
    ]),
  ]
  return `${lines.join('\n')}\n`
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
      const lab = await laboratory()
      const chosen = name === undefined ? await lab.loadExperiments() : [await lab.loadExperiment(name)]
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
      io.out(inWords(describe(lab, chosen[0]!), io.columns()))
    })
