/** @file Passages laid end to end, in every family: the logits of Transformers on the rows that are wanted. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { applyLinear, applyTop, loadModel, packedLayout, topOf } from '../../src/lm/index.ts'
import { compile, type Tensor, tensor } from '../../src/tensor/index.ts'
import { furthest, readFixture, type Tiny, tinyModels } from './fixtures.ts'

const names = Object.keys(readFixture<{ models: object }>('lm-tiny.json').models)
let all: { models: Tiny[]; clean: () => void }
beforeAll(async () => {
  all = await tinyModels()
})
afterAll(() => all.clean())

it.each(names)('%s: three sequences without padding, the last block on chosen rows', async (name) => {
  const { path, ids, logits } = all.models.find((model) => model.name === name)!
  const model = loadModel(path)
  const { config, weights } = model
  const lengths = [ids.length, 5, 9]
  const total = lengths.reduce((a, b) => a + b, 0)
  const positions = lengths.flatMap((n) => Array.from({ length: n }, (_, t) => t))
  // the sequences are beginnings of one text, so that all their logits are known
  const x = weights.embed(
    positions.map((t) => ids[t]!),
    positions,
  )
  const wanted = [3, ids.length - 1, ids.length + 4, ids.length + 5, total - 1]
  const pick = new Float32Array(wanted.length * total)
  for (const [r, t] of wanted.entries()) pick[r * total + t] = 1
  const { mask, cos, sin } = packedLayout(config, lengths, weights.frequencyFactors)
  const half = [total, config.headSlots / 2]
  const layout = {
    mask: tensor(mask, { shape: [total, total] }),
    ...(cos && sin && { cos: tensor(cos, { shape: half }), sin: tensor(sin, { shape: half }) }),
  }
  expect(config.layers).toBe(2)
  const top = topOf(model, 0)
  const program = compile((stream: Tensor, rows: Tensor) =>
    applyLinear(top.head.head, applyTop(top, stream, layout, rows)),
  )
  const got = await program(
    tensor(x, { shape: [total, config.width] }),
    tensor(pick, { shape: [wanted.length, total] }),
  )
  const expected = wanted.flatMap((t) => [...logits.subarray(positions[t]! * 96, (positions[t]! + 1) * 96)])
  expect(furthest(got.data as Float32Array, expected)).toBeLessThan(1e-4)
  program.dispose()
  model.dispose()
})
