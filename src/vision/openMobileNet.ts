/** @file A MobileNet for images of any size: grey ones in three channels, brought to the size that it was trained on. */
import { fail } from '../base/index.ts'
import { resizePicture } from '../data/index.ts'
import { type ClassifierOptions, type ImageClassifier, imageClassifier } from './classifier.ts'
import { mobileNetActivations, readMobileNet } from './mobilenet.ts'

export interface OpenMobileNetOptions extends ClassifierOptions {
  /** One image as it comes: [channels, height, width] with 1 or 3 channels. Default [3, side, side]. */
  readonly image?: readonly [number, number, number]
  /** Side of the images that the network sees. Default 224. */
  readonly side?: number
}

const toByte = (x: number): number => Math.max(0, Math.min(255, Math.round((x + 1) * 127.5)))

/** Images [N, channels, height, width] in [−1, 1], as bytes resized by the bilinear filter, [N, 3, side, side]. */
export function inColourAt(
  images: Float32Array,
  [channels, height, width]: readonly [number, number, number],
  side: number,
): Float32Array {
  const size = channels * height * width
  const plane = side * side
  const out = new Float32Array((images.length / size) * 3 * plane)
  for (let n = 0; n * size < images.length; n++) {
    const data = new Uint8Array(size)
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < height * width; i++)
        data[i * channels + c] = toByte(images[n * size + c * height * width + i]!)
    const picture = { data, height, width, channels: channels as 1 | 3 }
    const seen =
      height === side && width === side ? picture : resizePicture(picture, [side, side], 'bilinear')
    for (let c = 0; c < 3; c++)
      for (let i = 0; i < plane; i++)
        out[(n * 3 + c) * plane + i] = seen.data[i * channels + (channels === 3 ? c : 0)]! / 127.5 - 1
  }
  return out
}

/** Open a MobileNet v1 with the names of Keras. Throws `TL_IO`, `TL_BAD_FILE`, `TL_BAD_ARGUMENT`. */
export async function openMobileNet(
  path: string,
  { image, side = 224, batchSize = 8, ...options }: OpenMobileNetOptions = {},
): Promise<ImageClassifier> {
  const shape = image ?? ([3, side, side] as const)
  if (shape[0] !== 1 && shape[0] !== 3)
    fail('TL_BAD_ARGUMENT', `image: expected 1 or 3 channels, got ${shape[0]}`)
  if (!(Number.isSafeInteger(side) && side >= 32 && side <= 1024))
    fail('TL_BAD_ARGUMENT', `side: expected a whole number from 32 to 1024, got ${side}`)
  const network = readMobileNet(path)
  return imageClassifier(
    {
      ...{ shape, classes: network.classes, layers: network.layers },
      apply: (x) => mobileNetActivations(network, x),
      ...(image && {
        prepare: { shape: [3, side, side], images: (images) => inColourAt(images, shape, side) },
      }),
    },
    { batchSize, ...options },
  )
}
