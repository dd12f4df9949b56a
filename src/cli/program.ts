/** @file The program `treeline`: its commands, and the way from an argument list to an exit code. */
import { Command } from 'commander'
import { openChatEngine } from './chatEngine.ts'
import { chatCommand } from './commands/chat.ts'
import { collectCommand } from './commands/collect.ts'
import { convertCommand } from './commands/convert.ts'
import { dataCommand } from './commands/data.ts'
import { diffCommand } from './commands/diff.ts'
import { doctorCommand } from './commands/doctor.ts'
import { editCommand } from './commands/edit.ts'
import { exportCommand } from './commands/export.ts'
import { generateCommand } from './commands/generate.ts'
import { grammarCommand } from './commands/grammar/index.ts'
import { inspectCommand } from './commands/inspect.ts'
import { linesCommand } from './commands/lines.ts'
import { listCommand } from './commands/list.ts'
import { mergeCommand } from './commands/merge.ts'
import { reportCommand } from './commands/report.ts'
import { runCommand } from './commands/run.ts'
import { scoreCommand } from './commands/score.ts'
import { sweepCommand } from './commands/sweep.ts'
import { tokenizeCommand } from './commands/tokenize.ts'
import { tourCommand } from './commands/tour.ts'
import { vectorCommand } from './commands/vector/index.ts'
import { exitCodes, reportError } from './errors.ts'
import { type Io, processIo } from './io.ts'
import { examples } from './options.ts'
import { version } from './version.ts'

const commands = [
  tourCommand,
  listCommand,
  runCommand,
  sweepCommand,
  collectCommand,
  reportCommand,
  grammarCommand,
  dataCommand,
  inspectCommand,
  convertCommand,
  exportCommand,
  diffCommand,
  mergeCommand,
  linesCommand,
  vectorCommand,
  (io: Io) => chatCommand(io, openChatEngine),
  generateCommand,
  scoreCommand,
  editCommand,
  tokenizeCommand,
  doctorCommand,
]

/** Run the program with these arguments (without node and script). Returns the exit code. */
export async function main(argv: readonly string[], io: Io = processIo()): Promise<number> {
  const program = new Command('treeline')
    .description('What does a neural network know, at which level of abstraction?')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .addHelpText(
      'after',
      examples(
        ['treeline tour', 'a first look: every experiment, quickly, and one report'],
        ['treeline list', 'what there is'],
        ['treeline run digits --report', 'train on MNIST and write a report'],
        ['treeline doctor', 'check this machine'],
      ),
    )
  for (const make of commands) program.addCommand(make(io))

  // commander tells which command complained only by whose callback is called
  let culprit = program
  const prepare = (command: Command): void => {
    command
      .exitOverride((error) => {
        culprit = command
        throw error
      })
      .showSuggestionAfterError(false)
      .configureOutput({ writeOut: io.out, writeErr: io.err, outputError: () => {} })
    for (const child of command.commands) prepare(child)
  }
  prepare(program)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCodes.done
  } catch (error) {
    return reportError(error, culprit, io)
  }
}
