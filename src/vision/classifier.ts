/** @file A classifier as one thing to ask: the activations of every layer for images, in batches of one size. */
import { fail } from '../base/index.ts'
import { compile, type Tensor, tensor } from '../tensor/index.ts'

/** Where a layer's numbers are: [channels, height, width] of an image's, [features] of dense layers. */
export interface ClassifierLayer {
  readonly name: string
  readonly shape: readonly number[]
}

export interface ImageClassifier {
  /** One image: [channels, height, width]. */
  readonly shape: readonly [number, number, number]
  /** Number of classes. */
  readonly classes: number
  /** From the image to the logits, which are the last. */
  readonly layers: readonly ClassifierLayer[]
  /** Images [N, C, H, W] in [−1, 1] ↦ the activations of each layer, [N, ...]. Throws `TL_BAD_ARGUMENT`. */
  activations(images: Float32Array): Promise<Float32Array[]>
  dispose(): void
}

export interface ClassifierOptions {
  /** Images in one call of the runtime; fewer are filled up. Default 64. */
  readonly batchSize?: number
  /** Threads of one call. Default 1. */
  readonly threads?: number
}

/** What a classifier is, before it is compiled. */
export interface ClassifierNetwork {
  readonly shape: ImageClassifier['shape']
  readonly classes: number
  readonly layers: readonly string[]
  /** x [N, C, H, W] ↦ activations of each layer. Weights are constants of it. */
  readonly apply: (x: Tensor) => Tensor[]
  /** Images as a user has them, [N, C, H, W] of `shape`, to what `apply` takes, [N, ...]. */
  readonly prepare?: {
    readonly shape: readonly number[]
    readonly images: (images: Float32Array) => Float32Array
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

/** A network as a classifier. Its shapes are known after a first image, which is asked here. */
export async function imageClassifier(
  network: ClassifierNetwork,
  { batchSize = 64, threads = 1 }: ClassifierOptions = {},
): Promise<ImageClassifier> {
  if (!(Number.isSafeInteger(batchSize) && batchSize >= 1 && batchSize <= 4096))
    fail('TL_BAD_ARGUMENT', `batchSize: expected a whole number from 1 to 4096, got ${batchSize}`)
  const { shape, classes, layers: names, apply, prepare } = network
  const size = sizeOf(shape)
  const inner = prepare?.shape ?? shape
  const program = compile(apply, { name: 'image classifier', threads })
  const run = (images: Float32Array): Promise<Tensor[]> =>
    program(tensor(images, { shape: [batchSize, ...inner] }))
  const shapes = (await run(new Float32Array(batchSize * sizeOf(inner)))).map((t) => t.shape.slice(1))

  return {
    ...{ shape, classes },
    layers: names.map((name, i) => ({ name, shape: shapes[i]! })),
    async activations(images) {
      const count = images.length / size
      if (!Number.isInteger(count))
        fail(
          'TL_BAD_ARGUMENT',
          `images: expected a whole number of images [${shape}] of ${size} numbers, got ${images.length} numbers`,
        )
      const out = shapes.map((own) => new Float32Array(count * sizeOf(own)))
      for (let from = 0; from < count; from += batchSize) {
        const some = Math.min(batchSize, count - from)
        const own = images.subarray(from * size, (from + some) * size)
        const batch = new Float32Array(batchSize * sizeOf(inner))
        batch.set(prepare ? prepare.images(own) : own)
        for (const [i, { data }] of (await run(batch)).entries()) {
          const each = sizeOf(shapes[i]!)
          out[i]!.set((data as Float32Array).subarray(0, some * each), from * each)
        }
      }
      return out
    },
    dispose: () => program.dispose(),
  }
}

/** The class with the largest logit of each image, from logits [N, classes]. */
export function answersOf(logits: Float32Array, classes: number): Int32Array {
  return Int32Array.from({ length: logits.length / classes }, (_, i) => {
    const own = logits.subarray(i * classes, (i + 1) * classes)
    return own.indexOf(own.reduce((a, b) => Math.max(a, b)))
  })
}
