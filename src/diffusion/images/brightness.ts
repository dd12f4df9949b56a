/**
 * @file A failure of small image models: the whole picture becomes brighter or darker on the way back, and stays so. It is told by
 * the corners, which are background in pictures of single things.
 */

/** Mean over the four corners of `side` × `side` pixels and all channels of an image [C, H, W] that begins at `from`. */
export function cornerMean(
  images: ArrayLike<number>,
  [channels, height, width]: readonly [number, number, number],
  from = 0,
  side = 3,
): number {
  const [tall, wide] = [Math.min(side, height), Math.min(side, width)]
  let sum = 0
  for (let c = 0; c < channels; c++)
    for (const top of [0, height - tall])
      for (const left of [0, width - wide])
        for (let y = top; y < top + tall; y++)
          for (let x = left; x < left + wide; x++) sum += images[from + (c * height + y) * width + x]!
  return sum / (4 * channels * tall * wide)
}

/** Which of some images [n, C, H, W] have corners within `tolerance` of those of x_0 [C, H, W]. */
export function keptBrightness(
  x0: ArrayLike<number>,
  images: ArrayLike<number>,
  shape: readonly [number, number, number],
  tolerance: number,
): boolean[] {
  const size = shape[0] * shape[1] * shape[2]
  const before = cornerMean(x0, shape)
  return Array.from(
    { length: images.length / size },
    (_, n) => Math.abs(cornerMean(images, shape, n * size) - before) <= tolerance,
  )
}
