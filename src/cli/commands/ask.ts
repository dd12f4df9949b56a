/** @file `treeline ask`: a question about pictures, with the probabilities of yes and of no. */
import { Command } from 'commander'
import { percent, prettyJson } from '../../base/index.ts'
import type { Tokenizer } from '../../lm/index.ts'
import { type ContrastFlags, contrastOf, withContrast } from '../contrastOptions.ts'
import type { Io } from '../io.ts'
import { withRuntime } from '../languageModel.ts'
import { examples, integerOption, jsonOption, quietOption } from '../options.ts'
import { looking, openVisionLanguage, tilesOption, type VisionFlags } from '../visionLanguage.ts'

interface Flags extends VisionFlags, ContrastFlags {
  question: string
  rawPrompt?: boolean
  maxTokens: number
  seed?: number
  json?: boolean
  quiet?: boolean
}

interface Answered {
  /** `yes` or `no` where the text begins with it, else the text. */
  readonly answer: string
  readonly ids: readonly number[]
  /** Of the first token, all spellings together: what is missing to 1 says something else. */
  readonly probabilities: { readonly yes: number; readonly no: number }
}

/** First tokens of a word as models write it: with a space or without, in any case. */
function firstTokens(tokenizer: Tokenizer, word: string): Set<number> {
  const capital = word[0]!.toUpperCase() + word.slice(1)
  const spellings = [word, capital, word.toUpperCase()]
  const ids = spellings.flatMap((one) => [
    tokenizer.encode(one, { continues: true }),
    tokenizer.encode(` ${one}`, { continues: true }),
  ])
  // a word of several tokens has none of its own
  return new Set(ids.filter((own) => own.length === 1).map(([id]) => id!))
}

async function ask(path: string, images: readonly string[], flags: Flags, io: Io): Promise<Answered> {
  const { logProbabilities } = await import('../../lm/index.ts')
  const { random } = await import('../../tensor/index.ts')
  const { options, warning } = await contrastOf(flags, flags.maxTokens, random.key(flags.seed ?? 0))
  if (warning !== undefined && !flags.quiet) io.err(warning)
  const model = await openVisionLanguage(path, flags)
  try {
    let first: Float64Array | undefined
    const { ids } = await model.generate({
      ...{ ...options, images, maxTokens: flags.maxTokens, stopIds: model.tokenizer.eosIds },
      ...(flags.rawPrompt ? { raw: flags.question } : { question: flags.question }),
      ...looking(io, images.length === 1 ? images[0]! : `${images.length} pictures`, flags.quiet),
      onScores: (scores) => {
        first ??= logProbabilities(scores)
      },
    })
    const text = model.tokenizer.decode(ids).trim()
    const [, word] = /^(yes|no)\b/i.exec(text) ?? []
    const of = (name: string): number =>
      [...firstTokens(model.tokenizer, name)].reduce((sum, id) => sum + Math.exp(first![id]!), 0)
    return {
      ...{ answer: word?.toLowerCase() ?? text, ids },
      probabilities: { yes: of('yes'), no: of('no') },
    }
  } finally {
    model.dispose()
  }
}

/** The command. */
export const askCommand = (io: Io): Command =>
  withContrast(
    withRuntime(
      new Command('ask')
        .description('ask a vision-language model about pictures')
        .argument('<model>', 'a folder of LLaVA 1.5, Idefics3 or SmolVLM as Transformers writes it')
        .argument('<image...>', 'PNG and JPEG files, all of them for one question'),
      'f32',
    )
      .requiredOption('--question <text>', 'what is asked')
      .option('--raw-prompt', 'the question as it is, image tokens included, without the chat template')
      .addOption(integerOption('--max-tokens <n>', 'tokens at most', 1, 1e6).default(32))
      .addOption(integerOption('--seed <n>', 'the noise of --vcd comes from it (default 0)', 0, 0xffff_ffff))
      .addOption(tilesOption()),
  )
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        [
          'treeline ask SmolVLM-256M-Instruct street.jpg --question "Is there a dog?"',
          'yes or no, how surely',
        ],
        ['treeline ask llava before.png after.png --question "What has changed?"', 'two pictures'],
        ['treeline ask smolvlm street.jpg --question "Is there a dog?" --json', 'for a script'],
      ),
    )
    .action(async (path: string, images: string[], flags: Flags) => {
      const found = await ask(path, images, flags, io)
      const { answer, probabilities } = found
      const isYesOrNo = answer === 'yes' || answer === 'no'
      const sure = isYesOrNo ? `  (yes ${percent(probabilities.yes)}, no ${percent(probabilities.no)})` : ''
      io.out(flags.json ? prettyJson(found) : `${answer}${sure}\n`)
    })
