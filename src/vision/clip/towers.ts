/**
 * @file Towers: networks that make vectors of images and of texts. CLIP's (Radford et al. 2021, arXiv 2103.00020) and SigLIP's (Zhai
 * et al. 2023, arXiv 2303.15343), as Transformers has them.
 */
import { attend } from '../../nn/index.ts'
import {
  add,
  broadcastTo,
  concatenate,
  conv2d,
  gather,
  matmul,
  reshape,
  sliceAxis,
  split,
  type Tensor,
  transpose,
} from '../../tensor/index.ts'
import type { WeightReader } from '../weights.ts'
import type { ImageTowerShape, TextTowerShape } from './config.ts'
import { readEncoder, readMlp, readNorm } from './encoder.ts'

/** What a tower makes of its input. */
interface Seen {
  /** Before the first block, and after each, [N, T, width]. */
  readonly states: readonly Tensor[]
  /** One vector for each input, [N, width or dimension]. */
  readonly pooled: Tensor
}

/** Pixels [N, 3, S, S] ↦ patches [N, (S / patch)², width], row by row. */
function readPatches(read: WeightReader, name: string, shape: ImageTowerShape, bias: boolean) {
  const { width, patch, side } = shape
  const count = Math.floor(side / patch) ** 2
  const weight = read(`${name}.weight`, width, 3, patch, patch)
  const added = bias ? read(`${name}.bias`, width) : undefined
  return {
    count,
    apply(pixels: Tensor): Tensor {
      const grid = conv2d(pixels, weight, { stride: patch })
      const rows = transpose(reshape(grid, [grid.shape[0]!, width, count]), [0, 2, 1])
      return added ? add(rows, added) : rows
    },
  }
}

/** The rows [N, width] at one place of x [N, T, width]. */
const rowsAt = (x: Tensor, place: number): Tensor =>
  reshape(sliceAxis(x, 1, place, place + 1), [x.shape[0]!, x.shape[2]!])

/**
 * The blocks of CLIP's image tower: pixels [N, 3, S, S] ↦ states before the first block and after each, [N, 1 + patches, width], the
 * place of the class first.
 */
export function clipImageStates(
  read: WeightReader,
  shape: ImageTowerShape,
  root = 'vision_model.',
): (pixels: Tensor) => Tensor[] {
  const { width } = shape
  const patches = readPatches(read, `${root}embeddings.patch_embedding`, shape, false)
  const own = reshape(read(`${root}embeddings.class_embedding`, width), [1, 1, width])
  const positions = read(`${root}embeddings.position_embedding.weight`, patches.count + 1, width)
  // the name has this spelling in every folder
  const before = readNorm(read, `${root}pre_layrnorm`, shape)
  const encode = readEncoder(read, `${root}encoder`, shape)
  return (pixels) => {
    const first = broadcastTo(own, [pixels.shape[0]!, 1, width])
    return encode(before(add(concatenate([first, patches.apply(pixels)], 1), positions)))
  }
}

/** CLIP's image tower: pixels [N, 3, S, S] ↦ states, the place of the class first, and embeddings [N, dimension]. */
export function clipImageTower(
  read: WeightReader,
  shape: ImageTowerShape,
  dimension: number,
): (pixels: Tensor) => Seen {
  const encode = clipImageStates(read, shape)
  const after = readNorm(read, 'vision_model.post_layernorm', shape)
  const projection = read('visual_projection.weight', dimension, shape.width)
  return (pixels) => {
    const states = encode(pixels)
    const pooled = after(rowsAt(states.at(-1)!, 0))
    return { states, pooled: matmul(pooled, projection, { transposeB: true }) }
  }
}

