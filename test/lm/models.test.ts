/** @file Every family against Transformers: whole, in chunks, token by token, in batches, and through a differentiable program. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts'
import {
  applyLinear,
  applyTop,
  loadModel,
  logProbabilityOf,
  packedLayout,
  type SegmentHook,
  topOf,
  withRoomFor,
} from '../../src/lm/index.ts'
import {
  add,
  compile,
  crossEntropy,
  grad,
  linear,
  mean,
  mul,
  spec,
  type Tensor,
  tensor,
} from '../../src/tensor/index.ts'
import { furthest, type Tiny, tinyModels } from './fixtures.ts'

const names = ['llama', 'llama3', 'linear', 'mistral', 'qwen2', 'qwen3', 'gpt2']
let all: { models: Tiny[]; clean: () => void }
beforeAll(async () => {
  all = await tinyModels()
})
afterAll(() => all.clean())
const tiny = (name: string): Tiny => all.models.find((m) => m.name === name)!

describe('tiny models', () => {
  it('there are oracles for all', () => expect(all.models.map(({ name }) => name)).toEqual(names))

  it.each(names)('%s: logits of the oracle, whole and through the cache', async (name) => {
    const { path, ids, logits } = tiny(name)
    const model = loadModel(path)
    const rows = ids.map((_, i) => i)
    expect(furthest(await model.logits(ids, rows), logits)).toBeLessThan(1e-4)

    // 10 tokens, then 5, then one at a time
    const session = model.session()
    const parts = [ids.slice(0, 10), ids.slice(10, 15), ...ids.slice(15).map((id) => [id])]
    let at = 0
    for (const part of parts) {
      const got = await session.logits(
        part,
        part.map((_, i) => i),
      )
      expect(furthest(got, logits.subarray(at * 96, (at + part.length) * 96))).toBeLessThan(1e-4)
      at += part.length
    }
    // going back and another way
    session.truncate(7)
    const again = await session.prefill(ids.slice(7, 12))
    expect(furthest(again, logits.subarray(11 * 96, 12 * 96))).toBeLessThan(1e-4)
    model.dispose()
  })

  it.each(names)('%s: saved without its head, its names have no first word', async (name) => {
    const { path, ids, logits } = tiny(name)
    const bare = `${path}-bare`
    mkdirSync(bare)
    copyFileSync(join(path, 'config.json'), join(bare, 'config.json'))
    const { tensors } = readSafetensors(join(path, 'model.safetensors'))
    const renamed = [...tensors].map(
      ([key, value]) => [key.replace(/^(model|transformer)\./, ''), value] as const,
    )
    expect(renamed.some(([key]) => /^(layers|h)\.0\./.test(key))).toBe(true)
    writeSafetensors(join(bare, 'model.safetensors'), Object.fromEntries(renamed) as never)
    const model = loadModel(bare)
    const rows = ids.map((_, i) => i)
    expect(furthest(await model.logits(ids, rows), logits)).toBeLessThan(1e-4)
    model.dispose()
  })

  it.each(names)('%s: scores in a padded batch are those of each text alone', async (name) => {
    const { path, ids, logits } = tiny(name)
    const model = loadModel(path)
    const texts = [ids, ids.slice(0, 9), ids.slice(0, 2), ids.slice(0, 1), ids.slice(0, 17)]
    const scores = await model.scoreAll(texts)
    for (const [i, text] of texts.entries()) {
      const expected = text
        .slice(1)
        .map((id, t) => logProbabilityOf(logits.subarray(t * 96, (t + 1) * 96), id))
      expect(furthest(scores[i]!, expected)).toBeLessThan(1e-4)
    }
    model.dispose()
  })

  // its matrices are stored the other way around; the sizes of the other models do not allow blocks
  it.each([
    ['q8', 0.04],
    ['q4', 0.3],
  ] as const)('gpt2 in %s: logits near those of the oracle', async (precision, most) => {
    const { path, ids, logits } = tiny('gpt2')
    const model = loadModel(path, { precision })
    const got = await model.logits(
      ids,
      ids.map((_, i) => i),
    )
    const size = (values: Float32Array): number => Math.hypot(...values)
    expect(size(got.map((v, i) => v - logits[i]!))).toBeLessThan(most * size(logits))
    model.dispose()
  })

  it.each(['llama', 'qwen3', 'gpt2'])(
    '%s: two segments in turn are the whole model, bit for bit',
    async (name) => {
      const { path, ids } = tiny(name)
      const model = loadModel(path)
      const [lower, upper, whole] = [
        await model.segment({ to: 1 }),
        await model.segment({ from: 1 }),
        await model.segment(),
      ]
      const rows = [3, ids.length - 1]
      const { x } = await lower.run({ ids, kvCache: lower.kvCache(1, 32) })
      const top = await upper.run({ x: x!, kvCache: upper.kvCache(1, 32), rows })
      const direct = await whole.run({ ids, kvCache: whole.kvCache(1, 64), rows })
      expect([...top.logits!]).toEqual([...direct.logits!])
      for (const segment of [lower, upper, whole]) segment.dispose()
      model.dispose()
    },
  )

  it.each(['llama', 'qwen3', 'gpt2'])(
    '%s: weights that the runtime is given give the logits of those it packs',
    async (name) => {
      const { path, ids } = tiny(name)
      const model = loadModel(path)
      const rows = ids.map((_, i) => i)
      const all: Float32Array[] = []
      for (const options of [{}, { mostPacked: 0 }]) {
        const segment = await model.segment(options)
        all.push((await segment.run({ ids, kvCache: segment.kvCache(1, 64), rows })).logits!)
        segment.dispose()
      }
      const [packed, given] = all as [Float32Array, Float32Array]
      const size = packed.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      for (const [i, value] of packed.entries()) expect(Math.abs(given[i]! - value)).toBeLessThan(1e-5 * size)
      model.dispose()
    },
  )

  it('a cache knows its length: tokens go on after it, and a smaller one forgets', async () => {
    const { path, ids } = tiny('llama')
    const model = loadModel(path)
    const segment = await model.segment()
    const rows = [2]
    const kvCache = segment.kvCache(1, 8)
    await segment.run({ ids: ids.slice(0, 4), kvCache, rows })
    const next = await segment.run({ ids: ids.slice(4, 7), kvCache, rows })
    expect(kvCache.length).toBe(7)
    kvCache.length = 4
    const again = await segment.run({ ids: ids.slice(4, 7), kvCache, rows })
    expect([...again.logits!]).toEqual([...next.logits!])
    const grown = withRoomFor({ ...kvCache, length: 4 }, model.config, 9, model.context)
    expect(grown).toMatchObject({ capacity: 16, length: 4 })
    const moved = await segment.run({ ids: ids.slice(4, 7), kvCache: grown, rows })
    expect([...moved.logits!]).toEqual([...next.logits!])
    await expect(segment.run({ ids: ids.slice(0, 2), kvCache, rows: [1] })).rejects.toThrow(
      /9 tokens, the cache holds 8/,
    )
    expect(kvCache.length).toBe(7)
    const top = await model.segment({ from: 1 })
    await expect(top.run({ ids: [1], kvCache: top.kvCache(1, 4), rows: [0] })).rejects.toThrow(
      /tokens enter at block 0, hidden states at block 1/,
    )
    for (const own of [segment, top]) own.dispose()
    model.dispose()
  })

  it.each(['llama', 'qwen2', 'gpt2'])(
    '%s: a residual memory at the top block: value through the cache, gradient as on the reference',
    async (name) => {
      const { path, ids } = tiny(name)
      const model = loadModel(path)
      const { width, hidden } = model.config
      const s = 8
      const text = ids.slice(0, s)
      const lower = await model.segment({ to: 1 })
      const hook: SegmentHook = {
        inputs: () => ({ mask: spec([hidden]), matrix: spec([hidden, width]) }),
        begin: (own) => ({
          down: (layer) =>
            layer === 1
              ? (a, plain) => add(plain(a), linear(mul(a, own['mask']!), own['matrix']!))
              : undefined,
        }),
      }
      const upper = await model.segment({ from: 1, hook, feature: 1 })
      const { x } = await lower.run({ ids: text, kvCache: lower.kvCache(1, 16) })
      const draw = (n: number): Float32Array =>
        Float32Array.from({ length: n }, (_, i) => Math.sin(i * i + n) / 4)
      const mask = Float32Array.from({ length: hidden }, (_, i) => Number(i % 3 === 0))
      const matrix = draw(hidden * width)
      const cached = await upper.run({
        x: x!,
        kvCache: upper.kvCache(1, 16),
        rows: [5, 7],
        hook: { inputs: [mask, matrix] },
      })
      expect(cached.feature!.length).toBe(s * hidden)
      // a memory of the inputs under a mask is a change of the rows of the projection under it
      const top = topOf(model, 1)
      const { down } = top.last!
      const { mask: sees, cos, sin } = packedLayout(model.config, [s], model.weights.frequencyFactors)
      const half = [s, model.config.headSlots / 2]
      const layout = {
        mask: tensor(sees, { shape: [s, s] }),
        ...(cos && sin && { cos: tensor(cos, { shape: half }), sin: tensor(sin, { shape: half }) }),
      }
      const pick = tensor(
        Float32Array.from({ length: 2 * s }, (_, i) => Number(i === 5 || i === s + 7)),
        {
          shape: [2, s],
        },
      )
      const logitsOf = (memory: Tensor, stream: Tensor): Tensor => {
        const change = mul(tensor(mask, { shape: [hidden, 1] }), memory)
        const last = { ...top.last!, down: { ...down, weight: add(down.weight as Tensor, change) } }
        return applyLinear(top.head.head, applyTop({ ...top, last }, stream, layout, pick))
      }
      const loss = (memory: Tensor, stream: Tensor): Tensor =>
        mean(crossEntropy(logitsOf(memory, stream), tensor(Int32Array.of(3, 80))))
      const both = (memory: Tensor, stream: Tensor) => ({
        logits: logitsOf(memory, stream),
        gradient: grad(loss)(memory, stream),
      })
      const args = [tensor(matrix, { shape: [hidden, width] }), tensor(x!, { shape: [s, width] })] as const
      const ours = await compile(both)(...args)
      const reference = await compile(both, { backend: 'reference' })(...args)
      expect(furthest(ours.logits.data as Float32Array, cached.logits!)).toBeLessThan(1e-4)
      expect(
        furthest(ours.gradient.data as Float32Array, reference.gradient.data as Float32Array),
      ).toBeLessThan(1e-5)
      // only the columns of the mask learn
      const g = reference.gradient.data as Float32Array
      expect(g.some((v) => v !== 0)).toBe(true)
      for (let row = 0; row < hidden; row++)
        if (row % 3 !== 0) expect(g.subarray(row * width, (row + 1) * width).every((v) => v === 0)).toBe(true)
      // without a memory nothing changes, bit for bit
      const plain = await model.segment({ from: 1 })
      const none = await upper.run({
        x: x!,
        kvCache: upper.kvCache(1, 16),
        rows: [7],
        hook: { inputs: [mask, new Float32Array(hidden * width)] },
      })
      const bare = await plain.run({ x: x!, kvCache: plain.kvCache(1, 16), rows: [7] })
      expect([...none.logits!]).toEqual([...bare.logits!])
      for (const segment of [lower, upper, plain]) segment.dispose()
      model.dispose()
    },
  )
})
