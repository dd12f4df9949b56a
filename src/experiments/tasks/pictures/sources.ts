/** @file Where the pictures of a task come from: drawn kinds, real sets and some of their classes, folders of the user. */
import { basename, resolve } from 'node:path'
import { didYouMean, fail } from '../../../base/index.ts'
import {
  chosen,
  drawnDataset,
  drawnNames,
  type GetDatasetOptions,
  type ImageDataset,
  inSquares,
  loadDataset,
  ofClasses,
  type Split as Pictures,
} from '../../../data/index.ts'
import { random } from '../../../tensor/index.ts'

/** Pictures of one source in three parts that share none, and the names of their classes in the encoder's head. */
interface Source {
  /** To choose from: for the pool first, then to learn from and to choose with. */
  readonly train: Pictures
  readonly test: Pictures
  readonly classes: readonly string[]
  readonly isPhotograph: boolean
}

const animals = ['bird', 'cat', 'deer', 'dog', 'frog', 'horse']
const vehicles = ['airplane', 'automobile', 'ship', 'truck']

/** Tasks of real sets: the set, what its classes are classes of, and which of them. */
const real: Readonly<Record<string, { set: string; domain: string; classes?: readonly string[] }>> = {
  mnist: { set: 'mnist', domain: 'digit' },
  cifar10: { set: 'cifar10', domain: 'photo' },
  animals: { set: 'cifar10', domain: 'photo', classes: animals },
  vehicles: { set: 'cifar10', domain: 'photo', classes: vehicles },
}

const isPath = (name: string): boolean => /[\\/]/.test(name)
const isDrawn = (name: string): boolean => (drawnNames as readonly string[]).includes(name)

/** Throws TL_BAD_CONFIG for a name that is no task, with the nearest. */
export function checkTaskNames(names: readonly string[]): void {
  const known = [...Object.keys(real), ...drawnNames]
  const odd = names.find((name) => !isPath(name) && !known.includes(name))
  if (odd !== undefined)
    fail(
      'TL_BAD_CONFIG',
      `config.tasks: no task "${odd}", ${didYouMean(odd, known)}; a path of images has a slash`,
    )
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) fail('TL_BAD_CONFIG', `config.tasks: "${twice}" stands there twice`)
}

/** Real sets that tasks or the pool need, by the name under which they are loaded. */
export const setsOf = (tasks: readonly string[], pool: Readonly<Record<string, number>>): string[] => [
  ...new Set([
    ...tasks.flatMap((name) => (isPath(name) ? [name] : (real[name]?.set ?? []))),
    ...Object.keys(pool),
  ]),
]

const named = (domain: string, classes: readonly string[]): string[] =>
  classes.map((name) => `${domain}: ${name}`)

/** The name under which classes of a set stand in the head. */
const domainOf = (set: string): string =>
  Object.values(real).find((one) => one.set === set)?.domain ?? basename(resolve(set))

/** Real sets in squares, their training pictures in an order of ours: the first are the pool's; of the others `most` are kept. */
export async function openSets(
  names: readonly string[],
  side: number,
  pool: Readonly<Record<string, number>>,
  { most = Number.POSITIVE_INFINITY, ...options }: GetDatasetOptions & { readonly most?: number } = {},
): Promise<ReadonlyMap<string, { readonly pool: Pictures; readonly rest: ImageDataset }>> {
  const found = new Map<string, { pool: Pictures; rest: ImageDataset }>()
  for (const name of names) {
    const set = await loadDataset(name, options)
    const held = pool[name] ?? 0
    if (held >= set.train.count)
      fail(
        'TL_BAD_CONFIG',
        `config.pool.sets: ${name} has ${set.train.count} training pictures, got ${held}: leave some for tasks`,
      )
    const order = random.samplePermutation(random.key(set.train.count), set.train.count)
    const part = (train: Pictures): ImageDataset => inSquares({ ...set, train }, side)
    const rest = part(chosen(set.train, order.subarray(held, held + most)))
    found.set(name, { pool: held ? part(chosen(set.train, order.subarray(0, held))).train : emptyPart, rest })
  }
  return found
}

const emptyPart: Pictures = { images: new Uint8Array(0), labels: new Uint8Array(0), count: 0 }

type Sets = Awaited<ReturnType<typeof openSets>>

/** The pictures of a task that the pool leaves. Throws TL_BAD_CONFIG where there are too few, with how many there are. */
export function taskSource(
  name: string,
  sets: Sets,
  {
    train,
    test,
    side,
    key,
  }: { readonly train: number; readonly test: number; readonly side: number; readonly key: random.Key },
): Source {
  if (isDrawn(name)) {
    const set = drawnDataset(name, { key, train, test, side, style: 'rough' })
    return { train: set.train, test: set.test, classes: named(name, set.classes), isPhotograph: false }
  }
  const { set, domain, classes } = real[name] ?? { set: name, domain: domainOf(name) }
  const whole = sets.get(set)!.rest
  const own = classes ? ofClasses(whole, name, classes) : ofClasses(whole, name, whole.classes)
  for (const [part, wanted] of [
    ['train', train],
    ['test', test],
  ] as const)
    if (own[part].count < wanted)
      fail(
        'TL_BAD_CONFIG',
        `config.counts: ${wanted} ${part} pictures are wanted of ${name}, which has ${own[part].count} that the pool leaves`,
      )
  return {
    train: own.train,
    test: own.test,
    classes: named(domain, own.classes),
    isPhotograph: domain === 'photo',
  }
}

/** One part of the pool. */
interface PoolPart {
  readonly pictures: Pictures
  readonly classes: readonly string[]
  readonly isPhotograph: boolean
}

/** Plain pictures of every drawn kind, with others to test on: the pool and the control. */
export const drawnPool = (
  count: number,
  test: number,
  side: number,
): (PoolPart & { readonly test: Pictures })[] =>
  drawnNames.map((name, i) => {
    const set = drawnDataset(name, {
      key: random.foldIn(random.key(0x706f6f6c), i),
      train: count,
      test,
      side,
    })
    return { pictures: set.train, test: set.test, classes: named(name, set.classes), isPhotograph: false }
  })

/** The pool's pictures of real sets. */
export const realPool = (sets: Sets): PoolPart[] =>
  [...sets].flatMap(([name, { pool, rest }]) =>
    pool.count === 0
      ? []
      : [
          {
            pictures: pool,
            classes: named(domainOf(name), rest.classes),
            isPhotograph: domainOf(name) === 'photo',
          },
        ],
  )
