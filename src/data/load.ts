/** @file From files to a labelled image set in memory: fetched sets by name, others by their path. */
import { readdirSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { explainSystemError } from '../base/files.ts'
import { fail, TreelineError } from '../base/index.ts'
import { readBytes } from '../base/read.ts'
import { loadContents } from './contents.ts'
import type { GetDatasetOptions } from './get.ts'
import { readIdx } from './idx.ts'
import { readImageSheet, readLabelList } from './image-sheet.ts'
import { type ImageFolderOptions, loadImageFolder } from './imageFolder.ts'
import { type ImageDataset, pixelStatistics, type Split } from './images.ts'
import { isNpyImages, loadNpyImages } from './npyImages.ts'
import { datasets, fashionClasses, findSource, type ImageSource, isText } from './sources.ts'

/**
 * Load a set of images, fetching it when it is not cached. The SHA-256 of every file is checked; a damaged cache is said and
 * fetched again, or refused when offline. `name` may also be a path, which contains a slash: see `loadImages`.
 * Throws what `getDataset` and the readers throw.
 */
export async function loadDataset(
  name: string,
  options: GetDatasetOptions & { readonly images?: ImageFolderOptions } = {},
): Promise<ImageDataset> {
  if (/[\\/]/.test(name)) return loadImages(name, options.images)
  const source = findSource(name, options.table ?? datasets)
  if (isText(source)) fail('TL_BAD_ARGUMENT', `${name}: expected a set of images, this one is a text`)
  const contents = await loadContents(name, options)
  const { title, classes, shape, mean, std } = source
  const split = (part: 'train' | 'test') => {
    const read = assembled(source, part, contents)
    checkSplit(read, source, `${name} ${part}`)
    return read
  }
  const record = { name, title, classes: [...classes], mean: [...mean], std: [...std] }
  return { ...record, shape: [...shape], train: split('train'), test: split('test') }
}

/** IDX files, or the pictures and folders beside which they would be. */
const isIdx = (name: string): boolean => /idx[134]-ubyte(\.gz)?$/.test(name)

/**
 * Load images from a path of yours: a folder of IDX files, of `.npy` arrays, or of pictures (see `loadImageFolder`, whose options
 * are read only there), or an `.npz` file. Throws `TL_IO`, `TL_BAD_FILE`, `TL_UNSUPPORTED`.
 */
export function loadImages(path: string, options: ImageFolderOptions = {}): ImageDataset {
  if (isNpyImages(path)) return loadNpyImages(path)
  const names = listFolder(path)
  if (names.length === 0)
    fail('TL_BAD_FILE', `${path}: the folder is empty: expected pictures, IDX files or .npy arrays`)
  return names.some(isIdx) ? loadIdxFolder(path) : loadImageFolder(path, options)
}

function assembled(source: ImageSource, part: 'train' | 'test', contents: Map<string, Uint8Array>): Split {
  const { layout, shape } = source
  if (layout.kind === 'idx') {
    const { images, labels } = layout[part]
    return idxSplit(contents.get(images)!, contents.get(labels)!, images, labels).split
  }
  const [height, width] = shape
  const { images, labels } = layout[part]
  const sheets = images.map((name) => {
    const sheet = readImageSheet(contents.get(name)!, { height, width }, name)
    contents.delete(name) // sheets are large: let each go once it is decoded
    return sheet
  })
  const count = sheets.reduce((sum, sheet) => sum + sheet.count, 0)
  const pixels = new Uint8Array(sheets.reduce((sum, sheet) => sum + sheet.images.length, 0))
  let at = 0
  for (const sheet of sheets) {
    pixels.set(sheet.images, at)
    at += sheet.images.length
  }
  const list = readLabelList(contents.get(labels)!, { count, classes: source.classes.length }, labels)
  return { images: pixels, labels: list, count }
}

/** An image file [n, height, width] or [n, height, width, channels] of bytes, and its labels [n]. */
function idxSplit(imageBytes: Uint8Array, labelBytes: Uint8Array, imageName: string, labelName: string) {
  const images = readIdx(imageBytes, imageName)
  const labels = readIdx(labelBytes, labelName)
  const shown = (array: { dtype: string; shape: number[] }) => `${array.dtype} [${array.shape.join(', ')}]`
  const { shape } = images
  if (images.dtype !== 'u8' || (shape.length !== 3 && shape.length !== 4))
    return fail(
      'TL_BAD_FILE',
      `${imageName}: ${shown(images)}, expected u8 [count, height, width] or [count, height, width, channels]`,
    )
  if (labels.dtype !== 'u8' || labels.shape.length !== 1)
    return fail('TL_BAD_FILE', `${labelName}: ${shown(labels)}, expected u8 [count]`)
  const [count = 0, height = 0, width = 0, channels = 1] = shape
  if (labels.shape[0] !== count)
    return fail(
      'TL_BAD_FILE',
      `${labelName}: ${labels.shape[0]} labels for the ${count} images of ${imageName}`,
    )
  if (count === 0 || height * width * channels === 0)
    return fail('TL_BAD_FILE', `${imageName}: ${shown(images)} holds no pixels`)
  const size: ImageDataset['shape'] = [height, width, channels]
  return { split: { images: images.data, labels: labels.data, count }, shape: size }
}

function checkSplit(
  { images, labels, count }: Split,
  { shape, classes }: Pick<ImageDataset, 'shape' | 'classes'>,
  label: string,
) {
  const [height, width, channels] = shape
  if (images.length !== count * height * width * channels)
    fail(
      'TL_BAD_FILE',
      `${label}: ${images.length} bytes for ${count} images of ${height} x ${width} x ${channels}`,
    )
  const bad = labels.findIndex((value) => value >= classes.length)
  if (bad >= 0)
    fail('TL_BAD_FILE', `${label}: label ${bad} is ${labels[bad]}, expected 0 to ${classes.length - 1}`)
}

/** What the files cannot say about themselves. */
export type IdxFolderOptions = { name?: string; classes?: string[] }

/**
 * Load IDX files from a folder, as MNIST and Fashion-MNIST are published (Debian: /usr/share/datasets/fashion-mnist):
 * `train-` and `t10k-` (or `test-`), `images-idx3-ubyte` and `labels-idx1-ubyte`, with or without `.gz`.
 * Mean and deviation are computed from the training images. Classes are numbered, but for a folder with "fashion" in
 * its name. Throws `TL_IO`, `TL_BAD_FILE`.
 */
export function loadIdxFolder(folder: string, options: IdxFolderOptions = {}): ImageDataset {
  const name = options.name ?? basename(resolve(folder))
  const names = listFolder(folder)
  const read = (part: 'train' | 'test') => {
    const images = pick(names, part, 'images', folder)
    const labels = pick(names, part, 'labels', folder)
    return idxSplit(
      readBytes(join(folder, images)),
      readBytes(join(folder, labels)),
      join(folder, images),
      join(folder, labels),
    )
  }
  const train = read('train')
  const test = read('test')
  if (train.shape.join() !== test.shape.join())
    fail(
      'TL_BAD_FILE',
      `${folder}: train images are ${train.shape.join(' x ')}, test images ${test.shape.join(' x ')}`,
    )
  const largest = train.split.labels.reduce((most, label) => Math.max(most, label), 0)
  const numbered = Array.from({ length: largest + 1 }, (_, index) => String(index))
  const classes = options.classes ?? (/fashion/i.test(name) && largest < 10 ? [...fashionClasses] : numbered)
  const { shape } = train
  checkSplit(train.split, { shape, classes }, `${folder} train`)
  checkSplit(test.split, { shape, classes }, `${folder} test`)
  const statistics = pixelStatistics(train.split.images, shape[2])
  return { name, title: name, classes, shape, ...statistics, train: train.split, test: test.split }
}

function listFolder(folder: string): string[] {
  try {
    if (!statSync(folder).isDirectory())
      fail('TL_IO', `cannot read ${folder}: that is a file, a folder of images or an .npz file was expected`)
    return readdirSync(folder).sort()
  } catch (error) {
    if (error instanceof TreelineError) throw error
    return explainSystemError(error, `cannot read ${folder}`)
  }
}

/** The plain file comes before the gzipped one. */
function pick(names: string[], part: 'train' | 'test', what: 'images' | 'labels', folder: string): string {
  const pattern = new RegExp(
    `^${part === 'train' ? 'train' : '(t10k|test)'}-${what}[-.]idx[134]-ubyte(\\.gz)?$`,
  )
  const prefix = part === 'train' ? 'train' : 't10k'
  const rank = what === 'images' ? 3 : 1
  return (
    names.find((name) => pattern.test(name)) ??
    fail(
      'TL_IO',
      `${folder}: no ${part} ${what}, expected a file ${prefix}-${what}-idx${rank}-ubyte or ${prefix}-${what}-idx${rank}-ubyte.gz`,
    )
  )
}
