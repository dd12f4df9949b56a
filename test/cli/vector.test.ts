/** `treeline vector` from model to model: what scripts read, and one line for every mistake. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-vector-cli-'))
const at = (name: string): string => join(root, name)
afterAll(() => rmSync(root, { recursive: true, force: true }))

const names = ['model.layers.0.mlp.up_proj.weight', 'model.layers.1.mlp.up_proj.weight']
const write = (file: string, values: readonly (readonly number[])[]): void =>
  writeSafetensors(
    at(file),
    Object.fromEntries(
      values.map((data, i) => [names[i]!, { dtype: 'F32', shape: [2], data: Float32Array.from(data) }]),
    ),
  )
const read = (file: string): number[][] => {
  const { tensors } = readSafetensors(file)
  return names.map((name) => [...(tensors.get(name)!.data as Float32Array)])
}

// sums and products of these are exact in f32
beforeAll(async () => {
  write('base.safetensors', [
    [1, 2],
    [3, 4],
  ])
  write('tuned.safetensors', [
    [2, 2],
    [3, 2],
  ])
  await treeline('vector', 'extract', at('base.safetensors'), at('tuned.safetensors'), at('v.safetensors'))
})

describe('treeline vector', () => {
  it('extract, negate, scale and add', async () => {
    expect(read(at('v.safetensors'))).toEqual([
      [1, 0],
      [0, -2],
    ])
    await treeline('vector', 'negate', at('v.safetensors'), at('n.safetensors'))
    await treeline('vector', 'scale', at('v.safetensors'), '0.5', at('h.safetensors'))
    const sum = [at('v.safetensors'), at('n.safetensors'), at('h.safetensors'), at('sum.safetensors')]
    const { code, out } = await treeline('vector', 'add', ...sum, '--weights', '1,1,4', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ tensors: 2, elements: 4 })
    expect(read(at('sum.safetensors'))).toEqual([
      [2, 0],
      [0, -4],
    ])
  })

  it('apply adds it to its base', async () => {
    const { code } = await treeline(
      'vector',
      ...['apply', at('base.safetensors'), at('v.safetensors'), at('applied'), '--scale', '0.5'],
    )
    expect(code).toBe(0)
    expect(read(join(at('applied'), 'model.safetensors'))).toEqual([
      [1.5, 2],
      [3, 3],
    ])
  })

  it('norms and cosines as numbers', async () => {
    await treeline('vector', 'negate', at('v.safetensors'), at('m.safetensors'))
    const cosine = await treeline('vector', 'cosine', at('v.safetensors'), at('m.safetensors'), '--json')
    const { cosines } = JSON.parse(cosine.out) as { cosines: number[][] }
    expect(cosines[0]![0]).toBeCloseTo(1, 12)
    expect(cosines[0]![1]).toBeCloseTo(-1, 12)
    const norms = await treeline('vector', 'norms', at('v.safetensors'))
    expect(norms.out).toContain('3.000')
  })

  it.each([
    [['negate', 'gone.safetensors', 'x.safetensors'], /cannot read .*gone\.safetensors: no such file/],
    [['scale', 'v.safetensors', 'half', 'x.safetensors'], /factor: expected a number, got half/],
    [['add', 'v.safetensors', 'x.safetensors'], /expected two or more vectors/],
    [['negate', 'base.safetensors', 'x.safetensors'], /base\.safetensors: .*task vector/],
  ])('refuses %j in one line and writes nothing', async (words, message) => {
    const paths = words.map((word) => (word.endsWith('.safetensors') ? at(word) : word))
    const { code, err } = await treeline('vector', ...paths)
    expect(code).toBeGreaterThan(0)
    expect(err).toMatch(message)
    expect(err.trimEnd().split('\n')).toHaveLength(1)
    expect(existsSync(at('x.safetensors'))).toBe(false)
  })
})
