/** @file LoRA adapters: ΔW against plain loops over the definition, every layout, and refusal of what means something else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { openAdapter, openCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-adapter-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let folders = 0

/** Small whole numbers: products and sums of them are exact in every order. */
const numbers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => ((i * 7 + seed * 5) % 11) - 5)
type Shapes = Record<string, number[]>
const plain: Shapes = {
  'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight': [2, 3],
  'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight': [4, 2],
}

function adapter(config: Record<string, unknown>, shapes: Shapes = plain): string {
  const folder = join(root, `a${folders++}`)
  const entries = Object.entries(shapes).map(([name, shape], i) => {
    const data = numbers(
      shape.reduce((a, b) => a * b, 1),
      i,
    )
    return [name, { dtype: 'F32' as const, shape, data }] as const
  })
  writeSafetensors(join(folder, 'adapter_model.safetensors'), entries)
  writeFileSync(
    join(folder, 'adapter_config.json'),
    JSON.stringify({ peft_type: 'LORA', r: 2, lora_alpha: 8, ...config }),
  )
  return folder
}
/** Σ_k b[i][k] a[k][j], times the scale. */
function product(
  b: Float32Array,
  a: Float32Array,
  [out, rank, columns]: [number, number, number],
  scale: number,
): number[][] {
  return Array.from({ length: out }, (_, i) =>
    Array.from({ length: columns }, (_, j) => {
      let sum = 0
      for (let k = 0; k < rank; k++) sum += b[i * rank + k]! * a[k * columns + j]!
      return scale * sum
    }),
  )
}
const flat = (rows: number[][]) => Float32Array.from(rows.flat())
const transpose = (rows: number[][]) => rows[0]!.map((_, j) => rows.map((row) => row[j]!))
function refusal(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(TreelineError)
    expect((error as Error).message).not.toMatch(/\n/)
    return `${(error as TreelineError).code} ${(error as Error).message}`
  }
  return expect.fail('nothing was thrown')
}

