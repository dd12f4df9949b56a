/** @file `treeline lines`: scale what fine-tuning has changed by depth, so that the first layers stay general. */
import { Command, Option } from 'commander'
import { dtypeOf, fail, torchName } from '../../base/index.ts'
import { openMergeWorkers } from '../../merge/workers.ts'
import type { Io } from '../io.ts'
import { dtypeOption, examples, forceOption, integerOption, jsonOption, quietOption } from '../options.ts'
import { carryOut, showPlan } from './merge.ts'

interface LinesFlags {
  alpha: number
  beta?: number
  dtype?: string
  threads?: number
  dryRun?: boolean
  explain?: boolean
  force?: boolean
  json?: boolean
  quiet?: boolean
}

function numberOption(flags: string, description: string): Option {
  const name = flags.split(' ')[0]!
  return new Option(flags, description).argParser((word: string) => {
    const value = Number(word)
    if (word.trim() === '' || !Number.isFinite(value))
      fail('TL_USAGE', `${name}: expected a number, got ${word}`)
    return value
  })
}

/** The same as a configuration file: what the model card will say. */
export function linesRecipe(
  base: string,
  tuned: string,
  alpha: number,
  beta: number,
  dtype?: string,
): string {
  const quoted = JSON.stringify
  return [
    '# θ_base + λ (θ_tuned − θ_base), λ from α at the first layer to α + β at the last',
    'merge_method: passthrough',
    `models: [{ model: ${quoted(tuned)} }]`,
    `lines: { alpha: ${alpha}, beta: ${beta}, base: ${quoted(base)} }`,
    // in the words of mergekit, which may read it, too
    ...(dtype === undefined ? [] : [`dtype: ${torchName(dtypeOf(dtype))}`]),
    '',
  ].join('\n')
}

/** The command. */
export const linesCommand = (io: Io): Command =>
  new Command('lines')
    .description(
      'LiNeS: scale the change from BASE to TUNED by depth, from alpha at the first layer to alpha + beta',
    )
    .argument('<base>', 'the model before fine-tuning')
    .argument('<tuned>', 'the model after it')
    .argument('<out>', 'the folder of the new model')
    .addOption(
      numberOption(
        '--alpha <number>',
        'the share of the change that the first layer keeps',
      ).makeOptionMandatory(),
    )
    .addOption(numberOption('--beta <number>', 'what the last layer keeps beyond alpha (default: 1 − alpha)'))
    .addOption(dtypeOption('number type of the output (default: that of TUNED)', ['f32', 'bf16', 'f16']))
    .option('--dry-run', 'only the plan, from headers: tensors, sizes, and everything that does not fit')
    .option('--explain', 'the plan with the block and the factor of every tensor; nothing is written')
    .addOption(integerOption('--threads <n>', 'worker threads (default: all cores, at most 8)', 1, 1024))
    .addOption(forceOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline lines base tuned scaled --alpha 0.3', 'the last layer as fine-tuned, the first at 0.3'],
        ['treeline lines base tuned scaled --alpha 0.3 --explain', 'the block and factor of every tensor'],
      ),
    )
    .action(async (base: string, tuned: string, out: string, flags: LinesFlags) => {
      const { alpha, beta = 1 - alpha, dtype, threads, force = false } = flags
      const workers = flags.dryRun || flags.explain ? undefined : openMergeWorkers(threads)
      try {
        const merging = await import('../../merge/index.ts')
        const config = merging.parseMergeConfig(
          linesRecipe(base, tuned, alpha, beta, dtype),
          'the recipe of lines',
        )
        if (!workers) return showPlan(merging, config, flags, io)
        await carryOut(
          (rest) => merging.executeMerge(config, out, rest),
          out,
          { workers, force },
          flags,
          io,
          'lines',
        )
      } finally {
        await workers?.close()
      }
    })
