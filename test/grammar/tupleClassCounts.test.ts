/** What a tuple tells of the class: two exact routes, and counts of many trees. */
import { expect, test } from 'vitest'
import {
  countedTupleClassNoise,
  exactTupleClassSignal,
  makeGrammar,
  meanTupleClassSignal,
  sampleTrees,
  symbolsGivenClass,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

const shape = { v: 6, classes: 6, m: 3, s: 2, L: 3 }
const grammar = makeGrammar(shape, random.key(1))

test('tuple–class correlations: exact signal by two routes, noise falls as 1/P', () => {
  // in this grammar every symbol occurs at every patch, so that patches weigh the same
  const full = makeGrammar({ ...shape, m: 5 }, random.key(1))
  const patches = [0, 1, 2, 3].map((patch) => exactTupleClassSignal(full, patch))
  expect(meanTupleClassSignal(full)).toBeCloseTo(patches.reduce((a, b) => a + b, 0) / 4, 10)

  // symbols counted in many trees
  const count = 40000
  const trees = sampleTrees(grammar, random.key(11), count)
  const exact = symbolsGivenClass(grammar, 2)
  const counts = new Float64Array(exact.length)
  for (let i = 0; i < count; i++)
    for (let node = 0; node < 4; node++)
      counts[(trees.levels[0]![i]! * 4 + node) * 6 + trees.levels[2]![i * 4 + node]!]! += 6 / count
  for (const [i, p] of exact.entries()) expect(Math.abs(counts[i]! - p)).toBeLessThan(0.04)

  const noise = [1000, 4000, 16000].map((P) => countedTupleClassNoise(grammar, trees, P))
  expect(noise[0]! / noise[1]!).toBeCloseTo(4, 0)
  expect(noise[1]! / noise[2]!).toBeCloseTo(4, 0)
  // v m n_c / P, less what classes are certain of
  expect(noise[2]! * 16000).toBeGreaterThan(0.5 * 108)
  expect(noise[2]! * 16000).toBeLessThan(108)
})
