/** @file Image sets from paths of users: folders of pictures, NumPy arrays, IDX files; and one that no npm package has. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { PNG } from 'pngjs'
import { afterAll, describe, expect, it } from 'vitest'
import {
  type DatasetTable,
  datasetStatus,
  datasets,
  type GetDatasetOptions,
  getDataset,
  type ImageSource,
  loadDataset,
  loadImages,
  readPicture,
} from '../../src/data/index.ts'
import { idx, refusal, rejection } from './helpers.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-folders-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let number = 0

/** A PNG of one colour. */
function plain(width: number, height: number, value: number, colorType: 0 | 2 = 0): Buffer {
  const png = new PNG({ width, height })
  for (let i = 0; i < width * height; i++) png.data.set([value, value, value, 255], 4 * i)
  return PNG.sync.write(png, { colorType, inputColorType: 6, inputHasAlpha: true })
}

/** A folder with files. */
function folderOf(files: Record<string, Uint8Array>): string {
  const folder = join(root, String(number++))
  mkdirSync(folder)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

const values = (images: Uint8Array, size: number): number[] =>
  Array.from({ length: images.length / size }, (_, i) => images[i * size]!)

describe('folders of pictures', () => {
  it('with train and test', () => {
    const set = loadImages(
      folderOf({
        'train/cat/a.png': plain(4, 3, 10),
        'train/cat/b.PNG': plain(4, 3, 20),
        'train/dog/a.png': plain(4, 3, 30),
        'train/dog/notes.txt': Buffer.from('no picture'),
        'val/dog/x.png': plain(4, 3, 40),
        'val/.hidden/x.png': plain(1, 1, 0),
      }),
    )
    expect(set.classes).toEqual(['cat', 'dog'])
    expect(set.shape).toEqual([3, 4, 1])
    expect(values(set.train.images, 12)).toEqual([10, 20, 30])
    expect([...set.train.labels]).toEqual([0, 0, 1])
    expect([values(set.test.images, 12), [...set.test.labels]]).toEqual([[40], [1]])
    expect(set.mean[0]).toBeCloseTo(20 / 255, 12)
  })

  it('with classes only: a share of each is for testing, the same each time', () => {
    const files = Object.fromEntries(
      ['a', 'b'].flatMap((name, c) =>
        Array.from({ length: 10 }, (_, i) => [`${name}/${i}.png`, plain(2, 2, 100 * c + i)]),
      ),
    )
    const folder = folderOf(files)
    const set = loadImages(folder, { testShare: 0.3 })
    expect([set.train.count, set.test.count]).toEqual([14, 6])
    expect([...set.test.labels]).toEqual([0, 0, 0, 1, 1, 1])
    const all = [...values(set.train.images, 4), ...values(set.test.images, 4)]
    expect(new Set(all).size).toBe(20)
    expect(loadImages(folder, { testShare: 0.3 }).test.images).toEqual(set.test.images)
  })

  it('without classes, of other sizes, brought to one size and to colour', () => {
    const folder = folderOf({ 'a.png': plain(8, 6, 7), 'b.png': plain(5, 9, 9), 'c.png': plain(1, 1, 3) })
    const set = loadImages(folder, { size: [4, 4], channels: 3 })
    expect(set.shape).toEqual([4, 4, 3])
    expect(set.classes).toHaveLength(1)
    expect(set.train.count + set.test.count).toBe(3)
    const seen = [...values(set.train.images, 48), ...values(set.test.images, 48)]
    expect(seen.sort((a, b) => a - b)).toEqual([3, 7, 9])
  })

  it.each([
    ['an empty folder', {}, /the folder is empty/],
    ['nothing that is a picture', { 'a.txt': Buffer.from('a') }, /no pictures: expected PNG or JPEG/],
    ['empty classes', { 'train/a/b.txt': Buffer.from('a') }, /no pictures/],
    [
      'an empty test',
      { 'train/a/b.png': plain(1, 1, 1), 'test/a/c.txt': Buffer.from('a') },
      /test: no pictures/,
    ],
    [
      'sizes that differ',
      { 'a/1.png': plain(3, 3, 1), 'a/2.png': plain(1, 1, 1) },
      /× .* pixels, but .* has .*size/,
    ],
    [
      'a class of its own in test',
      { 'train/a/1.png': plain(1, 1, 1), 'test/b/1.png': plain(1, 1, 1) },
      /class "b"/,
    ],
    ['pictures beside classes', { 'a/1.png': plain(1, 1, 1), '1.png': plain(1, 1, 1) }, /beside folders/],
    ['one picture', { 'a/1.png': plain(1, 1, 1) }, /at least two/],
    [
      'a truncated picture',
      { 'a/1.png': plain(1, 1, 1), 'a/2.png': plain(1, 1, 1).subarray(0, 40) },
      /2\.png: .*truncated/,
    ],
  ])('%s is refused', (_, files, pattern) => {
    const { code, message } = refusal(() => loadImages(folderOf(files as Record<string, Uint8Array>)))
    expect(code).toBe('TL_BAD_FILE')
    expect(message).toMatch(pattern)
  })

  it('sizes that take too much', () => {
    const pictures = Array.from({ length: 100 }, (_, i) => [`a/${i}.png`, plain(1, 1, 1)])
    const folder = folderOf(Object.fromEntries(pictures))
    expect(refusal(() => loadImages(folder, { size: [5000, 5000] })).message).toMatch(/90 pictures take .*GB/)
    expect(refusal(() => loadImages(folder, { size: [40_000, 40_000] })).message).toMatch(/32 million pixels/)
  })

  it('a folder that is not there, and a file', () => {
    expect(refusal(() => loadImages(join(root, 'nowhere')))).toMatchObject({ code: 'TL_IO' })
    const file = join(folderOf({ 'a.bin': Buffer.from('a') }), 'a.bin')
    expect(refusal(() => loadImages(file)).message).toMatch(/a folder of images or an .npz file/)
    expect(refusal(() => readPicture(join(root, 'nowhere.png')))).toMatchObject({ code: 'TL_IO' })
  })
})

/** A .npy file. */
function npy(descr: string, shape: readonly number[], content: Uint8Array): Buffer {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11, ' ')
  const lead = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, 0, 0])
  lead.writeUInt16LE(padded.length + 1, 8)
  return Buffer.concat([lead, Buffer.from(`${padded}\n`), content])
}

