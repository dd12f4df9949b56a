/** @file A family of tasks: fine-tuning in both regimes, features along task vectors, and what a family is refused for. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadDataset } from '../../../src/data/index.ts'
import { digitsFamily, lookNames } from '../../../src/experiments/tasks/digits.ts'
import { checkFamily, splits, type TaskFamily } from '../../../src/experiments/tasks/family.ts'
import { fineTune, shuffledGroups } from '../../../src/experiments/tasks/fineTune.ts'
import { alongTangents, openMeasures, scoreOf } from '../../../src/experiments/tasks/measure.ts'
import { along, combined, redrawn, taskVector } from '../../../src/experiments/tasks/vectors.ts'
import { entries, random, type Tensor, type Tree } from '../../../src/tensor/index.ts'
import { furthest } from '../../lm/fixtures.ts'
import { writeMadeUpDigits } from '../madeUpDigits.ts'

const folder = mkdtempSync(join(tmpdir(), 'treeline-tasks-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const counts = { train: 200, validation: 40, test: 60 }
let family: TaskFamily
beforeAll(async () => {
  writeMadeUpDigits(folder)
  const set = await loadDataset(`${folder}/`)
  const options = { set, tasks: lookNames.slice(0, 2), width: 24, features: 16, counts }
  family = await digitsFamily({ ...options, pretraining: 60, share: 0.1, key: random.key(4) })
})
const numbers = (tree: unknown): number[] =>
  entries(tree as Tree<Tensor>).flatMap(([, t]) => Array.from(t.data as Float32Array))

describe('digits', () => {
  it('has tasks whose splits do not share an image, and batches of one shape', () => {
    checkFamily(family, 'digits')
    const [task] = family.tasks
    const seen = (split: (typeof splits)[number], i: number) =>
      numbers(task!.batches(split, [[i]])(0).inputs).join()
    const train = new Set(Array.from({ length: 50 }, (_, i) => seen('train', i)))
    for (let i = 0; i < 40; i++) expect(train.has(seen('validation', i))).toBe(false)
    const batch = task!.batches('test', [[0, 1, 2], [3]])
    expect(batch(1).labels.shape).toEqual([3])
    expect(numbers(batch(1).weights)).toEqual([1, 0, 0])
  })

  it('learns a task in both regimes, and the tangent model is affine in its features', async () => {
    const measures = openMeasures(family, { batchSize: 25 })
    const [task] = family.tasks
    for (const training of ['nonlinear', 'linear'] as const) {
      const options = { training, start: family.pretrained, steps: 30, batchSize: 20, learningRate: 2e-3 }
      const tuned = await fineTune(family, task!, { ...options, key: random.key(9) })
      const again = await fineTune(family, task!, { ...options, key: random.key(9) })
      expect(numbers(again)).toEqual(numbers(tuned))
      const tau = taskVector(tuned, family.pretrained)
      const tangents = await measures.tangents(family.pretrained, tau, task!, 'train')
      const before = await measures.features(family.pretrained, task!, 'train')
      expect(furthest(alongTangents([{ alpha: 0, along: tangents }]).values, before.values)).toBe(0)
      const own =
        training === 'linear'
          ? alongTangents([{ alpha: 1, along: tangents }])
          : await measures.features(tuned, task!, 'train')
      const [first, last] = [await measures.read(task!, before), await measures.read(task!, own)]
      expect(last.logLikelihood).toBeGreaterThan(first.logLikelihood)
      expect(scoreOf(last, 'likelihood')).toBeCloseTo(Math.exp(last.logLikelihood))
      expect(last.answers.filter((c, i) => c === own.labels[i]).length / own.labels.length).toBe(
        scoreOf(last, 'accuracy'),
      )
    }
    measures.dispose()
  })

  it('asks for an encoder that nobody trained, and sums vectors in any order', () => {
    const [a, b] = [family.random(random.key(1)), redrawn(family.pretrained, random.key(2))]
    expect(numbers(a)).not.toEqual(numbers(family.pretrained))
    expect(numbers(b).length).toBe(numbers(a).length)
    const forth = combined([
      [1, a],
      [1, b],
    ])
    const back = combined([
      [1, b],
      [1, a],
    ])
    expect(furthest(numbers(forth), numbers(back))).toBeLessThan(1e-6)
    const minus = along(a, -1, combined([[-1, b]]))
    expect(furthest(numbers(minus), numbers(forth))).toBeLessThan(1e-6)
  })
})

it('shows every example once an epoch', () => {
  const groups = shuffledGroups(random.key(3), 10, 4, 5)
  expect(groups.every(({ length }) => length === 4)).toBe(true)
  for (const epoch of [0, 1]) {
    const seen = groups.flat().slice(10 * epoch, 10 * epoch + 10)
    expect(new Set(seen).size).toBe(10)
  }
})

describe('a family is refused', () => {
  const refused = (change: (tasks: TaskFamily['tasks']) => Partial<TaskFamily>) =>
    expect(() => checkFamily({ ...family, ...change(family.tasks) }, 'config.tasks'))
  it('with one task', () => {
    refused(([a]) => ({ tasks: [a!] })).toThrow('config.tasks: expected at least two tasks, got 1')
  })
  it('with two tasks of one name', () => {
    refused(([a]) => ({ tasks: [a!, a!] })).toThrow('two tasks are called "turned"')
  })
  it.each(splits)('without %s examples', (split) => {
    refused(([a, b]) => ({ tasks: [a!, { ...b!, counts: { ...b!.counts, [split]: 0 } }] })).toThrow(
      `task "mirrored" has no ${split} examples`,
    )
  })
  it('with heads that disagree', () => {
    refused(([a, b]) => ({ tasks: [a!, { ...b!, width: 15 }] })).toThrow(
      'heads disagree: that of "turned" takes 16 features, that of "mirrored" 15',
    )
  })
})
