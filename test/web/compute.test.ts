/** Numbers behind the page's figures: those of the library, and what theory says of them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeSafetensors } from '../../src/checkpoint/index.ts'
import { grammarToText, parse, validity } from '../../src/grammar/index.ts'
import { type Dropped, tell } from '../../web/src/compute/files.ts'
import { learnLastToken, learnToCompose, plateausOf, thresholdsOf } from '../../web/src/compute/training.ts'
import {
  beliefIn,
  classPosteriorOf,
  factsOf,
  grammarOf,
  impossible,
  ruleAt,
  survivalPoints,
  theoryOf,
  treeOf,
  withRule,
} from '../../web/src/compute/trees.ts'
import { chunkPoints, tripOf } from '../../web/src/compute/trips.ts'
import { shareOf, ticksOf } from '../../web/src/ui/chart.ts'
import { clamped, readState, writeState } from '../../web/src/ui/state.ts'

const sizes = { v: 8, m: 3, s: 2, L: 3, seed: 4 }

describe('a tree that is played with', () => {
  it('stays a string of its grammar and of its class, whatever rule is exchanged where', () => {
    const grammar = grammarOf(sizes)
    fc.assert(
      fc.property(fc.nat(200), fc.nat(2), fc.nat(3), fc.nat(2), (n, level, place, rule) => {
        const trees = treeOf(grammar, 4, n)
        const node = place % 2 ** level
        const other = withRule(grammar, trees, level, node, rule)
        expect(ruleAt(grammar, other, level, node)).toBe(rule)
        expect(validity(parse(grammar, other.levels[3]!, 1))).toEqual([1, 1, 1, 1])
        expect(other.levels[0]![0]).toBe(trees.levels[0]![0])
        // what is not below the node is as it was
        for (const [at, symbols] of other.levels.entries())
          for (const [i, symbol] of symbols.entries())
            if (at <= level || Math.floor(i / 2 ** (at - level)) !== node)
              expect(symbol).toBe(trees.levels[at]![i])
      }),
    )
  })

  it('counts its strings', () => {
    expect(factsOf(grammarOf(sizes))).toEqual({ strings: 8n * 3n ** 7n, tuples: 64, used: 24, f: 3 / 8 })
    expect(impossible({ v: 4, m: 5, s: 2 })).toContain('20 tuples')
    expect(impossible({ v: 4, m: 4, s: 2 })).toBeUndefined()
  })
})

describe('belief', () => {
  it('is certain without noise, and the prior when nothing is left', () => {
    const grammar = grammarOf(sizes)
    const trees = treeOf(grammar, 4, 0)
    for (const level of beliefIn(grammar, trees, 0)) for (const p of level) expect(p).toBeCloseTo(1, 12)
    expect(beliefIn(grammar, trees, 1)[0]![0]).toBeCloseTo(1 / 8, 12)
    const posterior = classPosteriorOf(grammar, trees, 0.6)
    expect(posterior.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12)
    expect(posterior[trees.levels[0]![0]!]).toBeCloseTo(beliefIn(grammar, trees, 0.6)[0]![0]!, 12)
  })

  it('of many grammars lies on the line of theory', () => {
    const many = { v: 16, m: 4, s: 2, L: 5, seed: 1 }
    for (const { eps, root, rootError } of survivalPoints(many, {
      eps: [0.5, 0.9],
      grammars: 12,
      each: 40,
    })) {
      const { root: theory } = theoryOf(many, eps)
      expect(Math.abs(root - theory)).toBeLessThan(4 * rootError + 0.03)
    }
  })
})

describe('round trips', () => {
  it('come back as they were without noise, and change in blocks with much', () => {
    expect(tripOf(sizes, 0, 0).after).toEqual(tripOf(sizes, 0, 0).before)
    const changes = Array.from({ length: 20 }, (_, n) => tripOf(sizes, 0.95, n)).filter(
      ({ before, after }) => before.join() !== after.join(),
    )
    expect(changes.length).toBeGreaterThan(15)
  })

  it('χ is near that of the mean field, and larger near the transition', () => {
    const at = [
      ...chunkPoints({ v: 16, m: 4, s: 2, L: 5, seed: 1 }, { eps: [0.1, 0.8], grammars: 3, data: 16 }),
    ]
    for (const { chi, theoryChi } of at) expect(Math.abs(chi / theoryChi - 1)).toBeLessThan(0.35)
    expect(at[1]!.chi).toBeGreaterThan(2 * at[0]!.chi)
    expect(at[1]!.relative[0]).toBeCloseTo(1, 12)
  })
})

describe('learning', () => {
  it('plateaus fall level by level; thresholds are those of the papers', () => {
    const plateaus = plateausOf(sizes)
    for (let level = 1; level <= 3; level++) expect(plateaus[level]).toBeLessThan(plateaus[level - 1]!)
    expect(thresholdsOf(sizes, 'cnn')).toEqual([72, 216, 648])
    expect(thresholdsOf(sizes, 'attention')).toEqual([72, 216, 1944])
  })

  it.each(['cnn', 'attention'] as const)('%s: the loss leaves the loss of a guess', async (learner) => {
    const points: number[] = []
    await learnLastToken({ ...sizes, L: 2 }, { learner, width: 32, steps: 400, batchSize: 64 }, ({ loss }) =>
      points.push(loss),
    )
    expect(points.length).toBeGreaterThan(8)
    expect(points.at(-1)).toBeLessThan(0.9 * Math.log(8))
  })

  it('composition: what is looked at has shares between below chance and 1', async () => {
    const looks: { step: number; validity: number[] }[] = []
    await learnToCompose({ ...sizes, L: 2 }, { P: 64, width: 16, steps: 256 }, (look) => looks.push(look))
    expect(looks.at(-1)!.step).toBe(256)
    expect(looks.at(-1)!.validity).toHaveLength(2)
    expect(looks.at(-1)!.validity[0]).toBeGreaterThan(looks[0]!.validity[0]!)
  })
})

describe('files', () => {
  const dropped = (name: string, bytes: Uint8Array, size = bytes.length): Dropped => ({
    ...{ name, size },
    slice: async (begin, end) => bytes.slice(begin, end),
  })
  const text = (name: string, content: string): Dropped => dropped(name, new TextEncoder().encode(content))
  const weights = (name: string, wide = 4): Dropped =>
    dropped(
      name,
      encodeSafetensors([
        ['model.layers.0.w', { dtype: 'F32', shape: [2, wide], data: new Float32Array(2 * wide) }],
        ['norm', { dtype: 'F32', shape: [3], data: new Float32Array(3) }],
      ]),
    )

  it('weights by layer, from the header alone', async () => {
    const { sentence, rows } = await tell([weights('a.safetensors')])
    expect(sentence).toContain('2 tensors, 11 parameters')
    expect(rows.slice(1).map(([name, count]) => [name, count])).toEqual([
      ['model.layers.0', '1'],
      ['beside the layers', '1'],
    ])
  })

  it('two of them: what differs', async () => {
    const { sentence, rows } = await tell([weights('a.safetensors'), weights('b.safetensors', 6)])
    expect(sentence).toContain('1 of 2 tensors differ')
    expect(rows[1]).toEqual(['model.layers.0.w', 'F32 2 × 4', 'F32 2 × 6'])
    expect((await tell([weights('a.safetensors'), weights('b.safetensors')])).sentence).toContain(
      'same 2 tensors',
    )
  })

  it('a grammar, and curves', async () => {
    const told = await tell([text('g.grammar.json', grammarToText(grammarOf(sizes)))])
    expect(told.sentence).toContain('v = 8, 8 classes, m = 3')
    const lines = ['P,step,validationLoss']
    for (const P of [64, 128, 256, 512])
      for (let k = 0; k < 40; k++) {
        const step = 10 * 1.25 ** k
        lines.push(`${P},${Math.round(step)},${1 + (Math.log(step) - Math.log(4 * P)) ** 2}`)
      }
    const plan = await tell([text('curves.csv', lines.join('\n'))])
    expect(plan.sentence).toMatch(/∝ P\^(0\.9|1\.0)/)
    expect(plan.rows.filter(([P]) => P!.includes('predicted'))).toHaveLength(3)
  })

  it('refuses what it cannot read in one line', async () => {
    const refused = async (files: Dropped[]) =>
      await tell(files).then(
        () => '',
        (error: Error) => error.message,
      )
    expect(await refused([])).toContain('no file')
    expect(await refused([text('a.gguf', 'GGUF')])).toContain('treeline inspect')
    expect(await refused([text('a.csv', 'x\n1')])).toContain('a.csv')
    expect(await refused([text('g.json', '{}')])).toContain('g.json')
    expect(await refused([dropped('big.safetensors', new Uint8Array(8).fill(255), 5e10)])).toContain(
      'header length',
    )
    expect(await refused([dropped('big.json', new Uint8Array(0), 5e10)])).toContain('at most')
    expect(await refused([weights('a.safetensors'), text('b.csv', '')])).toContain('2 files')
  })
})

describe('the address', () => {
  const setting = { least: 2, greatest: 8, step: 1, value: 6 }
  it('gives settings back, and nothing that they do not allow', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.stringMatching(/^[a-z]{1,5}\.[a-zA-Z]{1,4}$/),
          fc.double({ noNaN: true, noDefaultInfinity: true }),
        ),
        (given) => {
          const values = new Map(Object.entries(given))
          expect([...readState(writeState(values)).values].map(([k, v]) => [k, v + 0])).toEqual(
            [...values].map(([k, v]) => [k, v + 0]),
          )
        },
      ),
    )
    fc.assert(
      fc.property(fc.double(), (x) => {
        const value = clamped(setting, x)
        expect(Number.isInteger(value) && value >= 2 && value <= 8).toBe(true)
      }),
    )
  })

  it('leaves out what is unknown or too long', () => {
    expect([...readState('#belief.eps=0.4&<b>=1&x=2&belief.m=nine').values]).toEqual([['belief.eps', 0.4]])
    expect(readState(`#${'a.b=1&'.repeat(2e5)}`)).toMatchObject({
      problem: expect.stringContaining('1,200,000'),
    })
  })
})

it('axes have round ticks within them', () => {
  fc.assert(
    fc.property(
      fc.double({ min: -1e3, max: 1e3, noNaN: true }),
      fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      (a, width) => {
        const axis = { title: '', range: [a, a + width] as const }
        const ticks = ticksOf(axis)
        expect(ticks.length).toBeGreaterThan(0)
        for (const tick of ticks)
          expect(shareOf(axis, tick)).toSatisfy((x: number) => x > -1e-3 && x < 1 + 1e-3)
      },
    ),
  )
  expect(ticksOf({ title: '', range: [32, 4096], log: true })).toEqual([100, 1000])
})
