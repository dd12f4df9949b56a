/** @file Does the engine learn real images? A small convolutional network on the MNIST digits. */
import { percent } from '../base/index.ts'
import { readSafetensors } from '../checkpoint/index.ts'
import { getDataset, loadDataset } from '../data/index.ts'
import {
  type Claim,
  cellFolder,
  chart,
  claim,
  confusionMatrix,
  defineStudy,
  distinct,
  type Estimate,
  type Findings,
  fetchListeners,
  gallery,
  groupBy,
  lineChart,
  type Measured,
  meanAcross,
  overReplicas,
  pointOf,
  type ReportTable,
  replicasOf,
  shareOf,
} from '../lab/index.ts'
import type { SmallCnnParameters } from '../nn/index.ts'
import { entries, exportOnnx, fromEntries, softmax, spec, type Tensor, tensor } from '../tensor/index.ts'
import { type Cell, type Config, config, measure, networkOf, type Row, stateFile } from './digits/training.ts'

type Found = Measured<Cell, Row>
type Part<P extends Row['part']> = Extract<Found, { readonly part: P }>

const partOf = <P extends Row['part']>(rows: readonly Found[], part: P): Part<P>[] =>
  rows.filter((row): row is Part<P> => row.part === part)

/** Share of test images read wrongly: of one network by their number, of several by how these differ. */
function errorOf(rows: readonly (Part<'whole'> | Part<'test'>)[], images: number): Estimate {
  if (replicasOf(rows).length > 1) return overReplicas(rows, ([row]) => 1 - row!.accuracy)
  const { error, ...share } = shareOf(Math.round((1 - rows[0]!.accuracy) * images), images)
  return { ...share, error }
}

function claimsOf(whole: readonly Part<'whole'>[], { dataset }: Config): Claim[] {
  const { testImages, classes } = whole[0]!
  const error = errorOf(whole, testImages)
  const guessing = 1 - 1 / classes
  const over: Estimate = {
    ...{ value: error.value / guessing, error: error.error === null ? null : error.error / guessing },
    ...(error.n !== undefined && { n: error.n }),
    ...(error.interval && {
      interval: [error.interval[0] / guessing, error.interval[1] / guessing] as const,
    }),
  }
  return [
    claim('test error over that of guessing', over).atMost(0.1),
    ...(dataset === 'mnist'
      ? [
          claim(
            'test error, below that of nearest neighbours, 5.0 % (LeCun, Bottou, Bengio and Haffner 1998, Fig. 9)',
            error,
          ).atMost(0.05),
        ]
      : []),
  ]
}

function chartsOf(rows: readonly Found[], images: number): Findings['charts'] {
  const [training, test] = [partOf(rows, 'training'), partOf(rows, 'test')]
  const looks = groupBy(test, 'steps').map(({ rows: at }) => ({ epoch: at[0]!.epoch, at }))
  const floor = 0.5 / images
  const networks = replicasOf(partOf(rows, 'whole')).length
  const bands = networks > 1 ? ` Bands: one standard error over ${networks} networks.` : ''
  return [
    chart(training, {
      name: 'loss',
      title: 'Loss',
      caption: `Cross-entropy in nats per image, as training goes on. Training: mean over the steps since the last point, on shifted images and with dropout. Test: with the moving average of the weights, on the images as they are.${bands}`,
      ...{ x: 'epoch', y: 'loss', xLabel: 'epoch', yLabel: 'cross-entropy', yScale: 'log' },
      series: () => 'training',
      more: [
        {
          ...{ name: 'test', hue: 1, dots: true },
          points: looks.map(({ epoch, at }) =>
            pointOf(
              epoch,
              meanAcross(at, ({ loss }) => loss),
            ),
          ),
        },
      ],
    }),
    () =>
      lineChart({
        name: 'error',
        title: 'Test error',
        caption: `Share of test images read wrongly.${bands || ' Bands: one binomial standard error for the number of test images.'}`,
        ...{ xLabel: 'epoch', yLabel: 'error', yScale: 'log', yFormat: '.1%' },
        references: [{ axis: 'y', value: 0.01, label: '99 % right' }],
        series: [
          {
            ...{ name: 'test', hue: 1, dots: true },
            points: looks.map(({ epoch, at }) => {
              const { value, error } = errorOf(at, images)
              const [low, high] = [value - (error ?? 0), value + (error ?? 0)]
              const [y, from, to] = [value, low, high].map((share) => Math.max(floor, share))
              return { x: epoch, y: y!, low: from!, high: to! }
            }),
          },
        ],
      }),
    () => {
      const confusion = partOf(rows, 'confusion')
      const labels = distinct(confusion, 'truth')
      return confusionMatrix({
        name: 'confusion',
        title: 'What is taken for what',
        caption: `Test images by their true class (rows) and by the network’s answer (columns)${networks > 1 ? `, ${networks} networks together` : ''}.`,
        labels,
        counts: labels.map((truth) =>
          labels.map((guess) =>
            confusion
              .filter((row) => row.truth === truth && row.guess === guess)
              .reduce((sum, { count }) => sum + count, 0),
          ),
        ),
      })
    },
    () =>
      gallery({
        name: 'mistakes',
        title: 'The worst mistakes',
        caption:
          'Test images with the highest loss: the true label, what the network read, and how sure it was.',
        inverted: true,
        items: worstMistakes(rows).map(({ truth, guess, probability, width, height, channels, pixels }) => ({
          title: `${truth}, read as ${guess}`,
          subtitle: `${percent(probability, 0)} sure`,
          image: { width, height, channels: channels === 3 ? 3 : 1, pixels },
        })),
      }),
  ]
}

