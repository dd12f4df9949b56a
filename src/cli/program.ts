/** @file The program `treeline`: its commands, and the way from an argument list to an exit code. */
import { Command } from 'commander'
import { packageVersion } from '../base/version.ts'
import { exitCodes, reportError } from './errors.ts'
import { watchInterrupts } from './interrupt.ts'
import { type Io, processIo } from './io.ts'
import { examples } from './options.ts'

/** Makes a command; `argv` are all words of the program. */
type Make = (io: Io, argv: readonly string[]) => Command

/** Every command, in the order of the help; what a command is made of is loaded when it is called. */
const commands: Readonly<Record<string, () => Promise<Make>>> = {
  tour: async () => (await import('./commands/tour.ts')).tourCommand,
  list: async () => (await import('./commands/list.ts')).listCommand,
  run: async () => (await import('./commands/run.ts')).runCommand,
  sweep: async () => (await import('./commands/sweep.ts')).sweepCommand,
  worker: async () => (await import('./commands/worker.ts')).workerCommand,
  runs: async () => (await import('./commands/runs/index.ts')).runsCommand,
  collect: async () => (await import('./commands/collect.ts')).collectCommand,
  report: async () => (await import('./commands/report.ts')).reportCommand,
  page: async () => (await import('./commands/page.ts')).pageCommand,
  stop: async () => (await import('./commands/stop.ts')).stopCommand,
  grammar: async () => (await import('./commands/grammar/index.ts')).grammarCommand,
  data: async () => (await import('./commands/data.ts')).dataCommand,
  inspect: async () => (await import('./commands/inspect.ts')).inspectCommand,
  convert: async () => (await import('./commands/convert.ts')).convertCommand,
  export: async () => (await import('./commands/export.ts')).exportCommand,
  diff: async () => (await import('./commands/diff.ts')).diffCommand,
  merge: async () => (await import('./commands/merge.ts')).mergeCommand,
  lines: async () => (await import('./commands/lines.ts')).linesCommand,
  vector: async () => (await import('./commands/vector/index.ts')).vectorCommand,
  chat: async () => {
    const [{ chatCommand }, { openChatEngine }] = await Promise.all([
      import('./commands/chat.ts'),
      import('./chatEngine.ts'),
    ])
    return (io) => chatCommand(io, openChatEngine)
  },
  generate: async () => (await import('./commands/generate.ts')).generateCommand,
  score: async () => (await import('./commands/score.ts')).scoreCommand,
  edit: async () => (await import('./commands/edit/index.ts')).editCommand,
  tokenize: async () => (await import('./commands/tokenize.ts')).tokenizeCommand,
  classify: async () => (await import('./commands/classify.ts')).classifyCommand,
  caption: async () => (await import('./commands/caption.ts')).captionCommand,
  ask: async () => (await import('./commands/ask.ts')).askCommand,
  'evaluate-captions': async () => (await import('./commands/evaluateCaptions.ts')).evaluateCaptionsCommand,
  schema: async () => (await import('./commands/schema.ts')).schemaCommand,
  completion: async () => {
    const { completionCommand } = await import('./commands/completion.ts')
    return (io) => completionCommand(io, allCommands)
  },
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
}

/** The command that is asked for; all of them for help, and for a word that is none. */
async function wanted(argv: readonly string[], io: Io): Promise<Command[]> {
  const [word = ''] = argv
  const loaders = Object.hasOwn(commands, word) ? [commands[word]!] : Object.values(commands)
  const loaded = await Promise.all(loaders.map((load) => load()))
  return loaded.map((make) => make(io, argv))
}

/** The program with all its commands, as help and completion show it. */
async function allCommands(io: Io): Promise<Command> {
  const program = new Command('treeline').version(packageVersion())
  for (const command of await wanted([], io)) program.addCommand(command)
  return program
}

/** Run the program with these arguments (without node and script). Returns the exit code. */
export async function main(argv: readonly string[], io: Io = processIo()): Promise<number> {
  const program = new Command('treeline')
    .description('What does a neural network know, at which level of abstraction?')
    .version(packageVersion(), '-V, --version', 'print the version')
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
  program.hook('preAction', async (_, command) => {
    // only the result is wanted, also where the runtime is not the native one
    if (command.opts()['quiet']) (await import('../tensor/index.ts')).silenceRuntimeNotice()
  })
  for (const command of await wanted(argv, io)) program.addCommand(command)

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
  if (argv.length === 0) {
    program.outputHelp()
    return exitCodes.done
  }
  const unwatch = watchInterrupts(io)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCodes.done
  } catch (error) {
    return reportError(error, culprit, io)
  } finally {
    unwatch()
  }
}
