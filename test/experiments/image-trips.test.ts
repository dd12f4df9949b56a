/** Round trips of images: estimates of made-up rows, a small model end to end, controls, one message for each wrong input. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ChunkFound,
  chiOf,
  factsOf as chunkFacts,
  chunksOf,
  correlationsAt,
} from '../../src/experiments/image-chunks/estimates.ts'
import { type Found, factsOf, gapAt, partsOf } from '../../src/experiments/image-transition/estimates.ts'
import { shareRejected } from '../../src/experiments/imageTrips/overTime.ts'
import { pictureOf } from '../../src/experiments/imageTrips/pictures.ts'
import { experiments } from '../../src/experiments/index.ts'
import { composeConfig, executeRun, loadRun } from '../../src/lab/index.ts'
import { ddpmUnet, saveParameters } from '../../src/nn/index.ts'
import { random } from '../../src/tensor/index.ts'
import { idx } from '../data/helpers.ts'

const experiment = (name: string) => experiments.find((one) => one.name === name)!
const [transition, chunks] = [experiment('image-transition'), experiment('image-chunks')]

let root: string
let images: string
let model: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-trips-'))
  images = join(root, 'images')
  mkdirSync(images)
  for (const [split, seed, count] of [
    ['train', 1, 200],
    ['t10k', 2, 40],
  ] as const) {
    // a bright upper or lower half under noise
    const labels = Array.from(random.sampleIntegers(random.key(seed), count, 2))
    const noise = random.sampleIntegers(random.key(seed + 5), count * 144, 80)
    const pixels = Array.from(noise, (x, at) => {
      const row = Math.floor((at % 144) / 12)
      return x + (row >= 2 && row < 10 && row < 6 === (labels[Math.floor(at / 144)] === 0) ? 150 : 0)
    })
    writeFileSync(join(images, `${split}-images-idx3-ubyte`), idx([count, 12, 12], pixels))
    writeFileSync(join(images, `${split}-labels-idx1-ubyte`), idx([count], labels))
  }
  model = join(root, 'model')
  mkdirSync(model)
  const weights = ddpmUnet({ side: 12, channels: 2, time: 4, steps: 20 }).init(random.key(3))
  saveParameters(join(model, 'model.safetensors'), weights)
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
async function run(which: typeof transition, values: object) {
  const config = composeConfig(which, { preset: 'tiny', values: { images, side: 12, ...values } })
  const { folder } = await executeRun(which, config, { root: join(root, String(folders++)), threads: 1 })
  return loadRun(folder)
}

describe('estimates', () => {
  /** Rows whose deep curve falls earlier than the shallow one, and cross at t = 0.5 exactly. */
  const rows = [0.2, 0.4, 0.6, 0.8].flatMap((time) =>
    [0, 1, 2].flatMap((replica) => {
      const at = { part: 'trips', source: 'model', time, seed: 0, replica } as const
      const wobble = 0.01 * (replica - 1)
      const layer = (depth: number, name: string, cosine: number) => ({
        ...at,
        ...{ of: 'layer' as const, layer: name, depth, cosine: cosine + wobble },
      })
      return [
        { ...at, of: 'trips' as const, trips: 20, good: 10, kept: 10 * (1 - time) },
        layer(0, 'pixels', 1 - 0.4 * time),
        layer(1, 'conv 1', 0.9 - 0.4 * time),
        layer(2, 'logits', 1.2 - time),
      ]
    }),
  ) as unknown as Found[]

  it('find the half and the crossing, with errors over groups', () => {
    const parts = partsOf(rows)
    const { half, crossing, layers, trips } = factsOf(parts, 'model')
    expect(half.value).toBeCloseTo(0.5, 12)
    expect(half.error).toBeCloseTo(0, 12)
    expect(crossing.value).toBeCloseTo(0.5, 12)
    expect(gapAt(layers, 0.2).value).toBeCloseTo(0.18, 12)
    expect(gapAt(layers, 0.8).value).toBeCloseTo(-0.18, 12)
    expect(shareRejected(trips)).toBe(0.5)
  })

  /** Rows of three groups in which χ is as given at each time, and differs between groups by what `wobble` says. */
  const rowsOf = (heights: Record<number, number>, wobble: (time: number) => number = () => 0) =>
    Object.entries(heights).flatMap(([key, chi]) =>
      [0, 1, 2].map((replica) => ({
        ...{ source: 'model', time: Number(key), seed: 0, replica, of: 'chunks', measure: 'distances' },
        // Σ_i Var = 2, all pairs together 2 χ
        sums: [2, 2 * (chi + wobble(Number(key)) * (replica - 1)) - 2],
        ...{ grid: [1, 2], counted: 1, images: 1, trips: 8, good: 8 },
      })),
    ) as unknown as ChunkFound[]

  it('of χ: its peak, its height over both ends, its error', () => {
    const made = rowsOf({ 0.2: 1, 0.4: 3, 0.6: 2 })
    const facts = chunkFacts(made, 'model', 'distances')
    expect(facts.top).toBe(0.4)
    expect(facts.height.value).toBeCloseTo(3, 12)
    expect(facts.height.error).toBeCloseTo(0, 12)
    expect(facts.overLast.value).toBeCloseTo(1.5, 12)
    expect(facts.overFirst.value).toBeCloseTo(3, 12)
    // parabola through (.2, 1), (.4, 3), (.6, 2)
    expect(facts.peak.value).toBeCloseTo(0.3 + 10 / (2 * 37.5), 12)
    expect(chiOf([{ ...made[0]!, sums: [0, 0] }])).toBeNaN()
    // three patches in a row: four ordered pairs at distance 1, two at distance 2
    const line = made.slice(0, 3).map((row) => ({ ...row, sums: [3, 2, -1] }))
    const found = correlationsAt(line, { rows: 1, columns: 3 })
    expect(found.map(({ r }) => r)).toEqual([0, 1, 2])
    for (const [i, value] of [1, 0.5, -0.5].entries()) expect(found[i]!.value.value).toBeCloseTo(value, 12)
  })

  it('of χ: beside the end at which it is largest, with the noise of both', () => {
    // without one group: (2 ± .2)/4 and 2/4; the end does not differ between groups
    const noise = (time: number) => (time === 0.4 ? 0.4 : 0)
    const rising = chunkFacts(rowsOf({ 0.2: 1, 0.4: 2, 0.6: 4 }, noise), 'model', 'distances')
    expect(rising.top).toBe(0.6)
    expect(rising.overLast.value).toBeCloseTo(0.5, 12)
    expect(rising.overLast.error).toBeCloseTo(Math.sqrt((2 / 3) * 2 * (0.2 / 4) ** 2), 12)
    const falling = chunkFacts(rowsOf({ 0.2: 4, 0.4: 2, 0.6: 1 }, noise), 'model', 'distances')
    expect(falling.overFirst).toEqual({ ...rising.overLast, value: falling.overFirst.value })
    expect(falling.overFirst.value).toBeCloseTo(0.5, 12)
  })
})

