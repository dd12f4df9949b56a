/** @file Trees: dotted names and back, structure kept and compared. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  entries,
  fromEntries,
  leaves,
  mapTree,
  type Tree,
  tensor,
  unflatten,
  zipTrees,
} from '../../src/tensor/index.ts'

/** Names a tree may have: no dots, not empty; `__proto__` and digits among them. */
const key = fc.oneof(
  fc.string({ minLength: 1, maxLength: 6 }).filter((s) => !s.includes('.')),
  fc.constantFrom('__proto__', 'constructor', '0', '1', 'weight', 'length', 'toString'),
)
const leaf = fc.oneof(fc.integer(), fc.constant(null), fc.string(), fc.boolean())
/** Trees without empty branches, whose records do not look like lists. */
const { tree } = fc.letrec<{ tree: Tree<unknown> }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
    fc
      .uniqueArray(fc.tuple(key, tie('tree')), { selector: ([k]) => k, minLength: 1, maxLength: 4 })
      .filter((list) => !list.every(([k]) => list.some((_, i) => k === String(i))))
      .map((list) => Object.fromEntries(list) as Tree<unknown>),
  ),
}))

describe('entries and fromEntries', () => {
  it('are inverse', () => {
    fc.assert(
      fc.property(tree, (t) => {
        const list = entries(t)
        expect(fromEntries(list)).toEqual(t)
        expect(entries(fromEntries(list))).toEqual(list)
        expect(new Set(list.map(([name]) => name)).size).toBe(list.length)
      }),
    )
  })
  it('do not mind the order of names', () => {
    fc.assert(
      fc.property(
        tree.chain((t) =>
          fc.tuple(fc.constant(t), fc.shuffledSubarray(entries(t), { minLength: entries(t).length })),
        ),
        ([t, list]) => {
          const sorted = (x: Tree<unknown>): [string, unknown][] =>
            entries(x).sort(([a], [b]) => (a < b ? -1 : 1))
          expect(sorted(fromEntries(list))).toEqual(sorted(t))
        },
      ),
    )
  })
  it('name leaves as safetensors files do', () => {
    const model: Tree<number> = { blocks: [{ weight: 1, bias: 2 }, { weight: 3 }], head: 4 }
    expect(entries(model)).toEqual([['blocks.0.weight', 1], ['blocks.0.bias', 2], ['blocks.1.weight', 3], ['head', 4]]) // biome-ignore format: a list
    expect(fromEntries([['a.0', 1], ['a.2', 2]])).toEqual({ a: { 0: 1, 2: 2 } }) // biome-ignore format: a list
    expect(fromEntries(Array.from({ length: 12 }, (_, i) => [`a.${i}`, i]))).toEqual({
      a: Array.from({ length: 12 }, (_, i) => i),
    })
    const t = tensor([1, 2])
    expect(fromEntries([['', t]])).toBe(t)
    expect(entries(t)).toEqual([['', t]])
    expect(entries({ a: undefined, b: [], c: {} })).toEqual([])
    expect(fromEntries([])).toEqual({})
  })
  it('take specs and other objects as leaves', () => {
    const spec = { shape: [2], dtype: 'f32' }
    expect(leaves<unknown>({ a: spec, b: [new Date(0)] })).toEqual([spec, new Date(0)])
  })
  it('refuse names that clash', () => {
    expect(() => fromEntries([['a', 1], ['a.b', 2]])).toThrow('name "a.b": "a" is already a leaf, it cannot hold others') // biome-ignore format: a list
    expect(() => fromEntries([['a.b', 1], ['a', 2]])).toThrow('name "a": it already holds others, it cannot be a leaf') // biome-ignore format: a list
    expect(() => fromEntries([['a', 1], ['a', 2]])).toThrow('name "a" appears twice') // biome-ignore format: a list
    expect(() => fromEntries([['', 1], ['a', 2]])).toThrow('a leaf without a name is the whole tree') // biome-ignore format: a list
    expect(() => fromEntries([['a', 1], ['', 2]])).toThrow('a leaf without a name is the whole tree') // biome-ignore format: a list
    expect(() => entries({ 'a.b': 1 })).toThrow('tree key "a.b": expected a name without dots')
    expect(() => entries({ '': 1 })).toThrow('tree key "": expected a name without dots')
  })
})

describe('mapTree, unflatten and zipTrees', () => {
  it('keep the structure', () => {
    fc.assert(
      fc.property(tree, (t) => {
        const names: string[] = []
        const wrapped = mapTree(t, (x, name) => {
          names.push(name)
          return String(x)
        })
        expect(names).toEqual(entries(t).map(([name]) => name))
        expect(entries(wrapped)).toEqual(entries(t).map(([name, x]) => [name, String(x)]))
        expect(unflatten(t, leaves(t))).toEqual(t)
        const zipped = zipTrees((a: unknown, b: unknown) => `${a}|${b}`, t, wrapped)
        expect(leaves(zipped)).toEqual(leaves(t).map((x) => `${x}|${x}`))
      }),
    )
  })
  it('name what differs', () => {
    const add = (a: number, b: number): number => a + b
    expect(zipTrees(add, { a: 1, b: [2] }, { a: 10, b: [20] })).toEqual({ a: 11, b: [22] })
    // the order of keys does not matter, their names do
    expect(zipTrees(add, { a: 1, b: 2 }, { b: 20, a: 10 })).toEqual({ a: 11, b: 22 })
    expect(() => zipTrees(add, { a: 1, b: 2 }, { a: 1 })).toThrow('trees differ: b missing')
    expect(() => zipTrees(add, { a: 1 }, { c: 1 })).toThrow('trees differ: a missing; c not expected')
    expect(() => unflatten({ a: 1, b: 2 }, [1])).toThrow('unflatten: expected 2 leaves, got 1')
    expect(() => unflatten({ a: 1 }, [1, 2])).toThrow('unflatten: expected 1 leaves, got 2')
  })
})
