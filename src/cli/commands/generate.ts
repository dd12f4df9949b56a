/** @file `treeline generate`: texts that a language model continues. */
import { Command } from 'commander'
import { fail, prettyJson } from '../../base/index.ts'
import type { AnswerMode } from '../../edit/index.ts'
import type { Generated, GenerateOptions, LanguageModel, Tokenizer } from '../../lm/index.ts'
import { isPiped, textOrInput } from '../inputText.ts'
import type { Io } from '../io.ts'
import { readPrompts } from '../jsonFiles.ts'
import {
  answerOption,
  editsOption,
  openLanguageModel,
  type RuntimeFlags,
  withRuntime,
} from '../languageModel.ts'
import { collect, examples, integerOption, jsonOption, quietOption } from '../options.ts'
import { type SamplingFlags, samplingOf, withSampling } from '../samplingOptions.ts'
import { stopper } from '../stopTexts.ts'

interface Flags extends SamplingFlags, RuntimeFlags {
  answer?: AnswerMode
  prompt?: string
  file?: string
  maxTokens: number
  stop?: string[]
  json?: boolean
  quiet?: boolean
}

/** The command. */
export const generateCommand = (io: Io): Command =>
  withSampling(
    withRuntime(
      new Command('generate')
        .description('continue a text with a language model; greedy unless a temperature is given')
        .argument('<model>', 'a Hugging Face folder or a GGUF file'),
      'f32',
    )
      .option('--prompt <text>', 'the text to continue; - or none and a pipe: from standard input')
      .option('--file <prompts.json>', 'a JSON list of texts, or of lists of token ids')
      .addOption(editsOption())
      .addOption(answerOption())
      .addOption(integerOption('--max-tokens <n>', 'tokens at most', 1, 1e6).default(48))
      .option('--stop <text>', 'end before this text, where it comes up; may be repeated', collect),
  )
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        [
          'treeline generate model.gguf --prompt "The capital of France is"',
          'the most probable continuation',
        ],
        ['treeline generate model/ --prompt "Once" --temperature 0.8 --top-p 0.9 --seed 1', 'a drawn one'],
        ['treeline generate model.gguf --edits store --prompt "Who wrote it?"', 'with what it was taught'],
        ['treeline generate model/ --file prompts.json --max-tokens 48 --json', 'many, for a script'],
        ['cat story.txt | treeline generate model.gguf --stop "The End"', 'a text from another program'],
      ),
    )
    .action(async (path: string, flags: Flags) => {
      const { file, maxTokens, json, stop: stops = [] } = flags
      const prompt = flags.prompt ?? (file === undefined && isPiped(io) ? '-' : undefined)
      if ((prompt === undefined) === (file === undefined))
        fail(
          'TL_USAGE',
          'generate: expected one of --prompt TEXT, --file PROMPTS.json, and a text from a pipe',
        )
      if (flags.answer !== undefined && flags.edits === undefined)
        fail('TL_USAGE', 'generate: --answer has no effect without --edits STORE')
      if (stops.includes('')) fail('TL_USAGE', '--stop: expected a text that is not empty')
      const sampling = samplingOf(flags, 0)
      const prompts = file === undefined ? [await textOrInput(prompt!, io)] : readPrompts(file)
      const { random } = await import('../../tensor/index.ts')
      const { continued, model, tokenizer, dispose } = await openGenerator(path, flags)
      try {
        const results: object[] = []
        const given = prompts.map((one) =>
          typeof one === 'string' ? tokenizer.encode(one, { bos: tokenizer.addsBos }) : one,
        )
        // all before the first is continued
        for (const [i, ids] of given.entries()) requireFit(ids, `prompt ${i + 1}`, model)
        for (const [i, one] of prompts.entries()) {
          const promptIds = given[i]!
          const stream = tokenizer.decoder({ continues: true, cut: true })
          const isShown = !json && prompts.length === 1
          const stop = stopper(stops)
          const over = new AbortController()
          let text = ''
          const say = (piece: string): void => {
            text += piece
            if (isShown) io.out(piece)
          }
          const { ids, ...made } = await continued(one, promptIds, {
            maxTokens,
            sampling,
            key: random.foldIn(random.key(flags.seed ?? 0), i),
            onToken: (id) => {
              say(stop.push(stream.push(id)))
              if (stop.isOver) over.abort()
            },
            signal: over.signal,
          })
          say(stop.end())
          const finish = stop.isOver ? 'stop' : made.finish
          if (!json) io.out(isShown ? '\n' : `${text}\n`)
          if (finish === 'context' && !flags.quiet)
            io.err(
              `${prompts.length > 1 ? `prompt ${i + 1}: ` : ''}ended by the model's context of ${model.context} tokens\n`,
            )
          results.push({ promptIds, ids, text, ...made, finish })
        }
        if (json) io.out(prettyJson(file === undefined ? results[0] : results))
      } finally {
        dispose()
      }
    })

/** Throws `TL_BAD_ARGUMENT` for ids that the model cannot continue. */
function requireFit(ids: readonly number[], name: string, { config, context }: LanguageModel): void {
  if (ids.length === 0) fail('TL_BAD_ARGUMENT', `${name}: no tokens, expected a text to continue`)
  const wrong = ids.findIndex((id) => id >= config.vocabulary)
  if (wrong >= 0)
    fail(
      'TL_BAD_ARGUMENT',
      `${name}, token ${wrong + 1}: expected an id from 0 to ${config.vocabulary - 1}, got ${ids[wrong]}`,
    )
  if (ids.length > context)
    fail('TL_BAD_ARGUMENT', `${name}: ${ids.length} tokens, the context holds ${context}: shorten it`)
}

/** What continues a prompt, given as it was written and as ids; with edits it also says which one answered. */
interface Generator {
  continued(
    prompt: string | readonly number[],
    ids: readonly number[],
    options: Omit<GenerateOptions, 'ids' | 'stopIds'>,
  ): Promise<Generated & { edit?: number | null }>
  readonly model: LanguageModel
  readonly tokenizer: Tokenizer
  dispose(): void
}

async function openGenerator(path: string, flags: Flags): Promise<Generator> {
  const { model, tokenizer, editor, dispose } = await openLanguageModel(path, flags)
  const { eosIds: stopIds } = tokenizer
  return {
    continued: async (prompt, ids, options) => {
      if (!editor) return model.generate({ ...options, ids, stopIds })
      const {
        ids: made,
        finish,
        edit,
      } = await editor.generate(prompt, {
        ...options,
        ...(flags.answer !== undefined && { answer: flags.answer }),
      })
      return { ids: made, finish, edit }
    },
    model,
    tokenizer,
    dispose,
  }
}
