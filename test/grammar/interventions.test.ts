/** What stands below one hidden symbol is changed, and nothing else; each choice is as frequent as the others. */
import { expect, test } from 'vitest'
import { type Grammar, intervene, makeGrammar, sampleTrees, type Trees } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

const grammar = makeGrammar({ v: 5, classes: 4, m: 3, s: 2, L: 3 }, random.key(1))
const trees = sampleTrees(grammar, random.key(2), 80)

/** Symbols of a level of one tree. */
const at = ({ levels, count }: Trees, level: number, tree: number): number[] => {
  const all = [...levels[level]!]
  const width = all.length / count
  return all.slice(tree * width, (tree + 1) * width)
}
/** The tuples that a symbol of a level may become, as text. */
const tuples = ({ rules, m, s }: Grammar, level: number, symbol: number): string[] =>
  Array.from({ length: m }, (_, k) =>
    rules[level]!.slice((symbol * m + k) * s, (symbol * m + k + 1) * s).join(),
  )

const places = [
  { height: 1, node: 2 },
  { height: 2, node: 0 },
  { height: 3, node: 0 },
]

test.each(places)(
  'height $height, node $node: only its subtree changes, and stays a derivation',
  ({ height, node }) => {
    const top = 3 - height
    for (const what of ['symbol', 'rule'] as const) {
      const changed = intervene(grammar, trees, { height, node }, what, random.key(3))
      expect(changed.count).toBe(trees.count)
      for (let tree = 0; tree < trees.count; tree++) {
        for (let level = 0; level <= 3; level++) {
          const [before, after] = [at(trees, level, tree), at(changed, level, tree)]
          const width = level < top ? 0 : 2 ** (level - top)
          const outside = (list: number[]) =>
            list.filter((_, i) => i < node * width || i >= (node + 1) * width || width === 0)
          expect(outside(after)).toEqual(outside(before))
          if (level === top) expect(after[node] === before[node]).toBe(what === 'rule')
          if (level === top + 1)
            expect(after.slice(node * 2, node * 2 + 2)).not.toEqual(before.slice(node * 2, node * 2 + 2))
          // every symbol of the subtree stands above one of its own tuples
          if (level < 3)
            for (let i = node * width; i < (node + 1) * width; i++)
              expect(tuples(grammar, level, after[i]!)).toContain(
                at(changed, level + 1, tree)
                  .slice(2 * i, 2 * i + 2)
                  .join(),
              )
        }
      }
    }
  },
)

test('the other symbols and the other rules are drawn uniformly', () => {
  const many = sampleTrees(grammar, random.key(4), 6000)
  const place = { height: 1, node: 3 }
  const replaced = intervene(grammar, many, place, 'symbol', random.key(5))
  const redrawn = intervene(grammar, many, place, 'rule', random.key(6))
  const steps = Array<number>(5).fill(0)
  const pairs = new Map<string, number>()
  for (let tree = 0; tree < many.count; tree++) {
    const [was, is] = [many.levels[2]![tree * 4 + 3]!, replaced.levels[2]![tree * 4 + 3]!]
    steps[(is - was + 5) % 5]!++
    const tuple = (of: Trees): string => of.levels[3]!.slice(tree * 8 + 6, tree * 8 + 8).join()
    pairs.set(`${tuple(many)}→${tuple(redrawn)}`, (pairs.get(`${tuple(many)}→${tuple(redrawn)}`) ?? 0) + 1)
  }
  expect(steps[0]).toBe(0)
  for (const count of steps.slice(1)) expect(Math.abs(count - 1500)).toBeLessThan(5 * Math.sqrt(1500))
  // of m = 3 rules of 5 symbols: 6 ordered pairs of different ones each
  expect(pairs.size).toBe(30)
})

test.each([
  [{ height: 0, node: 0 }, /^height: expected an integer from 1 to 3, got 0/],
  [{ height: 4, node: 0 }, /^height: expected an integer from 1 to 3, got 4/],
  [{ height: 2, node: 2 }, /^node: expected an integer from 0 to 1 at height 2, got 2/],
] as const)('%j is refused', (place, message) => {
  expect(() => intervene(grammar, trees, place, 'symbol', random.key(0))).toThrow(message)
})

test('one rule leaves nothing to choose', () => {
  const single = makeGrammar({ v: 3, classes: 3, m: 1, s: 2, L: 2 }, random.key(0))
  const few = sampleTrees(single, random.key(1), 4)
  expect(() => intervene(single, few, { height: 1, node: 0 }, 'rule', random.key(2))).toThrow(
    'expected at least 2 rules to choose from, got 1',
  )
})
