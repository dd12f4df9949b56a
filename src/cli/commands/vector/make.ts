/** @file `treeline vector extract`, `add`, `negate`, `scale`: commands that write a vector. */
import { Command } from 'commander'
import { count, fail, prettyJson } from '../../../base/index.ts'
import type { Io } from '../../io.ts'
import { examples, forceOption, jsonOption } from '../../options.ts'
import { anyBaseOption, before, checkOut, dtypeOption, numberOf, shown, withOpen } from './files.ts'

interface Flags {
  dtype: 'f32' | 'bf16' | 'f16'
  weights?: string
  lenient?: boolean
  anyBase?: boolean
  force?: boolean
  json?: boolean
}

const say = (
  out: string,
  written: { tensors: number; elements: number; isUnchanged: boolean },
  skipped: readonly string[],
  flags: Flags,
  io: Io,
): void => {
  for (const line of flags.json ? [] : skipped) io.err(`left out: ${line}\n`)
  if (flags.json) io.out(prettyJson({ out, ...written, skipped }))
  else io.out(`${out}: ${before(written)}${written.tensors} tensors, ${count(written.elements)} elements\n`)
}

/** Write Σ wᵢ · vectorᵢ. */
async function combine(
  paths: readonly string[],
  weights: readonly number[],
  out: string,
  flags: Flags,
  io: Io,
): Promise<void> {
  checkOut(out)
  const { openVector, writingVector } = await import('../../../merge/index.ts')
  await withOpen(async (keep) => {
    const terms = paths.map((path, i) => ({ vector: keep(openVector(path)), weight: weights[i]! }))
    const { dtype, anyBase, force } = flags
    const options = { dtype, anyBase: anyBase === true, force: force === true }
    const written = await shown(io, flags.json, (onTensor) =>
      writingVector(out, terms, { ...options, onTensor }),
    )
    say(out, written, [], flags, io)
  })
}

export const extractCommand = (io: Io): Command =>
  new Command('extract')
    .description('TUNED − BASE, as a file')
    .argument('<base>', 'the model before fine-tuning')
    .argument('<tuned>', 'the model after it, or a LoRA adapter')
    .argument('<out>', 'a name that ends in .safetensors')
    .addOption(dtypeOption())
    .option('--lenient', 'leave out tensors that only one of the models has')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(['treeline vector extract base tuned digits.safetensors', 'what fine-tuning has changed']),
    )
    .action(async (base: string, tuned: string, out: string, flags: Flags) => {
      checkOut(out)
      const { openVector, vectorFormat, writingVector } = await import('../../../merge/index.ts')
      const { openCheckpoint } = await import('../../../checkpoint/index.ts')
      await withOpen(async (keep) => {
        const from = keep(openCheckpoint(base))
        if (from.metadata['format'] === vectorFormat)
          fail('TL_USAGE', `${base}: a task vector, expected a model`)
        const vector = keep(openVector(tuned, from, flags.lenient))
        const options = { dtype: flags.dtype, force: flags.force === true }
        const written = await shown(io, flags.json, (onTensor) =>
          writingVector(out, [{ vector, weight: 1 }], { ...options, onTensor }),
        )
        say(out, written, vector.skipped, flags, io)
      })
    })

export const addCommand = (io: Io): Command =>
  new Command('add')
    .description('the sum of task vectors or adapters')
    .argument('<paths...>', 'two or more vectors, and the file to write')
    .option('--weights <numbers>', 'one for each, such as 0.5,0.5,-1 (default: all 1)')
    .addOption(dtypeOption())
    .addOption(anyBaseOption('also vectors of different base models'))
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline vector add a.safetensors b.safetensors both.safetensors', 'a + b'],
        ['treeline vector add a.safetensors b.safetensors not.safetensors --weights 1,-0.5', 'a − b/2'],
      ),
    )
    .action(async (paths: string[], flags: Flags) => {
      const inputs = paths.slice(0, -1)
      if (inputs.length < 2)
        fail('TL_USAGE', 'vector add: expected two or more vectors and the file to write')
      const weights =
        flags.weights?.split(',').map((word) => numberOf(word, '--weights')) ?? inputs.map(() => 1)
      if (weights.length !== inputs.length)
        fail(
          'TL_USAGE',
          `--weights: expected ${inputs.length} numbers, one for each vector, got ${weights.length}`,
        )
      await combine(inputs, weights, paths.at(-1)!, flags, io)
    })

export const negateCommand = (io: Io): Command =>
  new Command('negate')
    .description('−V: applied, it makes a model forget')
    .argument('<vector>', 'a vector file or adapter')
    .argument('<out>', 'the file to write')
    .addOption(dtypeOption())
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText('after', examples(['treeline vector negate toxic.safetensors detox.safetensors', '−V']))
    .action((vector: string, out: string, flags: Flags) => combine([vector], [-1], out, flags, io))

export const scaleCommand = (io: Io): Command =>
  new Command('scale')
    .description('a multiple of V')
    .argument('<vector>', 'a vector file or adapter')
    .argument('<factor>', 'a number')
    .argument('<out>', 'the file to write')
    .addOption(dtypeOption())
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText('after', examples(['treeline vector scale digits.safetensors 0.5 half.safetensors', 'V/2']))
    .action((vector: string, factor: string, out: string, flags: Flags) =>
      combine([vector], [numberOf(factor, 'factor')], out, flags, io),
    )
