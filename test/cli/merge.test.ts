/** @file `treeline merge` and `treeline lines` as scripts meet them: results, plans, and one line for every mistake. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeF32, readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-merge-cli-'))
const at = (name: string): string => join(root, name)
afterAll(() => rmSync(root, { recursive: true, force: true }))

const layers = 3
/** Each layer holds one vector; all values of a model are `value`. */
function writeModel(name: string, value: number): string {
  mkdirSync(at(name), { recursive: true })
  const tensor = (size: number) =>
    ({ dtype: 'F32', shape: [size], data: new Float32Array(size).fill(value) }) as const
  writeSafetensors(join(at(name), 'model.safetensors'), {
    'model.embed_tokens.weight': tensor(2),
    ...Object.fromEntries(
      Array.from({ length: layers }, (_, i) => [`model.layers.${i}.mlp.up_proj.weight`, tensor(3)]),
    ),
    'model.norm.weight': tensor(2),
  })
  writeFileSync(join(at(name), 'config.json'), JSON.stringify({ num_hidden_layers: layers }))
  return at(name)
}
const written = (name: string, text: string): string => {
  writeFileSync(at(name), text)
  return at(name)
}
const firstValue = (folder: string, tensor: string): number =>
  (readSafetensors(join(folder, 'model.safetensors')).tensors.get(tensor)!.data as Float32Array)[0]!

beforeAll(() => {
  writeModel('zero', 0)
  writeModel('one', 1)
})
const linear = () =>
  `merge_method: linear\nmodels:\n- {model: ${at('zero')}, parameters: {weight: 1}}\n- {model: ${at('one')}, parameters: {weight: 3}}\n`

describe('treeline merge', () => {
  it('merges, and says what it wrote', async () => {
    const { code, out } = await treeline(
      'merge',
      written('m.yaml', linear()),
      at('merged'),
      '--json',
      '--quiet',
    )
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      tensors: 5,
      bytes: 52,
      files: ['model.safetensors'],
      resumed: false,
    })
    expect(firstValue(at('merged'), 'model.norm.weight')).toBe(0.75)
    expect(JSON.parse(readFileSync(join(at('merged'), 'config.json'), 'utf8'))).toMatchObject({
      num_hidden_layers: layers,
    })
  })

  it('--dry-run writes nothing; --explain shows layers and parameters', async () => {
    const { code, out } = await treeline(
      'merge',
      written('m.yaml', linear()),
      at('dry'),
      '--dry-run',
      '--explain',
    )
    expect(code).toBe(0)
    expect(out).toContain('model.layers.1.mlp.up_proj.weight [3] F32  layer 2 of 3; normalize true;')
    expect(out).toContain(`${at('one')}: weight 3`)
    expect(out).toContain('5 tensors of F32, 52 B')
    expect(existsSync(at('dry'))).toBe(false)
  })

  it('a plan that cannot be: all problems on standard output, exit 1', async () => {
    writeModel('other', 0)
    writeSafetensors(join(at('other'), 'model.safetensors'), {
      'model.embed_tokens.weight': { dtype: 'F32', shape: [4], data: new Float32Array(4) },
    })
    const text = linear().replace(at('one'), at('other'))
    const { code, out, err } = await treeline('merge', written('m.yaml', text), at('dry'), '--dry-run')
    expect(code).toBe(1)
    expect(err).toMatch(/^treeline: .*\n$/)
    expect(`${out}${err}`).toMatch(/layers in model\.layers/)
  })

  it('--check lists mistakes as JSON, exit 1; without mistakes exit 0; nothing is written', async () => {
    const before = readdirSync(root).sort()
    const bad = written('m.yaml', `${linear()}normalise: true\ndtype: f17\n`)
    const first = await treeline('merge', bad, at('dry'), '--check', '--json')
    expect([first.code, first.err]).toEqual([1, `treeline: ${bad}: 2 problems found\n`])
    const { problems, ...rest } = JSON.parse(first.out) as { problems: object[] }
    expect(Object.keys(rest)).toEqual(['tensors', 'bytes', 'seconds'])
    expect(problems).toEqual([
      { where: `${bad}:5`, message: expect.stringMatching(/^unknown key "normalise"/) },
      { where: `${bad}:6`, message: expect.stringMatching(/^dtype: unknown type "f17"/) },
    ])
    const good = await treeline('merge', written('m.yaml', linear()), '--check')
    expect([good.code, good.err]).toEqual([0, ''])
    expect(good.out).toMatch(/no problems found; 5 tensors, 52 B/)
    expect(readdirSync(root).sort()).toEqual(before)
    const none = await treeline('merge', bad)
    expect([none.code, none.err]).toEqual([2, expect.stringMatching(/expected CONFIG and OUT/)])
  })

  it('--replay makes the same bytes from a manifest; options that it decides are refused', async () => {
    const config = written('m.yaml', linear())
    expect(await treeline('merge', config, at('original'), '--quiet')).toMatchObject({ code: 0 })
    const manifest = join(at('original'), 'treeline-merge.json')
    const { code, out } = await treeline('merge', '--replay', manifest, at('replayed'), '--json')
    expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ tensors: 5 })])
    for (const name of ['model.safetensors', 'config.json', 'treeline-merge.json'])
      expect(readFileSync(join(at('replayed'), name)).equals(readFileSync(join(at('original'), name)))).toBe(
        true,
      )
    const seeded = await treeline('merge', '--replay', manifest, at('never'), '--seed', '3')
    expect([seeded.code, seeded.err]).toEqual([
      2,
      expect.stringMatching(/--seed: it has no effect with --replay/),
    ])
    const two = await treeline('merge', '--replay', manifest, config, at('never'))
    expect([two.code, two.err]).toEqual([2, expect.stringMatching(/expected one OUT/)])
    expect(existsSync(at('never'))).toBe(false)
  })

  it.each([
    ['normalise: true\n', 2, /m\.yaml:5: unknown key "normalise" in the configuration.*\n$/],
    [
      'parameters: {normalise: true}\n',
      2,
      /m\.yaml:5: unknown parameter "normalise" of linear: did you mean "normalize"/,
    ],
    ['dtype: [1]\n', 2, /m\.yaml:5: dtype: expected a text, got \[1\]/],
  ])('one line for %s', async (more, exit, message) => {
    const { code, err } = await treeline('merge', written('m.yaml', linear() + more), at('never'))
    expect([code, err.split('\n').length]).toEqual([exit, 2])
    expect(err).toMatch(message)
    expect(existsSync(at('never'))).toBe(false)
  })

  it('--lenient warns and goes on', async () => {
    const { code, err } = await treeline(
      'merge',
      written('m.yaml', `${linear()}normalise: true\n`),
      at('lenient'),
      '--lenient',
    )
    expect(code).toBe(0)
    expect(err).toContain('warning: ')
    expect(err).toContain('m.yaml:5: unknown key "normalise"')
  })

  it('a file that is not there, a model that is not there', async () => {
    expect((await treeline('merge', at('none.yaml'), at('x'))).err).toMatch(
      /cannot read .*none\.yaml: no such file/,
    )
    const { code, err } = await treeline(
      'merge',
      written('m.yaml', linear().replace(at('one'), at('gone'))),
      at('x'),
    )
    expect([code, err.trim()]).toEqual([
      1,
      expect.stringMatching(/cannot read .*gone: no such file or folder/),
    ])
  })
})