it('pictures as bytes', () => {
  const { width, height, channels, pixels } = pictureOf(Float32Array.of(-1, 1, 0, 3), [1, 2, 2])
  expect({ width, height, channels, pixels }).toEqual({
    ...{ width: 2, height: 2, channels: 1 },
    pixels: [0, 255, 128, 255],
  })
})

describe('a model of a user', () => {
  const small = { times: [0.2, 0.5, 0.8], steps: 10, groups: 2, imagesPerGroup: 3, trajectories: 2, drift: 0 }

  it('goes through round trips beside the mixture; rejections are counted', async () => {
    const given = { model, ...small, trainOn: 200, examples: 200, epochs: 4, shown: 1 }
    const found = await run(transition, given)
    const rows = found.result['rows'] as unknown as Found[]
    const { trips, classifier, layers, pictures, sources } = partsOf(rows)
    expect(sources).toEqual(['model', 'mixture'])
    expect(classifier[0]!.accuracy).toBe(1)
    expect(trips).toHaveLength(2 * 3 * 2)
    for (const { trips: all, good, kept } of trips) {
      expect([all, good]).toEqual([6, 6])
      expect(kept).toBeLessThanOrEqual(6)
    }
    // hardly any noise: the mixture brings images back, to their class too
    const mixture = trips.filter(({ source, time }) => source === 'mixture' && time === 0.2)
    expect(mixture.reduce((sum, { kept }) => sum + kept, 0)).toBeGreaterThanOrEqual(10)
    for (const { cosine } of layers) expect(Math.abs(cosine)).toBeLessThanOrEqual(1 + 1e-6)
    expect(pictures.filter(({ source }) => source === 'model')).toHaveLength(2 * 3)
    // a model of random weights leaves noise everywhere: the corners of every image are off
    const strict = await run(transition, { ...given, drift: 1e-6 })
    const rejected = partsOf(strict.result['rows'] as unknown as Found[])
    expect(shareRejected(rejected.trips.filter(({ source }) => source === 'model'))).toBe(1)
    expect(strict.summary.headline).toContain('no time that was measured')
  })

  it('keeps the class by chance after noise to the end', async () => {
    const given = { ...small, times: [0.97, 0.98, 0.99], groups: 8, imagesPerGroup: 16, trainOn: 200 }
    const found = await run(transition, { ...given, examples: 200, epochs: 4, shown: 1 })
    const { trips } = partsOf(found.result['rows'] as unknown as Found[])
    // the same noise at all three times: 128 images, two round trips of each
    for (const time of given.times) {
      const own = trips.filter((row) => row.time === time)
      const share = own.reduce((sum, { kept }) => sum + kept, 0) / 256
      expect(Math.abs(share - 0.5)).toBeLessThan(0.12)
    }
  })

  it('counts round trips whose brightness was kept, and no others; controls have none that drift', async () => {
    const given = { ...small, controls: ['field'], patch: 3, examples: 200, trajectories: 6 }
    const rowsAt = async (drift: number) =>
      chunksOf((await run(chunks, { model, ...given, shown: 1, drift })).result['rows'] as never)
    const [all, some] = [await rowsAt(0), await rowsAt(0.1)]
    const total = (rows: readonly ChunkFound[], source: string) =>
      rows.filter((row) => row.source === source).reduce((sum, { good }) => sum + good, 0)
    expect(total(some, 'field')).toBe(total(all, 'field'))
    expect(total(some, 'model')).toBeLessThan(total(all, 'model'))
    for (const [i, row] of some.entries())
      if (row.good < row.trips) expect(row.sums).not.toEqual(all[i]!.sums)
      else expect(row.sums).toEqual(all[i]!.sums)
    expect(some.some(({ good, trips, counted }) => good < trips && counted > 0)).toBe(true)
  })

  it('has as many patches as its controls', async () => {
    const found = await run(chunks, { model, ...small, patch: 3, examples: 200, shown: 1 })
    const rows = chunksOf(found.result['rows'] as never)
    expect(new Set(rows.map(({ source }) => source))).toEqual(
      new Set(['model', 'mixture', 'field', 'shuffled']),
    )
    for (const { grid, counted, images: all } of rows) {
      expect(grid).toEqual([4, 4])
      expect([counted, all]).toEqual([3, 3])
    }
  })
})

