/** @file The science of `image-memorization`: rows with known laws give these laws back, small images are means of blocks, and the planner reads a run. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { smallImages } from '../../src/experiments/image-memorization/images.ts'
import { likeness } from '../../src/experiments/image-memorization/measure.ts'
import { trainingOf } from '../../src/experiments/image-memorization/variants.ts'
import { imageMemorization } from '../../src/experiments/image-memorization.ts'
import { composeConfig, curveRowsOfRuns, executeRun, loadRun } from '../../src/lab/index.ts'
import { claimWith } from './claimWith.ts'
import { writeMadeUpDigits } from './madeUpDigits.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-image-memorization-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const config = imageMemorization.study.config.parse({})

/** Curves whose copies pass 5 % at c P^b steps, and whose validation loss is least at c P^e. */
const curves = (b: number, e: number, variant = 'recipe') =>
  [0, 1, 2].flatMap((replica) =>
    [32, 64, 128, 256].flatMap((P) => {
      const scatter = 1 + 0.02 * Math.sin(replica * 7 + P)
      const [copyAt, bestAt] = [300 * (P / 32) ** b * scatter, 250 * (P / 32) ** e * scatter]
      return Array.from({ length: 40 }, (_, k) => 32 * 2 ** (k / 4)).map((step) => ({
        ...{ part: 'curve', variant, P, seed: 0, replica, of: 'curve', step, passing: 0.005 },
        validationLoss: 0.1 + 0.01 * Math.log(step / bestAt) ** 2,
        wholeLoss: 0.2 + 0.01 * Math.log(step / (2 * bestAt)) ** 2,
        trainingLoss: 0.05,
        copies: step < copyAt / 2 ? 0 : Math.min(0.3, 0.05 + 0.2 * Math.log(step / copyAt)),
      }))
    }),
  )
const found = (...rows: ReturnType<typeof curves>[]) =>
  imageMemorization.study.findings(rows.flat() as never, config)

describe('exponents', () => {
  it('are found where times are proportional to P', () => {
    const { claims, result, charts } = found(curves(1, 1))
    for (const text of ['copies of 5 %', 'copies of 20 %', 'the least validation loss']) {
      const { measured, outcome } = claimWith(claims, `exponent of the time of ${text}`)
      expect(measured).toBeCloseTo(1, 1)
      expect(outcome).toBe('holds')
    }
    expect(claimWith(claims, 'until a quarter').outcome).toBe('holds')
    expect(result!['exponent']).toBeCloseTo(1, 1)
    for (const draw of charts) expect(draw().svg).toContain('<svg')
  })

  it('are found where they are not, and told apart by the way to train', () => {
    const { claims, tables } = found(curves(1.6, 1.3), curves(1, 0.6, 'sgd'))
    expect(claimWith(claims, 'exponent of the time of copies of 5 %').measured).toBeCloseTo(1.6, 1)
    expect(claimWith(claims, 'exponent of the time of copies of 5 %').outcome).toBe('fails')
    expect(claimWith(claims, 'SGD with momentum 0.9: exponent of the time of copies of 5 %').outcome).toBe(
      'holds',
    )
    expect(claimWith(claims, 'SGD with momentum 0.9: exponent of the time of the least').outcome).toBe(
      'fails',
    )
    const table = tables!.find(({ title }) => title.startsWith('Exponents'))!
    expect(table.rows.map(([name]) => name)).toEqual(['recipe', 'SGD with momentum 0.9'])
  })
})

describe('small images', () => {
  const setOf = (images: Uint8Array, shape: [number, number, number], block: number) => {
    const count = images.length / (shape[0] * shape[1] * shape[2])
    const split = { images, labels: new Uint8Array(count), count }
    const set = { name: 'x', title: 'x', classes: ['a'], mean: [0], std: [1], train: split, test: split }
    return smallImages({ ...set, shape }, block)
  }
  const bytes = Uint8Array.from({ length: 2 * 4 * 4 * 3 }, (_, i) => (i * 37) % 256)

  it('are means of blocks, channels first, from −1 to 1', () => {
    const made = setOf(bytes, [4, 4, 3], 2).of('test', [1])
    expect(made).toHaveLength(12)
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < 2; y++)
        for (let x = 0; x < 2; x++) {
          const at = (i: number, j: number) => bytes[48 + ((2 * y + i) * 4 + 2 * x + j) * 3 + c]!
          const mean = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4
          expect(made[c * 4 + y * 2 + x]).toBeCloseTo(mean / 127.5 - 1, 6)
        }
    expect(Array.from(setOf(new Uint8Array(16).fill(255), [4, 4, 1], 4).of('train', [0]))).toEqual([1])
  })

  it('need blocks that divide them', () => {
    expect(() => setOf(new Uint8Array(28 * 28), [28, 28, 1], 3)).toThrow('3 does not divide images of 28×28')
  })
})

it('likeness is 1 of the same images, −1 of opposite ones', () => {
  const a = Float32Array.of(1, 0, -1, 0)
  expect(likeness(a, a, 2)).toBeCloseTo(1, 6)
  expect(likeness(a, Float32Array.of(-1, 0, 1, 0), 2)).toBeCloseTo(-1, 6)
})

it('a variant differs from the recipe in what its name says', () => {
  const recipe = trainingOf('recipe', 256, config)
  expect(recipe).toMatchObject({ width: 256, batchSize: 64, learningRate: 1e-3 })
  expect(trainingOf('batch', 256, config)).toMatchObject({ batchSize: 256, learningRate: 1e-3 })
  expect(trainingOf('batchAndRate', 256, config)).toMatchObject({ batchSize: 256, learningRate: 2e-3 })
  expect(trainingOf('wide', 256, config).width).toBe(512)
  expect(trainingOf('sgd', 256, config).optimizer.name).toBe('sgd')
  const { averageDecay } = trainingOf('averaged', 256, config)
  expect([1, 10, 100].map((step) => averageDecay!(step))).toEqual([0, 0, 0.9])
})

it.each([
  [{ counts: [], halves: [], others: { counts: [] } }, 'expected at least one of counts, others and halves'],
  [{ before: 2000 }, 'config.before: expected at most times = 1000, got 2000'],
  [{ times: 20, before: 10 }, 'config.samplingSteps: expected at most times = 20, got 50'],
] as const)('what cannot be is refused before the first step: %#', (given, message) => {
  const { study } = imageMemorization
  expect(() => study.check!(study.config.parse(given))).toThrow(message)
})

it('the planner reads the curves of a run, of the recipe where there are others; too few images are refused', async () => {
  const dataset = join(root, 'digits')
  mkdirSync(dataset)
  writeMadeUpDigits(dataset)
  const values = { dataset, seeds: 1, halves: [], others: { counts: [4], variants: ['averaged'] } }
  const run = loadRun(
    (
      await executeRun(imageMemorization, composeConfig(imageMemorization, { preset: 'tiny', values }), {
        ...{ root, threads: 1 },
      })
    ).folder,
  )
  const { rows, notes } = curveRowsOfRuns([run])
  expect(new Set(rows.map(({ P }) => P))).toEqual(new Set([4, 8]))
  expect(rows.every(({ validationLoss, copies }) => validationLoss !== null && copies !== null)).toBe(true)
  expect(notes.join(' ')).toContain('averaged')
  const many = composeConfig(imageMemorization, { preset: 'tiny', values: { ...values, counts: [1000] } })
  await expect(executeRun(imageMemorization, many, { root, threads: 1 })).rejects.toThrow(
    '1000 training images are wanted',
  )
})
