/** @file Images of a set as a network learns them: means of blocks of pixels, in [−1, 1]. */
import { fail } from '../../base/index.ts'
import { type ImageDataset, loadDataset, type Split } from '../../data/index.ts'
import type { Config } from './config.ts'

/** A set whose images are made small when they are wanted. */
export interface Images {
  /** One small image: [channels, height, width]. */
  readonly shape: readonly [number, number, number]
  readonly train: number
  readonly test: number
  /** Images at some places of a part, [N, C, H, W] in [−1, 1]. */
  of(part: 'train' | 'test', places: ArrayLike<number>): Float32Array
}

/** Means of blocks of `block` by `block` pixels of bytes [N, H, W, C], as numbers in [−1, 1], [places, C, H/block, W/block]. */
export function blockMeans(
  { images }: Pick<Split, 'images'>,
  [height, width, channels]: readonly [number, number, number],
  block: number,
  places: ArrayLike<number>,
): Float32Array {
  const [h, w] = [height / block, width / block]
  const out = new Float32Array(places.length * channels * h * w)
  for (let n = 0, to = 0; n < places.length; n++) {
    const from = places[n]! * height * width * channels
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) {
          let sum = 0
          for (let i = 0; i < block; i++)
            for (let j = 0; j < block; j++)
              sum += images[from + ((y * block + i) * width + x * block + j) * channels + c]!
          out[to++] = sum / (block * block * 127.5) - 1
        }
  }
  return out
}

/** The images of a set. Throws TL_BAD_CONFIG where its sides are no multiples of the blocks'. */
export function smallImages(set: ImageDataset, block: number): Images {
  const [height, width, channels] = set.shape
  if (height % block !== 0 || width % block !== 0)
    fail('TL_BAD_CONFIG', `config.block: ${block} does not divide images of ${height}×${width} pixels`)
  return {
    shape: [channels, height / block, width / block],
    train: set.train.count,
    test: set.test.count,
    of: (part, places) => blockMeans(set[part], set.shape, block, places),
  }
}

/** Read the set of a config, fetching it where it has a name. */
export const openImages = async ({ dataset, block }: Config): Promise<Images> =>
  smallImages(await loadDataset(dataset), block)
