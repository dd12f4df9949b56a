/** @file `treeline vector`: task vectors as files; commands beside this one. */
import { Command } from 'commander'
import type { Io } from '../../io.ts'
import { examples } from '../../options.ts'
import { applyCommand } from './apply.ts'
import { addCommand, extractCommand, negateCommand, scaleCommand } from './make.ts'
import { cosineCommand, normsCommand } from './measure.ts'

const commands = [
  extractCommand,
  addCommand,
  negateCommand,
  scaleCommand,
  applyCommand,
  normsCommand,
  cosineCommand,
]

/** The command. */
export function vectorCommand(io: Io): Command {
  const command = new Command('vector')
    .description('task vectors as files: extract, add, negate, scale, apply, norms, cosine')
    .addHelpText(
      'after',
      examples(
        ['treeline vector extract base tuned t.safetensors', 'what fine-tuning has changed'],
        ['treeline vector apply base t.safetensors out --scale 0.4', 'a part of it'],
        ['treeline vector cosine a.safetensors b.safetensors', 'do they point the same way?'],
      ),
    )
  for (const make of commands) command.addCommand(make(io))
  return command
}
