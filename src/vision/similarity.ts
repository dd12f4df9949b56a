/** @file How alike the activations of two images are, layer by layer. (Sclocchi et al. 2025, section 2) */
import type { ClassifierLayer, ImageClassifier } from './classifier.ts'

/** Mean of each channel of a layer and one over its standard deviation, over images and places; 0 of channels that never change. */
export interface ChannelScale {
  readonly mean: Float64Array
  readonly inverse: Float64Array
}

const sizeOf = ({ shape }: ClassifierLayer): number => shape.reduce((product, n) => product * n, 1)

/** Scales of a layer's channels, from activations [N, channels, ...]. */
export function channelScale(values: Float32Array, layer: ClassifierLayer): ChannelScale {
  const channels = layer.shape[0]!
  const places = sizeOf(layer) / channels
  const each = values.length / channels
  const [mean, square] = [new Float64Array(channels), new Float64Array(channels)]
  for (let from = 0, at = 0; from < values.length; from += places, at = (at + 1) % channels)
    for (let i = from; i < from + places; i++) {
      mean[at]! += values[i]! / each
      square[at]! += values[i]! ** 2 / each
    }
  const inverse = mean.map((m, c) => {
    const variance = square[c]! - m * m
    return variance > 1e-12 * Math.max(1e-12, square[c]!) ? 1 / Math.sqrt(variance) : 0
  })
  return { mean, inverse }
}

/** Scales of all layers over some images [N, C, H, W]. */
export async function channelScales(
  classifier: ImageClassifier,
  images: Float32Array,
): Promise<ChannelScale[]> {
  const found = await classifier.activations(images)
  return classifier.layers.map((layer, i) => channelScale(found[i]!, layer))
}

/**
 * Cosine between the standardized activations of one image (`before`, [channels, ...]) and those of each of n others (`after`,
 * [n, channels, ...]): 1 where nothing changed, about 0 for independent images; NaN where a layer says nothing.
 */
export function cosines(
  before: Float32Array,
  after: Float32Array,
  layer: ClassifierLayer,
  { mean, inverse }: ChannelScale,
): Float64Array {
  const size = sizeOf(layer)
  const places = size / layer.shape[0]!
  return Float64Array.from({ length: after.length / size }, (_, n) => {
    let [product, own, other] = [0, 0, 0]
    for (let i = 0; i < size; i++) {
      const channel = Math.floor(i / places)
      const x = (before[i]! - mean[channel]!) * inverse[channel]!
      const y = (after[n * size + i]! - mean[channel]!) * inverse[channel]!
      product += x * y
      own += x * x
      other += y * y
    }
    return product / Math.sqrt(own * other)
  })
}
