/** @file A small convolutional network for images: 3×3 convolutions in stages that halve the image, then one dense layer. */
import { fail } from '../../base/index.ts'
import { maxPool2d, reshape, type Tensor } from '../../tensor/index.ts'
import { type Activation, activation } from '../activations.ts'
import { initAll, type Key, type Layer } from '../layer.ts'
import { type ConvParameters, conv2d } from '../layers/conv.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { dropout } from '../layers/dropout.ts'

export interface SmallCnnOptions {
  /** One image, [channels, height, width]. */
  readonly image: readonly [number, number, number]
  readonly classes: number
  /** Channels of each stage; a stage is one 3×3 convolution and a 2×2 maximum. Default [16, 32, 64]. */
  readonly channels?: readonly number[]
  /** Default 'relu'. */
  readonly activation?: Activation
  /** Probability of dropping a feature before the dense layer, in training. Default 0. */
  readonly dropout?: number
}

/** stages.0 … stages.n: { weight, bias } of the convolutions; readout: { weight, bias }. */
export type SmallCnnParameters = { stages: ConvParameters[]; readout: DenseParameters }

export interface SmallCnn extends Layer<SmallCnnParameters, [x: Tensor, key?: Key | Tensor]> {
  /** Features before the readout, [B, features]. */
  readonly features: (parameters: SmallCnnParameters, x: Tensor) => Tensor
}

/** x [B, channels, height, width] ↦ logits [B, classes]. Dropout acts only where a key is given. */
export function smallCnn(options: SmallCnnOptions): SmallCnn {
  const { image, classes, channels = [16, 32, 64], dropout: rate = 0 } = options
  const [depth, height, width] = image
  if (channels.length === 0 || Math.min(height, width) < 2 ** channels.length)
    fail(
      'TL_BAD_ARGUMENT',
      `smallCnn: ${channels.length} stages halve an image of ${height}×${width} too often (expected 1 to ${Math.floor(Math.log2(Math.min(height, width)))} stages)`,
    )
  const act = activation(options.activation ?? 'relu')
  const stages = channels.map((outputs, i) =>
    conv2d(i === 0 ? depth : channels[i - 1]!, outputs, 3, { padding: 1 }),
  )
  const side = (n: number): number => Math.floor(n / 2 ** channels.length)
  const readout = dense(channels.at(-1)! * side(height) * side(width), classes)
  const features = (parameters: SmallCnnParameters, x: Tensor): Tensor => {
    let h = x
    for (const [i, stage] of stages.entries())
      h = act(maxPool2d(stage.apply(parameters.stages[i]!, h), { kernel: 2 }))
    return reshape(h, [x.shape[0]!, h.size / x.shape[0]!])
  }
  return {
    init: (key) =>
      initAll(key, { stages: { init: (k: Key) => initAll(k, stages) }, readout }) as SmallCnnParameters,
    features,
    apply: (parameters, x, key) => {
      const h = features(parameters, x)
      return readout.apply(parameters.readout, key && rate > 0 ? dropout(h, rate, key) : h)
    },
  }
}
