/** @file What a labelled image set is in memory, and how its bytes become numbers. */
import { fail } from '../base/index.ts'

/** One part of a set: `images` bytes [count, height, width, channels], `labels` bytes [count] (class indices). */
export type Split = { images: Uint8Array; labels: Uint8Array; count: number }

/** A labelled image set. `shape` is one image's [height, width, channels]; `mean` and `std` are per channel, of train pixels in [0, 1]. */
export type ImageDataset = {
  name: string
  title: string
  classes: string[]
  shape: [height: number, width: number, channels: number]
  mean: number[]
  std: number[]
  train: Split
  test: Split
}

/** How bytes become numbers: (byte / 255 − mean) / std, per channel. Any `ImageDataset` fits. */
export type Normalization = {
  shape: readonly [number, number, number]
  mean: readonly number[]
  std: readonly number[]
}

/**
 * Bytes [n, height, width, channels] to floats [n, channels, height, width], (byte / 255 − mean) / std.
 * `normalizeImages(set.train.images, set)`; for a batch pass its bytes. Throws `TL_BAD_ARGUMENT`.
 */
export function normalizeImages(images: Uint8Array, { shape, mean, std }: Normalization): Float32Array {
  const [height, width, channels] = shape
  const pixels = height * width
  const size = pixels * channels
  if (!(size > 0) || images.length % size !== 0)
    fail(
      'TL_BAD_ARGUMENT',
      `images: ${images.length} bytes are not a whole number of ${height} x ${width} x ${channels} images`,
    )
  if (mean.length !== channels || std.length !== channels)
    fail(
      'TL_BAD_ARGUMENT',
      `mean and std: expected ${channels} values each (one per channel), got ${mean.length} and ${std.length}`,
    )
  if (!mean.every(Number.isFinite) || !std.every((value) => Number.isFinite(value) && value > 0))
    fail(
      'TL_BAD_ARGUMENT',
      `mean [${mean.join(', ')}], std [${std.join(', ')}]: expected finite means and positive deviations`,
    )
  const out = new Float32Array(images.length)
  for (let channel = 0; channel < channels; channel++) {
    const table = Float32Array.from(
      { length: 256 },
      (_, byte) => (byte / 255 - mean[channel]!) / std[channel]!,
    )
    for (let start = 0; start < images.length; start += size)
      for (
        let pixel = 0, to = start + channel * pixels, from = start + channel;
        pixel < pixels;
        pixel++, from += channels
      )
        out[to + pixel] = table[images[from]!]!
  }
  return out
}

/** Means over blocks of `by` × `by` pixels of images [n, C, H, W]: [n, C, H / by, W / by]. Throws `TL_BAD_ARGUMENT`. */
export function blockMeans(
  images: ArrayLike<number>,
  [channels, height, width]: readonly [channels: number, height: number, width: number],
  by: number,
): Float32Array {
  const [tall, wide] = [height / by, width / by]
  const planes = images.length / (height * width)
  if (![tall, wide, planes / channels].every(Number.isInteger))
    fail(
      'TL_BAD_ARGUMENT',
      `images: ${images.length} numbers are not whole images of ${channels} × ${height} × ${width} in blocks of ${by}`,
    )
  const out = new Float32Array(planes * tall * wide)
  for (let plane = 0; plane < planes; plane++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        out[(plane * tall + Math.floor(y / by)) * wide + Math.floor(x / by)]! +=
          images[(plane * height + y) * width + x]! / (by * by)
  return out
}

/** Mean and standard deviation per channel of bytes [n, height, width, channels] scaled to [0, 1]. Exact but for one rounding. */
export function pixelStatistics(images: Uint8Array, channels: number): { mean: number[]; std: number[] } {
  if (!Number.isInteger(channels) || channels < 1 || images.length === 0 || images.length % channels !== 0)
    fail('TL_BAD_ARGUMENT', `images: ${images.length} bytes are not pixels of ${channels} channels`)
  const count = images.length / channels
  const mean: number[] = []
  const std: number[] = []
  for (let channel = 0; channel < channels; channel++) {
    let sum = 0
    let squares = 0 // integers below 2^53 for any set of less than 10^11 pixels
    for (let at = channel; at < images.length; at += channels) {
      const byte = images[at]!
      sum += byte
      squares += byte * byte
    }
    mean.push(sum / count / 255)
    std.push(Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2)) / 255)
  }
  return { mean, std }
}
