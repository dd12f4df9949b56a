/** @file Differences of checkpoints: what is not finite is counted where it stands, names and layers in order, against definitions. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { type Checkpoint, openCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts'
import { type CheckpointDiff, diffCheckpoints, openVector, vectorNorms } from '../../src/merge/index.ts'
import { treeline } from '../cli/caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-diff-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let files = 0
type Values = Readonly<Record<string, readonly number[]>>
function write(values: Values): string {
  const path = join(root, `${files++}.safetensors`)
  writeSafetensors(
    path,
    Object.entries(values).map(([name, list]) => [
      name,
      { dtype: 'F32', shape: [list.length], data: Float32Array.from(list) },
    ]),
  )
  return path
}
function between<Result>(a: string, b: string, of: (a: Checkpoint, b: Checkpoint) => Result): Result {
  const [first, second] = [openCheckpoint(a), openCheckpoint(b)]
  try {
    return of(first, second)
  } finally {
    first.close()
    second.close()
  }
}
const diff = (a: Values, b: Values): CheckpointDiff => between(write(a), write(b), diffCheckpoints)
const printed = async (...args: string[]): Promise<string> => (await treeline(...args)).out

const [nan, inf] = [Number.NaN, Number.POSITIVE_INFINITY]
const w = [0, 1, 2, 3, 4, 5]

describe('values that are not finite', () => {
  it('are counted where they stand; totals are of what is finite in both', () => {
    const found = diff({ w, n: [1, nan, 2, 5] }, { w: w.map((x) => 2 * x), n: [1, 3, inf, 5] })
    const n = found.tensors.find(({ name }) => name === 'n')!
    expect(n).toMatchObject({ notFinite: [1, 1], differing: 2, change: 0, relative: 0 })
    expect(n.normA).toBeCloseTo(Math.hypot(1, 5), 12)
    expect(found.change).toBeCloseTo(Math.sqrt(55), 12)
    expect(found.relative).toBeCloseTo(Math.sqrt(55 / (55 + 26)), 12)
  })

  it('of equal bits do not differ', () => {
    const { tensors, change } = diff({ w, n: [1, nan, inf] }, { w, n: [1, nan, inf] })
    expect([change, ...tensors.map(({ differing }) => differing)]).toEqual([0, 0, 0])
    expect(tensors.find(({ name }) => name === 'n')!.notFinite).toEqual([2, 2])
    // −0 is 0, NaN of other bits is another NaN
    expect(diff({ n: [0] }, { n: [-0] }).tensors[0]!.differing).toBe(0)
  })

  it('agree with the definition wherever they stand', () => {
    const value = fc.oneof(fc.float({ noNaN: true, min: -100, max: 100 }), fc.constantFrom(nan, inf, -inf))
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 40 }), (pairs) => {
        const found = diff({ n: pairs.map(([a]) => a) }, { n: pairs.map(([, b]) => b) })
        const both = pairs.filter((pair) => pair.every(Number.isFinite))
        const change = Math.sqrt(both.reduce((sum, [a, b]) => sum + (a - b) ** 2, 0))
        expect(found.change).toBeCloseTo(change, 6)
        expect(found.tensors[0]!.notFinite).toEqual(
          [0, 1].map((side) => pairs.filter((pair) => !Number.isFinite(pair[side])).length),
        )
        expect(found.tensors[0]!.differing).toBe(
          pairs.filter(([a, b]) => a !== b && !(Number.isNaN(a) && Number.isNaN(b))).length,
        )
      }),
      { numRuns: 30 },
    )
  })

  it('are named by the command, and a tensor that became NaN is the largest change', async () => {
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`t${i}`, [1, 2]]))
    const [a, b] = [write({ ...many, odd: [1, 2] }), write({ ...many, odd: [1, nan] })]
    const text = await printed('diff', a, b)
    expect(text).toMatch(/^1 of 13 shared tensors differ; ‖b − a‖ = 0.000, 0 % of ‖a‖, of what is finite\n/)
    expect(text).toMatch('odd: 0 of 2 elements not finite in a, 1 in b\n')
    expect(text.split('largest changes')[1]).toMatch(/^\)\n[^\n]*odd\n/)
    expect(await printed('diff', b, b)).toMatch(/^0 of 13 shared tensors differ/)
  })

  it('are left out of norms of vectors, and said', async () => {
    const [a, b] = [write({ w, n: [1, nan, nan] }), write({ w: w.map((x) => 2 * x), n: [1, nan, 2] })]
    const norms = between(a, b, (base) => {
      const vector = openVector(b, base)
      try {
        return vectorNorms(vector)
      } finally {
        vector.close()
      }
    })
    expect(norms.l1).toBe(15)
    expect(norms.tensors.map(({ name, notFinite }) => [name, notFinite])).toEqual([
      ['n', 1],
      ['w', 0],
    ])
    expect(await printed('vector', 'norms', b, '--base', a)).toMatch('n: 1 elements not finite, left out')
  })
})

describe('names and order', () => {
  const model = (prefix: string, change: number): Values =>
    Object.fromEntries(
      Array.from(
        { length: 12 },
        (_, i) => [`${prefix}h.${i}.w`, [i + 1 + change]] as [string, number[]],
      ).concat([[`${prefix}wte.weight`, [1]]]),
    )

  it('a prefix that one model has is no difference; tables that programs compute are no tensors', () => {
    const found = diff({ ...model('', 0), 'h.0.attn.bias': [1, 1] }, model('transformer.', 1))
    expect([found.onlyA, found.onlyB]).toEqual([[], []])
    expect(found.tensors).toHaveLength(13)
    expect(found.change).toBeCloseTo(Math.sqrt(12), 12)
    expect(diff(model('transformer.', 1), model('', 1)).change).toBe(0)
    expect(() => diff({ a: [1] }, { b: [1] })).toThrow(/no tensor in common/)
  })

  it('layers stand in the order of their numbers', async () => {
    const found = diff(model('m.', 0), model('m.', 1))
    expect(found.layers.map(({ layer }) => layer)).toEqual([...Array.from({ length: 12 }, (_, i) => i), null])
    expect(found.tensors.map(({ name }) => name).slice(0, 12)).toEqual(
      Array.from({ length: 12 }, (_, i) => `m.h.${i}.w`),
    )
    const path = write(model('m.', 0))
    const listed = [...(await printed('inspect', path, '--norms')).matchAll(/^ *(\d+)\.w/gm)].map(
      ([, layer]) => Number(layer),
    )
    expect(listed).toEqual(Array.from({ length: 12 }, (_, i) => i))
  })
})
