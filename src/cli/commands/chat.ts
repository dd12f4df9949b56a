/** @file `treeline chat`: a conversation with a model, line by line or from a file of messages. */
import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { fail, prettyJson } from '../../base/index.ts'
import type { ChatEngine, ChatMessage, Tokenizer } from '../../lm/index.ts'
import { chatLoop, type Interrupts, type Lines, showAnswer } from '../chatLoop.ts'
import { whenInterrupted } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { readMessages } from '../jsonFiles.ts'
import { editsOption, precisionOption, type RuntimeFlags } from '../languageModel.ts'
import { examples, integerOption, jsonOption, quietOption, threadsOption } from '../options.ts'
import { type SamplingFlags, samplingOf, withSampling } from '../samplingOptions.ts'

/** What the model is opened with. */
export interface EngineOptions extends RuntimeFlags {
  sampling: ReturnType<typeof samplingOf>
  seed: number
  tokenizer: Tokenizer
}

/** An engine as the command opens it. */
export interface OpenedEngine extends ChatEngine {
  /** How the model is run, and why where that was chosen: `q8: blocks as stored`. */
  readonly precision?: string
  dispose?(): void
}

interface Flags extends SamplingFlags, Omit<RuntimeFlags, 'precision'> {
  file?: string
  system?: string
  maxTokens: number
  precision?: RuntimeFlags['precision']
  json?: boolean
  quiet?: boolean
}

/** Lines of the terminal, and its Ctrl-C. */
function terminal(io: Io, input: NodeJS.ReadableStream): Lines & Interrupts & { close(): void } {
  const waiting: string[] = []
  let ask: ((line: string | undefined) => void) | undefined
  let answer: AbortController | undefined
  let left = false
  let ended = false
  const reader = createInterface({
    input,
    ...(io.terminal ? { output: process.stderr, terminal: true, prompt: '> ' } : {}),
  })
  const give = (line: string | undefined): void => {
    const receiver = ask
    ask = undefined
    receiver?.(line)
  }
  reader.on('line', (line) => (ask ? give(line) : void waiting.push(line)))
  reader.on('close', () => {
    ended = true
    give(undefined)
  })
  const interrupt = (): void => {
    if (answer && !answer.signal.aborted) answer.abort()
    else {
      left = true
      give(undefined)
    }
  }
  reader.on('SIGINT', interrupt)
  // without a terminal the signal comes to the process
  const stop = whenInterrupted(interrupt)
  return {
    next: () => {
      if (waiting.length > 0) return Promise.resolve(waiting.shift())
      if (ended || left) return Promise.resolve(undefined)
      if (io.terminal) reader.prompt()
      return new Promise((resolve) => {
        ask = resolve
      })
    },
    begin: () => {
      answer = new AbortController()
      return answer.signal
    },
    end: () => {
      answer = undefined
    },
    get left() {
      return left
    },
    close: () => {
      stop()
      reader.close()
    },
  }
}

/** The command. `open` makes the engine, `input` is where lines come from. */
export const chatCommand = (
  io: Io,
  open: (path: string, options: EngineOptions) => Promise<OpenedEngine>,
  input: NodeJS.ReadableStream = process.stdin,
): Command =>
  withSampling(
    new Command('chat')
      .description('talk to a model')
      .argument('<model>', 'a Hugging Face folder or a GGUF file')
      .option('--file <messages.json>', 'answer these messages and leave: [{ "role", "content" }, …]')
      .option('--system <text>', 'the system message')
      .addOption(integerOption('--max-tokens <n>', 'the longest answer', 1, 1e9).default(512))
      .addOption(precisionOption(' (default: auto; with edits f32)'))
      .addOption(editsOption())
      .addOption(threadsOption())
      .addOption(quietOption())
      .addOption(jsonOption()),
  )
    .addHelpText(
      'after',
      examples(
        ['treeline chat model.gguf', 'talk; /help shows what else there is, Ctrl-C stops an answer'],
        ['treeline chat model/ --file messages.json --greedy', 'one answer, always the same'],
        ['treeline chat model.gguf --edits store', 'with what it was taught'],
      ),
    )
    .addHelpText(
      'after',
      `
With edits each message is looked at by itself, without the template and what was said before. An edit that answers it goes on
after the prompt it was taught with, and says as many tokens as its target has; any other message is answered by the
model as it was.`,
    )
    .action(async (path: string, flags: Flags) => {
      if (flags.json && flags.file === undefined) fail('TL_USAGE', 'chat: --json needs --file MESSAGES.json')
      if (flags.file !== undefined && flags.system !== undefined)
        fail(
          'TL_USAGE',
          'chat: --system goes with a conversation; in a file it is a message with the role "system"',
        )
      const given = flags.file === undefined ? undefined : readMessages(flags.file)
      const { loadTokenizer, openConversation } = await import('../../lm/index.ts')
      const tokenizer = loadTokenizer(path)
      if (!tokenizer.hasChatTemplate)
        fail('TL_UNSUPPORTED', `${path} has no chat template: it is no chat model; use treeline generate`)
      const engine = await open(path, {
        precision: flags.precision ?? (flags.edits === undefined ? 'auto' : 'f32'),
        ...(flags.threads === undefined ? {} : { threads: flags.threads }),
        ...(flags.edits === undefined ? {} : { edits: flags.edits }),
        sampling: samplingOf(flags, 0.2),
        seed: flags.seed ?? 0,
        tokenizer,
      })
      try {
        if (engine.precision && flags.quiet !== true && !flags.json)
          io.err(io.colors.dim(`[precision ${engine.precision}]\n`))
        const system: ChatMessage[] = flags.system ? [{ role: 'system', content: flags.system }] : []
        const conversation = openConversation(tokenizer, engine, {
          maxTokens: flags.maxTokens,
          messages: given ?? system,
        })
        if (flags.json) {
          const { promptIds, ids, text, finish, edit } = await conversation.answer()
          io.out(prettyJson({ promptIds, ids, text, finish, edit }))
        } else if (given)
          await showAnswer(io, flags.quiet === true, (onText) => conversation.answer({ onText }))
        else {
          const talk = terminal(io, input)
          try {
            await chatLoop(conversation, io, talk, talk, flags.quiet === true)
            if (talk.left) fail('TL_INTERRUPTED', 'interrupted; a conversation is not kept')
          } finally {
            talk.close()
          }
        }
      } finally {
        engine.dispose?.()
      }
    })
