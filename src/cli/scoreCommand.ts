/** @file A score from a command line: the last number that it prints, of the model folder that stands for `{model}`. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { fail } from '../base/index.ts'
import { whenLeaving } from '../base/leave.ts'

/** How to run the command. */
interface ScoreCommandOptions {
  /** Seconds after which it is ended and the candidate has failed. */
  readonly timeout?: number
  /** What it writes on standard error, as it comes. */
  readonly onError?: (text: string) => void
}

/** Bytes of each stream that are kept, from the end. */
const kept = 1 << 16

const placeholder = '{model}'

/** A path within a POSIX shell command, where `quote` is the kind of quotes that are open there. */
function quoted(path: string, quote: string): string {
  if (/^[\w@%+=:,./-]+$/.test(path)) return path
  if (quote === '"') return path.replace(/[\\"$`]/g, '\\$&')
  const inside = path.replaceAll("'", "'\\''")
  return quote === "'" ? inside : `'${inside}'`
}

/** The command with the path in place of every `{model}`, quoted as its surroundings ask for. */
export function fillCommand(command: string, path: string): string {
  if (process.platform === 'win32') return command.replaceAll(placeholder, `"${path}"`)
  // quotes that are open, innermost last: `$(…)` within double quotes begins anew
  const open = ['']
  let result = ''
  for (let i = 0; i < command.length; ) {
    const letter = command[i]!
    const quote = open.at(-1)!
    if (command.startsWith(placeholder, i)) {
      result += quoted(path, quote)
      i += placeholder.length
      continue
    }
    if (letter === '\\' && quote !== "'") {
      result += command.slice(i, i + 2)
      i += 2
      continue
    }
    const isSubstitution = quote === '"' && letter === '(' && command[i - 1] === '$'
    if (isSubstitution || (quote === '' && letter === '(')) open.push('')
    else if (quote === '' && letter === ')' && open.length > 1) open.pop()
    else if (letter === quote) open.pop()
    else if (quote === '' && (letter === '"' || letter === "'")) open.push(letter)
    result += letter
    i++
  }
  return result
}

const colours = /\u001b\[[0-9;]*[A-Za-z]/g

/** The last number of a text: a word by itself, with or without a sign of per cent; NaN and infinities count as numbers. */
export function lastNumber(text: string): number | undefined {
  const words = text.replace(colours, '').split(/[\s,;:=()[\]{}"'|]+/)
  for (const word of words.reverse()) {
    const bare = word.replace(/[%.]$/, '')
    if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(bare)) return Number(bare)
    if (/^[-+]?(nan|inf|infinity)$/i.test(bare)) return Number.NaN
  }
  return undefined
}

/** The scores of single items, where the last line of a text is a JSON list of numbers. */
function lastItems(text: string): number[] | undefined {
  const line = text.replace(colours, '').trimEnd().split('\n').at(-1)!.trim()
  if (!/^\[.*\]$/.test(line)) return undefined
  try {
    const value: unknown = JSON.parse(line)
    const isItems = Array.isArray(value) && value.length > 0 && value.every((one) => Number.isFinite(one))
    return isItems ? (value as number[]) : undefined
  } catch {
    return undefined
  }
}

/** The end of an output within a message. */
function shown(text: string): string {
  const line = text.replace(colours, '').trim().replace(/\s+/g, ' ')
  if (line === '') return 'nothing'
  return JSON.stringify(line.length > 300 ? `…${line.slice(-300)}` : line)
}

/** End the command with everything that it has begun. */
function end(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    if (process.platform === 'win32') child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // it has ended meanwhile
  }
}

interface Ended {
  readonly code: number | null
  readonly killedBy: string | null
  readonly out: string
  readonly err: string
}

/**
 * The command in a shell that ends it, with all that it has begun, when this process is gone: file 3 is a pipe from here, which
 * ends with us; a line on it says that the command has ended by itself.
 */
const watched = (line: string): string =>
  process.platform === 'win32' ? line : `(read _ <&3 || kill -KILL 0) >/dev/null 2>&1 & exec 3<&-\n${line}`

function run(line: string, { timeout, onError }: ScoreCommandOptions, signal?: AbortSignal): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(watched(line), {
      shell: true,
      detached: process.platform !== 'win32',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    const watch = child.stdio[3] as Writable
    // the shell may have ended before it has read
    watch.on('error', () => undefined)
    child.once('exit', () => watch.end('\n'))
    const forget = whenLeaving(() => end(child))
    let [out, err] = ['', '']
    let isLate = false
    const stop = (): void => end(child)
    const timer =
      timeout === undefined
        ? undefined
        : setTimeout(() => {
            isLate = true
            stop()
          }, timeout * 1000)
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted) stop()
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (out = (out + text).slice(-kept)))
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      err = (err + text).slice(-kept)
      onError?.(text)
    })
    const over = (): void => {
      clearTimeout(timer)
      forget()
      signal?.removeEventListener('abort', stop)
    }
    child.on('error', (error) => {
      over()
      reject(error)
    })
    child.on('close', (code, killedBy) => {
      over()
      resolve({ code, killedBy: isLate ? 'timeout' : killedBy, out, err })
    })
  })
}

