/** @file How weights begin: named distributions scaled by the number of inputs and outputs. */
import { didYouMean, fail } from '../base/index.ts'
import { random, sizeOf, type Tensor, tensor } from '../tensor/index.ts'
import type { Key } from './layer.ts'

const named = ['he', 'glorot', 'lecun', 'torch', 'zeros', 'ones'] as const

/**
 * - `he`: normal, variance 2 / fanIn (He et al. 2015), for ReLU
 * - `glorot`: uniform, variance 2 / (fanIn + fanOut) (Glorot & Bengio 2010)
 * - `lecun`: normal, variance 1 / fanIn
 * - `torch`: uniform in ±1 / √fanIn, biases too: what PyTorch's dense and convolution layers do
 * - `{ normal: σ }`, `{ uniform: a }`: N(0, σ²), uniform in ±a, whatever the fans
 */
export type Initializer = (typeof named)[number] | { readonly normal: number } | { readonly uniform: number }

export interface Fans {
  /** Inputs each output sums over. */
  readonly fanIn: number
  /** Outputs each input feeds. */
  readonly fanOut: number
}

const normal = (key: Key, shape: readonly number[], deviation: number): Tensor => {
  const values = random.sampleNormal(key, sizeOf(shape))
  for (let i = 0; i < values.length; i++) values[i]! *= deviation
  return tensor(values, { shape })
}

const uniform = (key: Key, shape: readonly number[], bound: number): Tensor => {
  const values = random.sampleUniform(key, sizeOf(shape))
  for (let i = 0; i < values.length; i++) values[i] = (2 * values[i]! - 1) * bound
  return tensor(values, { shape })
}

/** A concrete f32 array filled with one value. */
export const filled = (shape: readonly number[], value: number): Tensor =>
  tensor(new Float32Array(sizeOf(shape)).fill(value), { shape })

/** A weight of a given shape, f32. */
export function initialize(key: Key, shape: readonly number[], how: Initializer, fans: Fans): Tensor {
  const { fanIn, fanOut } = fans
  if (typeof how === 'object') {
    if ('normal' in how) return normal(key, shape, how.normal)
    return uniform(key, shape, how.uniform)
  }
  switch (how) {
    case 'he':
      return normal(key, shape, Math.sqrt(2 / fanIn))
    case 'glorot':
      return uniform(key, shape, Math.sqrt(6 / (fanIn + fanOut)))
    case 'lecun':
      return normal(key, shape, Math.sqrt(1 / fanIn))
    case 'torch':
      return uniform(key, shape, Math.sqrt(1 / fanIn))
    case 'zeros':
      return filled(shape, 0)
    case 'ones':
      return filled(shape, 1)
    default:
      return fail('TL_BAD_ARGUMENT', `unknown initializer "${how}", ${didYouMean(String(how), named)}`)
  }
}

/** A bias: zero, except where the initializer of the weight says otherwise. */
export const initializeBias = (key: Key, size: number, how: Initializer, fans: Fans): Tensor =>
  how === 'torch' ? initialize(key, [size], 'torch', fans) : filled([size], 0)
