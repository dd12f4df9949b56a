/**
 * @file MobileNet v1 (Howard et al. 2017) as Keras names its weights: a convolution and thirteen blocks, each a convolution of every
 * channel by itself and one across channels. Batch normalization is folded into the weights when they are read.
 */
import { fail } from '../base/index.ts'
import { type Checkpoint, openCheckpoint } from '../checkpoint/index.ts'
import { add, conv2d, maximum, mean, minimum, reshape, type Tensor, tensor } from '../tensor/index.ts'
import { storedWeight } from './weights.ts'

/** A convolution and what is added to each of its channels. */
interface Step {
  readonly weight: Tensor
  readonly bias: Tensor
  readonly stride: 1 | 2
  readonly groups: number
}

/** The weights of a network, folded. */
export interface MobileNet {
  readonly classes: number
  readonly layers: readonly string[]
  /** Steps of each layer: of the first convolution one, of a block two. */
  readonly steps: readonly (readonly Step[])[]
  readonly readout: { readonly weight: Tensor; readonly bias: Tensor }
}

const blocks = 13
/** Blocks that halve the image. */
const halving = new Set([2, 4, 6, 12])
/** Added to variances. (Keras applications, MobileNet) */
const epsilon = 1e-3

/** A weight with so many axes. */
function read(weights: Checkpoint, name: string, rank: number): ReturnType<typeof storedWeight> {
  const stored = storedWeight(weights, name, 'a MobileNet v1 with the names of Keras')
  if (stored.shape.length !== rank)
    fail('TL_BAD_FILE', `${weights.path}: tensor "${name}" is [${stored.shape}], expected ${rank} axes`)
  return stored
}

/** A convolution with its normalization: y = γ (W x − μ)/√(σ² + ε) + β. Kernels [h, w, in, out], or [h, w, channels, 1] of each channel. */
function folded(
  weights: Checkpoint,
  name: string,
  stride: 1 | 2,
  inputs: number,
): Step & { outputs: number } {
  const isDepthwise = name.startsWith('conv_dw')
  const kernelName = `${name}/${isDepthwise ? 'depthwise_kernel' : 'kernel'}`
  const { shape, data } = read(weights, kernelName, 4)
  const [height, width, second, last] = shape as readonly [number, number, number, number]
  const side = isDepthwise || name === 'conv1' ? 3 : 1
  if (height !== side || width !== side || second !== inputs || (isDepthwise && last !== 1))
    fail(
      'TL_BAD_FILE',
      `${weights.path}: tensor "${kernelName}" is [${shape}], expected [${side}, ${side}, ${inputs}, ${isDepthwise ? 1 : 'outputs'}]`,
    )
  const outputs = isDepthwise ? inputs : last
  const [beta, gamma, centre, variance] = ['beta', 'gamma', 'moving_mean', 'moving_variance'].map((part) => {
    const own = read(weights, `${name}_bn/${part}`, 1)
    if (own.data.length !== outputs)
      fail(
        'TL_BAD_FILE',
        `${weights.path}: tensor "${name}_bn/${part}" is [${own.shape}], expected [${outputs}]`,
      )
    return own.data
  }) as [Float32Array, Float32Array, Float32Array, Float32Array]
  const perOutput = isDepthwise ? 1 : inputs
  const weight = new Float32Array(outputs * perOutput * side * side)
  const bias = new Float32Array(outputs)
  for (let o = 0; o < outputs; o++) {
    const scale = gamma[o]! / Math.sqrt(variance[o]! + epsilon)
    bias[o] = beta[o]! - centre[o]! * scale
    for (let i = 0; i < perOutput; i++)
      for (let at = 0; at < side * side; at++)
        weight[(o * perOutput + i) * side * side + at] =
          scale * data[isDepthwise ? at * inputs + o : (at * inputs + i) * outputs + o]!
  }
  return {
    weight: tensor(weight, { shape: [outputs, perOutput, side, side] }),
    bias: tensor(bias, { shape: [outputs, 1, 1] }),
    ...{ stride, outputs, groups: isDepthwise ? inputs : 1 },
  }
}

/** Read the weights of a MobileNet v1 of any width. Throws `TL_IO`, `TL_BAD_FILE` with the name of the tensor. */
export function readMobileNet(path: string): MobileNet {
  const weights = openCheckpoint(path)
  try {
    const first = folded(weights, 'conv1', 2, 3)
    let channels = first.outputs
    const steps: Step[][] = [[first]]
    for (let block = 1; block <= blocks; block++) {
      const own = folded(weights, `conv_dw_${block}`, halving.has(block) ? 2 : 1, channels)
      const across = folded(weights, `conv_pw_${block}`, 1, channels)
      channels = across.outputs
      steps.push([own, across])
    }
    const { shape, data } = read(weights, 'conv_preds/kernel', 4)
    const classes = shape[3]!
    const bias = read(weights, 'conv_preds/bias', 1).data
    if (shape.slice(0, 3).join() !== `1,1,${channels}` || bias.length !== classes)
      fail(
        'TL_BAD_FILE',
        `${weights.path}: "conv_preds" is [${shape}] and [${bias.length}], expected [1, 1, ${channels}, classes] and [classes]`,
      )
    const across = new Float32Array(data.length)
    for (let i = 0; i < channels; i++)
      for (let o = 0; o < classes; o++) across[o * channels + i] = data[i * classes + o]!
    return {
      ...{ classes, steps },
      layers: ['conv 1', ...Array.from({ length: blocks }, (_, i) => `block ${i + 1}`), 'logits'],
      readout: {
        weight: tensor(across, { shape: [classes, channels, 1, 1] }),
        bias: tensor(bias, { shape: [classes] }),
      },
    }
  } finally {
    weights.close()
  }
}

/** Padding of Keras's `same`: as much as the stride leaves over, the odd pixel below and on the right. */
function samePadding(size: number, kernel: number, stride: number): readonly [number, number] {
  const outputs = Math.ceil(size / stride)
  const all = Math.max(0, (outputs - 1) * stride + kernel - size)
  return [Math.floor(all / 2), Math.ceil(all / 2)]
}

function applyStep(x: Tensor, { weight, bias, stride, groups }: Step): Tensor {
  const kernel = weight.shape[2]!
  const padding = [x.shape[2]!, x.shape[3]!].map((size) => samePadding(size, kernel, stride))
  return minimum(maximum(add(conv2d(x, weight, { stride, padding, groups }), bias), 0), 6)
}

/** x [N, 3, H, W] in [−1, 1] ↦ the first convolution and each block after its rectifier [N, C, H′, W′], and logits [N, classes]. */
export function mobileNetActivations({ steps, readout, classes }: MobileNet, x: Tensor): Tensor[] {
  const found: Tensor[] = []
  let h = x
  for (const own of steps) {
    h = own.reduce(applyStep, h)
    found.push(h)
  }
  const pooled = mean(h, [2, 3], { keepDims: true })
  const logits = reshape(conv2d(pooled, readout.weight), [x.shape[0]!, classes])
  return [...found, add(logits, readout.bias)]
}