describe('treeline lines', () => {
  it('scales the change by depth; what lies outside the layers gets alpha', async () => {
    const { code, out } = await treeline('lines', at('zero'), at('one'), at('scaled'), '--alpha', '0.25')
    expect([code, out]).toEqual([0, expect.stringContaining('LiNeS α = 0.25, β = 0.75')])
    const values = [
      'embed_tokens',
      'layers.0.mlp.up_proj',
      'layers.1.mlp.up_proj',
      'layers.2.mlp.up_proj',
      'norm',
    ].map((name) => firstValue(at('scaled'), `model.${name}.weight`))
    expect(values).toEqual([0.25, 0.25, 0.625, 1, 0.25])
    expect(readFileSync(join(at('scaled'), 'README.md'), 'utf8')).toContain(
      'lines: { alpha: 0.25, beta: 0.75',
    )
  })

  it('α = 1, β = 0 is the tuned model, α = β = 0 the base, bit for bit', async () => {
    const random = Float32Array.from({ length: 2 }, (_, i) => Math.fround(Math.sin(i + 1) * 1e-3))
    writeModel('tuned', 1e3)
    const tensors = readSafetensors(join(at('tuned'), 'model.safetensors')).tensors
    writeSafetensors(
      join(at('tuned'), 'model.safetensors'),
      new Map([...tensors, ['model.norm.weight', { dtype: 'F32', shape: [2], data: random }]]),
    )
    writeModel('far', 12345.678)
    await treeline('lines', at('far'), at('tuned'), at('same'), '--alpha', '1', '--beta', '0')
    expect(firstValue(at('same'), 'model.norm.weight')).toBe(random[0])
    await treeline('lines', at('far'), at('tuned'), at('back'), '--alpha', '0', '--beta', '0')
    expect(firstValue(at('back'), 'model.norm.weight')).toBe(Math.fround(12345.678))
  })

  it('--explain shows the block and the factor of every tensor and writes nothing', async () => {
    const { code, out } = await treeline(
      'lines',
      ...[at('zero'), at('one'), at('shown'), '--alpha', '0.25', '--explain'],
    )
    expect(code).toBe(0)
    expect(out).toMatch(/^model\.embed_tokens\.weight \[2\] F32 {2}outside layers; factor 0\.25;/m)
    expect(out).toMatch(/^model\.layers\.1\.mlp\.up_proj\.weight \[3\] F32 {2}layer 2 of 3; factor 0\.625;/m)
    expect(existsSync(at('shown'))).toBe(false)
  })

  it('keeps the type of the tuned model, and --explain shows the factor of every tensor', async () => {
    for (const [name, value] of [
      ['half0', 0],
      ['half1', 1.5],
    ] as const) {
      writeModel(name, value)
      const { tensors } = readSafetensors(join(at(name), 'model.safetensors'))
      const halves = [...tensors].map(([tensor, { shape, data }]) => {
        return [tensor, { dtype: 'BF16', shape, data: encodeF32(data as Float32Array, 'BF16') }] as const
      })
      writeSafetensors(join(at(name), 'model.safetensors'), new Map(halves))
    }
    const words = ['lines', at('half0'), at('half1'), at('half'), '--alpha', '0.3']
    const { out, code } = await treeline(...words, '--explain')
    expect(code).toBe(0)
    for (const row of [
      /embed_tokens.*factor 0\.3\b/,
      /layers\.1\..*factor 0\.65\b/,
      /layers\.2\..*factor 1\b/,
    ])
      expect(out).toMatch(row)
    await treeline(...words)
    const { tensors } = readSafetensors(join(at('half'), 'model.safetensors'))
    expect(new Set([...tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['BF16']))
    // 0.3 · 1.5, 0.65 · 1.5 and 1.5, each rounded once
    const first = (name: string) => tensors.get(name)!.data.slice(0, 2)
    for (const [name, value] of [
      ['model.norm.weight', 0.45],
      ['model.layers.1.mlp.up_proj.weight', 0.975],
      ['model.layers.2.mlp.up_proj.weight', 1.5],
    ] as const)
      expect([...new Uint8Array(first(name).buffer, 0, 2)]).toEqual([
        ...encodeF32(Float32Array.of(value), 'BF16'),
      ])
  })

  it('wants alpha, a number', async () => {
    expect((await treeline('lines', at('zero'), at('one'), at('y'))).code).toBe(2)
    const { code, err } = await treeline('lines', at('zero'), at('one'), at('y'), '--alpha', 'auto')
    expect([code, err]).toEqual([2, expect.stringContaining('--alpha: expected a number, got auto')])
  })
})

describe('treeline diff', () => {
  it('norms, cosines and the change of each layer', async () => {
    const { code, out } = await treeline('diff', at('one'), at('scaled'), '--json')
    expect(code).toBe(0)
    const diff = JSON.parse(out) as {
      tensors: { name: string; normA: number; normB: number; change: number; cosine: number }[]
      layers: { stack: string; layer: number | null; relative: number }[]
      change: number
    }
    // one: all 1; scaled: 0.25 outside, 0.25, 0.625, 1 in the layers
    const first = diff.tensors.find(({ name }) => name === 'model.layers.1.mlp.up_proj.weight')!
    expect(first.normA).toBeCloseTo(Math.sqrt(3), 12)
    expect(first.normB).toBeCloseTo(0.625 * Math.sqrt(3), 12)
    expect(first.change).toBeCloseTo(0.375 * Math.sqrt(3), 12)
    expect(first.cosine).toBeCloseTo(1, 12)
    const inLayers = diff.layers.filter(({ layer }) => layer !== null)
    expect(inLayers.map(({ relative }) => relative)).toEqual(
      [0.75, 0.375, 0].map((x) => expect.closeTo(x, 12)),
    )
    expect(diff.change).toBeCloseTo(Math.sqrt(4 * 0.75 ** 2 + 3 * 0.75 ** 2 + 3 * 0.375 ** 2), 12)
  })

  it('a strip over the layers, for people', async () => {
    const { out } = await treeline('diff', at('one'), at('scaled'))
    expect(out).toContain('4 of 5 shared tensors differ')
    expect(out).toContain('model.layers: |█▄ | 3 layers, 0 % to 75 %')
  })

  it('the same model, nothing in common, no such file', async () => {
    expect((await treeline('diff', at('one'), at('one'))).out).toContain('0 of 5 shared tensors differ')
    writeSafetensors(at('strange.safetensors'), {
      x: { dtype: 'F32', shape: [1], data: new Float32Array(1) },
    })
    expect((await treeline('diff', at('one'), at('strange.safetensors'))).err).toMatch(/no tensor in common/)
    expect((await treeline('diff', at('one'), at('nowhere'))).code).toBe(1)
  })
})
