/** @file `treeline convert`: a checkpoint in another format or number type. */
import { Command } from 'commander'
import { bytes, inSteps } from '../../base/index.ts'
import type { Io } from '../io.ts'
import { examples, forceOption, jsonOption, quietOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

interface Flags {
  dtype?: string
  shardSize?: string
  force?: boolean
  json?: boolean
  quiet?: boolean
}

/** `5GB`, `500MB`, `1000000`, in decimal units as disks count. */
async function parseBytes(word: string): Promise<number> {
  const match = word.match(/^(\d+(?:\.\d+)?)\s*(k|M|G|T)?B?$/i)
  const value = match ? Number(match[1]) * 1000 ** ' kmgt'.indexOf((match[2] ?? ' ').toLowerCase()) : 0
  if (value >= 1) return value
  const { fail } = await import('../../base/index.ts')
  return fail('TL_USAGE', `--shard-size: expected a size such as 5GB or 500MB, got ${word}`)
}

/** The command. */
export const convertCommand = (io: Io): Command =>
  new Command('convert')
    .description('write a checkpoint in another format or number type')
    .argument('<in>', 'a weight file or model folder')
    .argument(
      '<out>',
      'a name ending in .safetensors or .gguf, or a folder (no ending, or a slash at the end)',
    )
    .option(
      '--dtype <type>',
      'type of floating-point tensors: f32, bf16, f16, f64, f8_e4m3, f8_e5m2; gguf: f32, f16, bf16, q8_0',
    )
    .option('--shard-size <size>', 'largest shard of a folder, such as 2GB (default: 5GB)')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline convert pytorch_model.bin model.safetensors', 'the same numbers in a safe format'],
        ['treeline convert model/ half/ --dtype bf16', 'with configuration and tokenizer'],
        [
          'treeline convert model.gguf weights.safetensors --dtype f16',
          'quantized weights as numbers, names as they are',
        ],
      ),
    )
    .action(async (input: string, out: string, flags: Flags) => {
      const { converting, openCheckpoint } = await import('../../checkpoint/index.ts')
      const shardSize = flags.shardSize === undefined ? undefined : await parseBytes(flags.shardSize)
      const checkpoint = openCheckpoint(input)
      const display = makeDisplay('convert', io, flags.quiet || flags.json)
      try {
        const total = checkpoint.tensors.size
        const written = await inSteps(
          converting(checkpoint, out, {
            dtype: flags.dtype,
            shardSize,
            force: flags.force,
            onTensor: ({ name, byteLength }, done) =>
              display.update({ done, total, detail: `${name}, ${bytes(byteLength)}` }),
          }),
        )
        display.end()
        if (flags.json) io.out(`${JSON.stringify({ out, ...written }, null, 2)}\n`)
        else {
          const before = written.isUnchanged ? 'was there already: ' : ''
          io.out(`${out}: ${before}${written.tensors} tensors, ${written.converted} of them converted\n`)
        }
      } finally {
        display.end()
        checkpoint.close()
      }
    })