/** Check a `--score`. Throws TL_USAGE when it does not say where the model goes. */
export function checkScoreCommand(command: string): void {
  if (!command.includes(placeholder))
    fail(
      'TL_USAGE',
      `--score ${JSON.stringify(command)}: no {model} in it: write {model} where the candidate's folder goes, such as 'node eval.mjs {model}'`,
    )
}

/** What a command says of a model. */
interface CommandScore {
  readonly score: number
  /** Where it printed a list, whose mean is the score. */
  readonly items?: readonly number[]
}

/** `measureByCommand` for the score alone. */
export const scoreByCommand = async (
  command: string,
  model: string,
  options: ScoreCommandOptions = {},
  signal?: AbortSignal,
): Promise<number> => (await measureByCommand(command, model, options, signal, false)).score

/**
 * Run the command in a shell and take the last number on its standard output, or the list of numbers that is its last line.
 * Throws TL_SCORE for an exit code other than
 * 0, an output without a finite number, and a timeout; TL_USAGE when the shell cannot run it (exit 126, 127);
 * TL_INTERRUPTED.
 */
export async function measureByCommand(
  command: string,
  model: string,
  options: ScoreCommandOptions = {},
  signal?: AbortSignal,
  mayBeList = true,
): Promise<CommandScore> {
  const { code, killedBy, out, err } = await run(fillCommand(command, model), options, signal).catch(
    (error) => fail('TL_USAGE', `--score: cannot be run: ${(error as Error).message}`, error),
  )
  if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted while scoring')
  const printed = `it printed ${shown(out)}${err.trim() === '' ? '' : `, and on standard error ${shown(err)}`}`
  if (killedBy === 'timeout')
    fail('TL_SCORE', `the score command took longer than --timeout ${options.timeout} s; ${printed}`)
  if (killedBy !== null) fail('TL_SCORE', `the score command was ended by ${killedBy}; ${printed}`)
  if (code === 127 || code === 126)
    fail('TL_USAGE', `--score: the shell cannot run it (exit ${code}): ${shown(err)}`)
  if (code !== 0) fail('TL_SCORE', `the score command ended with exit code ${code}; ${printed}`)
  const items = mayBeList ? lastItems(out) : undefined
  if (items) return { score: items.reduce((sum, x) => sum + x, 0) / items.length, items }
  const score = lastNumber(out)
  if (score === undefined || !Number.isFinite(score))
    fail(
      'TL_SCORE',
      `the score command ended with exit code 0, but ${score === undefined ? 'without a number' : 'its last number is not finite'}; ${printed}`,
    )
  return { score: score! }
}
