/** @file Merge methods against mergekit 0.1.5 itself, tensor for tensor, and the messages for bad input. */
import { describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { mergeMethods } from '../../src/merge/index.ts'
import { random } from '../../src/tensor/index.ts'
import { l1 } from './arrays.ts'
import { cases, compare, inputOf, names, stored } from './merges.ts'

const isRandom = (id: string): boolean => /random|unscaled/.test(id)
const isLines = (id: string): boolean => id.startsWith('lines-')
/** Methods in which a sum over the tensor (a norm, a dot product) decides; torch sums in another order, in f32. */
const sums = /^(slerp|nuslerp|multislerp|karcher|model_stock|sce)|rescale/
const fixed = Object.entries(cases).filter(([id]) => !isRandom(id) && !isLines(id))

describe('mergekit 0.1.5', () => {
  it.each(fixed.filter(([id]) => !sums.test(id)))('%s, bit for bit', (id, config) => {
    const merge = (name: string) => mergeMethods[config.merge_method]!.merge(inputOf(config, name))
    expect(compare(id, merge).different).toBe(0)
  })

  it.each(fixed.filter(([id]) => sums.test(id)))('%s, within 1e-6 of the largest element', (id, config) => {
    const merge = (name: string) => mergeMethods[config.merge_method]!.merge(inputOf(config, name))
    expect(compare(id, merge).worst).toBeLessThan(1e-6)
  })

  it('every method of mergekit has a case', () => {
    const covered = new Set(Object.values(cases).map((config) => config.merge_method))
    const ours = [
      'uniform_soup',
      'rewarded_soup',
      'wise_ft',
      'consensus',
      'tall_mask',
      'ties_global',
      'isotropic',
    ]
    expect(
      Object.keys(mergeMethods)
        .filter((name) => !covered.has(name))
        .sort(),
    ).toEqual(ours.sort())
  })

  it.each(Object.entries(cases).filter(([id]) => isRandom(id)))(
    '%s: kept elements keep their share, and the L1 norm where rescaled',
    (id, config) => {
      // what mergekit drew is unknown, but which elements it kept shows; they must be our δ times one factor
      for (const name of names) {
        const base = stored(`input/base/${name}`).values
        const whole = stored(`input/a/${name}`).values.map((x, i) => x - base[i]!)
        const theirs = stored(`${id}/${name}`).values
        const kept = whole.map((x, i) => (theirs[i] === base[i] ? 0 : x))
        const factor = id.endsWith('unscaled') || l1(kept) === 0 ? 1 : l1(whole) / l1(kept)
        for (const [i, x] of kept.entries())
          expect(Math.abs(base[i]! + x * factor - theirs[i]!)).toBeLessThan(1e-6)
      }
      // ours, drawn from our keys, obeys the same rule
      const input = inputOf(config, 'model.embed_tokens.weight')
      const whole = input.models[0]!.values.map((x, i) => x - input.base![i]!)
      const delta = mergeMethods[config.merge_method]!.merge(input).map((x, i) => x - input.base![i]!)
      expect(delta.some((x, i) => x === 0 && whole[i] !== 0)).toBe(true)
      if (!id.endsWith('unscaled')) expect(l1(delta) / l1(whole)).toBeCloseTo(1, 4)
    },
  )
})

describe('bad input', () => {
  const good = {
    name: 'w',
    shape: [2],
    base: Float32Array.of(1, 2),
    models: [{ values: Float32Array.of(2, 3), parameters: { weight: 1 } }],
    parameters: {},
    key: random.key(0),
  }
  const refusals: [string, string, object, RegExp][] = [
    [
      'task_arithmetic',
      'no weight',
      { models: [{ values: good.base, parameters: {} }] },
      /"weight" is missing/,
    ],
    ['task_arithmetic', 'a typo', { parameters: { lamda: 1 } }, /did you mean "lambda"/],
    [
      'ties',
      'a density above 1',
      { models: [{ values: good.base, parameters: { weight: 1, density: 50 } }] },
      /density: expected a number from 0 to 1, got 50/,
    ],
    ['ties', 'NaN', { parameters: { lambda: Number.NaN } }, /lambda: expected a number, got NaN/],
    [
      'ties',
      'text for a boolean',
      { parameters: { normalize: 'yes' } },
      /normalize: expected true or false, got "yes"/,
    ],
    ['ties', 'no base', { base: undefined }, /w has no base values/],
    [
      'slerp',
      'two models',
      { models: [...good.models, ...good.models], parameters: { t: 0.5 } },
      /expected 1 model besides the base, got 2/,
    ],
    [
      'model_stock',
      'one model',
      { models: [{ values: good.base, parameters: {} }] },
      /at least 2 models besides the base, got 1/,
    ],
    [
      'linear',
      'weights that cancel',
      { models: [...good.models, { values: good.base, parameters: { weight: -1 } }] },
      /sum is not 0/,
    ],
    [
      'rewarded_soup',
      'weights beside the simplex',
      { models: [{ values: good.base, parameters: { weight: 0.4 } }] },
      /sum to 1/,
    ],
    [
      'della',
      'too large an epsilon',
      { models: [{ values: good.base, parameters: { weight: 1, density: 0.9 } }] },
      /lower epsilon/,
    ],
    ['tall_mask', 'a task that is not there', { parameters: { task: 2 } }, /task: expected 1 to 1, got 2/],
    [
      'task_arithmetic',
      'unequal lengths',
      { base: Float32Array.of(1) },
      /expected 2 values for shape \[2\], got 1/,
    ],
  ]
  it.each(refusals)('%s: %s', (method, _, change, message) => {
    const action = () => mergeMethods[method]!.merge({ ...good, ...change })
    expect(action).toThrow(TreelineError)
    expect(action).toThrow(message)
  })

  it('leaves its inputs as they are', () => {
    for (const [id, config] of Object.entries(cases)) {
      const input = inputOf(config, 'model.norm.weight')
      const before = [input.base, ...input.models.map(({ values }) => values)].map((x) => x?.slice())
      const out = mergeMethods[config.merge_method]!.merge(input)
      expect([input.base, ...input.models.map(({ values }) => values)], id).toEqual(before)
      expect([input.base, ...input.models.map(({ values }) => values)]).not.toContain(out)
    }
  })
})
