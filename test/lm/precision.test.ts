/** @file What `auto` chooses, by model and machine. */
import { describe, expect, it } from 'vitest'
import type { Checkpoint } from '../../src/checkpoint/index.ts'
import { choosePrecision, loadModel, type ModelConfig } from '../../src/lm/index.ts'
import { isThere, skipped, stories } from './fixtures.ts'

type Tensors = Checkpoint['tensors']

describe('auto', () => {
  it('keeps f32 on the build that has no kernels for blocks, where it fits', () => {
    const choose = (memory: number) =>
      choosePrecision(tensors(['a', 'Q4_1', 1000, 135_000]), config, { memory, runtime: 'wasm' }).precision
    expect([choose(16e9), choose(0.9e9)]).toEqual(['f32', 'q8'])
  })

  const config = {
    ...{ width: 576, hidden: 1536, heads: 9, headWidth: 64, headSlots: 64 },
    architecture: { names: { gguf: { positions: 'position_embd' }, huggingFace: { positions: 'wpe' } } },
  } as unknown as ModelConfig
  const tensors = (...list: [name: string, dtype: string, ...shape: number[]][]): { tensors: Tensors } => ({
    tensors: new Map(
      list.map(([name, dtype, ...shape]) => [name, { name, dtype, shape }]),
    ) as unknown as Tensors,
  })
  const kept = tensors(['a', 'Q4_1', 1e5, 1e5], ['b', 'Q8_0', 1e5, 1e5], ['norm', 'F32', 576])
  const floats = (millions: number) => tensors(['a', 'BF16', 1000, 1000 * millions])

  it.each([
    ['blocks as stored, of any size', kept, {}, 16e9, 'q8'],
    [
      'positions beside them',
      tensors(['a', 'Q4_0', 64, 64], ['position_embd.weight', 'F32', 9, 9]),
      {},
      16e9,
      'q8',
    ],
    ['small models in floats', floats(135), {}, 16e9, 'f32'],
    ['blocks that would be rounded', tensors(['a', 'Q4_K', 1000, 135_000]), {}, 16e9, 'f32'],
    ['large models in floats', floats(3000), {}, 16e9, 'q8'],
    ['small ones where memory is short', floats(135), {}, 1e9, 'q8'],
    ['large ones where memory is short', floats(3000), {}, 6e9, 'q4'],
    ['sizes without blocks', kept, { hidden: 1540 }, 16e9, 'f32'],
    ['heads without blocks', kept, { headSlots: 80 }, 16e9, 'f32'],
  ] as const)('%s', (_, checkpoint, sizes, memory, precision) => {
    const chosen = choosePrecision(checkpoint, { ...config, ...sizes } as ModelConfig, { memory })
    expect(chosen).toEqual({ precision, reason: expect.stringMatching(/\w/) })
  })

  it.skipIf(!isThere(stories))(`runs a model that has no blocks${skipped(stories)}`, () => {
    const model = loadModel(stories, { precision: 'auto' })
    expect(model).toMatchObject({
      precision: 'f32',
      precisionReason: expect.stringMatching(/heads of 8 features/),
    })
    model.dispose()
  })
})