/** CLIP's text tower: tokens [N, T] and ones at their ends [N, T] ↦ states and embeddings [N, dimension]. */
export function clipTextTower(
  read: WeightReader,
  shape: TextTowerShape,
  dimension: number,
): (ids: Tensor, ends: Tensor) => Seen {
  const { width, vocabulary, context } = shape
  const root = 'text_model'
  const tokens = read(`${root}.embeddings.token_embedding.weight`, vocabulary, width)
  const positions = read(`${root}.embeddings.position_embedding.weight`, context, width)
  const encode = readEncoder(read, `${root}.encoder`, shape, { causal: true })
  const after = readNorm(read, `${root}.final_layer_norm`, shape)
  const projection = read('text_projection.weight', dimension, width)
  return (ids, ends) => {
    const [n, t] = ids.shape as [number, number]
    const states = encode(add(gather(tokens, ids, 0), sliceAxis(positions, 0, 0, t)))
    const atEnds = reshape(matmul(reshape(ends, [n, 1, t]), states.at(-1)!), [n, width])
    return { states, pooled: matmul(after(atEnds), projection, { transposeB: true }) }
  }
}

/**
 * The blocks of SigLIP's image tower: pixels [N, 3, S, S] ↦ states before the first block and after each, [N, patches, width].
 */
function siglipImageStates(read: WeightReader, shape: ImageTowerShape): (pixels: Tensor) => Tensor[] {
  const patches = readPatches(read, 'embeddings.patch_embedding', shape, true)
  const positions = read('embeddings.position_embedding.weight', patches.count, shape.width)
  const encode = readEncoder(read, 'encoder', shape)
  return (pixels) => encode(add(patches.apply(pixels), positions))
}

/** SigLIP's image tower: pixels [N, 3, S, S] ↦ states of patches, the last of them normalized, and what its head makes of them [N, width]. */
export function siglipImageTower(read: WeightReader, shape: ImageTowerShape): (pixels: Tensor) => Seen {
  const encode = siglipImageStates(read, shape)
  const after = readNorm(read, 'post_layernorm', shape)
  const head = readAttentionHead(read, 'head', shape, shape.heads)
  return (pixels) => {
    const states = encode(pixels)
    const last = after(states.at(-1)!)
    return { states: [...states, last], pooled: head(last) }
  }
}

/**
 * Idefics3's image tower, SigLIP's without a head: pixels [N, 3, S, S] ↦ patches [N, (S / patch)², width]. Each patch has its own place.
 * Transformers counts places by shares of the side in f32, which is the same for 26, 27 and 32 patches a side, as models have them.
 */
export function idefics3ImageTower(read: WeightReader, shape: ImageTowerShape): (pixels: Tensor) => Tensor {
  const encode = siglipImageStates(read, shape)
  const after = readNorm(read, 'post_layernorm', shape)
  return (pixels) => after(encode(pixels).at(-1)!)
}

/** A learned query that looks at all patches, and a block of products behind it: x [N, T, width] ↦ [N, width]. */
function readAttentionHead(
  read: WeightReader,
  name: string,
  shape: ImageTowerShape,
  heads: number,
): (x: Tensor) => Tensor {
  const { width } = shape
  const probe = read(`${name}.probe`, 1, 1, width)
  const weights = split(read(`${name}.attention.in_proj_weight`, 3 * width, width), 3, 0)
  const biases = split(read(`${name}.attention.in_proj_bias`, 3 * width), 3, 0)
  const out = read(`${name}.attention.out_proj.weight`, width, width)
  const outBias = read(`${name}.attention.out_proj.bias`, width)
  const norm = readNorm(read, `${name}.layernorm`, shape)
  const mlp = readMlp(read, `${name}.mlp`, shape)
  const projected = (x: Tensor, part: number): Tensor => {
    const [n, t] = x.shape as [number, number]
    const y = add(matmul(x, weights[part]!, { transposeB: true }), biases[part]!)
    return transpose(reshape(y, [n, t, heads, width / heads]), [0, 2, 1, 3])
  }
  return (x) => {
    const n = x.shape[0]!
    const query = projected(broadcastTo(probe, [n, 1, width]), 0)
    const seen = reshape(attend(query, projected(x, 1), projected(x, 2)), [n, width])
    const joined = add(matmul(seen, out, { transposeB: true }), outBias)
    return add(joined, mlp(norm(joined)))
  }
}
