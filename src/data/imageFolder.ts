/** @file A folder of pictures as a labelled set: a folder for each class, perhaps below `train` and `test`. */
import { type Dirent, readdirSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { explainSystemError } from '../base/files.ts'
import { fail, bytes as showBytes, count as showCount } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { type ImageDataset, pixelStatistics, type Split } from './images.ts'
import { type Fit, fitPicture, type Picture, type ResizeFilter, readPicture } from './pictures/index.ts'

export interface ImageFolderOptions {
  readonly name?: string
  /** [height, width] of all images. Without it they must have one size. */
  readonly size?: readonly [height: number, width: number]
  /** 1 for grey, 3 for colour. Default: colour where the first picture has colour. */
  readonly channels?: 1 | 3
  /** Default 'crop': the middle of the picture; 'stretch': all of it. */
  readonly fit?: Fit
  /** Default 'bilinear'. */
  readonly filter?: ResizeFilter
  /** Share of each class that is kept for testing where the folder has no `test`, at least one picture. Default 0.1. */
  readonly testShare?: number
}

/** A picture's file and its class. */
interface Labelled {
  readonly path: string
  readonly label: number
}

const isPicture = (name: string): boolean => /\.(png|jpe?g)$/i.test(name) && !name.startsWith('.')

/** Folders of pictures that are for testing, by the names they have elsewhere. */
const testNames = ['test', 'val', 'valid', 'validation']

/** Everything must fit into one array. */
const mostBytes = 2 ** 31
/** As decoders take them. */
const mostPixels = 32e6
const mostClasses = 256

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    return explainSystemError(error, `cannot read ${folder}`)
  }
}

/** Folders in a folder, links to folders too. */
const foldersOf = (folder: string): string[] =>
  entriesOf(folder)
    .filter((entry) => !entry.name.startsWith('.'))
    .filter(
      (entry) =>
        entry.isDirectory() ||
        (entry.isSymbolicLink() &&
          statSync(join(folder, entry.name), { throwIfNoEntry: false })?.isDirectory()),
    )
    .map(({ name }) => name)

const picturesIn = (folder: string): string[] =>
  entriesOf(folder)
    .filter((entry) => !entry.isDirectory() && isPicture(entry.name))
    .map(({ name }) => join(folder, name))

/** Pictures of a folder by class: those of its folders, or its own as one class of the folder's name. */
function classesOf(folder: string): Map<string, string[]> {
  const found = foldersOf(folder)
    .map((name) => [name, picturesIn(join(folder, name))] as const)
    .filter(([, paths]) => paths.length > 0)
  const own = picturesIn(folder)
  if (found.length > 0 && own.length > 0)
    fail(
      'TL_BAD_FILE',
      `${folder}: has ${own.length} pictures beside folders of pictures (${found[0]![0]}, …): move them into a folder of their class`,
    )
  if (found.length > 0) return new Map(found)
  return own.length > 0 ? new Map([[basename(resolve(folder)), own]]) : new Map()
}

const labelled = (classes: ReadonlyMap<string, readonly string[]>, names: readonly string[]): Labelled[] =>
  [...classes].flatMap(([name, paths]) => paths.map((path) => ({ path, label: names.indexOf(name) })))

/** A part of every class, drawn by its number; each keeps at least one picture for training. */
function divided(all: readonly Labelled[], count: number, share: number): [Labelled[], Labelled[]] {
  const parts = Array.from({ length: count }, (_, label) => {
    const own = all.filter((one) => one.label === label)
    const held = Math.min(own.length - 1, Math.max(1, Math.round(own.length * share)))
    const order = random.samplePermutation(random.foldIn(random.key(0), label), own.length)
    const isTest = new Set(order.subarray(0, held))
    return { train: own.filter((_, i) => !isTest.has(i)), test: own.filter((_, i) => isTest.has(i)) }
  })
  return [parts.flatMap(({ train }) => train), parts.flatMap(({ test }) => test)]
}

