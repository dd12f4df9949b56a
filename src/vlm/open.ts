/** @file A vision-language model from the folder that Transformers writes: it sees pictures, and continues prompts with them. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../base/index.ts'
import { readObject } from '../base/read.ts'
import { openCheckpoint } from '../checkpoint/index.ts'
import { type Picture, readPicture } from '../data/index.ts'
import { type LanguageModel, type LoadOptions, languageModelOf } from '../lm/index.ts'
import { compile, type Tensor, tensor } from '../tensor/index.ts'
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.ts'
import { weightReader } from '../vision/index.ts'
import { visionLanguageConfig } from './config.ts'
import { type GeneratedWithImages, type GenerateWithImagesOptions, generateWithImages } from './generate.ts'
import type { Eyes, Look } from './layouts/layout.ts'
import { partsOf } from './parts.ts'
import { type Prompt, type PromptOptions, prompting } from './prompt.ts'

export interface OpenVisionLanguageOptions extends LoadOptions {
  /** Cut pictures into tiles where the folder says so (default); false: each is seen once, as a whole, in fewer tokens. */
  readonly tiles?: boolean
}

export interface VisionLanguageModel {
  readonly path: string
  /** `model_type` of the folder. */
  readonly type: string
  /** The part that reads and writes. */
  readonly language: LanguageModel
  readonly tokenizer: Tokenizer
  /** Most tokens of a prompt and its continuation, those of pictures among them. */
  readonly context: number
  /** The token in whose place features of a picture stand. */
  readonly imageToken: number
  /** A picture, or its file, as the model sees it: pixels of its tiles, and the text that stands for it. Throws `TL_IO`, `TL_BAD_FILE`. */
  look(image: Picture | string): Look
  /** Pixels [3, side, side] of a tile ↦ features [tokens, width]. */
  features(tile: Float32Array): Promise<Float32Array>
  /** Messages, or a text, with pictures, as the language model takes them in. Throws `TL_BAD_ARGUMENT`. */
  prompt(options: PromptOptions): Promise<Prompt>
  /** Logits after chosen tokens of a prompt (default the last): [R, vocabulary]. */
  logits(prompt: Prompt, rows?: readonly number[]): Promise<Float32Array>
  generate(options: GenerateWithImagesOptions): Promise<GeneratedWithImages>
  dispose(): void
}

/** The configuration of a folder, with a message for what people take for one. */
function configIn(path: string) {
  const label = join(path, 'config.json')
  if (statSync(path, { throwIfNoEntry: false })?.isFile())
    fail(
      'TL_UNSUPPORTED',
      `${path}: one file holds no vision-language model here: name the Hugging Face folder with config.json and its processor`,
    )
  return visionLanguageConfig(
    readObject(label) ?? fail('TL_IO', `cannot read ${label}: no such file: name a Hugging Face folder`),
    label,
  )
}

/**
 * Open a folder of LLaVA 1.5 or of Idefics3 and SmolVLM. The image tower runs in f32, the language model in `precision`. Throws `TL_IO`,
 * `TL_BAD_FILE`, `TL_UNSUPPORTED`.
 */
export function openVisionLanguageModel(
  path: string,
  { tiles = true, ...options }: OpenVisionLanguageOptions = {},
): VisionLanguageModel {
  const { type, layout, language: config, imageToken } = configIn(path)
  const tokenizer = loadTokenizer(path)
  const imageText =
    tokenizer.token(imageToken) ??
    fail('TL_BAD_FILE', `${path}: its tokenizer has no token ${imageToken}, the image token of config.json`)
  const weights = openCheckpoint(path)
  const label = join(path, 'config.json')
  try {
    const parts = partsOf(weights)
    const eyes: Eyes = layout.open({
      ...{ config: readObject(label)!, label, folder: path, tokenizer, tiles },
      ...{ read: weightReader(parts.eyes, `a model of type ${type}`), width: config.width },
      imageToken: imageText,
    })
    const language = languageModelOf(path, parts.language, config, options)
    const seeing = compile((pixels: Tensor) => eyes.features(pixels), {
      ...{ name: 'image tower', threads: options.threads ?? 1 },
    })
    const look = (image: Picture | string): Look =>
      eyes.look(typeof image === 'string' ? readPicture(image) : image)
    const features = async (tile: Float32Array): Promise<Float32Array> => {
      const shape = [1, 3, eyes.side, eyes.side]
      if (tile.length !== 3 * eyes.side ** 2)
        fail('TL_BAD_ARGUMENT', `tile: expected ${shape.join(' × ')} numbers, got ${tile.length}`)
      return (await seeing(tensor(tile, { shape }))).data as Float32Array
    }
    const { context } = language
    const source = { path, language, tokenizer, imageToken, imageText, context, look, features }
    const prompt = prompting(source)
    return {
      ...{ path, type, language, tokenizer, context, imageToken, look, features, prompt },
      async logits({ x }, rows = [x.length / config.width - 1]) {
        const program = await language.program()
        const length = x.length / config.width
        return (await program.run({ x, kvCache: program.kvCache(1, length), rows })).logits!
      },
      generate: (own) => generateWithImages(source, prompt, own),
      dispose() {
        seeing.dispose()
        language.dispose()
      },
    }
  } catch (error) {
    weights.close()
    throw error
  }
}
