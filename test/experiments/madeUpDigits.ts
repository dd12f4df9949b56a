/** Small made-up digits in a folder of IDX files, in place of a download. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { random } from '../../src/tensor/index.ts'
import { idx } from '../data/helpers.ts'

/** Class c is a bright bar at its own height, at a random place, under noise: easy, but not to be learned by a constant. */
function madeUpDigits(seed: number, count: number): { images: number[]; labels: number[] } {
  const noise = random.sampleIntegers(random.key(seed), count * 784, 100)
  const place = random.sampleIntegers(random.key(seed + 1), count, 12)
  const labels = Array.from(random.sampleIntegers(random.key(seed + 2), count, 10))
  const images = Array.from(noise)
  for (let n = 0; n < count; n++)
    for (let i = 0; i < 14; i++)
      for (const row of [2 * labels[n]! + 4, 2 * labels[n]! + 5])
        images[n * 784 + row * 28 + place[n]! + i] = 220
  return { images, labels }
}

/** 600 images to train on and 200 to test on. */
export function writeMadeUpDigits(folder: string): void {
  for (const [split, seed, count] of [
    ['train', 1, 600],
    ['t10k', 9, 200],
  ] as const) {
    const { images, labels } = madeUpDigits(seed, count)
    writeFileSync(join(folder, `${split}-images-idx3-ubyte`), idx([count, 28, 28], images))
    writeFileSync(join(folder, `${split}-labels-idx1-ubyte`), idx([count], labels))
  }
}
