/** @file What a round trip leaves of an image's class and of its features in each layer of a classifier. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fail } from '../../base/index.ts'
import { keptBrightness } from '../../diffusion/index.ts'
import { type Bench, cellFolder } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import {
  answersOf,
  type ChannelScale,
  channelScale,
  channelScales,
  cosines,
  type ImageClassifier,
  openCnn,
  openMobileNet,
  saveCnn,
  trainCnn,
} from '../../vision/index.ts'
import { type PictureRow, pictureOf } from '../imageTrips/pictures.ts'
import type { ImageSet, Prepared, Shape } from '../imageTrips/settings.ts'
import { openSources, type Source, type SourceName, type Sources } from '../imageTrips/sources.ts'
import type { Config } from './config.ts'

export type Cell =
  | { readonly part: 'classifier' }
  | { readonly part: 'trips'; readonly source: SourceName; readonly time: number }

/** The network that was trained. */
export interface ClassifierRow {
  readonly of: 'classifier'
  readonly accuracy: number
  readonly images: number
}

/** Round trips of a group of images to a time. */
export interface TripsRow {
  readonly of: 'trips'
  readonly trips: number
  /** Those whose brightness was kept; the rest counts nowhere else. */
  readonly good: number
  /** Those of them in which the classifier answers as before. */
  readonly kept: number
}

/** Mean over images of the mean cosine of a layer's features before and after. */
export interface LayerRow {
  readonly of: 'layer'
  readonly layer: string
  /** 0 is the image itself. */
  readonly depth: number
  readonly cosine: number
}

export type Row = ClassifierRow | TripsRow | LayerRow | PictureRow

/** What a thread holds. */
export interface Resource {
  readonly sources: Sources
  /** The classifier, opened when it is first asked for. */
  classifier?: Promise<ImageClassifier>
  readonly scales: Map<SourceName, Promise<ChannelScale[]>>
}

export const open = async (config: Config, prepared: Prepared): Promise<Resource> => ({
  sources: await openSources(config, prepared, { grey: false }),
  scales: new Map(),
})

export async function close({ sources, classifier }: Resource): Promise<void> {
  sources.dispose()
  const opened = await classifier?.catch(() => undefined)
  opened?.dispose()
}

const cnnOptions = ({ shape, classes }: Pick<ImageSet, 'shape' | 'classes'>) => ({
  image: shape,
  classes: classes.length,
  // as many halvings as the smaller side has room for
  channels: [16, 32, 64].slice(0, Math.max(1, Math.floor(Math.log2(Math.min(shape[1], shape[2]))))),
})

const weightsFile = 'classifier.safetensors'

async function trainClassifier({
  config,
  resource,
  folder,
  threads,
  signal,
  progress,
}: Bench<Config, Resource, Prepared>): Promise<ClassifierRow[]> {
  const { set } = resource.sources
  const train = set.train(config.trainOn)
  const found = await trainCnn({
    ...cnnOptions(set),
    ...{ train, test: set.test, epochs: config.epochs, seed: config.seed, threads, signal },
    state: join(folder, 'state.safetensors'),
    onProgress: (share, loss) => progress(share, `training the classifier, loss ${loss.toFixed(3)}`),
  })
  saveCnn(join(folder, weightsFile), found)
  return [{ of: 'classifier', accuracy: found.accuracy, images: set.test.count }]
}

/** The classifier of a run: MobileNet of a path, or what the first cell has kept. */
function classifierOf({
  config,
  resource,
  folder,
  prepared,
}: Bench<Config, Resource, Prepared>): Promise<ImageClassifier> {
  const made = async (): Promise<ImageClassifier> => {
    if (config.classifier !== 'cnn') return openMobileNet(config.classifier, { image: prepared.shape })
    // cells lie beside each other in the run's folder, the classifier's first
    const path = join(cellFolder(dirname(dirname(folder)), 0, 0), weightsFile)
    if (!existsSync(path))
      fail('TL_IO', `cannot read ${path}: the classifier of this run is gone; run again with --fresh`)
    return openCnn(path, cnnOptions(resource.sources.set))
  }
  resource.classifier ??= made()
  return resource.classifier
}

/** Numbers of features that are held at a time while channels are standardized. */
const mostNumbers = 2 ** 25

/** Scales of the image itself and of every layer, over images of a source. */
function scalesOf(
  { resource, config }: Pick<Bench<Config, Resource>, 'resource' | 'config'>,
  classifier: ImageClassifier,
  name: SourceName,
  source: Source,
): Promise<ChannelScale[]> {
  const known = resource.scales.get(name)
  if (known) return known
  const each = classifier.layers.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
  const count = Math.max(16, Math.min(512, Math.floor(mostNumbers / each)))
  const size = source.shape.reduce((a, b) => a * b, 1)
  const images =
    name === 'model'
      ? resource.sources.set.test.images.subarray(0, Math.min(count, resource.sources.set.test.count) * size)
      : source.draw(0, count, random.foldIn(random.key(config.seed), 72))
  const made = channelScales(classifier, images).then((own) => [
    channelScale(images, { name: 'pixels', shape: source.shape }),
    ...own,
  ])
  resource.scales.set(name, made)
  return made
}

