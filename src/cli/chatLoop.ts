/** @file The loop of `treeline chat`: a line in, an answer out, commands that begin with a slash. */
import { didYouMean, TreelineError } from '../base/index.ts'
import type { Answer, Conversation } from '../lm/index.ts'
import type { Io } from './io.ts'

/** Where lines come from: the next one, or undefined at the end. */
export interface Lines {
  next(): Promise<string | undefined>
}

/** Ctrl-C: the first stops the answer, the second, or one while nothing is being said, leaves. */
export interface Interrupts {
  /** A signal for one answer. */
  begin(): AbortSignal
  end(): void
  /** Has the user asked to leave? */
  readonly left: boolean
}

const help =
  '/system TEXT  begin anew with this system message\n/reset        begin anew\n/quit         leave\n/help         this\nCtrl-C        stop the answer; while nothing is being said, leave\n'
const commands = ['/system', '/reset', '/quit', '/help']

/**
 * An answer in words: `32 tokens, the first after 0.41 s, then 41 tokens/s`, and which edit answered. `first` and `rest` are the
 * seconds up to its first piece and from there on; the model is loaded and the question read in the first.
 */
export function summary({ ids, finish, forgotten, edit }: Answer, first: number, rest: number): string {
  const rate = ids.length > 1 && rest > 0 ? `, then ${((ids.length - 1) / rest).toFixed(1)} tokens/s` : ''
  const begun = ids.length > 0 ? `, the first after ${first.toFixed(2)} s${rate}` : ''
  const why = {
    ...{ eos: '', aborted: ', stopped', length: ', stopped at the limit' },
    context: ", stopped at the end of the model's context",
  }[finish]
  const lost = forgotten > 0 ? `, ${forgotten} old messages left out` : ''
  // with edits an answer that none of them gave may still repeat what one said before in the conversation
  const whose = edit === undefined ? '' : edit === null ? ', no edit' : `, edit ${edit}`
  return `${ids.length} ${ids.length === 1 ? 'token' : 'tokens'}${begun}${why}${lost}${whose}`
}

/** Show an answer as it comes; messages about it go to standard error. */
export async function showAnswer(
  io: Io,
  quiet: boolean,
  make: (onText: (text: string) => void) => Promise<Answer>,
): Promise<Answer> {
  const start = performance.now()
  let begun: number | undefined
  const answer = await make((text) => {
    begun ??= performance.now()
    io.out(text)
  })
  io.out('\n')
  const end = performance.now()
  const first = begun ?? end
  if (!quiet) io.err(io.colors.dim(`[${summary(answer, (first - start) / 1000, (end - first) / 1000)}]\n`))
  return answer
}

/** Talk until there are no more lines, `/quit`, or two Ctrl-C. */
export async function chatLoop(
  conversation: Conversation,
  io: Io,
  lines: Lines,
  interrupts: Interrupts,
  quiet: boolean,
): Promise<void> {
  for (;;) {
    const line = (await lines.next())?.trim()
    if (line === undefined || interrupts.left) return
    if (line === '') continue
    const [word, rest] = [line.split(/\s/, 1)[0]!, line.slice(line.split(/\s/, 1)[0]!.length).trim()]
    if (word === '/quit') return
    if (word === '/help') io.err(help)
    else if (word === '/reset') {
      conversation.reset()
      if (!quiet) io.err('a new conversation\n')
    } else if (word === '/system') {
      conversation.system(rest)
      if (!quiet)
        io.err(rest === '' ? 'no system message\n' : 'a new conversation with this system message\n')
    } else if (/^\/[a-z]+$/.test(word)) io.err(`${word}: no such command: ${didYouMean(word, commands)}\n`)
    else {
      const signal = interrupts.begin()
      try {
        await showAnswer(io, quiet, (onText) => conversation.ask(line, { onText, signal }))
      } catch (error) {
        // too long a message is no reason to end the conversation
        if (!(error instanceof TreelineError)) throw error
        io.err(`${error.message}\n`)
      } finally {
        interrupts.end()
      }
      if (interrupts.left) return
    }
  }
}
