/** @file CLIP from a folder as Transformers writes it: pictures and texts as vectors that can be compared. */
import { join } from 'node:path'
import { fail } from '../../base/index.ts'
import { readObject } from '../../base/read.ts'
import { openCheckpoint } from '../../checkpoint/index.ts'
import { type Picture, readPicture } from '../../data/index.ts'
import { compile, type Tensor, tensor } from '../../tensor/index.ts'
import { loadTokenizer, type Tokenizer } from '../../tokenizer/index.ts'
import { type Preprocessor, preprocessor } from '../preprocess.ts'
import { readPreprocessing } from '../readPreprocessing.ts'
import { weightReader } from '../weights.ts'
import { type ClipShape, clipShape, type TextTowerShape } from './config.ts'
import { inGroups } from './together.ts'
import { clipImageTower, clipTextTower } from './towers.ts'

export interface OpenClipOptions {
  /** Pictures, or texts, in one call of the runtime. Default 8. */
  readonly batchSize?: number
  /** Threads of one call. Default 1. */
  readonly threads?: number
}

export interface Clip {
  /** What the image tower sees: [3, side, side]. */
  readonly shape: readonly [number, number, number]
  /** Numbers of an embedding. */
  readonly dimension: number
  /** Most tokens of a text, the marks of beginning and end among them. */
  readonly context: number
  /** What cosines are multiplied with before a softmax. */
  readonly scale: number
  /** A picture, or its file, as the tower sees it: [3, side, side]. Throws `TL_IO`, `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
  preprocess(image: Picture | string): Float32Array
  /** Pixels [N, 3, side, side] ↦ unit vectors [N, dimension]. Throws `TL_BAD_ARGUMENT`. */
  embedImages(pixels: Float32Array): Promise<Float32Array>
  /** Texts ↦ unit vectors [N, dimension]. A text that is longer than the context is cut. */
  embedTexts(texts: readonly string[]): Promise<Float32Array>
  /** Ids of a text as the text tower reads them, with the marks. */
  tokenize(text: string): number[]
  dispose(): void
}

/** Beginning, text, end; where a text is too long, its rest is left out and the end stays. */
function tokenizeWith(tokenizer: Tokenizer, { context }: TextTowerShape, folder: string) {
  const { bosId, eosIds } = tokenizer
  const [end] = eosIds
  if (bosId === undefined || end === undefined)
    return fail('TL_BAD_FILE', `${folder}: its tokenizer names no bos_token and eos_token`)
  return (text: string): number[] => [bosId, ...tokenizer.encode(text).slice(0, context - 2), end]
}

/** Where texts of tokens [N, context] are read: a one at the end of each. */
function endsOf(ids: Int32Array, { context, end }: TextTowerShape): Float32Array {
  const ends = new Float32Array(ids.length)
  for (let from = 0; from < ids.length; from += context) {
    const own = ids.subarray(from, from + context)
    const place = end === undefined ? own.indexOf(Math.max(...own)) : own.indexOf(end)
    ends[from + Math.max(0, place)] = 1
  }
  return ends
}

/** Rows [N, size] of length 1. */
function unit(rows: Float32Array, size: number): Float32Array {
  const out = new Float32Array(rows.length)
  for (let from = 0; from < rows.length; from += size) {
    let sum = 0
    for (let i = from; i < from + size; i++) sum += rows[i]! ** 2
    const length = Math.sqrt(sum)
    for (let i = from; i < from + size; i++) out[i] = rows[i]! / length
  }
  return out
}

interface Parts {
  readonly shape: ClipShape
  readonly image: ReturnType<typeof clipImageTower>
  readonly text: ReturnType<typeof clipTextTower>
  readonly scale: number
}

/** The towers of a folder, with their weights. */
export function readClip(folder: string): Parts {
  const path = join(folder, 'config.json')
  const config =
    readObject(path) ?? fail('TL_IO', `cannot read ${path}: no such file: name a folder of a CLIPModel`)
  const shape = clipShape(config, path)
  const weights = openCheckpoint(folder)
  try {
    const read = weightReader(weights, 'a CLIPModel')
    const scale = Math.exp(Number(read('logit_scale').data[0]))
    return {
      ...{ shape, scale },
      image: clipImageTower(read, shape.image, shape.dimension),
      text: clipTextTower(read, shape.text, shape.dimension),
    }
  } finally {
    weights.close()
  }
}

/**
 * Open a `CLIPModel` – OpenAI's, LAION's, or of your own – with its tokenizer and the settings of its preprocessing. Throws `TL_IO`,
 * `TL_BAD_FILE`, `TL_UNSUPPORTED`.
 */
export async function openClip(
  folder: string,
  { batchSize = 8, threads = 1 }: OpenClipOptions = {},
): Promise<Clip> {
  if (!(Number.isSafeInteger(batchSize) && batchSize >= 1 && batchSize <= 4096))
    fail('TL_BAD_ARGUMENT', `batchSize: expected a whole number from 1 to 4096, got ${batchSize}`)
  const { shape, scale, image, text } = readClip(folder)
  const { side } = shape.image
  const steps: Preprocessor = preprocessor(...readPreprocessing(folder), side, 'clip')
  const tokenize = tokenizeWith(loadTokenizer(folder), shape.text, folder)
  const { dimension } = shape
  const { context } = shape.text
  const size = 3 * side * side
  const seeing = compile((pixels: Tensor) => image(pixels).pooled, { name: 'image tower', threads })
  const reading = compile((ids: Tensor, ends: Tensor) => text(ids, ends).pooled, {
    name: 'text tower',
    threads,
  })

  return {
    ...{ shape: [3, side, side], dimension, context, scale, tokenize },
    preprocess: (one) => steps.apply(typeof one === 'string' ? readPicture(one) : one),
    async embedImages(pixels) {
      const count = pixels.length / size
      if (!Number.isInteger(count) || count === 0)
        fail(
          'TL_BAD_ARGUMENT',
          `pixels: expected images [N, 3, ${side}, ${side}] of ${size} numbers each, got ${pixels.length} numbers`,
        )
      const rows = await inGroups(count, batchSize, async (from, to) => {
        const some = tensor(pixels.subarray(from * size, to * size), { shape: [to - from, 3, side, side] })
        return (await seeing(some)).data as Float32Array
      })
      return unit(rows, dimension)
    },
    async embedTexts(texts) {
      if (texts.length === 0) fail('TL_BAD_ARGUMENT', 'texts: expected at least one text')
      const rows = await inGroups(texts.length, batchSize, async (from, to) => {
        const ids = new Int32Array((to - from) * context)
        for (let i = from; i < to; i++) ids.set(tokenize(texts[i]!), (i - from) * context)
        const ends = tensor(endsOf(ids, shape.text), { shape: [to - from, context] })
        return (await reading(tensor(ids, { shape: [to - from, context] }), ends)).data as Float32Array
      })
      return unit(rows, dimension)
    },
    dispose() {
      seeing.dispose()
      reading.dispose()
    },
  }
}
