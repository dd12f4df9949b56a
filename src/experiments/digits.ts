/** @file The first experiment: a small convolutional network on the MNIST digits. */
import { z } from 'zod'
import { readSafetensors } from '../checkpoint/index.ts'
import { type ImageDataset, loadDataset, normalizeImages, type Split } from '../data/index.ts'
import {
  confusionMatrix,
  defineExperiment,
  type Figure,
  gallery,
  lineChart,
  type RunView,
  seedField,
} from '../lab/index.ts'
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
} from '../nn/index.ts'
import {
  crossEntropy,
  entries,
  exportOnnx,
  fromEntries,
  random,
  softmax,
  spec,
  type Tensor,
  tensor,
} from '../tensor/index.ts'

const config = z.strictObject({
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
type Config = z.infer<typeof config>

interface Result {
  testAccuracy: number
  testLoss: number
  parameters: number
  trainImages: number
  testImages: number
}

type Images = { image: Tensor; label: Tensor }

const networkOf = ({ channels, dropout }: Config, { shape, classes }: ImageDataset): SmallCnn =>
  smallCnn({ image: [shape[2], shape[0], shape[1]], classes: classes.length, channels, dropout })

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
const shownMistakes = 24

export const digits = defineExperiment<Config, Result>({
  name: 'digits',
  title: 'Reading handwritten digits',
  description: 'A small convolutional network learns MNIST; the first thing to run.',
  config,
  presets: {
    quick: { epochs: 5, shift: 1 },
    paper: { epochs: 20, channels: [48, 96] },
  },

  cost: ({ epochs, examples, channels: [first = 1, second = 1] }) =>
    1e-7 * epochs * examples * first * second,

  async run({ config: c, threads, statePath, resumed, signal, resumeFrom, metric, log, progress, write }) {
    const set = await loadDataset(c.dataset, {
      signal,
      onNotice: log,
      onProgress: ({ name, phase, done, total }) =>
        progress({ done, total: total ?? done, detail: `${phase} ${name}` }),
    })
    const trainImages = Math.min(c.examples, set.train.count)
    const network = networkOf(c, set)
    const start = network.init(random.foldIn(random.key(c.seed), 1))
    log(
      `${set.title}: ${trainImages} training and ${set.test.count} test images; network of ${countParameters(start)} weights; ${threads} thread${threads === 1 ? '' : 's'}`,
    )
    const test = tableOf(set, set.test, set.test.count)
    const steps = Math.ceil((c.epochs * trainImages) / c.batchSize)
    const result = await train<SmallCnnParameters, Images>({
      parameters: start,
      loss: (parameters, { image, label }, { key }) => {
        const logits = network.apply(parameters, image, key)
        return {
          loss: crossEntropyLoss(logits, label),
          metrics: { accuracy: isCorrect(logits, label).mean() },
        }
      },
      data: tableOf(set, set.train, trainImages),
      optimizer: adamW({ weightDecay: c.weightDecay }),
      learningRate: cosine({ peak: c.learningRate, warmup: Math.ceil(steps / 20) }),
      steps,
      batchSize: Math.min(c.batchSize, trainImages),
      seed: c.seed,
      augment: c.shift > 0 ? shifter(set, c.shift) : undefined,
      averageDecay: Math.min(c.averageDecay, 1 - 10 / (steps + 10)),
      evaluate: {
        name: 'test',
        data: test,
        batchSize: 500,
        every: Math.max(1, Math.round(Math.min(trainImages / c.batchSize, steps / 4))),
        measure: (parameters, { image, label }) => {
          const logits = network.apply(parameters, image)
          return { loss: crossEntropy(logits, label), accuracy: isCorrect(logits, label) }
        },
      },
      checkpoint: { path: statePath, every: Math.max(1, Math.round(steps / 20)) },
      resume: resumed,
      config: { ...c, threads: undefined },
      logEvery: Math.max(1, Math.round(steps / 100)),
      threads,
      signal,
      onResume: resumeFrom,
      onMetrics: metric,
      onProgress: ({ step, total, loss, metrics }) =>
        progress({
          done: step,
          total,
          detail:
            step === 0
              ? 'compiling'
              : `loss ${loss.toFixed(3)}${metrics['testAccuracy'] === undefined ? '' : ` · test ${percent(metrics['testAccuracy'])}`}`,
        }),
    })

    const found = await applyInBatches(
      (parameters: SmallCnnParameters, { image, label }: Images) => {
        const logits = network.apply(parameters, image)
        return { probabilities: softmax(logits), loss: crossEntropy(logits, label) }
      },
      result.average!,
      test,
      { batchSize: 500, threads },
    )
    const judged = judge(
      set,
      found['probabilities']!.data as Float32Array,
      found['loss']!.data as Float32Array,
    )
    write('confusion.json', { classes: set.classes, counts: judged.confusion })
    write('mistakes.json', judged.mistakes)
    return {
      testAccuracy: judged.accuracy,
      testLoss: judged.loss,
      parameters: countParameters(start),
      trainImages,
      testImages: set.test.count,
    }
  },

  summary: ({ config: c, result, metrics }) => {
    const wrong = Math.round((1 - result.testAccuracy) * result.testImages)
    const seen = metrics.filter((m) => typeof m['testAccuracy'] === 'number')
    const first = seen[0]?.['testAccuracy'] as number | undefined
    return {
      headline: `test accuracy ${percent(result.testAccuracy)}`,
      paragraph:
        `A convolutional network of ${result.parameters.toLocaleString('en')} weights saw ${result.trainImages.toLocaleString('en')} digits ` +
        `${c.epochs === 1 ? 'once' : `${c.epochs} times`} and then read ${percent(result.testAccuracy)} of the ` +
        `${result.testImages.toLocaleString('en')} test digits correctly: it is wrong about ${wrong} of them. ` +
        (first === undefined ? '' : `At the first look at the test digits it was at ${percent(first)}. `) +
        'The pictures below are the ones it got most wrong; for some of them, so might you.',
      numbers: [
        {
          label: 'test accuracy',
          value: percent(result.testAccuracy),
          note: `${wrong} mistakes in ${result.testImages}`,
        },
        { label: 'test loss', value: result.testLoss.toFixed(4), note: 'nats per digit' },
        { label: 'weights', value: result.parameters.toLocaleString('en') },
        {
          label: 'epochs',
          value: String(c.epochs),
          note: `of ${result.trainImages.toLocaleString('en')} digits`,
        },
      ],
    }
  },

  figures: (runs) => [lossFigure(runs), accuracyFigure(runs), ...runs.slice(0, 1).flatMap(detailFigures)],

  tables: (runs) => [
    {
      title: 'Accuracy as training went on',
      columns: ['epoch', 'training loss', 'test loss', 'test accuracy'],
      rows: evaluated(runs[0]!).map((m) => [
        (m['epoch'] as number).toFixed(1),
        number(lossBefore(runs[0]!, m.step), 4),
        number(m['testLoss'], 4),
        percent(m['testAccuracy'] as number),
      ]),
    },
  ],

  async network(run) {
    const set = await loadDataset(run.config.dataset)
    const network = networkOf(run.config, set)
    const prefix = 'average.'
    const stored = readSafetensors(`${run.folder}/state.safetensors`).tensors
    const parameters = fromEntries(
      [...stored]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, t]) => [name.slice(prefix.length), tensor(t.data as Float32Array, { shape: t.shape })]),
    ) as SmallCnnParameters
    const [height, width, channels] = set.shape
    const { chunks } = exportOnnx(
      (image: Tensor) => softmax(network.apply(parameters, image)),
      [spec([1, channels, height, width])],
      {
        name: 'digits',
        inputNames: ['image'],
        outputNames: ['probabilities'],
        metadata: { run: run.hash, weights: String(entries(parameters).length) },
      },
    )
    return {
      onnx: Buffer.concat(chunks),
      about: `image f32[1, ${channels}, ${height}, ${width}], pixels (byte / 255 − ${set.mean}) / ${set.std}; probabilities f32[1, ${set.classes.length}] of ${set.classes.join(', ')}`,
    }
  },
})

