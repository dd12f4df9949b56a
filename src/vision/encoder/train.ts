/** @file Training an encoder of pictures with frozen prototypes, from nothing or from other parameters, and asking it. */

import type { Split } from '../../data/index.ts'
import {
  adamW,
  applyInBatches,
  cosine,
  crossEntropyLoss,
  type Layer,
  type TransformerParameters,
  train,
  type VitOptions,
  vit,
} from '../../nn/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import { type MixturePart, mixtureBatches, type PictureBatch, picturesOf } from './mixture.ts'
import { prototypeLogits, prototypes } from './prototypes.ts'

export type EncoderParameters = TransformerParameters

/** A ViT of square colour pictures, and the factor of its cosines. */
export interface PictureEncoder extends Layer<EncoderParameters> {
  readonly options: EncoderOptions
  /** Pictures [B, 3, side, side] in [−1, 1] ↦ logits [B, classes]. */
  readonly logits: (parameters: EncoderParameters, pictures: Tensor, heads: Tensor) => Tensor
  /** The frozen head of these names, [names, outputs]. */
  readonly heads: (names: readonly string[]) => Tensor
}

export type EncoderOptions = Omit<VitOptions, 'channels'> & {
  /** Factor of the cosines. Default 16. */
  readonly scale?: number
}

/** A small vision transformer with frozen class prototypes. Throws TL_BAD_ARGUMENT. */
export function pictureEncoder(options: EncoderOptions): PictureEncoder {
  const { scale = 16, ...sizes } = options
  const network = vit({ ...sizes, channels: 3 })
  return {
    options,
    init: network.init,
    apply: network.apply,
    logits: (parameters, pictures, heads) =>
      prototypeLogits(network.apply(parameters, pictures), heads, scale),
    heads: (names) => prototypes(names, sizes.outputs),
  }
}

export interface TrainEncoderOptions {
  /** Where training begins. */
  readonly parameters: EncoderParameters
  /** Class names of the head, in the order of the mixture's numbers. */
  readonly classes: readonly string[]
  readonly parts: readonly MixturePart[]
  readonly steps: number
  /** Default 64. */
  readonly batchSize?: number
  /** Peak of a cosine with a warm-up of a twentieth. */
  readonly learningRate: number
  /** Default 0.01. */
  readonly weightDecay?: number
  readonly seed: number
  /** In place of the cross-entropy: the loss of logits [B, classes] and labels [B]. */
  readonly loss?: (logits: Tensor, batch: PictureBatch) => Tensor
  readonly threads?: number
  readonly signal?: AbortSignal
  /** File of the state of training: an interrupted one goes on from it. */
  readonly state?: string
  readonly onProgress?: (share: number, loss: number) => void
}

/** Train; the same options give the same parameters, also when it was interrupted. */
export async function trainEncoder(
  encoder: PictureEncoder,
  options: TrainEncoderOptions,
): Promise<EncoderParameters> {
  const {
    classes,
    parts,
    steps,
    batchSize = 64,
    learningRate,
    weightDecay = 0.01,
    seed,
    threads = 1,
  } = options
  const { loss = (logits, { label }) => crossEntropyLoss(logits, label) } = options
  const { state, signal, onProgress } = options
  const heads = encoder.heads(classes)
  const { parameters } = await train<EncoderParameters, PictureBatch>({
    parameters: options.parameters,
    loss: (own, batch) => loss(encoder.logits(own, batch.image, heads), batch),
    data: mixtureBatches(parts, batchSize),
    optimizer: adamW({ weightDecay }),
    learningRate: cosine({ peak: learningRate, warmup: Math.ceil(steps / 20) }),
    clipNorm: 1,
    ...{ steps, batchSize, seed, threads },
    ...(state !== undefined && {
      checkpoint: { path: state, every: Math.max(1, Math.round(steps / 10)) },
      resume: true,
      config: { options: encoder.options, classes, steps, batchSize, learningRate, weightDecay },
    }),
    ...(signal && { signal }),
    onProgress: ({ step, total, loss: now }) => onProgress?.(step / total, now),
  })
  return parameters
}

/** Logits of all pictures, [count, names]. */
export async function encoderLogits(
  encoder: PictureEncoder,
  parameters: EncoderParameters,
  pictures: Split,
  names: readonly string[],
  threads = 1,
): Promise<Tensor> {
  const heads = encoder.heads(names)
  const { logits } = await applyInBatches(
    (own: EncoderParameters, { image }: { image: Tensor }) => ({ logits: encoder.logits(own, image, heads) }),
    parameters,
    { image: picturesOf(pictures) },
    { batchSize: Math.min(128, pictures.count), threads },
  )
  return logits!
}
