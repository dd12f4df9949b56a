/** @file The JSON Schemas against the readers of the files they describe. */
import { readFileSync } from 'node:fs'
import { Ajv, type ValidateFunction } from 'ajv'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { experiments } from '../../src/experiments/index.ts'
import { mergeMethods, parseMergeConfig } from '../../src/merge/index.ts'
import { treeline } from './caught.ts'

const compiled = new Map<string, ValidateFunction>()
async function schemaOf(kind: string): Promise<ValidateFunction> {
  const known = compiled.get(kind)
  if (known) return known
  const { code, out } = await treeline('schema', kind)
  expect(code).toBe(0)
  const made = new Ajv({ strict: false }).compile(JSON.parse(out))
  compiled.set(kind, made)
  return made
}

/** Does the reader take it? */
function isRead(text: string): boolean {
  try {
    parseMergeConfig(text, 'merge.yaml')
    return true
  } catch {
    return false
  }
}

describe('treeline schema merge', () => {
  it('accepts what mergekit plans and our reader takes', async () => {
    const valid = await schemaOf('merge')
    const { cases } = JSON.parse(readFileSync('test/fixtures/merge-configs.json', 'utf8'))
    const texts = (cases as { yaml: string }[]).map(({ yaml }) => yaml)
    const read = texts.filter(isRead)
    expect(read.length).toBeGreaterThan(20)
    for (const text of read) expect(valid(parse(text)), `${text}\n${JSON.stringify(valid.errors)}`).toBe(true)
  })

  const two = 'models:\n- {model: a}\n- {model: b}\nbase_model: c\n'
  it.each([
    ['a key that is none', `merge_method: linear\n${two}wieght: 1\n`],
    ['a method that is none', `merge_method: liner\n${two}`],
    ['a parameter of another method', `merge_method: linear\n${two}parameters: {density: 0.5}\n`],
    ['a parameter out of range', `merge_method: ties\n${two}parameters: {density: 2, weight: 1}\n`],
    [
      'a global parameter under a model',
      `merge_method: ties\nbase_model: c\nmodels:\n- {model: a, parameters: {weight: 1, lambda: 2}}\n`,
    ],
    ['models and slices', `merge_method: linear\n${two}slices: []\n`],
    ['no models', 'merge_method: linear\n'],
    ['lines without alpha', `merge_method: ties\n${two}parameters: {weight: 1}\nlines: {beta: 1}\n`],
  ])('refuses %s, as the reader does', async (_, text) => {
    const valid = await schemaOf('merge')
    expect(isRead(text)).toBe(false)
    expect(valid(parse(text))).toBe(false)
  })

  it('has every parameter of every method, with its words', async () => {
    const { out } = await treeline('schema', 'merge')
    const { allOf, definitions } = JSON.parse(out)
    for (const [i, { name, parameters }] of Object.values(mergeMethods).entries()) {
      expect(allOf[i].if.properties.merge_method.const).toBe(name)
      expect(allOf[i].then.properties.parameters).toEqual({ $ref: `#/definitions/${name}.parameters` })
      const { properties } = definitions[`${name}.all`]
      const specs = [...parameters.global, ...parameters.perModel].filter(({ computed }) => !computed)
      expect(Object.keys(properties).sort()).toEqual([...new Set(specs.map((spec) => spec.name))].sort())
      for (const { name: key, doc } of specs) expect(properties[key].description).toContain(doc)
    }
  })
})

describe('treeline schema sweep', () => {
  it('accepts sweeps of every experiment, and refuses fields that are none', async () => {
    const valid = await schemaOf('sweep')
    for (const { name } of experiments) {
      expect(valid({ experiment: name, preset: 'quick', repeat: 3, grid: { seed: [1, 2] } })).toBe(true)
      expect(valid([{ experiment: name, set: { seed: 4 }, filter: 'seed > 1' }])).toBe(true)
      for (const wrong of [
        { set: { sede: 1 } },
        { grid: { seed: 1 } },
        { preset: 'quik' },
        { repeat: 0 },
        { gird: {} },
      ])
        expect(valid({ experiment: name, ...wrong }), `${name} ${JSON.stringify(wrong)}`).toBe(false)
    }
    expect(valid({ experiment: './mine.mjs', grid: { anything: [1] } })).toBe(true)
    expect(valid({ experiment: 'digitz' })).toBe(false)
    expect(
      valid({ experiment: 'phase-transition', set: { thresholds: { grammars: 3 }, 'diagram.rows': 20 } }),
    ).toBe(true)
  })
})
