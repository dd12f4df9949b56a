/** Merging two denoisers: recipes against direct arithmetic, the analysis against made-up losses, a small run end to end. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  barrierOf,
  besideQuadratic,
  bestGain,
  kindOf,
  type Measured,
  modelsOf,
  quadraticAt,
} from '../../src/experiments/ddpm-merging/analyse.ts'
import {
  factorsOf,
  fingerprintOf,
  mergeRecipe,
  network,
  readWeights,
  sourcesOf,
} from '../../src/experiments/ddpm-merging/merge.ts'
import { candidates, grid, lambdas, type Place } from '../../src/experiments/ddpm-merging/recipes.ts'
import { lossRows, type Rows } from '../../src/experiments/ddpm-merging/rows.ts'
import { experiments } from '../../src/experiments/index.ts'
import type { Weights } from '../../src/experiments/merging/tensors.ts'
import { composeConfig, executeRun, loadRun, type StudyExperiment, writeReport } from '../../src/lab/index.ts'
import { saveParameters } from '../../src/nn/index.ts'
import { random } from '../../src/tensor/index.ts'
import { idx } from '../data/helpers.ts'

const merging = experiments.find(({ name }) => name === 'ddpm-merging')!
let root: string
let models: { mnist: string; fashion: string }
let sources: Record<'mnist' | 'fashion' | 'mean', Weights>

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-ddpm-'))
  models = { mnist: join(root, 'a.safetensors'), fashion: join(root, 'b.safetensors') }
  saveParameters(models.mnist, network.init(random.key(1)))
  saveParameters(models.fashion, network.init(random.key(2)))
  sources = sourcesOf(readWeights(models.mnist), readWeights(models.fashion))
  for (const split of ['train', 't10k']) {
    const pixels = random.sampleIntegers(random.key(3), 20 * 784, 256)
    writeFileSync(join(root, `${split}-images-idx3-ubyte`), idx([20, 28, 28], Array.from(pixels)))
    writeFileSync(join(root, `${split}-labels-idx1-ubyte`), idx([20], new Array(20).fill(0)))
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const largestDifference = (a: Weights, f: (name: string, i: number) => number): number => {
  let most = 0
  for (const [name, values] of a)
    for (const [i, value] of values.entries()) most = Math.max(most, Math.abs(value - f(name, i)))
  return most
}

describe('recipes', () => {
  const at = (which: keyof typeof sources, name: string, i: number) => sources[which].get(name)![i]!

  test('the line runs through Fashion, the mean and MNIST, and on beyond both', () => {
    expect(lambdas(5, 1)).toEqual([-1.5, -1, -0.5, 0, 0.5, 1, 1.5])
    const line = candidates({ points: 5, step: 1 }).filter(({ family }) => family === 'line')
    expect(line.length).toBe(11)
    for (const { at: place, recipe } of line.filter((_, i) => i % 3 === 2)) {
      const w = (1 - place.lambda!) / 2
      const merged = mergeRecipe(recipe, sources, 0)
      const expected = (name: string, i: number) =>
        (1 - w) * at('mnist', name, i) + w * at('fashion', name, i)
      expect(largestDifference(merged, expected)).toBeLessThan(2e-6)
    }
  })

  test('task vectors from the mean cancel: any common factor of both gives the mean', () => {
    const both = ['mnist', 'fashion'].map((model) => ({
      model: model as 'mnist' | 'fashion',
      parameters: { weight: 1 },
    }))
    for (const lambda of [0.3, 2]) {
      const recipe = {
        method: 'task_arithmetic',
        base: 'mean',
        models: both,
        parameters: { lambda },
      } as const
      const merged = mergeRecipe(recipe, sources, 0)
      expect(largestDifference(merged, (name, i) => at('mean', name, i))).toBeLessThan(2e-6)
    }
  })

  test('LiNeS scales by depth; towards the middle, down and up blocks of a level share a factor', () => {
    const names = [...sources.mean.keys()]
    const depth = factorsOf(names, { alpha: 0.2, beta: 0.6, order: 'depth' })
    const inward = factorsOf(names, { alpha: 0.2, beta: 0.6, order: 'inward' })
    const of = (factors: Map<string, number>) =>
      ['b1.0.conv1', 'b3.0.conv1', 'b_mid.0.conv1', 'up1.0', 'b_out.0.conv1', 'conv_out'].map(
        (part) => Math.round(factors.get(`network.${part}.weight`)! * 1e6) / 1e6,
      )
    expect(of(depth)).toEqual([0.2, 0.4, 0.5, 0.6, 0.8, 0.2])
    expect(of(inward)).toEqual([0.2, 0.6, 0.8, 0.6, 0.2, 0.2])
    const one = candidates({ points: 5, step: 1 }).find(
      ({ family, at: { alpha, beta } }) => family === 'depth' && alpha === 0 && beta === 1,
    )!
    const plan = factorsOf(names, { alpha: 0, beta: 1, order: 'depth' })
    const expected = (name: string, i: number) =>
      at('mean', name, i) + plan.get(name)! * (at('mnist', name, i) - at('mean', name, i))
    expect(largestDifference(mergeRecipe(one.recipe, sources, 0), expected)).toBeLessThan(2e-6)
  })

  test('every candidate can be merged to finite weights, named once', () => {
    const list = candidates({ points: 5, step: 1 })
    expect(new Set(list.map(({ name }) => name)).size).toBe(list.length)
    for (const { recipe, name } of list.filter(({ family }) => family === 'other' || family === 'slerp'))
      for (const values of mergeRecipe(recipe, sources, 0).values())
        expect(values.every(Number.isFinite), name).toBe(true)
    expect(grid(0.5).length).toBe(25)
  })

  test('a checkpoint of another network is refused in one line', () => {
    const path = join(root, 'other.safetensors')
    saveParameters(path, { network: {} })
    expect(() => readWeights(path)).toThrow(/no tensor "network\..*28×28 DDPM/)
    expect(fingerprintOf(sources.mnist)).not.toBe(fingerprintOf(sources.fashion))
  })
})

describe('analysis', () => {
  // losses with a known shape: MNIST (λ − 1)² + 0.1, Fashion (λ + 1)² + 0.2, groups apart by a constant
  const made = (family: Measured['family'], at: Place, mnist: number, fashion: number): Measured => {
    const spread = (value: number) => ({
      groups: Array.from({ length: 16 }, (_, g) => value + (g - 7.5) / 1000),
      bins: new Array<number>(10).fill(value),
    })
    const name = Object.values(at).join()
    return { family, name, ...at, loss: { mnist: spread(mnist), fashion: spread(fashion) } }
  }
  const line = lambdas(9, 3).map((x) => made('line', { lambda: x }, (x - 1) ** 2 + 0.1, (x + 1) ** 2 + 0.2))

  test('barrier and expansion of a parabola are exact', () => {
    expect(barrierOf(line, 'mnist').value).toBeCloseTo(1.1 - (0.1 + 4.1) / 2, 10)
    expect(quadraticAt(line, 'mnist', 1).value).toBeCloseTo(1.1, 10)
    expect(quadraticAt(line, 'fashion', 0.5).value).toBeCloseTo(0.45, 10)
  })

  test('a gain is measured at equal loss on the other task, of the best of several', () => {
    // at a Fashion loss of 1.2 the line, at λ = 0, has an MNIST loss of 1.1
    const better = made('depth', { alpha: 0.5, beta: 0.5 }, 1.0, 1.2)
    const found = bestGain(line, [made('depth', { alpha: 0, beta: 0.5 }, 1.3, 1.2), better], 'mnist')!
    expect(found.chosen).toBe(better)
    expect(found.gain.value).toBeCloseTo(0.1, 6)
    expect(found.held.value).toBeCloseTo(0, 6)
    expect(bestGain(line, [made('depth', { alpha: 0, beta: 1 }, 1, 0.1)], 'mnist')).toBeUndefined()
  })

  test('kinds of schedules', () => {
    const kind = (alpha: number, beta: number) => kindOf(made('depth', { alpha, beta }, 1, 1))
    expect([kind(0.5, 0), kind(0.2, 0.5), kind(-0.2, -0.5), kind(1, -0.5), kind(1, -2)]).toEqual([
      'uniform',
      'growing',
      'growing',
      'falling',
      'crossing',
    ])
  })

  test('the error beside an expansion is that of the difference in the same images', () => {
    const { measured, predicted } = besideQuadratic(line, 'mnist')
    expect([measured.value, predicted]).toEqual([expect.closeTo(1.1, 10), expect.closeTo(1.1, 10)])
    // groups are apart by a constant that the expansion has, too
    expect(measured.error).toBeLessThan(1e-10)
  })

  test('models are made of rows; groups of several seeds come one after another', () => {
    const cell = { part: 'loss', family: 'line', name: 'x', lambda: 1 } as const
    const rows = [0, 1].flatMap((seed) =>
      (['mnist', 'fashion'] as const).flatMap((task) => [
        ...[0, 1].map((group) => ({ ...cell, task, group, loss: 10 * seed + group, seed, replica: 0 })),
        ...[0, 1].map((tenth) => ({ ...cell, task, tenth, loss: seed + tenth, seed, replica: 0 })),
      ]),
    )
    const losses = { groups: [0, 1, 10, 11], bins: [0.5, 1.5] }
    const { part, ...model } = cell
    expect(modelsOf(rows)).toEqual([{ ...model, loss: { mnist: losses, fashion: losses } }])
  })
})

describe('runs', () => {
  test('without its models a run is refused in one line', async () => {
    const run = executeRun(merging, composeConfig(merging), { root, threads: 1 })
    await expect(run).rejects.toThrow(/config\.mnist: ddpm-merging needs it.*--set mnist=/)
  })

  test('small, end to end', async () => {
    const set = ['samples=2']
    const values = { ...models, mnistImages: root, fashionImages: root }
    const options = { root: join(root, 'runs'), threads: 1 }
    const config = composeConfig(merging, { preset: 'tiny', set, values })
    const { folder, summary } = await executeRun(merging, config, options)
    const rows = loadRun(folder).result['rows'] as unknown as Rows
    const list = modelsOf(lossRows(rows))
    expect(list.length).toBe(candidates({ points: 5, step: 1 }).length)
    // the grid's corner (1, 0) is the MNIST model, whatever way it was merged
    const corner = list.filter(({ lambda, alpha, beta }) => lambda === 1 || (alpha === 1 && beta === 0))
    expect(corner.length).toBe(3)
    for (const { loss } of corner) {
      const first = corner[0]!.loss.fashion.groups
      for (const [g, value] of loss.fashion.groups.entries())
        expect(Math.abs(value / first[g]! - 1)).toBeLessThan(1e-4)
    }
    expect(summary.claims.some(({ control }) => control)).toBe(true)
    expect(existsSync(join(folder, 'scratch.tmp'))).toBe(false)
    const { html } = writeReport([loadRun(folder)], experiments, folder)
    expect(readFileSync(html, 'utf8')).toContain('What a merge costs on either task')

    // rows are kept under what is in the files, not under their names
    const { prepare } = (merging as StudyExperiment).study
    const telling = { threads: 1, signal: new AbortController().signal, log: () => {}, progress: () => {} }
    const before = await prepare!(config, telling)
    saveParameters(models.fashion, network.init(random.key(5)))
    expect(await prepare!(config, telling)).toEqual({
      ...before,
      fashion: { ...before.fashion, weights: expect.not.stringMatching(before.fashion.weights) },
    })
  })
})
