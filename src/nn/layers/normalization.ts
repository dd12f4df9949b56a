/** @file Layer, RMS and group normalization, as layers with scale and shift. */
import { fail } from '../../base/index.ts'
import {
  add,
  broadcastTo,
  mul,
  reshape,
  rsqrt,
  showSpec,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  layerNorm as tensorLayerNorm,
  rmsNorm as tensorRmsNorm,
} from '../../tensor/index.ts'
import { filled } from '../initializers.ts'
import { type Layer, requireFeatures, requirePositive } from '../layer.ts'

/** weight and bias [features]. */
export type NormParameters = { weight: Tensor; bias: Tensor }

interface NormOptions {
  /** Added to the variance under the root. Default 1e-5. */
  readonly epsilon?: number
}

const scaleAndShift = (features: number): NormParameters => ({
  weight: filled([features], 1),
  bias: filled([features], 0),
})

/**
 * The last axis to mean 0 and variance 1, then scale and shift: [..., features] ↦ the same. With a list of sizes the last axes
 * together, such as channels, height and width, and as many scales and shifts. (Ba et al. 2016)
 */
export function layerNorm(
  features: number | readonly number[],
  { epsilon = 1e-5 }: NormOptions = {},
): Layer<NormParameters> {
  const sizes = typeof features === 'number' ? [features] : [...features]
  requirePositive('layerNorm: features', ...sizes)
  if (sizes.length === 0) fail('TL_BAD_ARGUMENT', 'layerNorm: expected at least one size')
  const count = sizes.reduce((product, size) => product * size, 1)
  const name = `layerNorm(${sizes.join(' × ')})`
  return {
    init: () => ({ weight: filled(sizes, 1), bias: filled(sizes, 0) }),
    apply: ({ weight, bias }, x) => {
      const before = x.rank - sizes.length
      if (before < 0 || sizes.some((size, i) => x.shape[before + i] !== size))
        fail('TL_SHAPE_MISMATCH', `${name}: expected input [..., ${sizes.join(', ')}], got ${showSpec(x)}`)
      if (sizes.length === 1) return tensorLayerNorm(x, weight, bias, { epsilon })
      const flat = (t: Tensor, ...batch: number[]): Tensor => reshape(t, [...batch, count])
      const lines = flat(x, ...x.shape.slice(0, before))
      return reshape(tensorLayerNorm(lines, flat(weight), flat(bias), { epsilon }), x.shape)
    },
  }
}

/** The last axis divided by its root mean square, then scaled: [..., features] ↦ the same. (Zhang & Sennrich 2019) */
export function rmsNorm(features: number, { epsilon = 1e-5 }: NormOptions = {}): Layer<{ weight: Tensor }> {
  requirePositive('rmsNorm: features', features)
  return {
    init: () => ({ weight: filled([features], 1) }),
    apply: ({ weight }, x) => {
      requireFeatures(`rmsNorm(${features})`, x, features)
      return tensorRmsNorm(x, weight, { epsilon })
    },
  }
}

/**
 * Each group of channels of each example to mean 0 and variance 1 over channels and positions, then scale and shift by
 * channel: [N, channels, ...] ↦ the same. (Wu & He 2018)
 */
export function groupNorm(
  channels: number,
  groups: number,
  { epsilon = 1e-5 }: NormOptions = {},
): Layer<NormParameters> {
  requirePositive('groupNorm: channels and groups', channels, groups)
  if (channels % groups !== 0)
    fail('TL_BAD_ARGUMENT', `groupNorm: expected groups that divide ${channels} channels, got ${groups}`)
  return {
    init: () => scaleAndShift(channels),
    apply: ({ weight, bias }, x) => {
      requireFeatures(`groupNorm(${channels}, ${groups} groups)`, x, channels, 1)
      if (x.size === 0)
        fail('TL_SHAPE_MISMATCH', `groupNorm: expected at least one element, got ${showSpec(x)}`)
      return normalizeGroups(x, weight, bias, groups, epsilon)
    },
  }
}

/**
 * y = a (x − c) + b with a, b and c for each example and channel, where c is the mean, constant in the derivative: then the
 * variance is E(x − c)² − (E x − c)², which has the right derivatives of every order while the second term, zero in value,
 * keeps the backward pass from going through the mean at every element. Images keep their shape throughout.
 */
function normalizeGroups(x: Tensor, weight: Tensor, bias: Tensor, groups: number, epsilon: number): Tensor {
  const [n, channels, ...space] = x.shape as [number, number, ...number[]]
  const perGroup = channels / groups
  const axes = space.map((_, i) => i + 2)
  const perElement = (groups * n) / x.size
  /** Mean over a group: [N, C, ...] ↦ [N, G, 1] */
  const groupMean = (t: Tensor): Tensor =>
    mul(sum(reshape(sum(t, axes), [n, groups, perGroup]), -1, { keepDims: true }), perElement)
  /** [N, G, C/G] ↦ [N, C, 1, ...] */
  const perChannel = (t: Tensor): Tensor =>
    reshape(broadcastTo(t, [n, groups, perGroup]), [n, channels, ...space.map(() => 1)])
  const centre = groupMean(x)
  const fixed = stopGradient(centre)
  const centred = sub(x, perChannel(fixed))
  const offset = sub(centre, fixed)
  const inverse = rsqrt(add(sub(groupMean(square(centred)), square(offset)), epsilon))
  const scale = mul(inverse, reshape(weight, [groups, perGroup]))
  const shift = sub(reshape(bias, [groups, perGroup]), mul(offset, scale))
  return add(mul(centred, perChannel(scale)), perChannel(shift))
}
