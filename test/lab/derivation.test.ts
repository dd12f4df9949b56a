/** @file One tree seen through noise: the posterior against enumeration, and the drawing of it. */
import { describe, expect, it } from 'vitest'
import { channels } from '../../src/diffusion/index.ts'
import { enumerate, makeGrammar } from '../../src/grammar/index.ts'
import {
  derivationFigure,
  growDerivation,
  type Noise,
  posterSvg,
  svgToPng,
  treeFigure,
} from '../../src/lab/index.ts'
import { random } from '../../src/tensor/index.ts'

const grammar = makeGrammar({ v: 5, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))
const key = random.key(3)

describe('a derivation', () => {
  it('is a tree of the grammar, with the rules that make it', () => {
    const { levels, rules, logProbability } = growDerivation(grammar, key)
    expect(levels.map((level) => level.length)).toEqual([1, 2, 4])
    for (const [level, choices] of rules.entries())
      for (const [node, k] of choices.entries()) {
        const at = (levels[level]![node]! * 2 + k) * 2
        expect(levels[level + 1]!.slice(2 * node, 2 * node + 2)).toEqual([
          ...grammar.rules[level]!.subarray(at, at + 2),
        ])
      }
    expect(logProbability).toBeCloseTo(-Math.log(32), 12)
  })

  it('the posterior of its symbols equals enumeration', () => {
    for (const noise of [
      { channel: 'epsilon', noise: 0.6 },
      { channel: 'uniform', noise: 0.5 },
      { channel: 'masking', noise: 0.5 },
    ] satisfies Noise[]) {
      const { levels, posterior } = growDerivation(grammar, key, noise)
      const leaves = levels[2]!
      const seen = posterior!.seen ?? leaves
      expect(posterior!.seen === undefined).toBe(noise.channel === 'epsilon')
      // likelihood of one leaf, from the definition of each noise
      const weight = (token: number | null, symbol: number): number => {
        if (noise.channel === 'masking') return token === null || token === symbol ? 1 : 0
        return noise.noise / 5 + (token === symbol ? 1 - noise.noise : 0)
      }
      const all = enumerate(grammar)
      const weights = Array.from({ length: all.count }, (_, i) =>
        seen.reduce<number>((p, token, j) => p * weight(token, all.levels[2]![i * 4 + j]!), 1),
      )
      const total = weights.reduce((a, b) => a + b, 0)
      for (const [level, shares] of posterior!.truth.entries())
        for (const [node, share] of shares.entries()) {
          const width = shares.length
          const agreeing = weights.filter(
            (_, i) => all.levels[level]![i * width + node] === levels[level]![node],
          )
          expect(share).toBeCloseTo(agreeing.reduce((a, b) => a + b, 0) / total, 12)
        }
      const best = weights.indexOf(Math.max(...weights))
      if (weights.filter((w) => w === weights[best]).length === 1)
        expect(posterior!.map[2]).toEqual([...all.levels[2]!.subarray(best * 4, best * 4 + 4)])
    }
  })

  it('every channel: nothing is lost without noise, nothing is known when all is noise', () => {
    for (const channel of Object.keys(channels) as Noise['channel'][]) {
      const clean = growDerivation(grammar, key, { channel, noise: 0 }).posterior!
      expect(clean.truth.flat().every((share) => Math.abs(share - 1) < 1e-9)).toBe(true)
      expect(clean.map).toEqual(growDerivation(grammar, key).levels)
      const lost = growDerivation(grammar, key, { channel, noise: 1 }).posterior!
      expect(lost.truth[0]![0]).toBeCloseTo(1 / 4, 9)
    }
    expect(() => growDerivation(grammar, key, { channel: 'epsilon', noise: 1.5 })).toThrow('between 0')
  })
})

describe('its figure', () => {
  it('shows every symbol, its level, the rules in use and the posterior', () => {
    const plain = derivationFigure(grammar, growDerivation(grammar, key))
    expect(plain.svg.match(/<circle/g)!.length).toBe(2 * 7)
    for (const name of ['class', 'level 1', 'leaves', 'rules: class → level 1'])
      expect(plain.svg).toContain(name)
    expect(plain.svg).not.toContain('%')
    const noisy = derivationFigure(grammar, growDerivation(grammar, key, { channel: 'masking', noise: 0.5 }))
    expect(noisy.svg.match(/ %</g)!.length).toBeGreaterThanOrEqual(7)
    expect(noisy.svg).toContain('>seen<')
    expect(noisy.title).toContain('masking at noise 0.5')
    for (const figure of [plain, noisy]) {
      expect(figure.svg).not.toMatch(/NaN|undefined|Infinity/)
      const png = svgToPng(posterSvg(figure, 'seed 3'), 1)
      expect([...png.subarray(1, 4)]).toEqual([0x50, 0x4e, 0x47])
    }
  })

  it('wide rules are cut, wide trees refused', () => {
    const wide = makeGrammar({ v: 32, classes: 3, m: 8, s: 2, L: 6 }, random.key(1))
    const { svg } = derivationFigure(wide, growDerivation(wide, key))
    expect(svg).toMatch(/and \d+ more symbols/)
    expect(svg).toMatch(/>\+ \d</)
    const deep = makeGrammar({ v: 4, classes: 3, m: 2, s: 2, L: 9 }, random.key(1))
    expect(() => derivationFigure(deep, growDerivation(deep, key))).toThrow(
      'at most 256 leaves to draw, got 512',
    )
    const tiny = {
      name: 't',
      title: 'a & b',
      caption: '',
      levels: [[0], [1, 2]],
      levelNames: ['class', 'leaves'],
    }
    expect(treeFigure(tiny).svg).toContain('aria-label="a &amp; b"')
  })
})
