/**
 * @file A family that needs no weights: a perceptron pretrained on digits of every look, a little of each, and tasks that are one look
 * each – turned, mirrored, inverted, with pixels exchanged. The head is frozen: a random prototype for each class.
 */
import { fail } from '../../base/index.ts'
import type { ImageDataset } from '../../data/index.ts'
import { adam, cosine, crossEntropyLoss, mlp, type Parameters, train } from '../../nn/index.ts'
import {
  div,
  matmul,
  mul,
  random,
  sqrt,
  square,
  sum,
  type Tensor,
  type Tree,
  tensor,
} from '../../tensor/index.ts'
import type { Batch, Split, Task, TaskFamily } from './family.ts'
import { shuffledGroups } from './fineTune.ts'

interface DigitsOptions {
  readonly set: ImageDataset
  /** Looks that are tasks. */
  readonly tasks: readonly Look[]
  /** Width of both hidden layers, and of the features. */
  readonly width: number
  readonly features: number
  /** Examples of each task to learn from, to choose with and to test on. */
  readonly counts: Readonly<Record<Split, number>>
  /** Steps of pretraining, 128 images each. */
  readonly pretraining: number
  /** Share of the pool that is of one of the tasks' looks; the rest is as it is. */
  readonly share: number
  readonly key: random.Key
  readonly threads?: number
  readonly signal?: AbortSignal
}

/** Pixel i of the image is pixel map[i] of the digit, and its brightness may be turned round. */
interface Change {
  readonly map: Int32Array
  readonly isInverted?: boolean
}

const mapped = (side: number, from: (row: number, column: number) => [number, number]): Change => ({
  map: Int32Array.from({ length: side * side }, (_, i) => {
    const [row, column] = from(Math.floor(i / side), i % side)
    return row * side + column
  }),
})

const upright = (side: number): Change => mapped(side, (r, c) => [r, c])

/** What digits can look like. */
const looks = {
  turned: (side: number) => mapped(side, (r, c) => [side - 1 - c, r]),
  mirrored: (side: number) => mapped(side, (r, c) => [r, side - 1 - c]),
  inverted: (side: number): Change => ({ ...upright(side), isInverted: true }),
  exchanged: (side: number): Change => ({
    map: Int32Array.from(random.samplePermutation(random.key(0x9e37), side * side)),
  }),
  swapped: (side: number) => mapped(side, (r, c) => [(r + side / 2) % side, (c + side / 2) % side]),
} satisfies Record<string, (side: number) => Change>

type Look = keyof typeof looks
export const lookNames = Object.keys(looks) as [Look, ...Look[]]

const controlName = 'upright'
/** Logits are this many times the cosines. */
const scale = 16
const poolBatch = 128

/** Images of a split, changed: pixels in [0, 1]. */
const drawn = (
  { images }: { images: Uint8Array },
  index: number,
  { map, isInverted }: Change,
  out: Float32Array,
  at: number,
): void => {
  const start = index * map.length
  for (let i = 0; i < map.length; i++) {
    const value = images[start + map[i]!]! / 255
    out[at + i] = isInverted ? 1 - value : value
  }
}

/** cos(z, prototype) · 16 for each class: z [rows, d], prototypes [classes, d]. */
const cosineLogits = (z: Tensor, head: Tree<Tensor>): Tensor => {
  const { prototypes } = head as { readonly prototypes: Tensor }
  const length = sqrt(sum(square(z), -1, { keepDims: true }).add(1e-12))
  return mul(matmul(div(z, length), prototypes, { transposeB: true }), scale)
}

/** Where the images of a task lie: in one of the set's two parts, in an order of its own. */
type Places = Readonly<
  Record<Split, { readonly part: 'train' | 'test'; readonly indices: ArrayLike<number> }>
>

function taskOf(
  set: ImageDataset,
  name: string,
  change: Change,
  places: Places,
  head: Tree<Tensor>,
  width: number,
): Task {
  const pixels = change.map.length
  const counts = Object.fromEntries(
    Object.entries(places).map(([split, { indices }]) => [split, indices.length]),
  )
  return {
    ...{ name, head, width, counts: counts as Record<Split, number> },
    batches(split, groups) {
      const rows = Math.max(...groups.map(({ length }) => length))
      const { part, indices } = places[split]
      return (index): Batch => {
        const group = groups[index]!
        const [x, labels, weights] = [
          new Float32Array(rows * pixels),
          new Int32Array(rows),
          new Float32Array(rows),
        ]
        for (let r = 0; r < group.length; r++) {
          const at = indices[group[r]!]!
          drawn(set[part], at, change, x, r * pixels)
          labels[r] = set[part].labels[at]!
          weights[r] = 1
        }
        return {
          inputs: tensor(x, { shape: [rows, pixels] }),
          labels: tensor(labels),
          weights: tensor(weights),
        }
      }
    },
  }
}

