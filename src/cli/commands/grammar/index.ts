/** @file `treeline grammar`: grammars as files; a command each beside this one. */
import { Command } from 'commander'
import type { Io } from '../../io.ts'
import { examples } from '../../options.ts'
import { importCommand } from './import.ts'
import { inferCommand } from './infer.ts'
import { makeCommand } from './make.ts'
import { parseCommand } from './parse.ts'
import { plateausCommand } from './plateaus.ts'
import { sampleCommand } from './sample.ts'
import { showCommand } from './show.ts'

const commands = [
  makeCommand,
  importCommand,
  sampleCommand,
  parseCommand,
  inferCommand,
  plateausCommand,
  showCommand,
]

/** The command. */
export function grammarCommand(io: Io): Command {
  const command = new Command('grammar')
    .description(
      'hierarchical grammars: draw or import one, sample it, parse with it, infer, look at trees and plateaus',
    )
    .addHelpText(
      'after',
      examples(
        ['treeline grammar make --v 8 --m 3 --L 3 --out g.grammar.json', 'draw a grammar'],
        ['treeline grammar sample g.grammar.json --count 100 --json', 'strings of it'],
        ['treeline grammar show g.grammar.json --svg tree.svg', 'one of its trees'],
      ),
    )
  for (const make of commands) command.addCommand(make(io))
  return command
}