/** Train and test pictures of a folder, and the names of its classes. */
function partsOf(folder: string, share: number) {
  const folders = foldersOf(folder)
  const nothing = (where: string): never =>
    fail(
      'TL_BAD_FILE',
      `${where}: no pictures: expected PNG or JPEG files, in a folder for each class or all in one`,
    )
  const testing = testNames.find((name) => folders.includes(name))
  const isDivided = folders.includes('train') && testing !== undefined
  const base = folders.includes('train') ? join(folder, 'train') : folder
  const classes = classesOf(base)
  if (classes.size === 0) nothing(base)
  if (classes.size > mostClasses)
    fail('TL_UNSUPPORTED', `${base}: ${classes.size} classes, expected at most ${mostClasses}`)
  const own = [...classes.keys()]
  const isOne = own.length === 1 && picturesIn(base).length > 0
  const names = isOne ? [basename(resolve(folder))] : own
  const all = labelled(isOne ? new Map([[names[0]!, classes.get(own[0]!)!]]) : classes, names)
  if (!isDivided) {
    const [train, test] = divided(all, names.length, share)
    if (test.length === 0)
      fail('TL_BAD_FILE', `${base}: one picture in each class: expected at least two, one for testing`)
    return { names, train, test }
  }
  const forTest = classesOf(join(folder, testing))
  if (forTest.size === 0) nothing(join(folder, testing))
  const unknown = [...forTest.keys()].find((name) => !names.includes(name))
  if (unknown !== undefined && !isOne)
    fail('TL_BAD_FILE', `${join(folder, testing)}: the class "${unknown}" has no folder in ${base}`)
  const test = isOne
    ? [...forTest.values()].flat().map((path) => ({ path, label: 0 }))
    : labelled(forTest, names)
  return { names, train: all, test }
}

/** Decodes and fits pictures; the first one decides what has been left open. */
function reader({ size, channels, fit, filter }: ImageFolderOptions) {
  let shape: ImageDataset['shape'] | undefined
  let first = ''
  return {
    shape: () => shape!,
    read(path: string): Picture {
      const wanted = channels ?? (shape?.[2] as 1 | 3 | undefined)
      const picture = readPicture(path, wanted === undefined ? {} : { channels: wanted })
      const fitted = size
        ? fitPicture(picture, size, { ...(fit && { fit }), ...(filter && { filter }) })
        : picture
      if (!shape) {
        shape = [fitted.height, fitted.width, fitted.channels]
        first = path
      } else if (fitted.height !== shape[0] || fitted.width !== shape[1])
        fail(
          'TL_BAD_FILE',
          `${path}: ${fitted.height} × ${fitted.width} pixels, but ${first} has ${shape[0]} × ${shape[1]}: give the size that all should have`,
        )
      return fitted
    },
  }
}

/** Refuse a set that takes too much memory, by the bytes of one image. */
function checkBytes(folder: string, count: number, each: number): void {
  if (count * each > mostBytes)
    fail(
      'TL_BAD_FILE',
      `${folder}: ${showCount(count)} pictures take ${showBytes(count * each)}, expected at most ${showBytes(mostBytes)}: give a smaller size`,
    )
}

/** Refuse a size before the first picture is brought to it. */
function checkSize({ size, channels = 1 }: ImageFolderOptions, folder: string, count: number): void {
  if (!size) return
  const [height, width] = size
  if (![height, width].every((n) => Number.isSafeInteger(n) && n >= 1) || height * width > mostPixels)
    fail(
      'TL_BAD_ARGUMENT',
      `size: expected whole numbers from 1 on with at most ${mostPixels / 1e6} million pixels, got ${height} × ${width}`,
    )
  checkBytes(folder, count, height * width * channels)
}

function readSplit(list: readonly Labelled[], read: (path: string) => Picture, folder: string): Split {
  let images: Uint8Array | undefined
  for (const [i, { path }] of list.entries()) {
    const { data } = read(path)
    if (!images) {
      checkBytes(folder, list.length, data.length)
      images = new Uint8Array(data.length * list.length)
    }
    images.set(data, i * data.length)
  }
  return { images: images!, labels: Uint8Array.from(list, ({ label }) => label), count: list.length }
}

/**
 * Load a folder of PNG and JPEG files: a folder for each class, below `train` and `test` (or `val`) where these are; or all in one,
 * which is one class. Classes and files are in the order of their names. Throws `TL_IO`, `TL_BAD_FILE`, `TL_UNSUPPORTED`, naming the
 * file.
 */
export function loadImageFolder(folder: string, options: ImageFolderOptions = {}): ImageDataset {
  const { testShare = 0.1, name = basename(resolve(folder)) } = options
  if (!(testShare > 0 && testShare < 1))
    fail('TL_BAD_ARGUMENT', `testShare: expected a number between 0 and 1, got ${testShare}`)
  const { names, train, test } = partsOf(folder, testShare)
  checkSize(options, folder, Math.max(train.length, test.length))
  const { shape, read } = reader(options)
  const splits = { train: readSplit(train, read, folder), test: readSplit(test, read, folder) }
  const statistics = pixelStatistics(splits.train.images, shape()[2])
  return { name, title: name, classes: names, shape: shape(), ...statistics, ...splits }
}
