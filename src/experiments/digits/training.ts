/** @file One training run of the small network, which goes on where it was cut, and what it then makes of every test image. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { percent } from '../../base/index.ts'
import { type ImageDataset, loadDataset, normalizeImages, type Split } from '../../data/index.ts'
import {
  appendMetric,
  type Bench,
  type Metric,
  readMetrics,
  seedField,
  truncateMetrics,
} from '../../lab/index.ts'
import {
  adamW,
  applyInBatches,
  cosine,
  countParameters,
  crossEntropyLoss,
  isCorrect,
  type Key,
  type SmallCnn,
  type SmallCnnParameters,
  smallCnn,
  train,
} from '../../nn/index.ts'
import { crossEntropy, random, softmax, type Tensor, tensor } from '../../tensor/index.ts'

export const config = z.strictObject({
  seed: seedField,
  dataset: z.string().min(1).default('mnist').describe('mnist, or a folder of IDX files with 28×28 images'),
  epochs: z.number().gt(0).max(1000).default(8).describe('passes over the training images'),
  batchSize: z.int().min(1).max(4096).default(128),
  learningRate: z.number().gt(0).max(1).default(4e-3).describe('peak; a cosine after a warm-up of 5 %'),
  weightDecay: z.number().min(0).default(0.01),
  channels: z
    .array(z.int().min(1).max(512))
    .min(1)
    .max(4)
    .default([32, 64])
    .describe('of each stage: windows of 6×6 pixels with step 2, then tiles of 2×2'),
  dropout: z.number().min(0).lt(1).default(0.2).describe('before the dense layer'),
  averageDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.995)
    .describe('moving average of the weights that is evaluated'),
  shift: z.int().min(0).max(8).default(2).describe('training images move by up to so many pixels'),
  examples: z.int().min(1).max(60000).default(60000).describe('training images used'),
})
export type Config = z.infer<typeof config>

/** The only cell: there is one network. */
export interface Cell {
  readonly network: 'smallCnn'
}

/** Mean over the training steps since the last such row. */
interface Trained {
  readonly part: 'training'
  readonly steps: number
  readonly epoch: number
  readonly loss: number
}

/** The moving average of the weights on all test images. */
interface Tested {
  readonly part: 'test'
  readonly steps: number
  readonly epoch: number
  readonly loss: number
  readonly accuracy: number
}

/** Test images of a class that were taken for a class. */
interface Confusion {
  readonly part: 'confusion'
  readonly truth: string
  readonly guess: string
  readonly count: number
}

/** A test image that was read wrongly, with its bytes. */
interface Mistake {
  readonly part: 'mistake'
  readonly index: number
  readonly truth: string
  readonly guess: string
  /** Of the guess. */
  readonly probability: number
  /** Of the true label, in nats. */
  readonly loss: number
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly pixels: readonly number[]
}

/** The trained network. */
interface Whole {
  readonly part: 'whole'
  readonly accuracy: number
  readonly loss: number
  readonly classes: number
  readonly parameters: number
  readonly trainImages: number
  readonly testImages: number
}

export type Row = Trained | Tested | Confusion | Mistake | Whole

type Images = { image: Tensor; label: Tensor }

export const networkOf = ({ channels, dropout }: Config, { shape, classes }: ImageDataset): SmallCnn =>
  smallCnn({ image: [shape[2], shape[0], shape[1]], classes: classes.length, channels, dropout })

/** The state of training, in the folder of the cell. */
export const stateFile = 'state.safetensors'

/** A table of normalized images [n, C, H, W] and labels [n]. */
function tableOf(set: ImageDataset, { images, labels }: Split, count: number): Images {
  const [height, width, channels] = set.shape
  const size = height * width * channels
  return {
    image: tensor(normalizeImages(images.subarray(0, count * size), set), {
      shape: [count, channels, height, width],
    }),
    label: tensor(Int32Array.from(labels.subarray(0, count)), { shape: [count] }),
  }
}

/** Move every image of a batch by its own random whole number of pixels; the background fills the gap. */
function shifter(set: ImageDataset, most: number): (batch: Images, key: Key) => undefined {
  const [height, width, channels] = set.shape
  const background = set.mean.map((m, c) => -m / set.std[c]!)
  const row = new Float32Array(width)
  return ({ image }, key) => {
    const pixels = image.data as Float32Array
    const count = image.shape[0]!
    const draws = random.sampleIntegers(key, 2 * count, 2 * most + 1)
    const plane = new Float32Array(height * width)
    for (let n = 0; n < count; n++) {
      const [down, right] = [draws[2 * n]! - most, draws[2 * n + 1]! - most]
      for (let c = 0; c < channels; c++) {
        const start = (n * channels + c) * height * width
        plane.fill(background[c]!)
        for (let y = Math.max(0, down); y < Math.min(height, height + down); y++) {
          row.fill(background[c]!)
          const source = start + (y - down) * width
          if (right >= 0) row.set(pixels.subarray(source, source + width - right), right)
          else row.set(pixels.subarray(source - right, source + width), 0)
          plane.set(row, y * width)
        }
        pixels.set(plane, start)
      }
    }
    return undefined
  }
}

/** Pictures that the network got most wrong: by the loss of the true label. */
const keptMistakes = 24

