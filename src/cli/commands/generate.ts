/** @file `treeline generate`: texts that a language model continues. */
import { Command } from 'commander'
import { fail } from '../../base/index.ts'
import type { Generated, GenerateOptions, LanguageModel, Tokenizer } from '../../lm/index.ts'
import type { Io } from '../io.ts'
import { readPrompts } from '../jsonFiles.ts'
import { editsOption, openLanguageModel, type RuntimeFlags, withRuntime } from '../languageModel.ts'
import { examples, integerOption, jsonOption, quietOption } from '../options.ts'
import { type SamplingFlags, samplingOf, withSampling } from '../samplingOptions.ts'

interface Flags extends SamplingFlags, RuntimeFlags {
  prompt?: string
  file?: string
  maxTokens: number
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
      .option('--prompt <text>', 'the text to continue')
      .option('--file <prompts.json>', 'a JSON list of texts, or of lists of token ids')
      .addOption(editsOption())
      .addOption(integerOption('--max-tokens <n>', 'tokens at most', 1, 1e6).default(48)),
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
      ),
    )
    .action(async (path: string, flags: Flags) => {
      const { prompt, file, maxTokens, json } = flags
      if ((prompt === undefined) === (file === undefined))
        fail('TL_USAGE', 'generate: expected one of --prompt TEXT and --file PROMPTS.json')
      const prompts = file === undefined ? [prompt!] : readPrompts(file)
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
          const stream = tokenizer.decoder({ continues: true })
          const shown = !json && prompts.length === 1
          const { ids, finish, ...more } = await continued(one, promptIds, {
            maxTokens,
            sampling: samplingOf(flags, 0),
            key: random.foldIn(random.key(flags.seed ?? 0), i),
            onToken: (id) => shown && io.out(stream.push(id)),
          })
          const text = tokenizer.decode(ids, { continues: true })
          if (shown) io.out(`${stream.end()}\n`)
          else if (!json) io.out(`${text}\n`)
          results.push({ promptIds, ids, text, finish, ...more })
        }
        if (json) io.out(`${JSON.stringify(file === undefined ? results[0] : results, null, 2)}\n`)
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
      const { ids: made, finish, edit } = await editor.generate(prompt, options)
      return { ids: made, finish, edit }
    },
    model,
    tokenizer,
    dispose,
  }
}
