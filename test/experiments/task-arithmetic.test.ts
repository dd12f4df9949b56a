/** @file Task arithmetic as a study: what the parts of a run promise each other, on a tiny language model, and what it refuses. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { localEnergies } from '../../src/experiments/task-arithmetic/kernel.ts'
import { type Found, partOf, regimes } from '../../src/experiments/task-arithmetic/rows.ts'
import { openVectors } from '../../src/experiments/task-arithmetic/vectorFiles.ts'
import { taskArithmetic } from '../../src/experiments/task-arithmetic.ts'
import { composeConfig, executeRun, loadRun, where } from '../../src/lab/index.ts'
import { mlp } from '../../src/nn/index.ts'
import { random } from '../../src/tensor/index.ts'
import { type Tiny, tinyModels } from '../lm/fixtures.ts'
import { writeCharacterTokenizer } from './characterTokenizer.ts'
import { madeUpText } from './madeUpText.ts'

let all: { models: Tiny[]; clean: () => void }
const root = mkdtempSync(join(tmpdir(), 'treeline-arithmetic-'))
const relations = join(root, 'relations')
let values: Record<string, unknown>
beforeAll(async () => {
  all = await tinyModels()
  const { path } = all.models.find(({ name }) => name === 'llama')!
  writeCharacterTokenizer(path)
  mkdirSync(relations)
  for (const [name, objects] of Object.entries({ color: ['red', 'blue'], size: ['big', 'tiny'] }))
    writeFileSync(
      join(relations, `${name}.json`),
      JSON.stringify({
        prompt_templates: [`{} has ${name}`],
        samples: Array.from({ length: 24 }, (_, i) => ({
          subject: `${name[i % 3]}${i}`,
          object: objects[i % 2],
        })),
      }),
    )
  const text = join(root, 'text.txt')
  writeFileSync(
    text,
    madeUpText(4000)
      .toLowerCase()
      .replace(/[^ -~]/g, ' '),
  )
  values = {
    ...{ model: path, relations, relationNames: ['color', 'size'], text, blocks: 1, controlPieces: 2 },
    ...{ steps: 4, batchSize: 4, alphas: 3, mapPoints: 3, mapPairs: 1, kernelExamples: 3, replicas: 1 },
    ...{ randomStart: false, tak: 1, linearRate: 0.01, nonlinearRate: 0.01 },
  }
})
afterAll(() => {
  all.clean()
  rmSync(root, { recursive: true, force: true })
})
const configOf = (change: object = {}) => composeConfig(taskArithmetic, { values: { ...values, ...change } })

it('measures a language model; its parts agree with each other', async () => {
  const { folder } = await executeRun(taskArithmetic, configOf(), { root: join(root, 'runs'), threads: 1 })
  const rows = loadRun(folder).result['rows'] as unknown as Found[]
  for (const regime of regimes) {
    const maps = where(partOf(rows, 'map'), { regime })
    expect(maps).toHaveLength(9)
    const at = (alpha1: number, alpha2: number) => where(maps, { alpha1, alpha2 })[0]!.error
    // nothing is added: both answer alike, in every regime
    expect(at(0, 0)).toBe(0)
    const zero = where(partOf(rows, 'negation'), { regime, alpha: 0 })
    expect(zero.map(({ kept }) => kept)).toEqual([1, 1])
    // the control is the likelihood of a text: one over the perplexity
    for (const { kept } of where(partOf(rows, 'forgotten'), { regime })) expect(kept).toBeGreaterThan(0)
    expect(where(partOf(rows, 'addition'), { regime })).toHaveLength(3)
  }
  // at α = 0 all regimes are the same model
  const start = regimes.map((regime) => where(partOf(rows, 'addition'), { regime, alpha: 0 })[0]!.accuracy)
  expect(new Set(start).size).toBe(1)
  const energies = partOf(rows, 'energy')
  expect(energies).toHaveLength(4)
  for (const { energy } of energies) expect(energy).toBeGreaterThanOrEqual(0)
})

describe('a run is refused', () => {
  it.each([
    [{ relations: '' }, 'config.relations: expected a folder of relations for the model to learn'],
    [{ model: '' }, 'config.model: relations are learned by a language model'],
    [{ relationNames: ['color', 'color'] }, 'config.relationNames: "color" stands there twice'],
    [{ relationNames: ['color', 'sise'] }, 'has no "sise.json"'],
    [{ samples: 10, blocks: 9 }, 'config.blocks: expected 1 to 2'],
  ])('%j', async (change, message) => {
    const run = async () =>
      executeRun(taskArithmetic, configOf(change), { root: join(root, 'refused'), threads: 1 })
    await expect(run()).rejects.toThrow(message)
  })
})

it('keeps vectors in files, and refuses those of another base', async () => {
  const network = mlp({ sizes: [2, 3, 1] })
  const [start, other] = [network.init(random.key(1)), network.init(random.key(2))]
  const folder = join(root, 'vectors')
  const vectors = openVectors(folder, start)
  let made = 0
  const make = async () => {
    made++
    return other
  }
  await vectors.get('a b', make)
  await vectors.get('a b', make)
  expect(made).toBe(1)
  expect(readdirSync(folder)).toEqual(['a_b.safetensors'])
  await expect(openVectors(folder, other).get('a b', make)).rejects.toThrow(
    /fine-tuned from another base \(.* remove it/,
  )
})

describe('local energies', () => {
  it('are 1 in the mean over the learned points, and 0 where the kernel does not reach', () => {
    const n = 4
    const points = Array.from(random.sampleNormal(random.key(3), n * 6))
    const gram = new Float64Array(n * n)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++)
        for (let k = 0; k < 6; k++) gram[i * n + j]! += points[i * 6 + k]! * points[j * 6 + k]!
    const own = localEnergies(gram, [1, -2, 0.5, 3], gram)
    expect(own.reduce((a, b) => a + b, 0) / n).toBeCloseTo(1, 9)
    expect(localEnergies(gram, [1, -2, 0.5, 3], new Float64Array(2 * n))).toEqual([0, 0])
  })
})
