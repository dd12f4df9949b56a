/** @file Root beliefs of large grammars against values found by other programs, within the error of few data. */
import { describe, expect, it } from 'vitest'
import { inferUp, marginals, sampleTrees } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { grow } from './enumerate.ts'

/** Mean posterior of the true class and of the true leaves. `likelihood(true symbol, symbol, leaf)`. */
function beliefs(
  L: number,
  batch: number,
  seed: number,
  likelihood: (truth: number, symbol: number, leaf: number) => number,
): { root: number; leaf: number } {
  const grammar = grow({ v: 32, classes: 32, m: 8, s: 2, L }, seed)
  const trees = sampleTrees(grammar, random.key(seed + 1), batch)
  const leaves = trees.levels[L]!
  const rows = Float64Array.from({ length: leaves.length * 32 }, (_, k) =>
    likelihood(leaves[k >> 5]!, k & 31, k >> 5),
  )
  const found = marginals(grammar, inferUp(grammar, rows, batch))
  const mean = (level: number): number =>
    trees.levels[level]!.reduce((sum, y, n) => sum + found[level]![n * 32 + y]!, 0) /
    trees.levels[level]!.length
  return { root: mean(0), leaf: mean(L) }
}

const epsilon = (eps: number) => (truth: number, symbol: number) =>
  Number(truth === symbol) * (1 - eps) + eps / 32

describe('beliefs at v = 32, m = 8, s = 2', () => {
  // root beliefs of single data are near 0 or near 1: their mean over n has a standard error of at most 0.5/√n
  it.each([
    [0.65, 0.976, 0.94],
    [0.8, 0.031, 0.44],
  ])('ε-process, L = 9, ε = %d', (eps, root, leaf) => {
    const found = beliefs(9, 12, 3, epsilon(eps))
    expect(Math.abs(found.root - root)).toBeLessThan(0.1)
    expect(Math.abs(found.leaf - leaf)).toBeLessThan(0.03)
  })

  it('ε-process, L = 6: the root fades over a range of ε', () => {
    for (const [eps, root] of [
      [0.4, 0.983],
      [0.6, 0.916],
      [0.7, 0.622],
      [0.76, 0.128],
    ] as const)
      expect(Math.abs(beliefs(6, 80, 5, epsilon(eps)).root - root)).toBeLessThan(0.12)
  })

  it('masking, L = 9', () => {
    for (const [masked, root] of [
      [0.2, 0.91],
      [0.35, 0.08],
    ] as const) {
      const hidden = random.sampleUniform(random.key(9), 24 * 512)
      const found = beliefs(9, 24, 7, (truth, symbol, leaf) =>
        hidden[leaf]! < masked ? 1 : Number(truth === symbol),
      )
      expect(Math.abs(found.root - root)).toBeLessThan(0.2)
    }
  })

  it('L = 10 is sharper still', () => {
    expect(beliefs(10, 6, 11, epsilon(0.6)).root).toBeGreaterThan(0.95)
    expect(beliefs(10, 6, 11, epsilon(0.85)).root).toBeLessThan(0.1)
  })
})
