/** @file Random small sizes of grammars for property tests. */
import fc from 'fast-check'
import type { Shape } from '../../src/grammar/index.ts'

/** Sizes that satisfy every constraint, at most a few hundred leaves. */
export const smallShapes: fc.Arbitrary<Shape> = fc
  .record({
    v: fc.integer({ min: 1, max: 7 }),
    s: fc.integer({ min: 2, max: 4 }),
    L: fc.integer({ min: 1, max: 3 }),
  })
  .chain(({ v, s, L }) =>
    fc
      .record({
        m: fc.integer({ min: 1, max: Math.min(9, v ** (s - 1)) }),
        classes: fc.integer({ min: 1, max: 9 }),
      })
      .map(({ m, classes }) => ({
        v,
        s,
        L,
        m,
        classes: Math.max(1, Math.min(classes, Math.floor(v ** s / m))),
      })),
  )
