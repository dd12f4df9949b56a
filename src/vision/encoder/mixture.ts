/** @file Batches from several sets of pictures, each with its share, slightly moved and mirrored: what an encoder is trained on. */
import { fail } from '../../base/index.ts'
import type { Split } from '../../data/index.ts'
import { random, type Tensor, tensor } from '../../tensor/index.ts'

/** Pictures of one set in a mixture. */
export interface MixturePart {
  /** Bytes [count, side, side, 3] and labels [count]. */
  readonly pictures: Split
  /** The number that label l has in the mixture. */
  readonly classes: readonly number[]
  /** How often it is drawn from, relative to the other parts. */
  readonly share: number
  /** Moves of up to so many pixels in both directions; black comes in. Default 0. */
  readonly shift?: number
  /** Half of the pictures are mirrored: for photographs. Default false. */
  readonly mirror?: boolean
}

/** Pictures [B, 3, side, side] in [−1, 1] and their classes [B]. */
export type PictureBatch = { readonly image: Tensor; readonly label: Tensor }

/** A byte as a number in [−1, 1]. */
const ofByte = Float32Array.from({ length: 256 }, (_, byte) => byte / 127.5 - 1)

/** One picture of bytes into floats [3, side, side] at `to`, moved by (dy, dx) and mirrored. */
function place(
  { images }: Split,
  which: number,
  side: number,
  out: Float32Array,
  to: number,
  [dy, dx, mirrored]: readonly [number, number, boolean],
): void {
  const from = which * side * side * 3
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < side; i++)
      for (let j = 0; j < side; j++) {
        const [y, x] = [i - dy, (mirrored ? side - 1 - j : j) - dx]
        const isIn = y >= 0 && y < side && x >= 0 && x < side
        out[to + (c * side + i) * side + j] = isIn ? ofByte[images[from + (y * side + x) * 3 + c]!]! : -1
      }
}

const sideOf = ({ images, count }: Split): number => Math.round(Math.sqrt(images.length / count / 3))

/** Pictures as an encoder takes them, [count, 3, side, side]. */
export function picturesOf(pictures: Split): Tensor {
  const side = sideOf(pictures)
  const out = new Float32Array(pictures.images.length)
  for (let n = 0; n < pictures.count; n++) place(pictures, n, side, out, n * side * side * 3, [0, 0, false])
  return tensor(out, { shape: [pictures.count, 3, side, side] })
}

/**
 * Batches for `train`: each picture comes from a part drawn by the shares. Depends on the key alone. Throws TL_BAD_ARGUMENT for no
 * parts, an empty part, and sides that differ.
 */
export function mixtureBatches(
  parts: readonly MixturePart[],
  batchSize: number,
): (step: number, key: random.Key) => PictureBatch {
  const ends = parts.map((_, i) => parts.slice(0, i + 1).reduce((sum, { share }) => sum + share, 0))
  const total = ends.at(-1) ?? 0
  const empty = parts.findIndex(({ pictures }) => pictures.count === 0)
  if (parts.length === 0 || !(total > 0) || empty >= 0)
    fail('TL_BAD_ARGUMENT', `mixture: expected parts with pictures and a share, got ${parts.length} parts`)
  const side = sideOf(parts[0]!.pictures)
  if (parts.some(({ pictures }) => sideOf(pictures) !== side))
    fail('TL_BAD_ARGUMENT', `mixture: expected all pictures of ${side} × ${side} pixels`)
  const size = 3 * side * side
  return (_, key) => {
    const draws = random.sampleUniform(key, 5 * batchSize)
    const image = new Float32Array(batchSize * size)
    const label = new Int32Array(batchSize)
    for (let n = 0; n < batchSize; n++) {
      const [forPart, forPicture, forY, forX, forMirror] = draws.subarray(
        5 * n,
        5 * n + 5,
      ) as unknown as number[]
      const part = parts[ends.findIndex((end) => forPart! * total < end)] ?? parts.at(-1)!
      const { pictures, classes, shift = 0, mirror = false } = part
      const which = Math.floor(forPicture! * pictures.count)
      const moved = (u: number): number => Math.floor(u * (2 * shift + 1)) - shift
      place(pictures, which, side, image, n * size, [moved(forY!), moved(forX!), mirror && forMirror! < 0.5])
      label[n] = classes[pictures.labels[which]!]!
    }
    return {
      image: tensor(image, { shape: [batchSize, 3, side, side] }),
      label: tensor(label, { shape: [batchSize] }),
    }
  }
}
