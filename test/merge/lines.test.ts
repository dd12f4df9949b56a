/** @file LiNeS: names of many architectures, the identities of the method, and mergekit's depth gradient. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readSafetensorsHeader } from '../../src/checkpoint/index.ts'
import {
  applyLines,
  autoAlpha,
  findLayers,
  layerOf,
  linesPlan,
  linesScale,
  mergeMethods,
  singleTask,
  stackPatterns,
  taskVectorNorms,
} from '../../src/merge/index.ts'
import { cases, compare, inputOf, names, stored } from './merges.ts'

/** Names as they stand in real checkpoints: [family, name, stack, layer] given layers 0 … 11 of each stack. */
const known: [string, string, string, number][] = [
  ['Llama', 'model.layers.11.self_attn.q_proj.weight', 'decoder', 12],
  ['Llava', 'language_model.model.layers.0.mlp.up_proj.weight', 'decoder', 1],
  ['Qwen 2.5 VL', 'model.language_model.layers.3.mlp.up_proj.weight', 'decoder', 4],
  ['Mixtral', 'model.layers.3.block_sparse_moe.experts.7.w1.weight', 'decoder', 4],
  ['GPT-NeoX', 'gpt_neox.layers.2.attention.dense.weight', 'decoder', 3],
  ['LoRA of Llama', 'base_model.model.model.layers.5.self_attn.q_proj.lora_A.weight', 'decoder', 6],
  ['GGUF', 'blk.11.attn_q.weight', 'decoder', 12],
  ['GPT-2', 'transformer.h.0.attn.c_attn.weight', 'decoder', 1],
  ['GPT-2', 'h.11.mlp.c_fc.weight', 'decoder', 12],
  ['T5', 'encoder.block.3.layer.0.SelfAttention.q.weight', 'encoder', 4],
  ['T5', 'decoder.block.0.layer.2.DenseReluDense.wo.weight', 'decoder', 1],
  ['BART', 'model.encoder.layers.7.fc1.weight', 'encoder', 8],
  ['Whisper', 'model.decoder.layers.1.encoder_attn.q_proj.weight', 'decoder', 2],
  ['CLIP', 'text_model.encoder.layers.9.mlp.fc1.weight', 'text', 10],
  ['Llava', 'vision_tower.vision_model.encoder.layers.9.mlp.fc1.weight', 'vision', 10],
  ['open_clip', 'visual.transformer.resblocks.11.attn.in_proj_weight', 'vision', 12],
  ['LiNeS', 'model.visual.transformer.resblocks.4.ln_1.bias', 'vision', 5],
  ['open_clip', 'transformer.resblocks.2.mlp.c_fc.weight', 'text', 3],
  ['ViT', 'vit.encoder.layer.6.attention.attention.query.weight', 'encoder', 7],
  ['BERT', 'bert.encoder.layer.0.output.dense.weight', 'encoder', 1],
  ['timm', 'blocks.8.attn.qkv.weight', 'encoder', 9],
]

/** A model with 12 blocks named like `name`: the first number is the block's. */
const modelOf = (name: string): string[] => [
  'embedding.weight',
  ...Array.from({ length: 12 }, (_, i) => name.replace(/\.\d+\./, `.${i}.`)),
]

const outside = [
  'model.embed_tokens.weight',
  'lm_head.weight',
  'model.norm.weight',
  'wte.weight',
  'transformer.ln_f.bias',
  'shared.weight',
  'encoder.final_layer_norm.weight',
  'visual.conv1.weight',
  'visual.class_embedding',
  'visual.ln_post.weight',
  'logit_scale',
  'token_embd.weight',
  'output_norm.weight',
  'classifier.weight',
  'conv_in.weight',
  'time_embedding.linear_1.weight',
]

