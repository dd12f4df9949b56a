/** Survival of every level: by brute force, at both ends of the noise, and against another program. */
import { describe, expect, it } from 'vitest'
import { type ChannelName, findChannel, survivalCurve, survivalOf } from '../../src/diffusion/index.ts'
import { type Grammar, lowestLevels, makeGrammar, sampleTrees } from '../../src/grammar/index.ts'
import { meanOf } from '../../src/lab/index.ts'
import { random } from '../../src/tensor/index.ts'
import { references } from './survivalReference.ts'

/** Every derivation of a grammar: symbols of all nodes, level by level. */
function derivations({ classes, m, s, L, rules }: Grammar): number[][][] {
  let trees = Array.from({ length: classes }, (_, y) => [[y]])
  for (let level = 0; level < L; level++)
    trees = trees.flatMap((tree) => {
      let below: number[][] = [[]]
      for (const symbol of tree.at(-1)!)
        below = below.flatMap((done) =>
          Array.from({ length: m }, (_, k) => {
            const at = (symbol * m + k) * s
            return [...done, ...rules[level]!.subarray(at, at + s)]
          }),
        )
      return below.map((symbols) => [...tree, symbols])
    })
  return trees
}

describe('survival', () => {
  const grammar = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(5))
  const all = derivations(grammar)

  it.each(['epsilon', 'masking', 'uniform', 'gaussian'] as const)(
    'is that of brute force: %s',
    (name: ChannelName) => {
      expect(all).toHaveLength(32)
      const channel = findChannel(name)
      const key = random.key(11)
      const noise = 0.3
      const trees = sampleTrees(grammar, random.key(3), 5)
      const likelihood = channel.likelihood(channel.corrupt(trees.levels[2]!, 4, noise, key), 4, noise)
      const expected = [0, 0, 0]
      let prior = 0
      for (let b = 0; b < 5; b++) {
        const row = (leaf: number) => likelihood.subarray((b * 4 + leaf) * 4, (b * 4 + leaf + 1) * 4)
        const weights = all.map(([, , leaves]) =>
          leaves!.reduce((w, symbol, leaf) => w * row(leaf)[symbol]!, 1),
        )
        const total = weights.reduce((sum, w) => sum + w, 0)
        for (const level of [0, 1, 2])
          for (let node = 0; node < 2 ** level; node++) {
            const truth = trees.levels[level]![b * 2 ** level + node]!
            const agrees = weights.reduce((sum, w, i) => (all[i]![level]![node] === truth ? sum + w : sum), 0)
            expected[level]! += agrees / total / (5 * 2 ** level)
          }
        for (let leaf = 0; leaf < 4; leaf++)
          prior += row(leaf)[trees.levels[2]![b * 4 + leaf]!]! / row(leaf).reduce((sum, w) => sum + w, 0) / 20
      }
      const found = survivalOf(grammar, trees, channel, { noise, key })
      for (const level of [0, 1, 2]) expect(found.levels[level]).toBeCloseTo(expected[level]!, 12)
      expect(found.prior).toBeCloseTo(prior, 12)
      const rootAlone = survivalOf(grammar, trees, channel, { noise, key, rootOnly: true })
      expect(rootAlone.levels).toHaveLength(1)
      expect(rootAlone.levels[0]).toBeCloseTo(expected[0]!, 12)
    },
  )

  it('is whole without noise, chance in pure noise, and falls in between', () => {
    const small = makeGrammar({ v: 6, classes: 6, m: 2, s: 2, L: 3 }, random.key(1))
    for (const name of ['epsilon', 'masking', 'uniform', 'gaussian'] as const) {
      const curve = survivalCurve(small, findChannel(name), {
        ...{ noise: [0, 0.5, 1], data: 8 },
        ...{ forTrees: random.key(2), forNoise: random.key(3) },
      })
      for (const level of curve[0]!.levels) expect(level).toBeCloseTo(1, 12)
      expect(curve[2]!.levels[0]).toBeCloseTo(1 / 6, 12)
      expect(curve[1]!.levels[0]).toBeLessThan(1)
      expect([curve[0]!.prior, curve[2]!.prior]).toEqual([expect.closeTo(1, 12), expect.closeTo(1 / 6, 12)])
    }
  })

  it('of a shallow tree is that under the lowest rules of the tall one', () => {
    const tall = makeGrammar({ v: 4, classes: 3, m: 2, s: 2, L: 3 }, random.key(1))
    const short = lowestLevels(tall, 2)
    expect(short).toMatchObject({ L: 2, d: 4, classes: 4, rules: tall.rules.slice(1) })
    expect(lowestLevels(tall, 3)).toEqual(tall)
  })
})

/** Values of one process at one depth, one for each grammar: those of another program are of a single grammar, too. */
function spreadOf({ channel, depth, level, values }: (typeof references)[number], grammars: number) {
  const curves = Array.from({ length: grammars }, (_, number) => {
    const keys = random.split(random.foldIn(random.key(0), number), 3) as [random.Key, random.Key, random.Key]
    return survivalCurve(
      makeGrammar({ v: 32, classes: 32, m: 8, s: 2, L: depth }, keys[0]),
      findChannel(channel),
      {
        ...{ noise: values.map(([noise]) => noise), data: 4, rootOnly: level !== 'leaf' },
        ...{ forTrees: random.foldIn(keys[1], depth), forNoise: random.foldIn(keys[2], depth) },
      },
    )
  })
  return values.map((_, i) =>
    meanOf(
      curves.map((curve) => {
        const { levels, prior } = curve[i]!
        return level === 'prior' ? prior : level === 'root' ? levels[0]! : levels.at(-1)!
      }),
    ),
  )
}

describe('v = 32, m = 8, s = 2: values of another program, each of a single grammar', () => {
  it.each(references)('$channel, L = $depth, $level', (reference) => {
    const grammars = 8
    const found = spreadOf(reference, grammars)
    for (const [i, [noise, value]] of reference.values.entries()) {
      const { value: mean, error } = found[i]!
      const single = Math.hypot(reference.error, error! * Math.sqrt(grammars))
      expect(Math.abs(mean - value) / Math.hypot(error!, single), `noise ${noise}`).toBeLessThan(3)
    }
  })
})