type View = RunView<Config, Result>

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`
const number = (value: unknown, digitsShown: number): string =>
  typeof value === 'number' ? value.toFixed(digitsShown) : '–'
const evaluated = (run: View) => run.metrics.filter((m) => typeof m['testAccuracy'] === 'number')
const lossBefore = (run: View, step: number): unknown =>
  run.metrics.filter((m) => m.step <= step && typeof m['loss'] === 'number').at(-1)?.['loss']

/** Accuracy, mean loss, confusion counts [true][predicted], and the worst mistakes with their pictures. */
function judge(set: ImageDataset, probabilities: Float32Array, losses: Float32Array) {
  const [height, width, channels] = set.shape
  const size = height * width * channels
  const classes = set.classes.length
  const confusion = set.classes.map(() => new Array<number>(classes).fill(0))
  const wrong: { index: number; truth: number; guess: number; probability: number; loss: number }[] = []
  let total = 0
  for (let i = 0; i < set.test.count; i++) {
    const row = probabilities.subarray(i * classes, (i + 1) * classes)
    const guess = row.indexOf(Math.max(...row))
    const truth = set.test.labels[i]!
    confusion[truth]![guess]!++
    total += losses[i]!
    if (guess !== truth) wrong.push({ index: i, truth, guess, probability: row[guess]!, loss: losses[i]! })
  }
  const worst = wrong.sort((a, b) => b.loss - a.loss || a.index - b.index).slice(0, shownMistakes)
  return {
    accuracy: 1 - wrong.length / set.test.count,
    loss: total / set.test.count,
    confusion,
    mistakes: worst.map((m) => ({
      ...m,
      truth: set.classes[m.truth]!,
      guess: set.classes[m.guess]!,
      width,
      height,
      channels,
      pixels: Array.from(set.test.images.subarray(m.index * size, (m.index + 1) * size)),
    })),
  }
}

const label = (runs: readonly View[], run: View, name: string): string =>
  runs.length > 1 ? `${name}, seed ${run.config.seed}` : name

const lossFigure = (runs: readonly View[]): Figure =>
  lineChart({
    name: 'loss',
    title: 'Loss',
    caption:
      'Cross-entropy in nats per image, as training goes on. Training: mean over the steps since the last point, on shifted images and with dropout. Test: with the moving average of the weights, on the images as they are.',
    xLabel: 'epoch',
    yLabel: 'cross-entropy',
    yScale: 'log',
    series: runs.flatMap((run, i) => [
      {
        name: label(runs, run, 'training'),
        hue: 2 * i,
        points: run.metrics.flatMap((m) =>
          typeof m['loss'] === 'number' ? [{ x: m['epoch'] as number, y: m['loss'] }] : [],
        ),
      },
      {
        name: label(runs, run, 'test'),
        hue: 2 * i + 1,
        dots: true,
        points: evaluated(run).map((m) => ({ x: m['epoch'] as number, y: m['testLoss'] as number })),
      },
    ]),
  })

const accuracyFigure = (runs: readonly View[]): Figure =>
  lineChart({
    name: 'error',
    title: 'Test error',
    caption:
      'Share of test images read wrongly. Bands: one binomial standard error for the number of test images.',
    xLabel: 'epoch',
    yLabel: 'error',
    yScale: 'log',
    yFormat: '.1%',
    references: [{ axis: 'y', value: 0.01, label: '99 % right' }],
    series: runs.map((run, i) => ({
      name: label(runs, run, 'test'),
      hue: 2 * i + 1,
      dots: true,
      points: evaluated(run).map((m) => {
        const error = 1 - (m['testAccuracy'] as number)
        const deviation = Math.sqrt((error * (1 - error)) / run.result.testImages)
        const floor = 0.5 / run.result.testImages
        return {
          x: m['epoch'] as number,
          y: Math.max(floor, error),
          low: Math.max(floor, error - deviation),
          high: Math.max(floor, error + deviation),
        }
      }),
    })),
  })

function detailFigures(run: View): Figure[] {
  const { classes, counts } = run.read('confusion.json') as { classes: string[]; counts: number[][] }
  const mistakes = run.read('mistakes.json') as unknown as ReturnType<typeof judge>['mistakes']
  return [
    confusionMatrix({
      name: 'confusion',
      title: 'What is taken for what',
      caption: 'Test images by their true class (rows) and by the network’s answer (columns).',
      labels: classes,
      counts,
    }),
    gallery({
      name: 'mistakes',
      title: 'The worst mistakes',
      caption:
        'Test images with the highest loss: the true label, what the network read, and how sure it was.',
      inverted: true,
      items: mistakes.map(({ truth, guess, probability, width, height, channels, pixels }) => ({
        title: `${truth}, read as ${guess}`,
        subtitle: `${(100 * probability).toFixed(0)} % sure`,
        image: { width, height, channels: channels === 3 ? 3 : 1, pixels },
      })),
    }),
  ]
}
