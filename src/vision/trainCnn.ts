/** @file From labelled images to a trained classifier: a short recipe, and the classifier of its file. */
import { fail } from '../base/index.ts'
import {
  adamW,
  cosine,
  crossEntropyLoss,
  evaluateMeans,
  isCorrect,
  loadParameters,
  saveParameters,
  train,
} from '../nn/index.ts'
import { compile, random, type Tensor, tensor } from '../tensor/index.ts'
import { type ClassifierOptions, type ImageClassifier, imageClassifier } from './classifier.ts'
import { type CnnOptions, type CnnParameters, cnn, type FoldedCnn, type Moments } from './cnn.ts'

/** Images [count, C, H, W] in [−1, 1] and labels [count]. */
export interface LabelledImages {
  readonly images: Float32Array
  readonly labels: ArrayLike<number>
}

export interface TrainCnnOptions extends CnnOptions {
  readonly train: LabelledImages
  readonly test: LabelledImages
  /** Passes over the training images. Default 3. */
  readonly epochs?: number
  /** Default 64. */
  readonly batchSize?: number
  /** Peak of a cosine. Default 4e-3. */
  readonly learningRate?: number
  readonly seed?: number
  /** File of the state of training: an interrupted one goes on from it. */
  readonly state?: string
  readonly threads?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (share: number, loss: number) => void
}

export interface TrainedCnn {
  readonly parameters: FoldedCnn
  /** Share of test images whose class is right. */
  readonly accuracy: number
}

type Images = { image: Tensor; label: Tensor }

function tableOf(
  { images, labels }: LabelledImages,
  image: readonly [number, number, number],
  what: string,
): Images {
  const count = labels.length
  if (count === 0 || images.length !== count * image[0] * image[1] * image[2])
    fail(
      'TL_BAD_ARGUMENT',
      `${what}: expected images [${image}] and a label for each, got ${images.length} numbers and ${count} labels`,
    )
  return {
    image: tensor(images, { shape: [count, ...image] }),
    label: tensor(Int32Array.from(labels), { shape: [count] }),
  }
}

/** Training images over which the moments of the normalization are taken. */
const mostMeasured = 8192

/** Mean and variance of each stage's channels over images: within batches, and of batches around each other. */
async function momentsOf(
  measure: (x: Tensor) => Tensor[],
  { shape, data }: Tensor,
  batchSize: number,
  threads: number,
): Promise<Moments[]> {
  const [all, ...image] = shape as [number, ...number[]]
  const size = batchSize * image.reduce((product, n) => product * n, 1)
  const batches = Math.max(1, Math.floor(Math.min(mostMeasured, all) / batchSize))
  const program = compile(measure, { name: 'moments', threads })
  const sums: { mean: Float64Array; variance: Float64Array }[] = []
  try {
    for (let b = 0; b < batches; b++) {
      const pixels = (data as Float32Array).subarray(b * size, (b + 1) * size)
      const found = await program(tensor(pixels, { shape: [batchSize, ...image] }))
      for (const [i, { data: both }] of found.entries()) {
        const channels = both.length / 2
        sums[i] ??= { mean: new Float64Array(channels), variance: new Float64Array(channels) }
        for (let c = 0; c < channels; c++) {
          const [m, v] = [Number(both[c]), Number(both[channels + c])]
          sums[i].mean[c]! += m / batches
          sums[i].variance[c]! += (v + m * m) / batches
        }
      }
    }
  } finally {
    program.dispose()
  }
  return sums.map(({ mean, variance }) => ({
    mean,
    variance: variance.map((square, c) => Math.max(0, square - mean[c]! ** 2)),
  }))
}

/** Share of images whose class is right. */
async function accuracyOf(
  activations: (x: Tensor) => Tensor[],
  table: Images,
  threads: number,
): Promise<number> {
  const { right } = await evaluateMeans(
    (_: Record<string, Tensor>, { image, label }: Images) => ({
      right: isCorrect(activations(image).at(-1)!, label),
    }),
    {},
    table,
    { batchSize: 256, threads },
  )
  return right!
}

/** Train the small network. The same options give the same parameters, also when it was interrupted. Throws `TL_BAD_ARGUMENT`. */
export async function trainCnn(options: TrainCnnOptions): Promise<TrainedCnn> {
  const { image, epochs = 3, batchSize = 64, learningRate = 4e-3, seed = 0, threads = 1 } = options
  const network = cnn(options)
  const table = tableOf(options.train, image, 'train')
  const test = tableOf(options.test, image, 'test')
  const count = options.train.labels.length
  const together = Math.min(batchSize, count)
  const steps = Math.max(1, Math.ceil((epochs * count) / together))
  const { state, signal, onProgress } = options
  const { parameters } = await train<CnnParameters, Images>({
    parameters: network.init(random.foldIn(random.key(seed), 1)),
    loss: (own, { image: x, label }) => crossEntropyLoss(network.train(own, x), label),
    data: table,
    optimizer: adamW({ weightDecay: 0.01 }),
    learningRate: cosine({ peak: learningRate, warmup: Math.ceil(steps / 20) }),
    ...{ steps, batchSize: together, seed, threads },
    ...(state !== undefined && {
      checkpoint: { path: state, every: Math.max(1, Math.round(steps / 10)) },
      resume: true,
      config: { image, epochs, batchSize, learningRate, count },
    }),
    ...(signal && { signal }),
    onProgress: ({ step, total, loss }) => onProgress?.(step / total, loss),
  })
  const moments = await momentsOf((x) => network.moments(parameters, x), table.image, together, threads)
  const folded = network.fold(parameters, moments)
  return {
    parameters: folded,
    accuracy: await accuracyOf((x) => network.activations(folded, x), test, threads),
  }
}

/** Keep a trained network in a file. */
export const saveCnn = (path: string, { parameters }: Pick<TrainedCnn, 'parameters'>): void =>
  saveParameters(path, parameters)

/** The classifier of trained parameters. */
export function classifierOf(
  options: CnnOptions,
  parameters: FoldedCnn,
  how: ClassifierOptions = {},
): Promise<ImageClassifier> {
  const network = cnn(options)
  const { image: shape, classes } = options
  const apply = (x: Tensor): Tensor[] => network.activations(parameters, x)
  return imageClassifier({ shape, classes, layers: network.layers, apply }, how)
}

/** The classifier that `saveCnn` has kept. Throws `TL_IO`, `TL_BAD_FILE`. */
export async function openCnn(
  path: string,
  options: CnnOptions,
  how: ClassifierOptions = {},
): Promise<ImageClassifier> {
  return classifierOf(options, loadParameters(path, cnn(options).folded()), how)
}
