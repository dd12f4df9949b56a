/** @file Where a command reads and writes: results on standard output, everything else on standard error. */
import pc from 'picocolors'

/** The streams of one invocation, so that tests can stand in for them. */
export interface Io {
  /** Write a result. */
  out: (text: string) => void
  /** Write a message or progress. */
  err: (text: string) => void
  /** True when messages go to a terminal that can move its cursor. */
  terminal: boolean
  /** Columns of that terminal. */
  columns: () => number
  colors: ReturnType<typeof pc.createColors>
  env: NodeJS.ProcessEnv
  /** Standard input, where there is one. */
  input?: NodeJS.ReadableStream
}

/** The process's own streams. A reader that closes the pipe early (`| head`) is no error. */
export function processIo(): Io {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  const terminal = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb'
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    terminal,
    columns: () => process.stderr.columns || 80,
    colors: pc.createColors(terminal && !process.env['NO_COLOR']),
    env: process.env,
    get input() {
      return process.stdin
    },
  }
}
