/** @file IDX files from a folder, as Fashion-MNIST comes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { fashionClasses, loadDataset, loadIdxFolder, pixelStatistics } from '../../src/data/index.ts'
import { idx, pixels, refusal } from './helpers.ts'

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-idx-'))
})
afterAll(() => rmSync(root, { recursive: true }))

const files = {
  'train-images-idx3-ubyte': idx([3, 2, 2], pixels(12, 1)),
  'train-labels-idx1-ubyte': idx([3], [0, 4, 2]),
  't10k-images-idx3-ubyte': idx([1, 2, 2], pixels(4, 2)),
  't10k-labels-idx1-ubyte': idx([1], [3]),
}
function folder(name: string, contents: Record<string, Uint8Array>): string {
  const path = join(root, name)
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path)
  for (const [file, bytes] of Object.entries(contents)) writeFileSync(join(path, file), bytes)
  return path
}
const zipped = Object.fromEntries(
  Object.entries(files).map(([name, bytes]) => [`${name}.gz`, gzipSync(bytes)]),
)

it('loads plain and gzipped files alike, with statistics of the training images', async () => {
  const plain = loadIdxFolder(folder('plain', files))
  expect(plain).toMatchObject({ name: 'plain', shape: [2, 2, 1], classes: ['0', '1', '2', '3', '4'] })
  expect([...plain.train.images]).toEqual(pixels(12, 1))
  expect([...plain.test.labels]).toEqual([3])
  expect({ mean: plain.mean, std: plain.std }).toEqual(pixelStatistics(plain.train.images, 1))
  const fashion = await loadDataset(folder('fashion-mnist', zipped))
  expect(fashion.classes).toEqual(fashionClasses)
  expect(fashion.train).toEqual(plain.train)
  expect(
    loadIdxFolder(join(root, 'plain'), { name: 'own', classes: ['a', 'b', 'c', 'd', 'e'] }),
  ).toMatchObject({ name: 'own', classes: ['a', 'b', 'c', 'd', 'e'] })
})

it('says what is missing or does not fit', () => {
  const message = (change: Record<string, Uint8Array>) =>
    refusal(() => loadIdxFolder(folder('bad', { ...files, ...change }))).message
  expect(refusal(() => loadIdxFolder(join(root, 'absent')))).toMatchObject({
    code: 'TL_IO',
    message: expect.stringMatching(/absent: no such file or folder/),
  })
  expect(refusal(() => loadIdxFolder(folder('empty', {}))).message).toMatch(
    /no train images, expected a file train-images-idx3-ubyte or train-images-idx3-ubyte.gz/,
  )
  const { 't10k-labels-idx1-ubyte': _, ...three } = files
  expect(refusal(() => loadIdxFolder(folder('three', three))).message).toMatch(
    /no test labels, expected a file t10k-labels/,
  )
  expect(message({ 'train-labels-idx1-ubyte': idx([2], [0, 1]) })).toMatch(/2 labels for the 3 images/)
  expect(message({ 'train-images-idx3-ubyte': files['train-images-idx3-ubyte'].subarray(0, 20) })).toMatch(
    /truncated\?/,
  )
  expect(message({ 'train-images-idx3-ubyte': idx([3], [1, 2, 3]) })).toMatch(
    /u8 \[3\], expected u8 \[count, height, width\]/,
  )
  expect(
    message({ 'train-images-idx3-ubyte': idx([0, 2, 2], []), 'train-labels-idx1-ubyte': idx([0], []) }),
  ).toMatch(/holds no pixels/)
  expect(message({ 't10k-images-idx3-ubyte': idx([1, 4, 1], pixels(4, 1)) })).toMatch(
    /train images are 2 x 2 x 1, test images 4 x 1 x 1/,
  )
  expect(message({ 't10k-labels-idx1-ubyte': idx([1], [9]) })).toMatch(
    /bad test: label 0 is 9, expected 0 to 4/,
  )
  writeFileSync(join(root, 'file'), '')
  expect(refusal(() => loadIdxFolder(join(root, 'file'))).message).toMatch(
    /that is a file, a folder of images or an .npz file was expected/,
  )
})