/** Confusion counts, the worst mistakes with their pictures, accuracy and mean loss. */
function judge(set: ImageDataset, probabilities: Float32Array, losses: Float32Array) {
  const [height, width, channels] = set.shape
  const size = height * width * channels
  const classes = set.classes.length
  const counts = set.classes.map(() => new Array<number>(classes).fill(0))
  const wrong: { index: number; truth: number; guess: number; probability: number; loss: number }[] = []
  let total = 0
  for (let i = 0; i < set.test.count; i++) {
    const row = probabilities.subarray(i * classes, (i + 1) * classes)
    const guess = row.indexOf(Math.max(...row))
    const truth = set.test.labels[i]!
    counts[truth]![guess]!++
    total += losses[i]!
    if (guess !== truth) wrong.push({ index: i, truth, guess, probability: row[guess]!, loss: losses[i]! })
  }
  const worst = wrong.sort((a, b) => b.loss - a.loss || a.index - b.index).slice(0, keptMistakes)
  const named = (n: number): string => set.classes[n]!
  return {
    accuracy: 1 - wrong.length / set.test.count,
    loss: total / set.test.count,
    confusion: counts.flatMap((row, truth) =>
      row.map((count, guess): Confusion => {
        return { part: 'confusion', truth: named(truth), guess: named(guess), count }
      }),
    ),
    mistakes: worst.map(
      ({ truth, guess, ...mistake }): Mistake => ({
        ...{ part: 'mistake', ...mistake, truth: named(truth), guess: named(guess) },
        ...{ width, height, channels },
        pixels: Array.from(set.test.images.subarray(mistake.index * size, (mistake.index + 1) * size)),
      }),
    ),
  }
}

/** Train until the end, from where an earlier process was cut. */
async function trained(
  set: ImageDataset,
  start: SmallCnnParameters,
  test: Images,
  { config: c, threads, signal, folder, progress }: Bench<Config, void>,
): Promise<{ average: SmallCnnParameters; metrics: Metric[] }> {
  const network = networkOf(c, set)
  const images = Math.min(c.examples, set.train.count)
  const steps = Math.ceil((c.epochs * images) / c.batchSize)
  const [state, journal] = [join(folder, stateFile), join(folder, 'metrics.jsonl')]
  // what a process wrote that was ended before its first checkpoint
  if (!existsSync(state)) truncateMetrics(journal, -1)
  const { average } = await train<SmallCnnParameters, Images>({
    parameters: start,
    loss: (parameters, { image, label }, { key }) => {
      const logits = network.apply(parameters, image, key)
      return {
        loss: crossEntropyLoss(logits, label),
        metrics: { accuracy: isCorrect(logits, label).mean() },
      }
    },
    data: tableOf(set, set.train, images),
    optimizer: adamW({ weightDecay: c.weightDecay }),
    learningRate: cosine({ peak: c.learningRate, warmup: Math.ceil(steps / 20) }),
    steps,
    batchSize: Math.min(c.batchSize, images),
    seed: c.seed,
    augment: c.shift > 0 ? shifter(set, c.shift) : undefined,
    averageDecay: Math.min(c.averageDecay, 1 - 10 / (steps + 10)),
    evaluate: {
      name: 'test',
      data: test,
      batchSize: 500,
      every: Math.max(1, Math.round(Math.min(images / c.batchSize, steps / 4))),
      measure: (parameters, { image, label }) => {
        const logits = network.apply(parameters, image)
        return { loss: crossEntropy(logits, label), accuracy: isCorrect(logits, label) }
      },
    },
    checkpoint: { path: state, every: Math.max(1, Math.round(steps / 20)) },
    resume: true,
    config: c,
    logEvery: Math.max(1, Math.round(steps / 100)),
    threads,
    signal,
    onResume: (step) => truncateMetrics(journal, step),
    onMetrics: (line) => appendMetric(journal, line),
    onProgress({ step, total, loss, metrics }) {
      const tested = metrics['testAccuracy']
      const seen = tested === undefined ? '' : ` · test ${percent(tested, 2)}`
      progress(step / total, step === 0 ? 'compiling' : `loss ${loss.toFixed(3)}${seen}`)
    },
  })
  return { average: average!, metrics: readMetrics(journal) }
}

/**
 * Train and judge. Weights and the order of data come from the run's seed, not from the key of the bench: there is one network a
 * run, and another seed is another replica.
 */
export async function measure(_: Cell, bench: Bench<Config, void>): Promise<Row[]> {
  const { config: c, threads, signal } = bench
  const set = await loadDataset(c.dataset, { signal })
  const network = networkOf(c, set)
  const start = network.init(random.foldIn(random.key(c.seed), 1))
  const test = tableOf(set, set.test, set.test.count)
  const { average, metrics } = await trained(set, start, test, bench)
  const found = await applyInBatches(
    (parameters: SmallCnnParameters, { image, label }: Images) => {
      const logits = network.apply(parameters, image)
      return { probabilities: softmax(logits), loss: crossEntropy(logits, label) }
    },
    average,
    test,
    { batchSize: 500, threads },
  )
  const [probabilities, losses] = [found['probabilities']!, found['loss']!].map(
    ({ data }) => data as Float32Array,
  )
  const { accuracy, loss, confusion, mistakes } = judge(set, probabilities!, losses!)
  const columnsOf = (line: Metric) => ({ steps: line.step, epoch: line['epoch'] as number })
  return [
    ...metrics.flatMap((line): Row[] => [
      ...(typeof line['loss'] === 'number'
        ? [{ part: 'training' as const, ...columnsOf(line), loss: line['loss'] }]
        : []),
      ...(typeof line['testAccuracy'] === 'number'
        ? [
            {
              ...{ part: 'test' as const, ...columnsOf(line), loss: line['testLoss'] as number },
              accuracy: line['testAccuracy'],
            },
          ]
        : []),
    ]),
    ...confusion,
    ...mistakes,
    {
      ...{ part: 'whole', accuracy, loss, classes: set.classes.length, parameters: countParameters(start) },
      ...{ trainImages: Math.min(c.examples, set.train.count), testImages: set.test.count },
    },
  ]
}
