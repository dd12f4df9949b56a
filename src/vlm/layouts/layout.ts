/** @file What the layouts of vision-language models have in common: a picture becomes tokens of the language model. */
import type { JsonObject } from '../../base/index.ts'
import type { Picture } from '../../data/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import type { Tokenizer } from '../../tokenizer/index.ts'
import type { WeightReader } from '../../vision/index.ts'

/** A picture as a model sees it. */
export interface Look {
  /** Numbers [3, side, side] of each part, the whole of the picture last. */
  readonly tiles: readonly Float32Array[]
  /** Text that stands in the prompt for the picture: one image token for each feature. */
  readonly text: string
}

/** The part of a model that sees. */
export interface Eyes {
  /** Side of a tile, in pixels. */
  readonly side: number
  /** Image tokens of one tile. */
  readonly tokens: number
  /** Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
  look(picture: Picture): Look
  /** Pixels [1, 3, side, side] ↦ features [1, tokens, width of the language model]. */
  readonly features: (pixels: Tensor) => Tensor
}

/** What a layout is opened with. */
export interface EyesSource {
  /** The whole configuration and its file. */
  readonly config: JsonObject
  readonly label: string
  readonly folder: string
  /** Weights: `tower.` is the image tower, `projector.` what stands between it and the language model. */
  readonly read: WeightReader
  /** Features of the language model. */
  readonly width: number
  readonly tokenizer: Tokenizer
  /** The image token, as text. */
  readonly imageToken: string
  /** False: pictures are not cut into tiles, whatever the folder says. */
  readonly tiles: boolean
}

/** A way in which a language model and an image tower are put together. */
export interface Layout {
  /** `model_type` of folders that have it. */
  readonly types: readonly string[]
  /** The key of the image token in the configuration, the others that it may have, and its default. */
  readonly imageToken: { readonly keys: readonly string[]; readonly fallback: number }
  open(source: EyesSource): Eyes
}