describe('layerOf', () => {
  it.each(known)('%s: %s', (_, name, stack, layer) => {
    const layers = findLayers(modelOf(name))
    expect(layerOf(name, layers)).toEqual({ layer, count: 12, stack })
    for (const other of outside) expect(layerOf(other, layers), other).toBeNull()
  })

  it('counts each tower of a model with several on its own, or all as one', () => {
    const t5 = ['shared.weight']
    for (let i = 0; i < 4; i++) t5.push(`encoder.block.${i}.layer.0.SelfAttention.q.weight`)
    for (let i = 0; i < 3; i++) t5.push(`decoder.block.${i}.layer.1.EncDecAttention.k.weight`)
    const first = 'decoder.block.0.layer.1.EncDecAttention.k.weight'
    expect(layerOf(first, findLayers(t5))).toEqual({ layer: 1, count: 3, stack: 'decoder' })
    expect(layerOf(first, findLayers(t5, { joined: true }))).toEqual({
      layer: 5,
      count: 7,
      stack: 'encoder+decoder',
    })
  })

  it('follows a U-Net down, through the middle and up', () => {
    const diffusers = ['conv_in.weight', 'mid_block.resnets.0.conv1.weight', 'conv_out.bias']
    for (let i = 0; i < 4; i++) diffusers.push(`down_blocks.${i}.resnets.0.conv1.weight`)
    for (let i = 0; i < 4; i++) diffusers.push(`up_blocks.${i}.resnets.2.conv1.weight`)
    const layers = findLayers(diffusers)
    const layer = (name: string) => layerOf(name, layers)?.layer ?? null
    expect(diffusers.map(layer)).toEqual([null, 5, null, 1, 2, 3, 4, 6, 7, 8, 9])
  })

  it('knows that the up blocks of our own U-Net run from the last to the first', () => {
    const own = ['stem.weight', 'down0.block.norm1.scale', 'down1.pool.weight', 'middle.norm1.scale']
    const layers = findLayers([...own, 'up0.block.norm1.scale', 'up1.conv.weight', 'head.weight'])
    const at = (name: string) => layerOf(name, layers)
    expect(at('up1.conv.weight')).toEqual({ layer: 4, count: 5, stack: 'unet' })
    expect(at('up0.block.norm1.scale')?.layer).toBe(5)
    expect(at('down1.pool.weight')?.layer).toBe(2)
    expect(at('middle.norm1.scale')?.layer).toBe(3)
    expect(at('head.weight')).toBeNull()
  })

  const models =
    process.env['TREELINE_TEST_MODELS'] ?? new URL('../../../shared/models', import.meta.url).pathname
  const ddpm = join(models, 'ddpm-mnist/model.safetensors')
  it.skipIf(!existsSync(ddpm))('places every tensor of a real DDPM', () => {
    const all = [...readSafetensorsHeader(ddpm).tensors.keys()]
    const layers = findLayers(all)
    const at = (name: string) => layerOf(name, layers)?.layer ?? null
    expect(layers.map(({ count }) => count)).toEqual([7])
    expect(all.filter((name) => at(name) === null).map((name) => name.split('.')[1])).toEqual(
      expect.arrayContaining(['conv_out', 'time_embed']),
    )
    expect(new Set(all.filter((name) => at(name) === null).map((name) => name.split('.')[1])).size).toBe(2)
    expect(
      ['b1.0.conv1.bias', 'down3.0.bias', 'b_mid.1.ln.bias', 'up1.2.bias', 'te_out.0.bias'].map((n) =>
        at(`network.${n}`),
      ),
    ).toEqual([1, 3, 4, 5, 7])
  })

  it('takes patterns for names of its own kind, and refuses what is not one', () => {
    const layers = findLayers(['a.x.0.w', 'a.x.1.w'], { patterns: ['^a\\.x\\.(\\d+)\\.'] })
    expect(layerOf('a.x.1.w', layers)).toEqual({ layer: 2, count: 2, stack: 'stack 1' })
    expect(() => findLayers(['a.x.0.w'])).toThrow(/cannot tell the layers.*a\.x\.0\.w/)
    expect(() => findLayers(['a.x.0.w'], { patterns: ['(('] })).toThrow(/not a regular expression/)
    expect(() => findLayers(['a.x.0.w'], { patterns: ['a.x'] })).toThrow(/one group.*got 0/)
    expect(() => findLayers([])).toThrow(/cannot tell the layers/)
  })

  it('no name is claimed by two rows', () => {
    for (const [, name] of known) {
      const hits = stackPatterns.filter(({ segments }) =>
        segments.some(({ pattern }) => pattern.test(name.replace('base_model.model.', ''))),
      )
      expect(hits.length, name).toBe(1)
    }
  })
})