describe('LoRA adapters', () => {
  const name = 'model.layers.0.self_attn.q_proj.weight'
  const [a, b] = [numbers(6, 0), numbers(8, 1)]

  it('are alpha/r · B·A by the name of the base tensor, whole or by rows', () => {
    const { deltas, replaced, close } = openAdapter(adapter({}))
    const delta = deltas.get(name)!
    expect([delta.name, delta.shape, delta.rank, delta.scale]).toEqual([name, [4, 3], 2, 4])
    expect(delta.delta()).toEqual(flat(product(b, a, [4, 2, 3], 4)))
    expect(delta.delta(1, 2)).toEqual(flat(product(b, a, [4, 2, 3], 4)).slice(3, 9))
    expect(delta.delta(3)).toEqual(flat(product(b, a, [4, 2, 3], 4)).slice(9))
    expect(refusal(() => delta.delta(3, 2))).toMatch(/rows \[3, 5\), it has 4/)
    expect([deltas.size, replaced.size]).toEqual([1, 0])
    close()
  })

  it('rank-stabilized ones divide by the root; patterns change rank and alpha of single modules', () => {
    const stable = openAdapter(adapter({ use_rslora: true }))
    expect(stable.deltas.get(name)!.scale).toBeCloseTo(8 / Math.sqrt(2), 12)
    stable.close()
    const pattern = openAdapter(
      adapter({ r: 64, rank_pattern: { q_proj: 2 }, alpha_pattern: { 'self_attn.q_proj': 3, k_proj: 9 } }),
    )
    expect(pattern.deltas.get(name)!.scale).toBe(1.5)
    pattern.close()
    // the end of a name is not the end of a module's path
    expect(refusal(() => openAdapter(adapter({ r: 64, rank_pattern: { proj: 2 } })))).toMatch(
      /have rank 2, the configuration says 64/,
    )
  })

  it('fan_in_fan_out and embeddings are transposed, convolutions keep their kernel', () => {
    const expected = product(b, a, [4, 2, 3], 4)
    const conv1d = openAdapter(adapter({ fan_in_fan_out: true }))
    expect(conv1d.deltas.get(name)!.shape).toEqual([3, 4])
    expect(conv1d.deltas.get(name)!.delta()).toEqual(flat(transpose(expected)))
    expect(conv1d.deltas.get(name)!.delta(1, 1)).toEqual(flat(transpose(expected)).slice(4, 8))
    conv1d.close()
    const shapes = {
      'base_model.model.emb.lora_embedding_A': [2, 3],
      'base_model.model.emb.lora_embedding_B': [4, 2],
    }
    const embedding = openAdapter(adapter({}, shapes))
    expect([...embedding.deltas.keys()]).toEqual(['emb.weight'])
    expect(embedding.deltas.get('emb.weight')!.delta()).toEqual(flat(transpose(expected)))
    embedding.close()
    const kernel = {
      'base_model.model.conv.lora_A.default.weight': [2, 3, 2, 2],
      'base_model.model.conv.lora_B.default.weight': [4, 2, 1, 1],
    }
    const convolution = openAdapter(adapter({}, kernel))
    expect(convolution.deltas.get('conv.weight')!.shape).toEqual([4, 3, 2, 2])
    expect(convolution.deltas.get('conv.weight')!.delta()).toEqual(
      flat(product(numbers(8, 1), numbers(24, 0), [4, 2, 12], 4)),
    )
    convolution.close()
  })

  it('whole tensors that the adapter replaces stand apart', () => {
    const shapes = {
      ...plain,
      'base_model.model.lm_head.weight': [2, 2],
      'base_model.model.score.modules_to_save.default.weight': [2],
      'base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias': [4],
    }
    const { replaced, close } = openAdapter(adapter({}, shapes))
    expect([...replaced.keys()].sort()).toEqual([
      'lm_head.weight',
      'model.layers.0.self_attn.q_proj.bias',
      'score.weight',
    ])
    close()
  })

  it('refuses what it does not understand', () => {
    const cases: [Record<string, unknown>, Shapes | undefined, RegExp][] = [
      [{ peft_type: 'IA3' }, undefined, /TL_UNSUPPORTED .*"IA3": only LORA.*merge_and_unload/],
      [{ peft_type: 'PREFIX_TUNING' }, undefined, /TL_UNSUPPORTED .*changes no weights/],
      [{ use_dora: true }, undefined, /TL_BAD_FILE .*no lora_magnitude_vector/],
      [{ r: 0 }, undefined, /r: expected a number above 0, got 0/],
      [{ lora_alpha: undefined }, undefined, /lora_alpha: expected a number above 0/],
      [{ r: 3 }, undefined, /have rank 2, the configuration says 3/],
      [{ rank_pattern: { '(a+)+$': 2 } }, undefined, /TL_UNSUPPORTED .*repeated groups/],
      [{ alpha_pattern: { q: 'x' } }, undefined, /alpha_pattern: "q": expected a number/],
      [{}, { 'x.lora_A.weight': [2, 3] }, /"x" has lora_A, expected both factors/],
      [{}, { 'x.lora_A.weight': [2, 3], 'x.lora_B.weight': [4, 3] }, /do not fit/],
      [
        {},
        { 'x.lora_A.weight': [2, 3], 'x.lora_B.weight': [4, 2], 'x.lora_magnitude_vector': [4] },
        /has a lora_magnitude_vector, and use_dora is false/,
      ],
      [
        {},
        { 'x.base_layer.out_proj.lora_A.weight': [2, 3], 'x.base_layer.out_proj.lora_B.weight': [4, 2] },
        /TL_UNSUPPORTED .*MultiheadAttention/,
      ],
      [{}, { 'x.hada_w1_a': [2, 3] }, /TL_UNSUPPORTED .*"x.hada_w1_a" is of a kind of adapter/],
      [
        {},
        { 'x.lora_A.weight': [2, 3], 'x.lora_A.default.weight': [2, 3], 'x.lora_B.weight': [4, 2] },
        /two factors lora_A/,
      ],
    ]
    for (const [config, shapes, message] of cases)
      expect(refusal(() => openAdapter(adapter(config, shapes)))).toMatch(message)
    const folder = adapter({})
    expect(refusal(() => openCheckpoint(folder))).toMatch(
      /an adapter and not a whole model: name it with its base as BASE\+/,
    )
    rmSync(join(folder, 'adapter_model.safetensors'))
    expect(refusal(() => openAdapter(folder))).toMatch(/TL_IO .*no adapter_model.safetensors or/)
    rmSync(join(folder, 'adapter_config.json'))
    expect(refusal(() => openAdapter(folder))).toMatch(/TL_IO cannot read .*adapter_config.json/)
  })
})