describe('wrong input has one message', () => {
  it.each([
    ['a model that is not there', transition, { model: '/no/such/model' }, 'cannot read /no/such/model'],
    ['images that are not there', chunks, { images: './nowhere' }, 'cannot read ./nowhere'],
    [
      'a side that divides nothing',
      transition,
      { side: 5 },
      'config.side: expected a divisor of the 12 × 12',
    ],
    [
      'a side that is too large',
      transition,
      { side: 40 },
      'config.side: expected at most 32 without a model',
    ],
    [
      'patches that do not fit',
      chunks,
      { patch: 5 },
      'config.patch: expected a divisor of the side, 12 pixels, got 5',
    ],
    ['nothing to measure', chunks, { controls: [] }, 'config: expected a model, or at least one of controls'],
    ['a classifier that is not there', transition, { classifier: '/no/such' }, '/no/such'],
  ])('%s', async (_, which, values, message) => {
    await expect(run(which, values)).rejects.toThrow(message)
  })

  it('more images than there are, images of another size than the model’s, patches that its images do not fill', async () => {
    await expect(run(transition, { model, imagesPerGroup: 20 })).rejects.toThrow(
      'config.imagesPerGroup: 3 groups of 20 take 60 images, but images has 40 for testing',
    )
    await expect(run(chunks, { model, patch: 5 })).rejects.toThrow(
      'patch: expected a whole number that divides 12 and 12 pixels, got 5',
    )
    const other = join(root, 'other')
    mkdirSync(other)
    saveParameters(
      join(other, 'model.safetensors'),
      ddpmUnet({ side: 20, channels: 2, time: 4, steps: 20 }).init(random.key(3)),
    )
    await expect(run(chunks, { model: other })).rejects.toThrow(
      'config.images: images has images of 12 × 12 × 1, but the model makes 20 × 20 × 1',
    )
  })
})
