/**
 * @file A small convolutional classifier whose layers can be looked at: stages of convolution, batch normalization, rectifier and
 * pooling, then two dense layers. Once trained, the normalization is folded into the convolutions. (Ioffe & Szegedy 2015)
 */
import { fail } from '../base/index.ts'
import {
  type ConvParameters,
  conv2d,
  type DenseParameters,
  dense,
  initAll,
  type Key,
  type NormParameters,
} from '../nn/index.ts'
import {
  add,
  maxPool2d,
  mean,
  mul,
  random,
  relu,
  reshape,
  rsqrt,
  square,
  stack,
  sub,
  type Tensor,
  tensor,
} from '../tensor/index.ts'

export interface CnnOptions {
  /** One image, [channels, height, width]. */
  readonly image: readonly [number, number, number]
  readonly classes: number
  /** Channels of each stage; the image is halved after it. Default [16, 32, 64]. */
  readonly channels?: readonly number[]
  /** Width of the dense layer before the logits. Default 128. */
  readonly hidden?: number
}

type Head = { hidden: DenseParameters; readout: DenseParameters }

/** In training: stages.0.conv.weight [channels, image channels, 3, 3], stages.0.norm.weight and bias [channels], hidden, readout. */
export type CnnParameters = Head & { stages: { conv: ConvParameters; norm: NormParameters }[] }

/** Trained: stages.0.weight and bias, hidden, readout. */
export type FoldedCnn = Head & { stages: ConvParameters[] }

export interface Cnn {
  readonly init: (key: Key) => CnnParameters
  /** Parameters of the right shapes, for reading a file of trained ones. */
  readonly folded: () => FoldedCnn
  /** x [N, channels, height, width] ↦ logits [N, classes], normalized by the images of this batch. */
  readonly train: (parameters: CnnParameters, x: Tensor) => Tensor
  /** Mean and variance of each stage's channels over a batch, [1, 2, channels] each. */
  readonly moments: (parameters: CnnParameters, x: Tensor) => Tensor[]
  /** Trained parameters, given the mean and the variance of each stage's channels over images. */
  readonly fold: (parameters: CnnParameters, moments: readonly Moments[]) => FoldedCnn
  /** Names of what `activations` returns, in its order; the last is `logits`. */
  readonly layers: readonly string[]
  /** Each stage after its rectifier [N, C, H, W], hidden [N, hidden], logits [N, classes]. */
  readonly activations: (parameters: FoldedCnn, x: Tensor) => Tensor[]
}

/** Of each channel. */
export interface Moments {
  readonly mean: ArrayLike<number>
  readonly variance: ArrayLike<number>
}

const epsilon = 1e-5
const filled = (size: number, value: number): Tensor => tensor(new Float32Array(size).fill(value))

/** A normalized convolution, given how its normalization came out, as a plain one. */
function foldStage(
  { conv: { weight }, norm }: CnnParameters['stages'][number],
  { mean: centres, variance }: Moments,
): ConvParameters {
  const [outputs, ...rest] = weight.shape as [number, ...number[]]
  const each = rest.reduce((product, n) => product * n, 1)
  const data = Float32Array.from(weight.data as Float32Array)
  const bias = new Float32Array(outputs)
  for (let o = 0; o < outputs; o++) {
    const scale = (norm.weight.data as Float32Array)[o]! / Math.sqrt(variance[o]! + epsilon)
    bias[o] = (norm.bias.data as Float32Array)[o]! - centres[o]! * scale
    for (let i = o * each; i < (o + 1) * each; i++) data[i]! *= scale
  }
  return { weight: tensor(data, { shape: weight.shape }), bias: tensor(bias) }
}

/** Stages of 3×3 convolutions, each halving the image, and two dense layers. Throws `TL_BAD_ARGUMENT`. */
export function cnn({ image, classes, channels = [16, 32, 64], hidden = 128 }: CnnOptions): Cnn {
  const [depth, height, width] = image
  const halved = (n: number): number => channels.reduce((side) => Math.floor(side / 2), n)
  if (channels.length === 0 || halved(Math.min(height, width)) < 1)
    fail(
      'TL_BAD_ARGUMENT',
      `cnn: ${channels.length} stages halve an image of ${height}×${width} too often (expected 1 to ${Math.floor(Math.log2(Math.min(height, width)))} stages)`,
    )
  const flat = channels.at(-1)! * halved(height) * halved(width)
  const convolutions = (bias: boolean) =>
    channels.map((outputs, i) => conv2d(channels[i - 1] ?? depth, outputs, 3, { padding: 1, bias }))
  const [bare, whole] = [convolutions(false), convolutions(true)]
  const head = { hidden: dense(flat, hidden, { init: 'he' }), readout: dense(hidden, classes) }

  function dressed(parameters: Head, h: Tensor): Tensor[] {
    const last = relu(head.hidden.apply(parameters.hidden, reshape(h, [h.shape[0]!, flat])))
    return [last, head.readout.apply(parameters.readout, last)]
  }

  function training(parameters: CnnParameters, x: Tensor) {
    const moments: Tensor[] = []
    let h = x
    for (const [i, conv] of bare.entries()) {
      const { conv: own, norm } = parameters.stages[i]!
      const each = (t: Tensor): Tensor => reshape(t, [channels[i]!, 1, 1])
      const y = conv.apply(own, h)
      const centre = mean(y, [0, 2, 3])
      const apart = sub(y, each(centre))
      const variance = mean(square(apart), [0, 2, 3])
      moments.push(reshape(stack([centre, variance]), [1, 2, channels[i]!]))
      const scale = mul(rsqrt(add(variance, epsilon)), norm.weight)
      h = maxPool2d(relu(add(mul(apart, each(scale)), each(norm.bias))), { kernel: 2 })
    }
    return { h, moments }
  }

  return {
    init(key) {
      const norms = channels.map((size) => ({ weight: filled(size, 1), bias: filled(size, 0) }))
      const weights = initAll(key, { ...head, stages: { init: (own: Key) => initAll(own, bare) } })
      const stages = (weights.stages as ConvParameters[]).map((conv, i) => ({ conv, norm: norms[i]! }))
      return { hidden: weights.hidden, readout: weights.readout, stages }
    },
    folded: () =>
      initAll(random.key(0), { ...head, stages: { init: (own: Key) => initAll(own, whole) } }) as FoldedCnn,
    train: (parameters, x) => dressed(parameters, training(parameters, x).h)[1]!,
    moments: (parameters, x) => training(parameters, x).moments,
    fold: ({ stages, hidden: own, readout }, moments) => ({
      stages: stages.map((stage, i) => foldStage(stage, moments[i]!)),
      ...{ hidden: own, readout },
    }),
    layers: [...channels.map((_, i) => `conv ${i + 1}`), 'hidden', 'logits'],
    activations(parameters, x) {
      const found: Tensor[] = []
      let h = x
      for (const [i, conv] of whole.entries()) {
        found.push(relu(conv.apply(parameters.stages[i]!, h)))
        h = maxPool2d(found.at(-1)!, { kernel: 2 })
      }
      return [...found, ...dressed(parameters, h)]
    },
  }
}
