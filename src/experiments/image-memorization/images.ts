/** @file Images of a set as a network learns them: means of blocks of pixels, in [−1, 1]. */
import { fail } from '../../base/index.ts'
import { blockMeans, type ImageDataset, loadDataset, normalizeImages } from '../../data/index.ts'
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

/** The images of a set. Throws TL_BAD_CONFIG where its sides are no multiples of the blocks'. */
export function smallImages(set: ImageDataset, block: number): Images {
  const [height, width, channels] = set.shape
  if (height % block !== 0 || width % block !== 0)
    fail('TL_BAD_CONFIG', `config.block: ${block} does not divide images of ${height}×${width} pixels`)
  const size = height * width * channels
  const half = new Array<number>(channels).fill(0.5)
  return {
    shape: [channels, height / block, width / block],
    train: set.train.count,
    test: set.test.count,
    of: (part, places) => {
      const bytes = new Uint8Array(places.length * size)
      for (let n = 0; n < places.length; n++)
        bytes.set(set[part].images.subarray(places[n]! * size, (places[n]! + 1) * size), n * size)
      const numbers = normalizeImages(bytes, { shape: set.shape, mean: half, std: half })
      return blockMeans(numbers, [channels, height, width], block)
    },
  }
}

/** Read the set of a config, fetching it where it has a name. */
export const openImages = async ({ dataset, block }: Config): Promise<Images> =>
  smallImages(await loadDataset(dataset), block)
