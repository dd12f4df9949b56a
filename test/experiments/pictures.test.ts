/** @file Pictures as a family of tasks: splits that share nothing, a pool apart from them, folders of the user, what is refused. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { checkFamily } from '../../src/experiments/tasks/family.ts'
import { encoderOf, readyEncoder } from '../../src/experiments/tasks/pictures/encoder.ts'
import { picturesFamily } from '../../src/experiments/tasks/pictures/family.ts'
import { pictureFields } from '../../src/experiments/tasks/pictures/fields.ts'
import { saveParameters } from '../../src/nn/index.ts'
import { random, type Tensor } from '../../src/tensor/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-pictures-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const schema = z.strictObject(pictureFields)
const small = {
  encoder: { width: 8, heads: 2, layers: 2, features: 8, side: 16 },
  counts: { train: 16, validation: 8, test: 8 },
  pool: { drawn: 16, sets: {}, steps: 4, batchSize: 8 },
}
const config = (more: object) => schema.parse({ ...small, ...more })
const file = join(root, 'encoder.safetensors')
beforeAll(() => saveParameters(file, encoderOf(config({})).init(random.key(0))))

/** A folder of pictures: train and test, so many of each class. */
function folder(name: string, classes: Readonly<Record<string, number>>): string {
  const path = join(root, name)
  for (const part of ['train', 'test'])
    for (const [c, [own, count]] of Object.entries(classes).entries()) {
      mkdirSync(join(path, part, own), { recursive: true })
      for (let n = 0; n < count; n++) {
        const png = new PNG({ width: 20, height: 16 })
        png.data.fill((37 * c + 11 * n + (part === 'test' ? 5 : 0)) % 256)
        writeFileSync(join(path, part, own, `${n}.png`), PNG.sync.write(png))
      }
    }
  return path
}

const preparing = (signal = new AbortController().signal) => ({
  threads: 1,
  signal,
  log: () => {},
  progress: () => {},
})

describe('the family', () => {
  it('has the same pictures from the same key, batches of one shape, and the control apart', async () => {
    const given = config({ tasks: ['shapes', 'colours'] })
    const [one, again] = [
      await picturesFamily(given, file, random.key(3)),
      await picturesFamily(given, file, random.key(3)),
    ]
    const images = (family: typeof one, split: 'train' | 'test') =>
      (family.tasks[0]!.batches(split, [[0, 1, 2], [3]])(0).inputs as Tensor).data
    expect(images(one, 'train')).toEqual(images(again, 'train'))
    expect(images(one, 'train')).not.toEqual(
      images(await picturesFamily(given, file, random.key(4)), 'train'),
    )
    const last = one.tasks[0]!.batches('test', [[0, 1, 2], [3]])(1)
    expect((last.inputs as Tensor).shape).toEqual([3, 3, 16, 16])
    expect([...last.weights.data]).toEqual([1, 0, 0])
    expect(one.control.counts).toEqual({ train: 0, validation: 8, test: 8 })
    expect((one.control.head as { prototypes: Tensor }).prototypes.shape).toEqual([48, 8])
  })

  it('takes folders of pictures as tasks', async () => {
    const path = folder('own', { left: 20, right: 20 })
    const family = await picturesFamily(config({ tasks: [path, 'shapes'] }), file, random.key(0))
    expect(family.tasks[0]!.counts).toEqual({ train: 16, validation: 8, test: 8 })
    expect((family.tasks[0]!.head as { prototypes: Tensor }).prototypes.shape).toEqual([2, 8])
  })

  it('refuses a folder with too few pictures, an empty class, and one without pictures, in one line', async () => {
    const family = (path: string) => picturesFamily(config({ tasks: [path, 'shapes'] }), file, random.key(0))
    await expect(family(folder('few', { a: 6, b: 6 }))).rejects.toThrow(
      /^config.counts: 24 train pictures are wanted of .*few, which has 12/,
    )
    const empty = folder('gap', { a: 20, b: 0 })
    await expect(family(empty)).rejects.toThrow(/^[^\n]*gap[^\n]*$/)
    mkdirSync(join(root, 'none'))
    await expect(family(join(root, 'none'))).rejects.toThrow(/the folder is empty/)
  })

  it('refuses heads that disagree', () => {
    const task = (name: string, width: number) =>
      ({ name, width, counts: { train: 1, validation: 1, test: 1 } }) as never
    expect(() =>
      checkFamily({ tasks: [task('a', 8), task('b', 4)], control: task('pool', 8) }, 'config.tasks'),
    ).toThrow('config.tasks: heads disagree: that of "a" takes 8 features, that of "b" 4')
  })
})

describe('the encoder', () => {
  it('is trained once, and another one where the pool is another', async () => {
    const before = process.env['TREELINE_CACHE']
    process.env['TREELINE_CACHE'] = join(root, 'cache')
    try {
      const made = await readyEncoder(config({ tasks: ['shapes', 'colours'] }), preparing())
      expect(await readyEncoder(config({ tasks: ['shapes', 'glyphs'] }), preparing())).toEqual(made)
      const more = { ...small.pool, steps: 5 }
      const other = await readyEncoder(config({ tasks: ['shapes', 'colours'], pool: more }), preparing())
      expect(other.path).not.toBe(made.path)
      expect(other.sha256).not.toBe(made.sha256)
    } finally {
      if (before === undefined) delete process.env['TREELINE_CACHE']
      else process.env['TREELINE_CACHE'] = before
    }
  })

  it('is a file of the user where one is named; one of other sizes is refused', async () => {
    const given = { tasks: ['shapes', 'colours'], model: file }
    expect((await readyEncoder(config(given), preparing())).path).toBe(file)
    const wide = config({ ...given, encoder: { ...small.encoder, width: 16 } })
    await expect(readyEncoder(wide, preparing())).rejects.toThrow(/tensor "embedding": expected/)
    await expect(readyEncoder(config({ ...given, model: join(root, 'no') }), preparing())).rejects.toThrow(
      'config.model:',
    )
  })
})