/** Random unit vectors [classes, d]. */
function prototypesOf(classes: number, d: number, key: random.Key): Tensor {
  const numbers = Float32Array.from(random.sampleNormal(key, classes * d))
  for (let c = 0; c < classes; c++) {
    const own = numbers.subarray(c * d, (c + 1) * d)
    const length = Math.hypot(...own)
    for (let i = 0; i < d; i++) own[i]! /= length
  }
  return tensor(numbers, { shape: [classes, d] })
}

/** Pretrain and make the tasks. Everything follows from the key. Throws TL_BAD_CONFIG where there are too few images. */
export async function digitsFamily(options: DigitsOptions): Promise<TaskFamily> {
  const { set, tasks: names, width, features: d, counts, pretraining, share, key, threads, signal } = options
  const [side, other, channels] = set.shape
  if (side !== other || channels !== 1 || side % 2)
    fail(
      'TL_BAD_CONFIG',
      `config.dataset: expected square grey images of an even side, got ${set.shape.join(' × ')}`,
    )
  const needed = counts.train + counts.validation
  if (set.train.count < 2 * needed || set.test.count < counts.test)
    fail(
      'TL_BAD_CONFIG',
      `config.counts: ${needed} images to learn from and choose with and ${counts.test} to test on, but ${set.name} has ${set.train.count} and ${set.test.count}: at most half of the first belong to a task, the rest to pretraining`,
    )
  const [forOrder, forHead, forStart, forPool] = random.split(key, 4) as [
    random.Key,
    random.Key,
    random.Key,
    random.Key,
  ]
  const order = random.samplePermutation(forOrder, set.train.count)
  const [ofTasks, ofPool] = [order.subarray(0, needed), order.subarray(needed)]
  const head = { prototypes: prototypesOf(set.classes.length, d, forHead) }
  const place = (index: number): Places => {
    const own = random.samplePermutation(random.foldIn(forOrder, index), needed)
    const at = Int32Array.from(own, (i) => ofTasks[i]!)
    const test = random.samplePermutation(random.foldIn(forOrder, 1000 + index), set.test.count)
    return {
      train: { part: 'train', indices: at.subarray(0, counts.train) },
      validation: { part: 'train', indices: at.subarray(counts.train) },
      test: { part: 'test', indices: test.subarray(0, counts.test) },
    }
  }
  const changes = names.map((name) => looks[name](side))
  const tasks = names.map((name, i) => taskOf(set, name, changes[i]!, place(i), head, d))
  const control = taskOf(set, controlName, upright(side), place(names.length), head, d)
  const network = mlp({ sizes: [side * side, width, width, d], activation: 'gelu' })
  const features = network.apply as unknown as TaskFamily['features']
  const pool = shuffledGroups(forPool, ofPool.length, poolBatch, pretraining)
  const { parameters } = await train({
    parameters: network.init(forStart),
    loss: (p, { x, label }: { x: Tensor; label: Tensor }) =>
      crossEntropyLoss(cosineLogits(network.apply(p, x), head), label),
    data: (step: number) => {
      const group = pool[Math.min(step, pretraining - 1)]!
      const [x, label] = [new Float32Array(poolBatch * side * side), new Int32Array(poolBatch)]
      const looked = random.sampleUniform(random.foldIn(forPool, 2 ** 20 + step), 2 * poolBatch)
      for (const [r, index] of group.entries()) {
        const change =
          looked[2 * r]! < share ? changes[Math.floor(looked[2 * r + 1]! * changes.length)]! : upright(side)
        drawn(set.train, ofPool[index]!, change, x, r * side * side)
        label[r] = set.train.labels[ofPool[index]!]!
      }
      return { x: tensor(x, { shape: [poolBatch, side * side] }), label: tensor(label) }
    },
    optimizer: adam(),
    learningRate: cosine({ peak: 1e-3, warmup: Math.ceil(pretraining / 20) }),
    steps: pretraining,
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
  })
  return {
    title: `perceptron of ${width} on ${set.title}`,
    pretrained: parameters as unknown as Parameters,
    ...{ features, logits: cosineLogits, tasks },
    control: { ...control, score: 'accuracy' },
    random: (own) => network.init(own) as unknown as Parameters,
  }
}
