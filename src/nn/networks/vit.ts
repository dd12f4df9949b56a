/** @file Vision transformer: patches of an image as tokens, a class token in front, features read from it. */
import { fail } from '../../base/index.ts'
import {
  concatenate,
  matmul,
  random,
  reshape,
  showSpec,
  sliceAxis,
  squeeze,
  type Tensor,
  transpose,
  zeros,
} from '../../tensor/index.ts'
import { initialize } from '../initializers.ts'
import type { Layer } from '../layer.ts'
import { layerNorm, type NormParameters } from '../layers/normalization.ts'
import { type TransformerParameters, transformer } from './transformer.ts'

export interface VitOptions {
  /** Height and width of an image, in pixels. */
  readonly side: number
  /** Side of a patch, in pixels; divides `side`. */
  readonly patch: number
  readonly channels: number
  readonly features: number
  readonly heads: number
  readonly layers: number
  /** Features inside the feed-forward block. Default 4 × features. */
  readonly hidden?: number
  /** Features that are read from the class token, without a bias. */
  readonly outputs: number
}

/**
 * Images [B, channels, side, side] ↦ features [B, outputs]. `embedding` [patch² · channels, features] maps a patch (rows, columns,
 * channels in this order), and `positions` [1 + patches, features] begins with the class token; both hold the biases that other
 * layouts keep apart. Blocks are `blocks.i`, then `norm`, then `head`. (Dosovitskiy et al. 2021, arXiv 2010.11929)
 */
export function vit(options: VitOptions): Layer<TransformerParameters> {
  const { side, patch, channels, features, heads, layers, hidden, outputs } = options
  if (!(Number.isInteger(side / patch) && side >= patch))
    fail('TL_BAD_ARGUMENT', `vit: expected a patch that divides images of ${side} pixels, got ${patch}`)
  const across = side / patch
  const [pixels, patches] = [patch * patch * channels, across * across]
  const stack = transformer({
    ...{ vocabulary: pixels, context: patches + 1, features, heads, layers, outputs },
    ...(hidden !== undefined && { hidden }),
    causal: false,
  })
  const norm = layerNorm(features)

  /** [B, 1 + patches, pixels]: the class token has no pixels, so that only its position speaks. */
  function tokensOf(x: Tensor): Tensor {
    const [batch, c, h, w] = x.shape
    if (x.rank !== 4 || c !== channels || h !== side || w !== side)
      fail('TL_SHAPE_MISMATCH', `vit: expected images [B, ${channels}, ${side}, ${side}], got ${showSpec(x)}`)
    const tiles = transpose(reshape(x, [batch!, channels, across, patch, across, patch]), [0, 2, 4, 3, 5, 1])
    const blank = zeros([batch!, 1, pixels], x.dtype)
    return concatenate([blank, reshape(tiles, [batch!, patches, pixels])], 1)
  }

  return {
    init: (key) => {
      const made = stack.init(key)
      // the stack begins with rows of a vocabulary in mind; a patch is a sum over its pixels
      const embedding = initialize(random.foldIn(key, 1), [pixels, features], 'glorot', {
        fanIn: pixels,
        fanOut: features,
      })
      return { ...made, embedding }
    },
    apply: (p, x) => {
      const last = stack.activations(p, tokensOf(x)).at(-1)!
      const first = squeeze(sliceAxis(last, 1, 0, 1), 1)
      return matmul(norm.apply(p.norm as NormParameters, first), p.head!.weight, { transposeB: true })
    },
  }
}
