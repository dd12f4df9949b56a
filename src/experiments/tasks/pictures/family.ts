/** @file Pictures as a family of tasks: a pretrained vision transformer, frozen class prototypes, and the pool as control. */
import { chosen, type Split as Pictures } from '../../../data/index.ts'
import type { Parameters } from '../../../nn/index.ts'
import { random, type Tensor, tensor } from '../../../tensor/index.ts'
import { picturesOf, prototypeLogits } from '../../../vision/index.ts'
import { type Batch, checkFamily, type Split, type Task, type TaskFamily } from '../family.ts'
import { encoderOf, readEncoder } from './encoder.ts'
import type { PictureConfig } from './fields.ts'
import { drawnPool, openSets, setsOf, taskSource } from './sources.ts'

/** Training pictures of a set that are kept for each that a task takes: its task may be of a few classes. */
const spare = 8

/** Of cosines, as the encoder was trained with. */
const scale = 16

/** Batches of the chosen pictures of each part. */
function pictureTask(name: string, parts: Readonly<Record<Split, Pictures>>, prototypes: Tensor): Task {
  return {
    name,
    head: { prototypes },
    width: prototypes.shape[1]!,
    counts: { train: parts.train.count, validation: parts.validation.count, test: parts.test.count },
    batches(split, groups) {
      const rows = Math.max(...groups.map(({ length }) => length))
      return (index): Batch => {
        const group = groups[index]!
        // the batch is filled up with its first picture, which weighs nothing
        const places = Array.from({ length: rows }, (_, r) => group[r] ?? group[0]!)
        const pictures = chosen(parts[split], places)
        return {
          inputs: picturesOf(pictures),
          labels: tensor(Int32Array.from(pictures.labels)),
          weights: tensor(Float32Array.from(places, (_, r) => (r < group.length ? 1 : 0))),
        }
      }
    },
  }
}

/** Parts of a source in a random order: to learn from and to choose with; and some of those to test on. */
function partsOf(
  train: Pictures,
  test: Pictures,
  counts: PictureConfig['counts'],
  key: random.Key,
): Record<Split, Pictures> {
  const [forTrain, forTest] = random.split(key)
  const order = random.samplePermutation(forTrain, train.count)
  const toTest = random.samplePermutation(forTest, test.count)
  return {
    train: chosen(train, order.subarray(0, counts.train)),
    validation: chosen(train, order.subarray(counts.train, counts.train + counts.validation)),
    test: chosen(test, toTest.subarray(0, counts.test)),
  }
}

/** Plain pictures of all drawn kinds together, told apart among all their classes: what the pool was, as the control. */
function controlOf(
  { encoder: { side }, counts }: PictureConfig,
  heads: (names: readonly string[]) => Tensor,
): Task {
  const each = Math.ceil((counts.validation + counts.test) / 6)
  const kinds = drawnPool(1, each, side)
  const classes = kinds.flatMap((kind) => kind.classes)
  const images = new Uint8Array(kinds.reduce((sum, { test }) => sum + test.images.length, 0))
  const labels = new Uint8Array(kinds.length * each)
  for (const [k, { test, classes: own }] of kinds.entries()) {
    images.set(test.images, k * test.images.length)
    for (let n = 0; n < each; n++) labels[k * each + n] = classes.indexOf(own[test.labels[n]!]!)
  }
  const all = { images, labels, count: labels.length }
  const order = random.samplePermutation(random.key(1), all.count)
  const part = (from: number, count: number): Pictures => chosen(all, order.subarray(from, from + count))
  const validation = part(0, counts.validation)
  return pictureTask(
    'pool',
    { train: chosen(all, []), validation, test: part(counts.validation, counts.test) },
    heads(classes),
  )
}

/**
 * The tasks of a config, on the encoder in a file (of `readyEncoder`). Which pictures a task has follows from the key. Throws
 * TL_BAD_CONFIG for tasks that do not go together, and what the readers of pictures throw.
 */
export async function picturesFamily(
  config: PictureConfig,
  path: string,
  key: random.Key,
): Promise<TaskFamily> {
  const { tasks: names, counts, pool, encoder: sizes } = config
  const encoder = encoderOf(config)
  const sets = await openSets(setsOf(names, {}), sizes.side, pool.sets, {
    most: spare * (counts.train + counts.validation),
  })
  const tasks = names.map((name, i) => {
    const own = random.foldIn(key, i)
    const wanted = { train: counts.train + counts.validation, test: counts.test, side: sizes.side, key: own }
    const { train, test, classes } = taskSource(name, sets, wanted)
    return pictureTask(name, partsOf(train, test, counts, own), encoder.heads(classes))
  })
  const control = { ...controlOf(config, encoder.heads), score: 'accuracy' as const }
  checkFamily({ tasks, control }, 'config.tasks')
  const { width, layers, patch, side } = sizes
  return {
    title: `vision transformer of ${layers} blocks, width ${width}, ${side / patch} × ${side / patch} patches`,
    pretrained: readEncoder(config, path) as unknown as Parameters,
    features: encoder.apply as unknown as TaskFamily['features'],
    logits: (features, head) =>
      prototypeLogits(features, (head as { readonly prototypes: Tensor }).prototypes, scale),
    tasks,
    control,
    random: (own) => encoder.init(own) as unknown as Parameters,
  }
}
