/** Covariances over data of a grammar: values found with another program, and round trips beside the exact computation. */
import { describe, expect, test } from 'vitest'
import {
  channels,
  epsilonCovariances,
  jackknife,
  relativeCorrelations,
  roundTripCovariances,
  susceptibility,
} from '../../src/diffusion/index.ts'
import { makeGrammar, sampleTrees } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'

/** A grammar and data of it. */
function drawn(shape: { v: number; m: number; L: number }, seed: number, data: number) {
  const [forRules, forData] = random.split(random.key(seed))
  const grammar = makeGrammar({ ...shape, classes: shape.v, s: 2 }, forRules)
  return { grammar, leaves: sampleTrees(grammar, forData, data).levels[shape.L]! }
}

describe('v = 32, m = 8, s = 2, L = 9: values found with another program (exact inference, 32 data of 48 samples)', () => {
  const some = [0, 1, 2, 3].map((seed) => drawn({ v: 32, m: 8, L: 9 }, seed, 4))

  test('χ(ε)', () => {
    // the other program's values have errors of about 4 %, ours of about 3 % with 16 data
    for (const [noise, known] of [
      [0.65, 2.45],
      [0.7, 3.91],
      [0.72, 6.0],
      [0.74, 7.66],
      [0.76, 4.51],
      [0.8, 2.65],
    ] as const) {
      const rows = some.map(({ grammar, leaves }) => epsilonCovariances(grammar, leaves, noise))
      const { value } = jackknife(rows, susceptibility)
      expect(Math.abs(value / known - 1), `ε = ${noise}`).toBeLessThan(0.15)
    }
  })

  test('C(ℓ)/C(0) halves with each doubling of the distance near ε*', () => {
    const { grammar, leaves } = drawn({ v: 32, m: 8, L: 9 }, 5, 4)
    const relative = relativeCorrelations(epsilonCovariances(grammar, leaves, 0.731), 2)
    for (const [height, known] of [0.628, 0.335, 0.179, 0.097, 0.052, 0.028].entries())
      expect(Math.abs(relative[height + 1]! / known - 1)).toBeLessThan(0.12)
  })
})

test('round trips agree with the exact computation, by height and by distance', () => {
  const { grammar, leaves } = drawn({ v: 16, m: 4, L: 5 }, 3, 4)
  const exact = epsilonCovariances(grammar, leaves, 0.7)
  const { heights, distances } = roundTripCovariances(grammar, channels.epsilon, leaves, {
    ...{ noise: 0.7, trajectories: 500, key: random.key(7) },
  })
  expect(Math.abs(susceptibility(heights) / susceptibility(exact) - 1)).toBeLessThan(0.1)
  // C(0) by height is a sum over tokens, by distance a mean
  expect(distances[0]! * 32).toBeCloseTo(heights[0]!, 9)
})