describe('factors', () => {
  const number = fc.double({ min: -2, max: 2, noNaN: true })
  const thousandths = fc.integer({ min: -2000, max: 2000 }).map((k) => k / 1000)

  it('run evenly from α to α + β', () => {
    expect([1, 2, 3].map((layer) => linesScale(layer, 3, 0.2, 0.6))).toEqual([0.2, 0.5, 0.8])
    expect(linesScale(1, 1, 0.25, 0.5)).toBe(0.75)
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 100 }), number, number, (count, alpha, beta) => {
        expect(linesScale(1, count, alpha, beta)).toBeCloseTo(alpha, 12)
        expect(linesScale(count, count, alpha, beta)).toBeCloseTo(alpha + beta, 12)
      }),
    )
    expect(singleTask(0.3)).toEqual({ alpha: 0.3, beta: 0.7 })
  })

  it('a plan gives α outside the blocks, to the head on request α + β', () => {
    const factors = (head?: 'alpha' | 'last') =>
      linesPlan(names, { alpha: 0.2, beta: 0.6, ...(head ? { head } : {}) }).map(({ factor, layer }) => [
        layer,
        factor,
      ])
    const at = (name: string) => names.indexOf(name)
    const plain = factors()
    expect(plain[at('model.embed_tokens.weight')]).toEqual([null, 0.2])
    expect(plain[at('lm_head.weight')]).toEqual([null, 0.2])
    expect(plain[at('model.layers.1.mlp.up_proj.weight')]).toEqual([2, 0.5])
    expect(factors('last')[at('lm_head.weight')]![1]).toBeCloseTo(0.8, 12)
    expect(factors('last')[at('model.embed_tokens.weight')]).toEqual([null, 0.2])
    const tied = names.filter((name) => name !== 'lm_head.weight')
    expect(() => linesPlan(tied, { alpha: 1, beta: 0, head: 'last' })).toThrow(/tied to the embedding/)
    expect(() => linesPlan(names, { alpha: Number.NaN, beta: 0 })).toThrow(/lines\.alpha/)
  })

  const vectors = fc
    .array(
      fc.tuple(
        fc.float({ noNaN: true, noDefaultInfinity: true, max: 1e6, min: -1e6 }),
        fc.float({ noNaN: true, noDefaultInfinity: true, max: 1e6, min: -1e6 }),
      ),
      { minLength: 1, maxLength: 20 },
    )
    .map((pairs) => [Float32Array.from(pairs, ([a]) => a), Float32Array.from(pairs, ([, b]) => b)] as const)

  it('α = 1, β = 0 is the merged model and α = β = 0 the base, bit for bit; inputs stay as they are', () => {
    fc.assert(
      fc.property(vectors, thousandths, ([base, merged], factor) => {
        const [before, after] = [base.slice(), merged.slice()]
        expect(applyLines(base, merged, 1)).toEqual(merged)
        expect(applyLines(base, merged, 0).every((x, i) => x === base[i])).toBe(true)
        const out = applyLines(base, merged, factor)
        for (const [i, x] of out.entries()) {
          const exact = base[i]! + factor * (merged[i]! - base[i]!)
          const scale = Math.abs(base[i]!) + Math.abs(factor) * (Math.abs(merged[i]!) + Math.abs(base[i]!))
          expect(Math.abs(x - exact)).toBeLessThanOrEqual(2 ** -22 * scale + 2 ** -148) // f32 ends at 2⁻¹⁴⁹
        }
        expect([base, merged]).toEqual([before, after])
      }),
    )
    expect(() => applyLines(new Float32Array(2), new Float32Array(3), 1)).toThrow(/equal lengths/)
  })
})

