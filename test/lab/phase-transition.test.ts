/** @file The phase-transition experiment: its estimators on curves with a known answer, its measurements by brute force, a tiny run. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it, test } from 'vitest'
import { type ChannelName, findChannel } from '../../src/diffusion/index.ts'
import { config as configSchema } from '../../src/experiments/phase-transition/config.ts'
import {
  averageCurves,
  averageEstimates,
  crossing,
  evenly,
  fall,
  fallingPart,
  interpolate,
  jackknife,
  merged,
  passes,
} from '../../src/experiments/phase-transition/curves.ts'
import { inRounds } from '../../src/experiments/phase-transition/rounds.ts'
import { lowestLevels, measureSurvival, survivalOf } from '../../src/experiments/phase-transition/survival.ts'
import { phaseTransition } from '../../src/experiments/phase-transition.ts'
import { type Grammar, makeGrammar, sampleTrees } from '../../src/grammar/index.ts'
import { composeConfig, executeRun, findRunFolders, loadRun, writeReport } from '../../src/lab/index.ts'
import { mean, meanOf } from '../../src/lab/statistics.ts'
import { random } from '../../src/tensor/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-phase-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const logistic = (x: number, centre: number, slope: number) => 1 / (1 + Math.exp(slope * (x - centre)))

describe('estimators', () => {
  it('find where a steep curve crosses a shallow one, whatever happens at the ends', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.2, max: 0.8, noNaN: true }),
        fc.double({ min: 10, max: 30, noNaN: true }),
        fc.double({ min: 1.5, max: 4, noNaN: true }),
        (centre, slope, factor) => {
          const x = evenly(0, 1, 41)
          // both are nearly 1 on the left and nearly 0 on the right, and cross there again and again
          const wiggle = (i: number, sign: number) => sign * 1e-4 * (i % 2 === 0 ? 1 : -1)
          const steep = x.map((at, i) => logistic(at, centre, factor * slope) + wiggle(i, 1))
          const shallow = x.map((at, i) => logistic(at, centre, slope) + wiggle(i, -1))
          expect(crossing(x, steep, shallow)).toBeCloseTo(centre, 1.8)
          expect(Math.abs(crossing(x, steep, shallow)! - centre)).toBeLessThan(0.01)
        },
      ),
    )
  })

  it('find nothing where nothing crosses', () => {
    const x = evenly(0, 1, 11)
    const high = x.map((at) => 1 - at / 2)
    const low = x.map((at) => 0.9 - at)
    expect(crossing(x, low, high)).toBeNull()
    expect(crossing(x, high, low)).toBeNull()
    expect(crossing(x, high, high)).toBeNull()
  })

  it('measure levels, slopes and the part that falls', () => {
    const [x, y] = [
      [0, 1, 2, 4],
      [1, 0.8, 0.2, 0],
    ]
    expect([interpolate(x, y, 1.5), interpolate(x, y, -1), interpolate(x, y, 9)]).toEqual([0.5, 1, 0])
    expect(passes(x, y, 0.5)).toBeCloseTo(1.5, 12)
    expect(passes(x, y, -1)).toBeNull()
    expect(fall(x, y, 1.5, 0.5)).toBeCloseTo(0.6, 12)
    expect(fallingPart(x, y, { high: 0.9, low: 0.1 })).toEqual([0, 4])
    expect(fallingPart(x, y, { high: 0.5, low: 0.3 })).toEqual([1, 2])
    expect(fallingPart(x, y, { high: 2, low: -1 })).toEqual([0, 4])
    expect(merged([0, 0.5, 1], [0.5, 0.25])).toEqual([0, 0.25, 0.5, 1])
  })

  it('have the errors of statistics: the jackknife of a mean is its standard error', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 12 }),
        (values) => {
          const { value, error } = jackknife(values, mean)
          expect(value).toBeCloseTo(mean(values), 10)
          expect(error).toBeCloseTo(meanOf(values).error!, 10)
        },
      ),
    )
    expect(jackknife([3], mean)).toEqual({ value: 3, error: null })
    expect(jackknife([1, 2], () => null)).toEqual({ value: null, error: null })
    expect(
      averageEstimates([
        { value: 1, error: 3 },
        { value: 3, error: 4 },
        { value: null, error: null },
      ]),
    ).toEqual({
      value: 2,
      error: 2.5,
    })
    const curve = { mean: [1, 0], error: [0.3, 0.3] }
    const other = { mean: [0.5, 0.5, 0.5], error: [0.4, 0.4, 0.4] }
    expect(
      averageCurves([
        { noise: [0, 1], curve },
        { noise: [0, 0.5, 1], curve: other },
      ]),
    ).toEqual({ mean: [0.75, 0.25], error: [0.25, 0.25] })
  })
})

describe('rounds', () => {
  it('do together what is asked for together, and give everyone their own', async () => {
    const rounds: number[][] = []
    const execute = async (jobs: readonly number[]) => {
      rounds.push([...jobs])
      return jobs.map((job) => job * job)
    }
    const found = await inRounds<number, number, [number[], number[], string]>(execute, [
      async (ask) => [...(await ask([1, 2])), ...(await ask([3]))],
      async (ask) => await ask([4]),
      async (ask) => (await ask([])).join() + (await ask([5])).join(),
    ])
    expect(found).toEqual([[1, 4, 9], [16], '25'])
    expect(rounds).toEqual([
      [1, 2, 4],
      [3, 5],
    ])
  })

  it('fail with the first failure', async () => {
    const execute = async () => Promise.reject(new Error('broken'))
    await expect(inRounds(execute, [(ask) => ask([1])])).rejects.toThrow('broken')
  })
})

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
    const job = { seed: 1, v: 6, m: 2, s: 2, depth: 3, tallest: 4, grammar: 0, data: 8, rootOnly: false }
    for (const channel of ['epsilon', 'masking', 'uniform', 'gaussian'] as const) {
      const { levels, prior } = measureSurvival({ ...job, channel, noise: [0, 0.5, 1] })
      for (const level of levels[0]!) expect(level).toBeCloseTo(1, 12)
      expect(levels[2]![0]).toBeCloseTo(1 / 6, 12)
      expect(levels[1]![0]).toBeLessThan(1)
      expect(prior[0]).toBeCloseTo(1, 12)
      expect(prior[2]).toBeCloseTo(1 / 6, 12)
    }
  })

  it('of a shallow tree is that under the lowest rules of the tall one', () => {
    const short = lowestLevels(makeGrammar({ v: 4, classes: 3, m: 2, s: 2, L: 3 }, random.key(1)), 2)
    expect(short).toMatchObject({ L: 2, d: 4, classes: 4 })
    expect(short.rules).toHaveLength(2)
    expect(short.rules.every((table) => table.length === 4 * 2 * 2)).toBe(true)
  })
})

const tiny = [
  'grammar.v=8,grammar.m=3,depths=2,4,grammars=3,data=4,points=5',
  'others.channels=masking,others.depths=2,3,others.grammars=2,others.data=2,others.points=3',
  'thresholds.settings=[[6,2,2]],thresholds.leaves=64,thresholds.grammars=4,thresholds.data=2',
  'diagram.rules=1,2,3,diagram.depth=3,diagram.rows=5,diagram.grammars=2',
  'lost.m=7,lost.grammars=2,lost.data=1',
  'mixture.d=16,mixture.data=8,mixture.points=5,acceptance.grammars=0',
]
const configFor = (...set: string[]) => composeConfig(phaseTransition, { set: [...tiny, ...set] })

test('a tiny run end to end: a result, verdicts, figures, and two seeds in one report', async () => {
  const shown: { done: number; total: number }[] = []
  const first = await executeRun(phaseTransition, configFor(), {
    root,
    threads: 1,
    onProgress: ({ done, total }) => shown.push({ done, total }),
  })
  // one bar from 0 to the end, never backwards, its length known from the start (curves move it a little)
  expect(shown[0]!.done).toBe(0)
  expect(shown.at(-1)!.done).toBe(shown.at(-1)!.total)
  for (const [i, { done }] of shown.slice(1).entries()) expect(done).toBeGreaterThanOrEqual(shown[i]!.done)
  expect(Math.abs(shown.at(-2)!.done / shown[0]!.total - 1)).toBeLessThan(0.3)
  const run = loadRun(first.folder)
  expect(run.summary.headline).toMatch(
    /^(class lost at ε = 0\.\d+ ± 0\.\d+, where the curves of L = \d+ and \d+ cross \(|no noise)/,
  )
  const { epsStarTheory, channels, thresholds } = run.summary.result as {
    epsStarTheory: number
    channels: { channel: string; root: unknown[]; levels: unknown[] }[]
    thresholds: unknown[]
  }
  // v (v − 2m + 1)/((v − m)(v − 1)) at v = 8, m = 3
  expect(epsStarTheory).toBeCloseTo(24 / 35, 12)
  expect(channels.map(({ channel }) => channel)).toEqual(['epsilon', 'masking'])
  expect(channels[0]!.root).toHaveLength(2)
  expect(channels[0]!.levels).toHaveLength(5)
  expect(thresholds).toHaveLength(2)
  expect(run.summary.verdicts.filter(({ control }) => control)).toHaveLength(2)
  expect(JSON.stringify(run.summary)).not.toMatch(/NaN|Infinity/)

  const second = await executeRun(phaseTransition, configFor('seed=1'), { root, threads: 1 })
  const runs = [run, loadRun(second.folder)]
  const report = writeReport(runs, [phaseTransition], join(root, 'report'))
  const names = report.figures.map((path) => path.replace(/.*\/|\.png$/g, ''))
  expect(names).toEqual(
    expect.arrayContaining(['levels-epsilon', 'class-by-depth', 'phase-diagram', 'mixture']),
  )
  // two seeds share their figures
  expect(new Set(names).size).toBe(names.length)
  expect(names).toHaveLength(10)
  expect(readFileSync(report.html, 'utf8')).not.toMatch(/NaN|undefined|Infinity/)
}, 60000)

test('an interrupted run ends with the same bytes', async () => {
  const whole = await executeRun(phaseTransition, configFor(), { root, threads: 1 })
  const cutRoot = join(root, 'cut')
  for (const cut of [3, 25]) {
    let looks = 0
    const { signal } = new AbortController()
    Object.defineProperty(signal, 'aborted', { get: () => ++looks > cut })
    await expect(
      executeRun(phaseTransition, configFor(), { root: cutRoot, threads: 1, signal }),
    ).rejects.toThrow('interrupted')
  }
  const [folder] = findRunFolders(cutRoot)
  expect(readFileSync(join(folder!, 'jobs.jsonl'), 'utf8').split('\n').length).toBeGreaterThan(20)
  const resumed = await executeRun(phaseTransition, configFor(), { root: cutRoot, threads: 1 })
  expect(resumed.resumed).toBe(true)
  expect(JSON.stringify(resumed.summary.result)).toBe(JSON.stringify(whole.summary.result))
}, 60000)

test('configs that cannot be are refused before anything is measured', async () => {
  const refused = (set: string) =>
    executeRun(phaseTransition, configFor(set), { root: join(root, 'refused'), threads: 1 })
  await expect(refused('grammar.m=9')).rejects.toThrow(/^config\.grammar\.m: expected v·m ≤ v\^s/)
  await expect(refused('depths=3,3')).rejects.toThrow('config.depths: expected at least two different depths')
  await expect(refused('thresholds.settings=[[4,5,2]]')).rejects.toThrow(
    /^config\.thresholds\.settings\[0\]\.m/,
  )
})

test('presets are complete configs', () => {
  for (const preset of ['quick', 'paper'])
    expect(configSchema.parse(composeConfig(phaseTransition, { preset }))).toBeTruthy()
})
