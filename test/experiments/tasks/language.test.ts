/** @file Tasks of a language model: the encoder, the norm and the head together are the model, whatever is packed with what. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { languageFamily, type Sequence } from '../../../src/experiments/tasks/language.ts'
import { openMeasures } from '../../../src/experiments/tasks/measure.ts'
import { parseRelation } from '../../../src/experiments/tasks/relationFile.ts'
import { relationTask, textTask } from '../../../src/experiments/tasks/relations.ts'
import { tangentKernel } from '../../../src/experiments/tasks/tangentKernel.ts'
import { loadModel, logProbabilityOf } from '../../../src/lm/index.ts'
import {
  compile,
  entries,
  random,
  sum,
  type Tensor,
  type Tree,
  tensor,
  vjp,
} from '../../../src/tensor/index.ts'
import { type Tiny, tinyModels } from '../../lm/fixtures.ts'

let all: { models: Tiny[]; clean: () => void }
beforeAll(async () => {
  all = await tinyModels()
})
afterAll(() => all.clean())

/** Ids of the fixture from a place on, and what is asked. */
const sequence = (ids: readonly number[], from: number, length: number, rows: number[]): Sequence => ({
  ids: ids.slice(from, from + length),
  rows,
  labels: rows.map((t) => ids[from + t + 1]!),
})

const familyOf = async (name: string, blocks: number) => {
  const { path, ids } = all.models.find((one) => one.name === name)!
  const model = loadModel(path)
  const own = [sequence(ids, 0, 9, [8]), sequence(ids, 2, 5, [1, 4]), sequence(ids, 1, 7, [6])]
  const task = (title: string) => ({ name: title, sequences: { train: own, validation: own, test: own } })
  const family = await languageFamily({
    ...{ model, blocks, tasks: [task('a'), task('b')], control: task('text'), title: name },
  })
  return { model, family, own }
}

it.each(['llama', 'qwen3', 'gpt2'])('%s: readings are the log p of the model', async (name) => {
  const found: number[] = []
  for (const blocks of [1, 2]) {
    const { model, family, own } = await familyOf(name, blocks)
    const measures = openMeasures(family, { batchSize: 2 })
    const [task] = family.tasks
    const { logLikelihood } = await measures.read(
      task!,
      await measures.features(family.pretrained, task!, 'test'),
    )
    let [expected, n] = [0, 0]
    for (const { ids, rows, labels } of own)
      for (const [i, t] of rows.entries()) {
        const logits = await model.logits(ids, [t])
        expected += logProbabilityOf(logits, labels[i]!)
        n++
      }
    expect(logLikelihood).toBeCloseTo(expected / n, 4)
    found.push(logLikelihood)
    measures.dispose()
    model.dispose()
  }
  expect(found[0]).toBeCloseTo(found[1]!, 4)
})

it('has a tangent kernel that is the product of gradients', async () => {
  const { model, family } = await familyOf('llama', 1)
  const [task] = family.tasks
  const direction = Float32Array.from(random.sampleNormal(random.key(2), task!.width))
  // examples with one row each
  const examples = [{ task: task!, split: 'test' as const, from: 0, count: 1 }]
  const single = { ...examples[0]!, from: 2 }
  const kernel = await tangentKernel(family, family.pretrained, [...examples, single], direction)
  const gradients: Float64Array[] = []
  const program = compile((p: Tree<Tensor>, inputs: Tree<Tensor>) => {
    const { value, pullback } = vjp(
      (q: Tree<Tensor>) => sum(family.features(q, inputs).mul(tensor(direction))),
      p,
    )
    return pullback(value.mul(0).add(1))[0]
  })
  for (const i of [0, 2]) {
    const { inputs } = task!.batches('test', [[i]])(0)
    const found = entries(await program(family.pretrained, inputs))
    gradients.push(Float64Array.from(found.flatMap(([, t]) => Array.from(t.data as Float32Array))))
  }
  program.dispose()
  for (const [i, a] of gradients.entries())
    for (const [j, b] of gradients.entries()) {
      const product = a.reduce((total, v, k) => total + v * b[k]!, 0)
      expect(Math.abs(kernel[i * 2 + j]! - product)).toBeLessThan(1e-4 * Math.abs(product))
    }
  model.dispose()
})

it('refuses blocks that the model does not have', async () => {
  await expect(familyOf('llama', 3)).rejects.toThrow(
    'config.blocks: expected 1 to 2, the blocks of the model, got 3',
  )
})

describe('relations', () => {
  const good = {
    prompt_templates: ['{} plays the', 'x'],
    samples: [{ subject: 'Ana', object: 'harp' }],
    more: 1,
  }
  const parse = (change: object) => parseRelation(JSON.stringify({ ...good, ...change }), 'r.json')

  it('are read, the first wording alone', () => {
    expect(parse({})).toEqual({ template: '{} plays the', samples: good.samples })
  })
  it.each([
    [{ samples: [] }, 'r.json: "samples": expected a list of one or more { "subject", "object" }, got []'],
    [{ samples: [{ subject: 'Ana' }] }, 'sample 1: expected two texts, "subject" and "object"'],
    [{ prompt_templates: ['plays'] }, '"prompt_templates": expected a list whose first text has {} once'],
    [{ prompt_templates: undefined }, '"prompt_templates": expected a list whose first text has {} once'],
  ])('are refused: %j', (change, message) => {
    expect(() => parse(change)).toThrow(message)
  })

  const letters = {
    addsBos: false,
    encode: (text: string) => [...text].map((c) => c.charCodeAt(0)),
  }
  it('become prompts and the first token of their objects, in splits that share nothing', () => {
    const samples = Array.from({ length: 30 }, (_, i) => ({ subject: `s${i}`, object: `o${i}` }))
    const relation = { name: 'r', template: '{} is', samples }
    const { sequences } = relationTask(relation, letters, { most: 20, key: random.key(1) })
    const { train, validation, test } = sequences
    expect([train.length, validation.length, test.length]).toEqual([12, 3, 5])
    const texts = [...train, ...validation, ...test].map(({ ids }) => String.fromCharCode(...ids))
    expect(new Set(texts).size).toBe(20)
    for (const { ids, rows, labels } of train) {
      expect(String.fromCharCode(...ids)).toMatch(/^s\d+ is$/)
      expect(rows).toEqual([ids.length - 1])
      expect(labels).toEqual([32])
    }
  })
  it('stand beside pieces of a text that do not overlap', () => {
    const text = Array.from({ length: 2000 }, (_, i) => String.fromCharCode(200 + i)).join('')
    const options = { pieces: 5, tokens: 12, asked: 4, key: random.key(1) }
    const { sequences } = textTask('t', text, letters, options)
    const seen = [...sequences.validation, ...sequences.test].flatMap(({ ids }) => ids)
    expect(new Set(seen).size).toBe(10 * 12)
    for (const { ids, rows, labels } of sequences.test) {
      expect(rows).toEqual([8, 9, 10, 11])
      expect(labels).toEqual([9, 10, 11, 12].map((t) => ids[0]! + t))
    }
    expect(() => textTask('t', text.slice(0, 90), letters, options)).toThrow(
      'config.text: expected at least 130 tokens, got 90',
    )
  })
})
