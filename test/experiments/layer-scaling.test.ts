/** @file Scaling by depth: schedules and their identities, gains against made rows, rewards, and what is refused. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { gainOver, scalingFindings } from '../../src/experiments/layer-scaling/findings.ts'
import { rewardsOf } from '../../src/experiments/layer-scaling/policies.ts'
import type { Found, MergeRow } from '../../src/experiments/layer-scaling/rows.ts'
import {
  alphaByNorms,
  factorsOf,
  type Scheme,
  scaled,
  schemes,
} from '../../src/experiments/layer-scaling/schedules.ts'
import { mergedWeights, type Weights } from '../../src/experiments/merging/tensors.ts'
import { checkTaskNames } from '../../src/experiments/tasks/pictures/sources.ts'
import { random } from '../../src/tensor/index.ts'

const key = random.key(5)
const names = ['embedding', 'blocks.0.w', 'blocks.1.w', 'blocks.2.w', 'blocks.3.w', 'norm.weight']
const shapes = new Map(names.map((name) => [name, [2, 3]]))
const model = (seed: number): Weights =>
  new Map(names.map((name, i) => [name, random.sampleNormal(random.key(10 * seed + i), 6)]))
const [base, a, b] = [model(0), model(1), model(2)]
const list = (weights: Weights): number[] => [...weights.values()].flatMap((values) => [...values])

describe('schedules', () => {
  it('are LiNeS, the same factors backwards, in another order, and their mean', () => {
    const of = (scheme: Scheme) => [...factorsOf(scheme, names, { alpha: 0.25, beta: 0.75, key }).values()]
    expect(of('lines')).toEqual([0.25, 0.25, 0.5, 0.75, 1, 0.25])
    expect(of('reversed')).toEqual([0.25, 1, 0.75, 0.5, 0.25, 0.25])
    expect(of('constant')).toEqual([0.25, 0.625, 0.625, 0.625, 0.625, 0.25])
    expect(of('plain')).toEqual([0.25, 0.25, 0.25, 0.25, 0.25, 0.25])
    const shuffled = of('shuffled')
    expect([shuffled[0], shuffled[5]]).toEqual([0.25, 0.25])
    expect(shuffled.slice(1, 5).sort()).toEqual([0.25, 0.5, 0.75, 1])
  })

  it('give the fine-tuned model at α = 1, β = 0 and the pretrained one at 0, bit for bit, whatever the schedule', () => {
    for (const scheme of schemes) {
      const at = (alpha: number) => scaled(base, a, factorsOf(scheme, names, { alpha, beta: 0, key }))
      expect(list(at(1))).toEqual(list(a))
      expect(list(at(0))).toEqual(list(base))
    }
  })

  it('have no division by zero with one block, whose factor is α + β', () => {
    const one = ['embedding', 'blocks.0.w']
    for (const scheme of ['lines', 'reversed', 'constant', 'shuffled'] as const)
      expect(factorsOf(scheme, one, { alpha: 0.25, beta: 0.5, key }).get('blocks.0.w')).toBe(0.75)
  })

  it('scale changes, so that scaling a scaled model is scaling by the product', () =>
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 1, noNaN: true }), (by) => {
        const factors = factorsOf('lines', names, { alpha: 0.25, beta: 0.5, key })
        const twice = scaled(base, scaled(base, a, factors), new Map(names.map((name) => [name, by])))
        const once = scaled(base, a, new Map([...factors].map(([name, f]) => [name, f * by])))
        for (const [i, v] of list(once).entries()) expect(list(twice)[i]).toBeCloseTo(v, 5)
      }),
      { numRuns: 20 },
    ))

  it('take α = 1/N for task arithmetic, and more where a merge is smaller than the sum', () => {
    const merge = (method: string, parameters: object) =>
      mergedWeights({
        ...{ method, base, shapes, key },
        models: [a, b].map((weights) => ({ weights, parameters: { ...parameters } })),
      })
    expect(alphaByNorms(base, [a, b], merge('task_arithmetic', { weight: 1 }))).toBeCloseTo(1 / 2, 5)
    expect(alphaByNorms(base, [a, b], merge('ties_global', { density: 0.2 }))).toBeGreaterThan(1 / 2)
  })
})

describe('merging in memory', () => {
  it('refuses a method that is not there', () => {
    expect(() => mergedWeights({ method: 'tie', base, shapes, key, models: [{ weights: a }] })).toThrow(
      'there is no merge method tie',
    )
  })
})

describe('rewards', () => {
  it('give 1 for what is right, and take 1 for an error to one side', () => {
    const [first, second] = rewardsOf(4)
    expect(first).toEqual([
      [1, 0, -1, -1],
      [0, 1, -1, -1],
      [0, 0, 1, 0],
      [0, 0, 0, 1],
    ])
    expect(second[2]).toEqual([-1, -1, 1, 0])
    expect(second[0]).toEqual([1, 0, 0, 0])
  })
})

describe('findings', () => {
  /** Rows of three replicas in which LiNeS is better by `gain`, ± a little. */
  const rows = (gain: number): Found[] =>
    [0, 1, 2].flatMap((replica) =>
      schemes.flatMap((scheme): Found[] => {
        const test = 0.6 + 0.01 * replica + (scheme === 'lines' ? gain + 0.001 * replica : 0)
        const row: MergeRow = {
          ...{ of: 'merge', method: 'task_arithmetic', scheme, alpha: 0.5, beta: 0.5, validation: 0.6 },
          ...{ isChosen: true, test, absolute: test / 2, control: 0.5 },
        }
        return [
          { part: 'scaling', seed: 0, replica, ...row },
          {
            part: 'scaling',
            seed: 0,
            replica,
            ...row,
            isChosen: false,
            test: null,
            absolute: null,
            control: null,
          },
        ]
      }),
    )
  const gainClaim = (gain: number) =>
    scalingFindings(rows(gain)).claims.find(({ claim }) => claim.startsWith('task arithmetic: LiNeS gains'))!

  it('take gains replica by replica from the chosen merges', () => {
    const { value, error } = gainOver(rows(0.05) as never, 'task_arithmetic', 'plain')
    expect(value).toBeCloseTo(0.051, 10)
    expect(error).toBeCloseTo(0.001 / Math.sqrt(3), 10)
  })

  it('say that scaling helps, that it does not, and that nothing is no gain', () => {
    expect(gainClaim(0.05).outcome).toBe('holds')
    expect(gainClaim(-0.05).outcome).toBe('fails')
    expect(gainClaim(-0.001).outcome).toBe('fails')
  })
})

it('refuses tasks that are not there or there twice, with the nearest', () => {
  expect(() => checkTaskNames(['mnist', 'glyph'])).toThrow(
    'config.tasks: no task "glyph", did you mean "glyphs"',
  )
  expect(() => checkTaskNames(['mnist', 'mnist'])).toThrow('config.tasks: "mnist" stands there twice')
  expect(() => checkTaskNames(['./my/pictures', 'shapes'])).not.toThrow()
})