describe('NumPy arrays', () => {
  const pixels = Uint8Array.from({ length: 3 * 2 * 2 }, (_, i) => i)
  const labels = new Uint8Array(BigInt64Array.of(0n, 4n, 1n).buffer)
  const one = new Uint8Array(BigInt64Array.of(2n).buffer)
  const files = {
    'x_train.npy': npy('|u1', [3, 2, 2], pixels),
    'y_train.npy': npy('<i8', [3, 1], labels),
    'x_test.npy': npy('|u1', [1, 2, 2], pixels.subarray(0, 4)),
    'y_test.npy': npy('<i8', [1], one),
  }

  it('in a folder, with the names of Keras', async () => {
    const set = await loadDataset(folderOf(files))
    expect(set.shape).toEqual([2, 2, 1])
    expect(set.classes).toEqual(['0', '1', '2', '3', '4'])
    expect([...set.train.images]).toEqual([...pixels])
    expect([...set.train.labels]).toEqual([0, 4, 1])
    expect([...set.test.labels]).toEqual([2])
  })

  it.each([
    [
      'labels for other images',
      { 'y_train.npy': npy('<i8', [2], labels.subarray(0, 16)) },
      /expected whole numbers \[3\]/,
    ],
    ['images of floats', { 'x_train.npy': npy('<f4', [1, 1, 1], new Uint8Array(4)) }, /F32.*expected U8/],
    ['no pixels', { 'x_train.npy': npy('|u1', [0, 2, 2], new Uint8Array(0)) }, /no pixels/],
    [
      'negative labels',
      { 'y_test.npy': npy('<i8', [1], new Uint8Array(BigInt64Array.of(-1n).buffer)) },
      /label 0 is -1/,
    ],
  ])('%s are refused', (_, change, pattern) => {
    expect(refusal(() => loadImages(folderOf({ ...files, ...change }))).message).toMatch(pattern)
  })

  it('without a part of the set', () => {
    const { 'x_test.npy': _, ...some } = files
    expect(refusal(() => loadImages(folderOf(some))).message).toMatch(/x_train, y_train, x_test, y_test/)
  })
})

describe('a set that is taken from a folder', () => {
  const cacheDir = join(root, 'cache')
  const contents: Record<string, Uint8Array> = {
    'train-images-idx3-ubyte': idx([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
    'train-labels-idx1-ubyte': idx([2], [0, 1]),
    't10k-images-idx3-ubyte': idx([1, 2, 2], [9, 9, 9, 9]),
    't10k-labels-idx1-ubyte': idx([1], [1]),
  }
  const fashion = datasets['fashion-mnist'] as Extract<ImageSource, { folder: object }>
  const table: DatasetTable = {
    clothes: {
      ...fashion,
      folder: { ...fashion.folder, place: join(root, 'nowhere') },
      classes: ['a', 'b'],
      shape: [2, 2, 1],
      files: Object.fromEntries(
        Object.entries(contents).map(([path, bytes]) => [
          path,
          { path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') },
        ]),
      ),
    },
  }
  const options = (more: GetDatasetOptions = {}): GetDatasetOptions => ({ cacheDir, table, ...more })

  it('says where users get it', async () => {
    const { code, message } = await rejection(getDataset('clothes', options()))
    expect(code).toBe('TL_IO')
    expect(message).toMatch(/no npm package.*dataset-fashion-mnist.*--from FOLDER/)
    expect(datasetStatus({ cacheDir, table }).datasets[0]).toMatchObject({
      state: 'absent',
      downloadBytes: 0,
    })
  })

  it('is checked, and nothing is left of what is wrong', async () => {
    const wrong = { ...contents, 't10k-labels-idx1-ubyte': idx([1], [0]) }
    const refused = await rejection(getDataset('clothes', options({ from: folderOf(wrong) })))
    expect(refused).toMatchObject({
      code: 'TL_CHECKSUM',
      message: expect.stringMatching(/not the published/),
    })
    const { 'train-labels-idx1-ubyte': _, ...some } = contents
    expect((await rejection(getDataset('clothes', options({ from: folderOf(some) })))).message).toMatch(
      /no train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz/,
    )
    const bomb = { ...some, 'train-labels-idx1-ubyte.gz': gzipSync(new Uint8Array(1e6)) }
    expect((await rejection(getDataset('clothes', options({ from: folderOf(bomb) })))).code).toBe(
      'TL_BAD_FILE',
    )
    expect(readdirSync(join(cacheDir, 'datasets'))).toEqual([])
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([])
  })

  it('is loaded from the cache, plain or gzipped before', async () => {
    const { 'train-images-idx3-ubyte': images, ...others } = contents
    const from = folderOf({ ...others, 'train-images-idx3-ubyte.gz': gzipSync(images!) })
    expect(await getDataset('clothes', options({ from }))).toMatchObject({ fetched: true })
    const set = await loadDataset('clothes', options({ offline: true }))
    expect([...set.train.images]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(set.classes).toEqual(['a', 'b'])
  })
})
