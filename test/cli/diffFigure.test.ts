/** The picture of `treeline diff`: kinds and layers in their places, the same SVG every time. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { writeSafetensors } from '../../src/checkpoint/index.ts'
import { diffFigure } from '../../src/cli/diffFigure.ts'
import * as lab from '../../src/lab/index.ts'
import type { CheckpointDiff } from '../../src/merge/index.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-diff-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const names = [
  'model.embed_tokens.weight',
  ...[0, 1].flatMap((layer) =>
    ['self_attn.q_proj', 'self_attn.o_proj', 'mlp.gate_proj', 'mlp.down_proj', 'input_layernorm'].map(
      (name) => `model.layers.${layer}.${name}.weight`,
    ),
  ),
  'model.norm.weight',
]
const diff: CheckpointDiff = {
  tensors: names.map((name, i) => ({
    name,
    shape: [1],
    normA: 10,
    normB: 10,
    change: i,
    relative: i / 10,
    cosine: 1,
    differing: i,
    notFinite: [0, 0],
  })),
  layers: [],
  change: 1,
  relative: 0.25,
  onlyA: [],
  onlyB: [],
  reshaped: [],
}

describe('the picture of a difference', () => {
  it('has a cell for every kind in every layer, with its value', () => {
    const { svg } = diffFigure(lab, diff)
    const titles = [...svg.matchAll(/<title>([^<]*)<\/title>/g)].map(([, title]) => title)
    expect(titles).toHaveLength(names.length)
    expect(titles).toContain('mlp down, model.layers 1: 90 %')
    expect(titles).toContain('attention q, model.layers 0: 10 %')
    expect(titles).toContain('norm, outside: 110 %')
    // a row each, the kinds in the order of the network
    const texts = [...svg.matchAll(/text-anchor="end">(.*?)<\/text>/g)].map(([, text]) => text!)
    const rows = texts.map((text) => text.replace(/<[^>]*>/g, '')).filter((text) => !text.includes('‖'))
    expect(rows).toEqual(['embedding', 'norm', 'attention q', 'attention o', 'mlp gate', 'mlp down'])
    expect(svg).toMatchSnapshot()
  })

  it('the fullest colour is not left to one outlier', () => {
    expect(lab.fullest([1, 2, 3])).toBe(3)
    expect(lab.fullest([...Array.from({ length: 40 }, (_, i) => i / 40), 100])).toBe(38 / 40)
    expect(lab.fullest([])).toBe(0)
  })

  it('--svg writes it; what has no number is drawn as such', async () => {
    const write = (name: string, values: number[]): string => {
      const path = join(root, name)
      writeSafetensors(path, {
        'h.0.attn.c_attn.weight': { dtype: 'F32', shape: [2], data: Float32Array.from(values) },
      })
      return path
    }
    const svg = join(root, 'd.svg')
    const { code } = await treeline(
      'diff',
      write('a.safetensors', [0, 0]),
      write('b.safetensors', [1, 1]),
      '--svg',
      svg,
    )
    expect(code).toBe(0)
    const text = readFileSync(svg, 'utf8')
    expect(text).toMatch(/^<svg xmlns/)
    expect(text).toContain('attention qkv, h 0: not defined')
    expect(text).not.toMatch(/NaN|Infinity|undefined/)
    expect(lab.svgToPng(text).length).toBeGreaterThan(1000)
  })
})