const shownMistakes = 24

/** Each image once, where a network got it most wrong. */
function worstMistakes(rows: readonly Found[]): Part<'mistake'>[] {
  const sorted = partOf(rows, 'mistake').sort((a, b) => b.loss - a.loss || a.index - b.index)
  const first = new Map<number, Part<'mistake'>>()
  for (const row of sorted) if (!first.has(row.index)) first.set(row.index, row)
  return [...first.values()].slice(0, shownMistakes)
}

function tableOf(rows: readonly Found[]): ReportTable {
  const [training, test] = [partOf(rows, 'training'), partOf(rows, 'test')]
  const shown = ({ value }: Estimate): string => (Number.isFinite(value) ? value.toFixed(4) : '–')
  return {
    title: 'Accuracy as training went on',
    columns: ['epoch', 'training loss', 'test loss', 'test accuracy'],
    rows: groupBy(test, 'steps').map(({ key: { steps }, rows: at }) => {
      const last = Math.max(...training.filter((row) => row.steps <= steps).map((row) => row.steps))
      const before = training.filter((row) => row.steps === last)
      return [
        at[0]!.epoch.toFixed(1),
        shown(meanAcross(before, ({ loss }) => loss)),
        shown(meanAcross(at, ({ loss }) => loss)),
        percent(meanAcross(at, ({ accuracy }) => accuracy).value, 2),
      ]
    }),
  }
}

function findings(rows: readonly Found[], c: Config): Findings {
  const whole = partOf(rows, 'whole')
  const { parameters, trainImages, testImages } = whole[0]!
  const accuracy = meanAcross(whole, (row) => row.accuracy).value
  const loss = meanAcross(whole, (row) => row.loss).value
  const wrong = Math.round((1 - accuracy) * testImages)
  const test = partOf(rows, 'test')
  const early = test.filter(({ steps }) => steps === test[0]!.steps)
  const networks = replicasOf(whole).length
  return {
    headline: `test accuracy ${percent(accuracy, 2)}`,
    paragraph:
      `${networks > 1 ? `Each of ${networks} convolutional networks` : 'A convolutional network'} of ${parameters.toLocaleString('en')} weights saw ${trainImages.toLocaleString('en')} digits ` +
      `${c.epochs === 1 ? 'once' : `${c.epochs} times`} and then read ${percent(accuracy, 2)} of the ` +
      `${testImages.toLocaleString('en')} test digits correctly: it is wrong about ${wrong} of them. ` +
      (early.length === 0
        ? ''
        : `At the first look at the test digits it was at ${percent(meanAcross(early, (row) => row.accuracy).value, 2)}. `) +
      'The pictures below are the ones it got most wrong; for some of them, so might you.',
    numbers: [
      { label: 'test accuracy', value: percent(accuracy, 2), note: `${wrong} mistakes in ${testImages}` },
      { label: 'test loss', value: loss.toFixed(4), note: 'nats per digit' },
      { label: 'weights', value: parameters.toLocaleString('en') },
      { label: 'epochs', value: String(c.epochs), note: `of ${trainImages.toLocaleString('en')} digits` },
    ],
    claims: claimsOf(whole, c),
    charts: chartsOf(rows, testImages),
    tables: [tableOf(rows)],
    result: { testAccuracy: accuracy, testLoss: loss, parameters, trainImages, testImages },
  }
}

export const digits = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'digits',
  title: 'Reading handwritten digits',
  resultNames: {
    testAccuracy: 'test accuracy',
    testLoss: 'test loss',
    parameters: 'weights',
    trainImages: 'images to train on',
    testImages: 'images to test on',
  },
  question: 'Does a small convolutional network learn to read real digits? The first thing to run.',
  version: 2,
  config,
  presets: {
    tiny: { epochs: 1, examples: 2000, batchSize: 32, channels: [4, 8], shift: 1 },
    tour: { epochs: 1, shift: 1 },
    quick: { epochs: 5, shift: 1 },
    paper: { epochs: 20, channels: [48, 96] },
  },
  // fetched once, before the bar begins
  async prepare({ dataset }, preparing) {
    if (/[\\/]/.test(dataset)) return
    await getDataset(dataset, fetchListeners(preparing))
  },
  cells: () => [{ network: 'smallCnn' }],
  replicas: () => 1,
  measure,
  cost: (_, { epochs, examples, channels: [first = 1, second = 1] }) =>
    1e-7 * epochs * examples * first * second,
  label: () => 'training',
  findings,

  async network(run) {
    const set = await loadDataset(run.config.dataset)
    const network = networkOf(run.config, set)
    const prefix = 'average.'
    const stored = readSafetensors(`${cellFolder(run.folder, 0, 0)}/${stateFile}`).tensors
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
