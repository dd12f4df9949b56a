/** @file Image sets as NumPy arrays: an `.npz` archive, or a folder of `.npy` files. */
import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fail } from '../base/index.ts'
import { type CheckpointTensor, openNpy, openNpz } from '../checkpoint/index.ts'
import { type ImageDataset, pixelStatistics, type Split } from './images.ts'

/** Names that arrays of images and labels have: those of Keras, and of MedMNIST. */
const conventions = [
  { train: ['x_train', 'y_train'], test: ['x_test', 'y_test'] },
  { train: ['train_images', 'train_labels'], test: ['test_images', 'test_labels'] },
] as const

type Find = (name: string) => CheckpointTensor | undefined

/** Labels of any whole type, [n] or [n, 1], as bytes. */
function labelsOf(tensor: CheckpointTensor, count: number, label: string): Uint8Array {
  const { shape, dtype } = tensor
  const isList = shape.length === 1 || (shape.length === 2 && shape[1] === 1)
  if (!isList || shape[0] !== count || !/^[IU]\d+$/.test(dtype))
    fail('TL_BAD_FILE', `${label}: ${dtype} [${shape}], expected whole numbers [${count}]`)
  const values = tensor.f32()
  const bad = values.findIndex((value) => !(value >= 0 && value <= 255))
  if (bad >= 0) fail('TL_BAD_FILE', `${label}: label ${bad} is ${values[bad]}, expected 0 to 255`)
  return Uint8Array.from(values)
}

function splitOf(find: Find, [imagesName, labelsName]: readonly [string, string], label: string) {
  const image = find(imagesName)!
  const own = find(labelsName)
  const { shape, dtype } = image
  if (dtype !== 'U8' || (shape.length !== 3 && shape.length !== 4))
    fail(
      'TL_BAD_FILE',
      `${label}: ${imagesName} is ${dtype} [${shape}], expected U8 [count, height, width] or [count, height, width, channels]`,
    )
  if (!own) return fail('TL_BAD_FILE', `${label}: has ${imagesName} and no ${labelsName}`)
  const [count, height, width, channels = 1] = shape as [number, number, number, number?]
  if (count * height * width * channels === 0)
    fail('TL_BAD_FILE', `${label}: ${imagesName} [${shape}] holds no pixels`)
  if (channels !== 1 && channels !== 3)
    fail('TL_BAD_FILE', `${label}: ${imagesName} has ${channels} channels, expected 1 or 3, last`)
  const split: Split = {
    images: image.bytes(),
    labels: labelsOf(own, count, `${label}: ${labelsName}`),
    count,
  }
  return { split, shape: [height, width, channels] as ImageDataset['shape'] }
}

/** Whether a path is a set of NumPy arrays. */
export const isNpyImages = (path: string): boolean =>
  /\.npz$/i.test(path) || conventions.some(({ train }) => existsSync(join(path, `${train[0]}.npy`)))

/**
 * Load images [n, height, width] or [n, height, width, channels] of bytes and their labels from an `.npz` file or a folder of `.npy`
 * files with the names of Keras (`x_train`, `y_train`, `x_test`, `y_test`) or MedMNIST (`train_images`, …). Throws `TL_IO`,
 * `TL_BAD_FILE`.
 */
export function loadNpyImages(path: string): ImageDataset {
  const open: (() => void)[] = []
  const archive = /\.npz$/i.test(path) ? openNpz(path) : undefined
  if (archive) open.push(archive.close)
  const find: Find = (name) => {
    if (archive) return archive.tensors.get(name)
    const file = join(path, `${name}.npy`)
    if (!existsSync(file)) return undefined
    const array = openNpy(file)
    open.push(array.close)
    return [...array.tensors.values()][0]
  }
  try {
    const names = conventions.find(({ train, test }) => find(train[0]) && find(test[0]))
    if (!names)
      return fail(
        'TL_BAD_FILE',
        `${path}: expected arrays x_train, y_train, x_test, y_test, or train_images, train_labels, test_images, test_labels`,
      )
    const [train, test] = [splitOf(find, names.train, path), splitOf(find, names.test, path)]
    if (train.shape.join() !== test.shape.join())
      fail(
        'TL_BAD_FILE',
        `${path}: train images are ${train.shape.join(' × ')}, test images ${test.shape.join(' × ')}`,
      )
    const largest = [train, test].reduce(
      (most, { split }) => split.labels.reduce((a, b) => Math.max(a, b), most),
      0,
    )
    const name = basename(resolve(path)).replace(/\.npz$/i, '')
    return {
      ...{ name, title: name, shape: train.shape },
      classes: Array.from({ length: largest + 1 }, (_, i) => String(i)),
      ...pixelStatistics(train.split.images, train.shape[2]),
      ...{ train: train.split, test: test.split },
    }
  } finally {
    for (const close of open) close()
  }
}
