import { describe, expect, it } from 'vitest'
import {
  beliefs,
  inferUp,
  makeGrammar,
  marginals,
  meanFieldChi,
  type Shape,
  samplePosterior,
  sampleTrees,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { mean, standardError } from './theory-reference.ts'

const data = 8
const shapeOf = (L: number): Shape => ({ v: 32, classes: 32, m: 8, s: 2, L })

/**
 * Of each grammar, means over data: exact belief in the true class, in the true leaves, and χ over trajectories. Grammars differ
 * more than their data do, so a grammar is one observation.
 */
function measure(L: number, eps: number, grammars: number, trajectories: number) {
  const shape = shapeOf(L)
  const out = { root: [] as number[], leaf: [] as number[], chi: [] as number[] }
  for (let k = 0; k < grammars; k++) {
    const [forRules, forTrees, forSamples] = random.split(random.key(k), 3) as [
      random.Key,
      random.Key,
      random.Key,
    ]
    const grammar = makeGrammar(shape, forRules)
    const { v } = shape
    const { d } = grammar
    const trees = sampleTrees(grammar, forTrees, data)
    const leaves = trees.levels[L]!
    const likelihood = new Float64Array(leaves.length * v).fill(eps / v)
    for (const [i, token] of leaves.entries()) likelihood[i * v + token]! += 1 - eps
    const up = inferUp(grammar, likelihood, data)
    const down = marginals(grammar, up)
    let [root, leaf] = [0, 0]
    for (let b = 0; b < data; b++) root += down[0]![b * v + trees.levels[0]![b]!]!
    for (const [i, token] of leaves.entries()) leaf += down[L]![i * v + token]!
    out.root.push(root / data)
    out.leaf.push(leaf / leaves.length)
    if (trajectories === 0) continue
    const drawn = samplePosterior(grammar, up, forSamples, trajectories).levels[L]!
    let [together, alone] = [0, 0]
    for (let b = 0; b < data; b++) {
      const kept = new Float64Array(d)
      let [sum, squares] = [0, 0]
      for (let t = 0; t < trajectories; t++) {
        let same = 0
        for (let i = 0; i < d; i++)
          if (drawn[(b * trajectories + t) * d + i] === leaves[b * d + i]) {
            same++
            kept[i]!++
          }
        sum += same
        squares += same * same
      }
      together += squares - sum ** 2 / trajectories
      for (const n of kept) alone += n - n ** 2 / trajectories
    }
    out.chi.push(together / alone)
  }
  return out
}

/** Ours, a mean over grammars, and one computed elsewhere with another grammar, rounded. */
const expectClose = (ours: readonly number[], theirs: number, rounding: number, what: string): void =>
  expect(Math.abs(mean(ours) - theirs), what).toBeLessThan(
    3.5 * standardError(ours) * Math.sqrt(1 + ours.length) + rounding,
  )

describe('exact posteriors of random grammars, v = 32, m = 8, ε-process', () => {
  it.each([
    [0.65, 0.976, 0.94, 2.45],
    [0.7, 0.87, 0.89, 3.91],
    [0.72, 0.63, 0.85, 6.0],
    [0.74, 0.151, 0.73, 7.66],
    [0.76, 0.038, 0.61, 4.51],
    [0.8, 0.031, 0.44, 2.65],
  ])('L = 9, ε = %f: root %f, leaf %f, χ %f, and what mean field makes of them', (eps, root, leaf, chi) => {
    const found = measure(9, eps, 4, 16)
    expectClose(found.root, root, 0.002, 'root')
    expectClose(found.leaf, leaf, 0.007, 'leaf')
    expectClose(found.chi, chi, 0.005, 'χ')
    // Mean field leaves out the differences between grammars: a tenth here.
    const gap = Math.abs(meanFieldChi(shapeOf(9), eps) - mean(found.chi))
    expect(gap, 'mean-field χ').toBeLessThan(3.5 * standardError(found.chi) + 0.1 * chi)
    const theory = beliefs(shapeOf(9), eps).marginal
    if (Math.abs(eps - 0.73) > 0.02) expect(Math.abs(theory[9]! - mean(found.root))).toBeLessThan(0.1)
    expect(Math.abs(theory[0]! - mean(found.leaf))).toBeLessThan(0.06)
  })

  it.each([
    [0.4, 0.983],
    [0.6, 0.916],
    [0.7, 0.622],
    [0.72, 0.456],
    [0.74, 0.268],
    [0.76, 0.128],
  ])('L = 6, ε = %f: root %f', (eps, root) => {
    expectClose(measure(6, eps, 8, 0).root, root, 0.002, 'root')
  })
})
