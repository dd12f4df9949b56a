/** @file From an error to one line on standard error and an exit code. */
import { type Command, CommanderError } from 'commander'
import { inWords } from '../base/files.ts'
import { didYouMean, oneLine, TreelineError } from '../base/index.ts'
import type { Io } from './io.ts'

/** Exit codes: scripts rely on them. */
export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** The flags a command knows, long and short. */
const flagsOf = (command: Command): string[] =>
  [...command.options, ...(command.parent?.options ?? [])]
    .flatMap(({ long, short }) => [long, short])
    .concat('--help')
    .filter((flag): flag is string => typeof flag === 'string')

/** Commander's complaints in our words: the value, what was expected, the nearest valid word. */
function usageMessage(error: CommanderError, command: Command): string {
  const path = commandPath(command)
  const word = error.message.match(/'([^']*)'/)?.[1] ?? ''
  if (error.code === 'commander.unknownOption') {
    const flags = flagsOf(command)
    return `${word}: ${path} has no such option: ${didYouMean(word.replace(/=.*/s, ''), flags)}`
  }
  if (error.code === 'commander.unknownCommand') {
    const names = command.commands.map((child) => child.name())
    return `${word}: ${path} has no such command: ${didYouMean(word, names)}`
  }
  return `${error.message.replace(/^error: /, '')} (see ${path} --help)`
}

/** `treeline data get` */
export function commandPath(command: Command): string {
  return command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name()
}

/** Say what went wrong in one line; with TREELINE_DEBUG=1 also where. Returns the exit code. */
export function reportError(thrown: unknown, command: Command, io: Io): number {
  // what the machine refuses is nobody's mistake, wherever it was noticed
  const error = inWords(thrown)
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.done
    if (error.code === 'commander.help') return exitCodes.usage
    io.err(`treeline: ${oneLine(usageMessage(error, command)).trim()}\n`)
    return exitCodes.usage
  }
  const known = error instanceof TreelineError
  const message = error instanceof Error ? error.message : String(error)
  const debug = io.env['TREELINE_DEBUG'] === '1'
  const hint = known || debug ? '' : ' (this is a mistake in treeline; TREELINE_DEBUG=1 shows where)'
  io.err(`treeline: ${oneLine(message).trim()}${hint}\n`)
  if (debug && error instanceof Error) io.err(`${error.stack ?? ''}\n`)
  if (debug && error instanceof Error && error.cause instanceof Error)
    io.err(`caused by ${error.cause.stack}\n`)
  if (!known) return exitCodes.failed
  if (error.code === 'TL_USAGE' || error.code === 'TL_BAD_CONFIG') return exitCodes.usage
  return error.code === 'TL_INTERRUPTED' ? exitCodes.interrupted : exitCodes.failed
}