describe('LiNeS of a task vector', () => {
  const length = 3000
  const numbers = (seed: number): Float32Array =>
    Float32Array.from({ length }, (_, i) => Math.sin(seed * 13.7 + i * i))
  const [base, merged] = [numbers(1), numbers(2)]

  it('commutes with a scalar', () => {
    for (const [c, factor] of [
      [0.5, 0.3],
      [-2, 0.8],
      [1.7, 1.4],
    ] as const) {
      const scaled = base.map((x, i) => x + c * (merged[i]! - x))
      const [first, then] = [applyLines(base, scaled, factor), applyLines(base, merged, factor)]
      for (const [i, x] of first.entries())
        expect(Math.abs(x - (base[i]! + c * (then[i]! - base[i]!)))).toBeLessThan(2e-6)
    }
  })

  it('in pieces is the same as at once, bit for bit', () => {
    const whole = applyLines(base, merged, 0.37)
    const parts = [0, 1, 1000, 1024, 2999].map((from, i, all) => [from, all[i + 1] ?? length] as const)
    const joined = parts.flatMap(([from, to]) => [
      ...applyLines(base.subarray(from, to), merged.subarray(from, to), 0.37),
    ])
    expect(Float32Array.from(joined)).toEqual(whole)
  })
})

describe('autoAlpha', () => {
  /** Sums over all tensors of the fixture for a case's models. */
  function norms(id: string) {
    const config = { ...cases[id]!, parameters: {} }
    const sums = taskVectorNorms()
    for (const name of names) {
      const input = inputOf(config, name)
      const merged = mergeMethods[config.merge_method]!.merge(input)
      sums.add(
        input.base!,
        input.models.map(({ values }) => values),
        merged,
      )
    }
    return sums.norms()
  }

  it('is 1/N for plain task arithmetic', () => {
    const { l1Sum, l1Merged } = norms('lines-task_arithmetic')
    expect(autoAlpha(l1Sum, l1Merged, 3)).toBeCloseTo(1 / 3, 6)
  })

  it('is larger for a merge that shrinks the sum, by the ratio of the norms of the flat vectors', () => {
    const { l1Sum, l1Merged } = norms('lines-ties')
    const flat = (id: string): number[] => names.flatMap((name) => [...stored(`${id}/${name}`).values])
    const [base, a, b, c] = ['input/base', 'input/a', 'input/b', 'input/c'].map(flat) as [
      number[],
      number[],
      number[],
      number[],
    ]
    const ties = flat('ties') // the same models, weights and densities, without λ
    const total = base.reduce((s, x, i) => s + Math.abs(a[i]! + b[i]! + c[i]! - 3 * x), 0)
    const left = base.reduce((s, x, i) => s + Math.abs(ties[i]! - x), 0)
    expect(autoAlpha(l1Sum, l1Merged, 3)).toBeCloseTo(total / left / 3, 6)
  })

  it('refuses what gives no number', () => {
    expect(autoAlpha(0, 0, 4)).toBe(0.25)
    expect(() => autoAlpha(1, 0, 2)).toThrow(/equals its base/)
    expect(() => autoAlpha(Number.NaN, 1, 2)).toThrow(/NaN or infinity/)
    expect(() => autoAlpha(1, 1, 0)).toThrow(/models >= 1/)
  })
})

describe("mergekit's depth gradient, lambda: [α, α + β]", () => {
  it.each(['lines-task_arithmetic', 'lines-ties'])('%s', (id) => {
    const config = cases[id]!
    const [alpha, end] = config.parameters!['lambda'] as number[]
    const factors = new Map(
      linesPlan(names, { alpha: alpha!, beta: end! - alpha! }).map(({ name, factor }) => [name, factor]),
    )
    const method = mergeMethods[config.merge_method]!
    // the factor inside λ, and as a post-processing of the finished merge
    const inside = compare(id, (name) => method.merge(inputOf(config, name, () => factors.get(name)!)))
    expect(inside.worst).toBeLessThan(1e-7)
    const after = compare(id, (name) => {
      const input = inputOf({ ...config, parameters: {} }, name)
      return applyLines(input.base!, method.merge(input), factors.get(name)!)
    })
    expect(after.worst).toBeLessThan(1e-6)
  })
})
