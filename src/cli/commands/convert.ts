/** @file `treeline convert`: a checkpoint in another format or number type. */
import { Command, Option } from 'commander'
import { bytes, inSteps, prettyJson } from '../../base/index.ts'
import type { Checkpoint } from '../../checkpoint/index.ts'
import type { Translation } from '../../lm/index.ts'
import { keepingTensors } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { examples, forceOption, jsonOption, quietOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

interface Flags {
  dtype?: string
  names?: 'keep' | 'hf'
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

/**
 * What is to be written: between GGUF and a model folder names, rows and settings are translated; a single safetensors file
 * keeps the names of what it was made from, unless told otherwise.
 */
async function translation(
  checkpoint: Checkpoint,
  input: string,
  out: string,
  { names, dtype }: Flags,
): Promise<Translation | undefined> {
  const { companionsOf, isGguf } = await import('../../checkpoint/index.ts')
  const { fail, TreelineError } = await import('../../base/index.ts')
  const { formatOf } = await import('../../base/outputs.ts')
  const format = formatOf(out, ['.safetensors', '.gguf'], { folder: true })
  const intoGguf = format === '.gguf'
  const file = isGguf(checkpoint) ? checkpoint : undefined
  if (intoGguf && !file) {
    if (names === 'keep')
      fail('TL_USAGE', '--names keep: a GGUF file of a model has the names of llama.cpp: leave it away')
    const { toGguf } = await import('../../lm/index.ts')
    return toGguf(companionsOf(input), checkpoint)
  }
  const isWanted = !intoGguf && (names ?? (format === 'folder' ? 'hf' : 'keep')) === 'hf'
  if (names === 'hf' && !(file && isWanted))
    fail('TL_USAGE', '--names hf: only where a GGUF file becomes safetensors: leave it away')
  if (!(file && isWanted)) return undefined
  const { toHuggingFace } = await import('../../lm/index.ts')
  try {
    return toHuggingFace(input, file, dtype)
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    return fail(
      error.code,
      `${error.message}; --names keep copies the tensors as they are, without configuration`,
    )
  }
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
    .addOption(
      new Option(
        '--names <which>',
        'from GGUF: hf translates names and the order of rows (a folder: default), keep copies them (a single file: default)',
      ).choices(['keep', 'hf']),
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
        ['treeline convert model.gguf model/', 'a Hugging Face folder, configuration and tokenizer included'],
        ['treeline convert model/ model.gguf --dtype q8_0', 'and back: GGUF as llama.cpp reads it'],
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
      const { onKept, stop } = keepingTensors(out)
      try {
        const made = await translation(checkpoint, input, out, flags)
        const from = made?.checkpoint ?? checkpoint
        const total = from.tensors.size
        const written = await inSteps(
          converting(from, out, {
            dtype: flags.dtype,
            shardSize,
            force: flags.force,
            onKept,
            ...(made && { companions: made.companions }),
            onTensor: ({ name, byteLength }, done) =>
              display.update({ done, total, detail: `${name}, ${bytes(byteLength)}` }),
          }),
        )
        display.end()
        for (const note of made?.notes ?? []) io.err(`note: ${note}\n`)
        if (flags.json) io.out(prettyJson({ out, ...written }))
        else {
          const before = written.isUnchanged ? 'was there already: ' : ''
          io.out(`${out}: ${before}${written.tensors} tensors, ${written.converted} of them converted\n`)
        }
      } finally {
        stop()
        display.end()
        checkpoint.close()
      }
    })
