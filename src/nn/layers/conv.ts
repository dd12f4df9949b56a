/** @file Convolutions over signals [N, C, T] and images [N, C, H, W], and their transposes, with the weight layouts of PyTorch. */
import {
  add,
  type ConvOptions as ConvGeometry,
  type ConvTransposeOptions as ConvTransposeGeometry,
  conv1d as convolve1d,
  conv2d as convolve2d,
  convTranspose1d as convolveTransposed1d,
  convTranspose2d as convolveTransposed2d,
  random,
  reshape,
  type Tensor,
} from '../../tensor/index.ts'
import { type Initializer, initialize, initializeBias } from '../initializers.ts'
import { type Layer, requireFeatures, requirePositive } from '../layer.ts'

/** weight [outputs, inputs / groups, ...kernel] (transposed: [inputs, outputs / groups, ...kernel]), bias [outputs]. */
export type ConvParameters = { weight: Tensor; bias?: Tensor }

interface Common {
  readonly bias?: boolean
  /** Default 'he'. */
  readonly init?: Initializer
}
/** Stride, padding, dilation and groups as in `tensor.conv2d`; bias and initializer. */
export type ConvOptions = ConvGeometry & Common
export type ConvTransposeOptions = ConvTransposeGeometry & Common

type Kernel = number | readonly number[]
type Operation<G> = (x: Tensor, weight: Tensor, geometry: G) => Tensor

function layer<G extends ConvGeometry>(
  name: string,
  operation: Operation<G>,
  axes: number,
  [inputs, outputs, kernel]: [number, number, Kernel],
  isTransposed: boolean,
  { bias = true, init = 'he', ...geometry }: G & Common,
): Layer<ConvParameters> {
  const size = typeof kernel === 'number' ? new Array<number>(axes).fill(kernel) : kernel
  const groups = geometry.groups ?? 1
  requirePositive(`${name}: channels, kernel and groups`, inputs, outputs, groups, ...size)
  const window = size.reduce((a, b) => a * b, 1)
  const [first, second] = isTransposed ? [inputs, outputs] : [outputs, inputs]
  const fans = { fanIn: (inputs / groups) * window, fanOut: (outputs / groups) * window }
  return {
    init: (key) => {
      const [forWeight, forBias] = random.split(key)
      const weight = initialize(forWeight!, [first, second / groups, ...size], init, fans)
      return bias ? { weight, bias: initializeBias(forBias!, outputs, init, fans) } : { weight }
    },
    apply: (parameters, x) => {
      requireFeatures(`${name}(${inputs} → ${outputs}, kernel ${size.join('×')})`, x, inputs, 1)
      const y = operation(x, parameters.weight, geometry as unknown as G)
      if (!parameters.bias) return y
      return add(y, reshape(parameters.bias, [outputs, ...size.map(() => 1)]))
    },
  }
}

/** Cross-correlation of signals: [N, inputs, T] ↦ [N, outputs, T′]. */
export const conv1d = (inputs: number, outputs: number, kernel: Kernel, options: ConvOptions = {}) =>
  layer('conv1d', convolve1d, 1, [inputs, outputs, kernel], false, options)

/** Cross-correlation of images: [N, inputs, H, W] ↦ [N, outputs, H′, W′]. */
export const conv2d = (inputs: number, outputs: number, kernel: Kernel, options: ConvOptions = {}) =>
  layer('conv2d', convolve2d, 2, [inputs, outputs, kernel], false, options)

/** The adjoint of `conv1d` over the input: [N, inputs, T] ↦ [N, outputs, T′] with T′ = (T − 1) stride + kernel − padding. */
export const convTranspose1d = (
  inputs: number,
  outputs: number,
  kernel: Kernel,
  options: ConvTransposeOptions = {},
) => layer('convTranspose1d', convolveTransposed1d, 1, [inputs, outputs, kernel], true, options)

/** The adjoint of `conv2d` over the input: [N, inputs, H, W] ↦ [N, outputs, H′, W′]. */
export const convTranspose2d = (
  inputs: number,
  outputs: number,
  kernel: Kernel,
  options: ConvTransposeOptions = {},
) => layer('convTranspose2d', convolveTransposed2d, 2, [inputs, outputs, kernel], true, options)