/** Rows of `picked` of n groups of `size` numbers. */
function picked(values: Float32Array, size: number, indices: readonly number[]): Float32Array {
  const out = new Float32Array(indices.length * size)
  for (const [i, index] of indices.entries())
    out.set(values.subarray(index * size, (index + 1) * size), i * size)
  return out
}

const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, x) => sum + x, 0) / values.length

/** The classifier's answer in a word. */
const wordOf = (classes: readonly string[], answer: number): string => classes[answer] ?? String(answer)

function pictures(
  x0: Float32Array,
  trips: Float32Array,
  {
    shape,
    good,
    answers,
    classes,
    image,
  }: {
    readonly shape: Shape
    readonly good: readonly boolean[]
    /** Of the image, then of its round trips. */
    readonly answers: ArrayLike<number>
    readonly classes: readonly string[]
    readonly image: number
  },
): PictureRow[] {
  const size = x0.length
  const first = Math.max(0, good.indexOf(true))
  const own = { of: 'picture', image } as const
  return [
    {
      ...{ ...own, after: false, good: true, answer: wordOf(classes, answers[0]!) },
      ...pictureOf(x0, shape),
    },
    {
      ...{ ...own, after: true, good: good[first]!, answer: wordOf(classes, answers[1 + first]!) },
      ...pictureOf(trips.subarray(first * size, (first + 1) * size), shape),
    },
  ]
}

export async function measure(cell: Cell, bench: Bench<Config, Resource, Prepared>): Promise<Row[]> {
  if (cell.part === 'classifier') return trainClassifier(bench)
  const { resource, config, key, replica, signal, progress, prepared } = bench
  const { source: name, time } = cell
  const source = resource.sources.of(name)
  const classifier = await classifierOf(bench)
  const scales = await scalesOf(bench, classifier, name, source)
  const { imagesPerGroup: count, trajectories: n } = config
  const size = source.shape.reduce((a, b) => a * b, 1)
  const images = source.draw(replica, count, random.foldIn(key, 0))
  const trips = await source.trips(images, {
    ...{ group: replica, time, n, key: random.foldIn(key, 1), signal },
    onStep: (done, total) => progress((0.9 * done) / total),
  })
  const layers = [{ name: 'pixels', shape: source.shape }, ...classifier.layers]
  const sums = layers.map(() => ({ cosine: 0, images: 0 }))
  const totals = { trips: 0, good: 0, kept: 0 }
  const rows: Row[] = []
  for (let i = 0; i < count; i++) {
    if (signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
    const x0 = images.subarray(i * size, (i + 1) * size)
    const own = trips.subarray(i * n * size, (i + 1) * n * size)
    const good =
      config.drift > 0
        ? keptBrightness(x0, own, source.shape, config.drift)
        : new Array<boolean>(n).fill(true)
    const all = new Float32Array((1 + n) * size)
    all.set(x0)
    all.set(own, size)
    const features = [all, ...(await classifier.activations(all))]
    const answers = answersOf(features.at(-1)!, classifier.classes)
    const chosen = Array.from(good.keys()).filter((k) => good[k])
    totals.trips += n
    totals.good += chosen.length
    totals.kept += chosen.filter((k) => answers[1 + k] === answers[0]).length
    if (chosen.length > 0)
      for (const [depth, layer] of layers.entries()) {
        const width = features[depth]!.length / (1 + n)
        const after = picked(
          features[depth]!,
          width,
          chosen.map((k) => 1 + k),
        )
        const found = cosines(features[depth]!.subarray(0, width), after, layer, scales[depth]!).filter(
          Number.isFinite,
        )
        if (found.length === 0) continue
        sums[depth]!.cosine += mean(found)
        sums[depth]!.images++
      }
    if (replica === 0 && i < config.shown)
      rows.push(
        ...pictures(x0, own, {
          ...{ shape: source.shape, good, answers, image: i },
          classes: config.classifier === 'cnn' ? prepared.classes : [],
        }),
      )
  }
  return [
    { of: 'trips', ...totals },
    ...layers.flatMap(({ name: layer }, depth): LayerRow[] => {
      const { cosine, images: seen } = sums[depth]!
      return seen > 0 ? [{ of: 'layer', layer, depth, cosine: cosine / seen }] : []
    }),
    ...rows,
  ]
}
