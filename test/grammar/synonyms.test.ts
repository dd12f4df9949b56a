/** Synonyms exchanged, and how much layers mind: the latents not at all, a random layer as much as for another string. */
import { expect, test } from 'vitest'
import { exchangeSynonyms, makeGrammar, oneHot, parse, sampleTrees, whiten } from '../../src/grammar/index.ts'
import { sensitivity } from '../../src/nn/index.ts'
import { random } from '../../src/tensor/index.ts'

const shape = { v: 6, classes: 6, m: 3, s: 2, L: 3 }
const grammar = makeGrammar(shape, random.key(1))

test('synonyms: symbols above stay, every tuple changes, and the new ones are legal', () => {
  const trees = sampleTrees(grammar, random.key(2), 40)
  for (const height of [1, 2, 3]) {
    const changed = exchangeSynonyms(grammar, trees, height, random.key(7))
    const level = shape.L - height
    for (let k = 0; k <= level; k++) expect(changed.levels[k]).toEqual(trees.levels[k])
    expect(parse(grammar, changed.levels[3]!, 40).levels).toEqual(changed.levels)
    const [before, after] = [trees.levels[level + 1]!, changed.levels[level + 1]!]
    for (let node = 0; node < before.length; node += 2)
      expect([after[node], after[node + 1]]).not.toEqual([before[node], before[node + 1]])
  }
})

test('sensitivity: 0 for the latents, about 1 for a random layer, as a loop over pairs says', () => {
  const count = 300
  const trees = sampleTrees(grammar, random.key(8), count)
  const changed = exchangeSynonyms(grammar, trees, 1, random.key(9))
  const latents = (of: typeof trees) => oneHot(of.levels[2]!, shape.v)
  expect(sensitivity(latents(trees), latents(changed), count)).toBe(0)

  // each pair of leaves in 200 random directions
  const weights = random.sampleNormal(random.key(10), 200 * 2 * shape.v)
  const layer = (of: typeof trees): Float64Array => {
    const x = whiten(oneHot(of.levels[3]!, shape.v), shape.v)
    const out = new Float64Array(count * 4 * 200)
    for (let node = 0; node < count * 4; node++)
      for (let h = 0; h < 200; h++) {
        let sum = 0
        for (let i = 0; i < 2 * shape.v; i++)
          sum += weights[h * 2 * shape.v + i]! * x[node * 2 * shape.v + i]!
        out[node * 200 + h] = Math.max(0, sum)
      }
    return out
  }
  const [a, b] = [layer(trees), layer(changed)]
  const S = sensitivity(a, b, count)
  expect(S).toBeGreaterThan(0.85)
  expect(S).toBeLessThan(1.15)

  const few = 12
  const size = a.length / count
  const [p, q] = [a.subarray(0, few * size), b.subarray(0, few * size)]
  const distance = (x: Float64Array, i: number, y: Float64Array, j: number): number => {
    let sum = 0
    for (let k = 0; k < size; k++) sum += (x[i * size + k]! - y[j * size + k]!) ** 2
    return sum
  }
  let [moved, apart] = [0, 0]
  for (let i = 0; i < few; i++) {
    moved += distance(p, i, q, i) / few
    for (let j = 0; j < few; j++) apart += distance(p, i, p, j) / (few * (few - 1))
  }
  expect(sensitivity(p, q, few)).toBeCloseTo(moved / apart, 10)
})
