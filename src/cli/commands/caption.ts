/** @file `treeline caption`: what a vision-language model says of pictures. */
import { Command } from 'commander'
import { prettyJson } from '../../base/index.ts'
import { type ContrastFlags, contrastOf, withContrast } from '../contrastOptions.ts'
import type { Io } from '../io.ts'
import { withRuntime } from '../languageModel.ts'
import { collect, examples, integerOption, jsonOption, quietOption } from '../options.ts'
import { type SamplingFlags, samplingOf, withSampling } from '../samplingOptions.ts'
import { stopper } from '../stopTexts.ts'
import { looking, openVisionLanguage, tilesOption, type VisionFlags } from '../visionLanguage.ts'

interface Flags extends SamplingFlags, VisionFlags, ContrastFlags {
  prompt: string
  rawPrompt?: boolean
  maxTokens: number
  stop?: string[]
  pdm?: boolean
  json?: boolean
  quiet?: boolean
}

interface Captioned {
  readonly image: string
  readonly promptIds: readonly number[]
  readonly ids: readonly number[]
  readonly text: string
  readonly finish: string
  /** Hellinger distance at each token. */
  readonly pdm?: readonly number[]
}

/** What is said of each picture, as it is said; `show` gets the pieces. */
async function captionAll(
  path: string,
  images: readonly string[],
  flags: Flags,
  io: Io,
  show: (piece: string) => void,
): Promise<Captioned[]> {
  const { maxTokens, stop: stops = [], quiet = false } = flags
  const { seed = 0, ...others } = flags
  // noise is drawn, too
  const sampling = samplingOf(flags.vcd === undefined ? flags : others, 0)
  const { random } = await import('../../tensor/index.ts')
  const [draws, noise] = random.split(random.key(seed), 2) as [never, never]
  const { options, warning } = await contrastOf(flags, maxTokens, noise)
  if (warning !== undefined && !quiet) io.err(warning)
  const model = await openVisionLanguage(path, flags)
  try {
    const found: Captioned[] = []
    for (const [i, image] of images.entries()) {
      const stream = model.tokenizer.decoder({ continues: true, cut: true })
      const stop = stopper(stops)
      const over = new AbortController()
      let text = ''
      const say = (piece: string): void => {
        // what sets an answer apart from the text before it is none of it
        const own = text === '' && !flags.rawPrompt ? piece.trimStart() : piece
        text += own
        show(own)
      }
      const made = await model.generate({
        ...{ ...options, maxTokens, sampling, images: [image], stopIds: model.tokenizer.eosIds },
        ...(flags.rawPrompt ? { raw: flags.prompt } : { question: flags.prompt }),
        ...{ key: random.foldIn(draws, i), measuresDependency: flags.pdm ?? false, signal: over.signal },
        ...looking(io, image, quiet),
        onToken: (id) => {
          say(stop.push(stream.push(id)))
          if (stop.isOver) over.abort()
        },
      })
      say(stop.end())
      const finish = stop.isOver ? 'stop' : made.finish
      show('\n')
      if (finish === 'context' && !quiet)
        io.err(`${image}: ended by the model's context of ${model.context} tokens\n`)
      found.push({
        ...{ image, promptIds: made.promptIds, ids: made.ids, text, finish },
        ...(made.dependencies && { pdm: made.dependencies }),
      })
    }
    return found
  } finally {
    model.dispose()
  }
}

/** The command. */
export const captionCommand = (io: Io): Command =>
  withContrast(
    withSampling(
      withRuntime(
        new Command('caption')
          .description('describe pictures with a vision-language model; greedy unless a temperature is given')
          .argument('<model>', 'a folder of LLaVA 1.5, Idefics3 or SmolVLM as Transformers writes it')
          .argument('<image...>', 'PNG and JPEG files; each is described by itself'),
        'f32',
      )
        .option('--prompt <text>', 'what is asked of each picture', 'Describe this picture.')
        .option('--raw-prompt', 'the prompt as it is, image token included, without the chat template')
        .addOption(integerOption('--max-tokens <n>', 'tokens at most', 1, 1e6).default(128))
        .option('--stop <text>', 'end before this text, where it comes up; may be repeated', collect)
        .addOption(tilesOption()),
    ),
  )
    .option('--pdm', 'with --json: how much each token depends on the picture (Hellinger distance, 0 to 1)')
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(
        ['treeline caption SmolVLM-256M-Instruct kitchen.jpg', 'what is to be seen'],
        [
          'treeline caption llava-1.5-7b-hf kitchen.jpg --precision q4 --m3id',
          'the picture counts more as the text grows',
        ],
        [
          'treeline caption smolvlm *.jpg --m3id lambda=.05,alpha=1.01,cutoff=.1 --json',
          'many, for a script',
        ],
        [
          'treeline caption llava a.png --raw-prompt --prompt "USER: <image>\\nWhat is odd? ASSISTANT:"',
          'a prompt of your own',
        ],
      ),
    )
    .action(async (path: string, images: string[], flags: Flags) => {
      const isOne = images.length === 1
      let isNew = true
      let next = 0
      const found = await captionAll(path, images, flags, io, (piece) => {
        if (flags.json) return
        if (isNew && !isOne) io.out(`${images[next++]}: `)
        isNew = piece === '\n'
        io.out(piece)
      })
      if (flags.json) io.out(prettyJson(found))
    })
