/** @file The feed: rows of a table in a random order that follows from a key, or batches from a function, into fixed arrays. */
import { fail } from '../../base/index.ts'
import {
  allocate,
  leaves,
  random,
  type Spec,
  sameShape,
  showSpec,
  sizeOf,
  type Tensor,
  type Tree,
  type TypedArray,
  tensor,
  unflatten,
} from '../../tensor/index.ts'
import type { Key } from '../layer.ts'
import type { Batch, DataSource } from './options.ts'

/** Number of examples of a table. */
export function tableSize(data: Batch): number {
  const list = leaves(data)
  const n = list[0]?.shape[0]
  if (n === undefined || n === 0 || list.some((t) => t.shape[0] !== n || !t.isConcrete))
    fail(
      'TL_SHAPE_MISMATCH',
      `data: expected concrete tensors with one first axis of at least one example, got ${list.map(showSpec).join(', ') || 'nothing'}`,
    )
  return n!
}

/** Copy rows of `source` (rows of `size` elements) to consecutive rows of `target`. */
export function copyRows(
  source: TypedArray,
  target: TypedArray,
  rows: ArrayLike<number>,
  size: number,
): void {
  const [from, to] = [source as Float32Array, target as Float32Array]
  if (size <= 16) {
    for (let i = 0, at = 0; i < rows.length; i++)
      for (let j = 0, place = rows[i]! * size; j < size; j++) to[at++] = from[place++]!
    return
  }
  for (let i = 0; i < rows.length; i++)
    to.set(from.subarray(rows[i]! * size, (rows[i]! + 1) * size), i * size)
}

/** A random order of 0 … n − 1 (Fisher–Yates; the bias of an index is below n / 2^32). */
function shuffled(key: Key, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i)
  const words = random.sampleBits(key, n)
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((words[i]! * (i + 1)) / 2 ** 32)
    const row = order[i]!
    order[i] = order[j]!
    order[j] = row
  }
  return order
}

/** Rows of a table for a step: consecutive places in an endless sequence of epochs, each with its own order. */
function epochOrder(key: Key, n: number, shuffle: boolean) {
  let epoch = -1
  let order: Uint32Array
  return (start: number, rows: Uint32Array): void => {
    for (let i = 0; i < rows.length; i++) {
      const wanted = Math.floor((start + i) / n)
      if (wanted !== epoch) {
        epoch = wanted
        order = shuffle
          ? shuffled(random.foldIn(key, epoch), n)
          : Uint32Array.from({ length: n }, (_, row) => row)
      }
      rows[i] = order![start + i - epoch * n]!
    }
  }
}

export interface Feed<B extends Batch> {
  /** Specs of one batch. */
  readonly specs: Tree<Spec>
  readonly batchSize: number
  /** Examples of the table; undefined for a function. */
  readonly size: number | undefined
  /** What a compiled step takes: the batches of all slots, stacked when there are several. Always the same arrays. */
  readonly inputs: B
  /** One slot, as a batch of its own over the same memory. */
  readonly slot: (index: number) => B
  /** Put the batch of `step` into a slot. */
  readonly fill: (slot: number, step: number) => Promise<void> | void
}

interface FeedOptions<B extends Batch> {
  readonly data: DataSource<B>
  readonly batchSize: number | undefined
  readonly key: Key
  readonly shuffle: boolean
  readonly slots: number
  readonly firstStep: number
  readonly augment: ((batch: B, key: Key, step: number) => B | undefined) | undefined
}

/** Make a feed; a function is called once for the specs of what it returns. */
export async function makeFeed<B extends Batch>(options: FeedOptions<B>): Promise<Feed<B>> {
  const { data, key, slots, firstStep, augment } = options
  const [forOrder, forSource, forAugment] = random.split(key, 3)
  const sourceKey = (step: number): Key => random.foldIn(forSource, step)
  const isTable = typeof data !== 'function'
  const template: B = isTable ? data : await data(firstStep, sourceKey(firstStep))
  const size = tableSize(template)
  const batchSize = isTable ? (options.batchSize ?? Math.min(32, size)) : size
  if (!Number.isInteger(batchSize) || batchSize < 1)
    fail('TL_BAD_ARGUMENT', `batchSize: expected an integer >= 1, got ${batchSize}`)
  if (!isTable && options.batchSize !== undefined && options.batchSize !== size)
    fail('TL_BAD_ARGUMENT', `batchSize: ${options.batchSize}, but the data function returns ${size} examples`)

  const list = leaves(template as Batch)
  const specs = list.map(({ shape, dtype }) => ({ shape: [batchSize, ...shape.slice(1)], dtype }))
  const arrays = specs.map(({ shape, dtype }) => allocate(dtype, slots * sizeOf(shape)))
  const parts = Array.from({ length: slots }, (_, k) =>
    specs.map(({ shape }, i) => {
      const n = sizeOf(shape)
      return tensor(arrays[i]!.subarray(k * n, (k + 1) * n) as TypedArray, { shape })
    }),
  )
  const asBatch = (tensors: readonly Tensor[]): B => unflatten(template as Batch, tensors) as B
  const batches = parts.map(asBatch)
  const inputs =
    slots === 1
      ? batches[0]!
      : asBatch(specs.map(({ shape }, i) => tensor(arrays[i]!, { shape: [slots, ...shape] })))

  const rowsAt = epochOrder(forOrder, size, options.shuffle)
  const rows = new Uint32Array(batchSize)
  const rowSizes = list.map((t) => t.size / size)

  const put = (slot: number, given: B, who: string): void => {
    const from = leaves(given as Batch)
    for (const [i, to] of parts[slot]!.entries()) {
      const t = from[i]
      if (!t || from.length !== specs.length || t.dtype !== to.dtype || !sameShape(t.shape, to.shape))
        fail(
          'TL_SHAPE_MISMATCH',
          `${who}: expected a batch like the first, ${specs.map(showSpec).join(', ')}, got ${from.map(showSpec).join(', ')}`,
        )
      if (t.data !== to.data) (to.data as Float32Array).set(t.data as Float32Array)
    }
  }
  const change = (slot: number, step: number): void => {
    const changed = augment?.(batches[slot]!, random.foldIn(forAugment, step), step)
    if (changed) put(slot, changed, 'augment')
  }
  return {
    specs: unflatten(template as Batch, specs),
    batchSize,
    size: isTable ? size : undefined,
    inputs,
    slot: (index) => batches[index]!,
    fill(slot, step) {
      if (!isTable) {
        const made = data(step, sourceKey(step))
        const take = (batch: B): void => {
          put(slot, batch, 'data')
          change(slot, step)
        }
        return made instanceof Promise ? made.then(take) : take(made)
      }
      rowsAt(step * batchSize, rows)
      for (const [i, t] of list.entries()) copyRows(t.data, parts[slot]![i]!.data, rows, rowSizes[i]!)
      change(slot, step)
    },
  }
}
