/** @file Generated images that are copies of training images: by how much nearer the nearest is than the next. */
import { fail } from '../../base/index.ts'

/** A generated image counts as a copy where its nearest training image is nearer than the next by this (Yoon et al. 2023). */
export const copyRatio = 1 / 3

/** What is nearest to each image. */
export interface Neighbours {
  /** The nearest of the others, [N]. */
  readonly nearest: Int32Array
  /** Its distance over that of the next, in [0, 1], [N]; 1 where both are 0. */
  readonly ratio: Float32Array
}

/** The nearest two of `others` [P, size] for each of `images` [N, size], by Euclidean distance. P is at least 2. */
export function nearestOf(images: Float32Array, others: Float32Array, size: number): Neighbours {
  const [count, P] = [images.length / size, others.length / size]
  if (!(Number.isInteger(count) && Number.isInteger(P) && P >= 2))
    fail(
      'TL_BAD_ARGUMENT',
      `nearestOf: expected images of ${size} numbers and at least two others, got ${images.length} and ${others.length} numbers`,
    )
  const nearest = new Int32Array(count)
  const ratio = new Float32Array(count)
  for (let n = 0; n < count; n++) {
    let [first, second, place] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0]
    for (let p = 0; p < P; p++) {
      let squares = 0
      for (let i = 0, a = n * size, b = p * size; i < size; i++) {
        const gap = images[a++]! - others[b++]!
        squares += gap * gap
      }
      if (squares < first) [second, first, place] = [first, squares, p]
      else if (squares < second) second = squares
    }
    nearest[n] = place
    ratio[n] = second === 0 ? 1 : Math.sqrt(first / second)
  }
  return { nearest, ratio }
}

/** Share of ratios that are those of copies. */
export const copiedShare = ({ ratio }: Neighbours): number =>
  ratio.reduce((count, own) => count + Number(own < copyRatio), 0) / ratio.length
