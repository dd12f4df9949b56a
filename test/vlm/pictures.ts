/** @file Pictures that test/fixtures/make_vlm.py draws, too: waves in whole numbers. */
import type { Picture } from '../../src/data/index.ts'

/** Bytes [height, width, 3]. */
export function waves(seed: number, height: number, width: number): Picture {
  const data = new Uint8Array(height * width * 3)
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++, at++)
        data[at] =
          (x * (3 + seed + c) + y * (5 + 2 * c) + Math.floor((x * y * (1 + (seed % 3))) / (7 + c))) % 256
  return { height, width, channels: 3, data }
}
