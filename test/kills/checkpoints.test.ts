/** @file Commands that write checkpoints, ended at every change of a file: merge, convert, task vectors. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { writeSafetensors } from '../../src/checkpoint/index.ts'
import { random } from '../../src/tensor/index.ts'
import { command } from './command.ts'
import { endAtEveryChange } from './everyChange.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-kills-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (...names: string[]): string => join(root, ...names)

const layers = 2
beforeAll(() => {
  for (const [i, model] of ['base', 'a', 'b'].entries()) {
    mkdirSync(at(model))
    const tensors = Array.from({ length: layers }, (_, n) =>
      ['up', 'down'].map((kind, k) => {
        const data = random.sampleNormal(random.key(100 * i + 10 * n + k), 64)
        return [`model.layers.${n}.mlp.${kind}_proj.weight`, { dtype: 'F32', shape: [8, 8], data }] as const
      }),
    ).flat()
    writeSafetensors(at(model, 'model.safetensors'), new Map(tensors))
    writeFileSync(at(model, 'config.json'), JSON.stringify({ num_hidden_layers: layers }))
    writeFileSync(at(model, 'tokenizer.json'), JSON.stringify({ model: { vocab: { a: 0 } } }))
  }
  const source = (model: string): string => `- {model: ${at(model)}, parameters: {weight: 1, density: 0.5}}\n`
  writeFileSync(
    at('merge.yaml'),
    `merge_method: dare_ties\nbase_model: ${at('base')}\nmodels:\n${source('a')}${source('b')}lines: {alpha: auto, beta: 0.5}\ndtype: bfloat16\n`,
  )
})

const shards = ['--quiet', '--threads', '1', '--shard-size', '300']

it('merge', async () => {
  const out = at('merged')
  expect(
    await endAtEveryChange({ out, run: command('merge', at('merge.yaml'), out, ...shards) }),
  ).toBeGreaterThan(40)
})

it('merge --force, over another merge', async () => {
  const out = at('forced')
  const prepare = (): void => {
    mkdirSync(out)
    writeFileSync(join(out, 'model.safetensors'), readFileSync(at('a', 'model.safetensors')))
    writeFileSync(join(out, 'config.json'), '{}')
  }
  await endAtEveryChange({ out, prepare, run: command('merge', at('merge.yaml'), out, '--force', ...shards) })
})

it.each([
  ['to a folder', 'folder', ['--shard-size', '300B']],
  ['to a file', 'file.safetensors', []],
])('convert %s', async (_, name, more) => {
  const out = at(name)
  await endAtEveryChange({ out, run: command('convert', at('a'), out, '--dtype', 'f16', ...more) })
})

it('vector extract', async () => {
  const out = at('vector.safetensors')
  await endAtEveryChange({ out, run: command('vector', 'extract', at('base'), at('a'), out) })
})

it('vector apply', async () => {
  const [vector, out] = [at('applied.safetensors'), at('applied')]
  await command('vector', 'extract', at('base'), at('a'), vector)()
  await endAtEveryChange({ out, run: command('vector', 'apply', at('base'), vector, out) })
})

it('lines', async () => {
  const out = at('lines')
  await endAtEveryChange({
    out,
    run: command('lines', at('base'), at('a'), out, '--alpha', '0.3', '--quiet', '--threads', '1'),
  })
})
