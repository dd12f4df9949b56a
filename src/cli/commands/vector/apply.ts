/** @file `treeline vector apply`: a model from a base and a task vector. */
import { Command } from 'commander'
import { prettyJson } from '../../../base/index.ts'
import { keepingTensors } from '../../interrupt.ts'
import type { Io } from '../../io.ts'
import { examples, forceOption, jsonOption } from '../../options.ts'
import { anyBaseOption, before, numberOf, shown, withOpen } from './files.ts'

export const applyCommand = (io: Io): Command =>
  new Command('apply')
    .description('BASE + scale · VECTOR')
    .argument('<base>', 'the model that the vector was extracted from')
    .argument('<vector>', 'a vector file or LoRA adapter')
    .argument('<out>', 'a folder, or a name that ends in .safetensors')
    .option('--scale <number>', 'how much of it', '1')
    .addOption(anyBaseOption('also to another model of the same shapes'))
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText('after', examples(['treeline vector apply base digits.safetensors out --scale 0.4', '']))
    .action(
      async (
        base: string,
        path: string,
        out: string,
        flags: { scale: string; anyBase?: boolean; force?: boolean; json?: boolean },
      ) => {
        const scale = numberOf(flags.scale, '--scale')
        const { applying, openVector } = await import('../../../merge/index.ts')
        const { openCheckpoint } = await import('../../../checkpoint/index.ts')
        await withOpen(async (keep) => {
          const from = keep(openCheckpoint(base))
          const vector = keep(openVector(path, from))
          const [anyBase, force] = [flags.anyBase === true, flags.force === true]
          const { onKept, stop } = keepingTensors(out)
          const outcome = await shown(io, flags.json, (onTensor) =>
            applying(from, vector, out, { scale, anyBase, force, onTensor, onKept }),
          ).finally(stop)
          if (flags.json) io.out(prettyJson({ out, ...outcome }))
          else
            io.out(
              `${out}: ${before(outcome)}${outcome.tensors} tensors, ${outcome.changed} of them changed\n`,
            )
        })
      },
    )
