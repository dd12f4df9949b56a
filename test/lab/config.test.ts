/** @file Config composition: words to values, refusals in words, hashes, commands that reproduce. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  canonicalJson,
  changedFields,
  composeConfig,
  configHash,
  defineExperiment,
  reproduceCommand,
  toJson,
} from '../../src/lab/index.ts'
import { makeToy, type ToyConfig } from './toy.ts'

const toy = makeToy()
const compose = (...set: string[]) => composeConfig(toy, { set }) as ToyConfig
const message = (...set: string[]) => {
  try {
    compose(...set)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('expected a refusal')
}

describe('config composition', () => {
  it('fills in defaults, then the preset, then assignments in order', () => {
    expect(composeConfig(toy)).toMatchObject({ steps: 20, noise: { size: 0.5, on: true } })
    expect(composeConfig(toy, { preset: 'paper' })).toMatchObject({
      steps: 100,
      noise: { size: 0.1, on: true },
    })
    const over = composeConfig(toy, {
      preset: 'paper',
      set: ['noise.on=false', 'steps=7'],
      values: { steps: 8 },
    })
    expect(over).toMatchObject({ steps: 8, noise: { size: 0.1, on: false } })
  })

  it('reads words as the type of their field', () => {
    expect(compose('rates=1,2.5').rates).toEqual([1, 2.5])
    expect(compose('rates=[1e-3]').rates).toEqual([0.001])
    expect(compose('kind=flat').kind).toBe('flat')
    expect(compose('limit=none').limit).toBe('none')
    expect(compose('limit=3').limit).toBe(3)
    expect(compose('noise={"size":2}').noise).toEqual({ size: 2, on: true })
    expect(compose('steps=3,start=0.5,rates=1,2')).toMatchObject({ steps: 3, start: 0.5, rates: [1, 2] })
  })

  it('says value, expectation and meaning when a value does not fit', () => {
    expect(message('steps=0')).toBe(
      'config.steps: expected an integer >= 1 and <= 1000, got 0 (how many steps to take)',
    )
    expect(message('steps=2.5')).toContain('expected an integer >= 1 and <= 1000, got 2.5')
    expect(message('start=big')).toBe('config.start: expected a number > 0, got "big"')
    expect(message('kind=steeep')).toBe('config.kind: expected one of steep, flat, got "steeep"')
    expect(message('rates=1,-2')).toBe('config.rates.1: expected a number > 0, got -2')
    expect(message('noise.on=yes')).toBe('config.noise.on: expected true or false, got "yes"')
    expect(message('limit=2.5')).toContain('config.limit: expected none or an integer, got "2.5"')
    expect(message('steps')).toBe('--set steps: expected field=value, such as --set seed=1')
  })

  it('refuses unknown fields with the nearest valid one, at any depth', () => {
    expect(message('stesp=3')).toMatch(/^config\.stesp: there is no such field: did you mean "steps"\?/)
    expect(message('noise.sise=3')).toContain('did you mean "noise.size"?')
    expect(message('noise={"sise":3}')).toContain('config.noise.sise: there is no such field')
    expect(message('__proto__=3')).toContain('there is no such field')
    expect(() => composeConfig(toy, { preset: 'quik' })).toThrow(
      /toy has no such preset: did you mean "quick"/,
    )
  })

  it('shows the words of a refinement', () => {
    const picky = defineExperiment({
      name: 'picky',
      title: '',
      description: '',
      config: z
        .strictObject({ seed: z.int().default(0), a: z.int().default(1), b: z.int().default(2) })
        .refine(({ a, b }) => a < b, { path: ['a'], message: 'expected less than b' }),
      presets: { quick: {}, paper: {} },
      run: async () => ({}),
      summary: () => ({ headline: '', paragraph: '' }),
      figures: () => [],
    })
    expect(() => composeConfig(picky, { set: ['a=5'] })).toThrow('config.a: expected less than b, got 5')
  })

  it('refuses an experiment without defaults, without a seed, or with an odd name', () => {
    const base = { ...toy, presets: { quick: {}, paper: {} } }
    expect(() => defineExperiment({ ...base, name: 'No Good' })).toThrow(/expected a name of small letters/)
    const open = z.strictObject({ seed: z.int() })
    expect(() => defineExperiment({ ...base, config: open })).toThrow(/every config field needs a default/)
    const seedless = z.strictObject({}) as unknown as typeof open
    expect(() => defineExperiment({ ...base, config: seedless })).toThrow(/needs a whole number `seed`/)
  })
})

describe('hash and reproduction', () => {
  it('depends on every value, the name and the version, not on how the config was reached', () => {
    const hash = configHash(toy, composeConfig(toy, { preset: 'quick' }))
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    expect(configHash(toy, compose('steps=5'))).toBe(hash)
    expect(configHash(toy, compose('steps=6'))).not.toBe(hash)
    expect(configHash({ ...toy, version: 2 }, compose('steps=5'))).not.toBe(hash)
    expect(configHash({ ...toy, name: 'other' }, compose('steps=5'))).not.toBe(hash)
  })

  it('writes a command that gives the same config again', () => {
    const fields = fc.record({
      steps: fc.integer({ min: 1, max: 1000 }),
      start: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
      kind: fc.constantFrom('steep', 'flat'),
      rates: fc.array(fc.double({ min: 1e-9, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 4 }),
      limit: fc.oneof(fc.constant('none'), fc.integer()),
    })
    fc.assert(
      fc.property(fields, fc.boolean(), (values, on) => {
        const config = composeConfig(toy, { values: { ...values, 'noise.on': on } })
        const set = changedFields(toy, config).map(
          ([path, value]) => `${path}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
        )
        expect(composeConfig(toy, { set })).toEqual(config)
      }),
    )
    expect(reproduceCommand(toy, compose('steps=3', 'rates=1,2'))).toBe(
      "npx treeline run toy --set steps=3 --set 'rates=[1,2]'",
    )
  })

  it('makes canonical JSON: sorted, finite, independent of insertion order', () => {
    expect(canonicalJson({ b: 1, a: [Number.NaN, { d: undefined, c: 2 }] })).toBe(
      '{"a":[null,{"c":2}],"b":1}',
    )
    expect(toJson(Float32Array.of(1, Number.POSITIVE_INFINITY))).toEqual([1, null])
    const day = new Date(0)
    expect(toJson({ day })).toEqual(JSON.parse(JSON.stringify({ day })))
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (tree) => {
        const reversed = Object.fromEntries(Object.entries(tree).reverse())
        expect(canonicalJson(reversed)).toBe(canonicalJson(tree))
      }),
    )
  })
})
