/** Clustering experiment: context vectors and exact thresholds against the enumeration of all strings, a small run, resume. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collapse, meanCurve } from '../../src/experiments/clustering/analyse.ts'
import { measureClimb } from '../../src/experiments/clustering/climb.ts'
import { exactContrastThreshold, exactThresholds } from '../../src/experiments/clustering/exact.ts'
import {
  conditional,
  contrastOf,
  firstSymbols,
  grammarOf,
  measureThreshold,
  type ThresholdJob,
} from '../../src/experiments/clustering/threshold.ts'
import { clustering } from '../../src/experiments/clustering.ts'
import { enumerate } from '../../src/grammar/index.ts'
import { composeConfig, executeRun, loadRun, writeReport } from '../../src/lab/index.ts'

const job: ThresholdJob = {
  seed: 1,
  repeat: 0,
  v: 5,
  classes: 5,
  m: 2,
  s: 2,
  L: 2,
  rules: 'random',
  context: 'leaf',
  samples: [500, 20000],
  enough: 2,
  restarts: 6,
}

test('conditional frequencies and contrast worked by hand', () => {
  const { rows, vectors } = conditional(Float64Array.of(3, 1, 0, 0, 1, 3), 2)
  expect(rows).toEqual([0, 2])
  expect([...vectors]).toEqual([0.25, -0.25, -0.25, 0.25])
  // distances: 0–1 (synonyms) 1, 0–2 and 1–2 (others) 9 and 4
  expect(contrastOf(Float64Array.of(0, 1, 3), 1, [0, 0, 1])).toBeCloseTo(6.5 / 1 - 1, 12)
  expect(contrastOf(Float64Array.of(0, 1), 1, [0, 1])).toBeNull()
})

/** Joint table of (first tuple, last leaf) from every string, and its first tuples. */
function fromAllStrings(of: ThresholdJob) {
  const { grammar } = grammarOf(of)
  const { v, d } = grammar
  const { count, levels } = enumerate(grammar)
  const table = new Map<number, { mass: number; parent: number; leaves: number[] }>()
  for (let i = 0; i < count; i++) {
    const tuple = levels[2]![i * d]! * v + levels[2]![i * d + 1]!
    const row = table.get(tuple) ?? {
      mass: 0,
      parent: levels[1]![i * 2]!,
      leaves: new Array<number>(v).fill(0),
    }
    row.mass += 1 / count
    row.leaves[levels[2]![i * d + d - 1]!]! += 1 / count
    table.set(tuple, row)
  }
  return [...table.values()]
}

test('the exact threshold equals one worked out from all strings', () => {
  const rows = fromAllStrings(job)
  const given = rows.map(({ mass, leaves }) => leaves.map((p) => p / mass))
  const noise = rows.map(({ mass }, i) => given[i]!.reduce((sum, p) => sum + p * (1 - p), 0) / mass)
  const [A, B, S] = [[], [], []] as [number[], number[], number[]]
  for (const [i, a] of rows.entries())
    for (const [j, b] of rows.entries()) {
      if (i === j) continue
      const both = noise[i]! + noise[j]!
      if (a.parent === b.parent) A.push(both)
      else {
        B.push(both)
        S.push(given[i]!.reduce((sum, p, x) => sum + (p - given[j]![x]!) ** 2, 0))
      }
    }
  const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length
  const expected = (2 * mean(A) - mean(B)) / mean(S)
  expect(exactContrastThreshold(job)! / expected).toBeCloseTo(1, 10)
  // and the parents that can stand first are those of the strings
  const there = firstSymbols(grammarOf(job).grammar, 1)
  expect([...there.keys()].filter((x) => there[x])).toEqual(
    [...new Set(rows.map(({ parent }) => parent))].sort(),
  )
})

test('measured contrast is that of the rules, and k-means finds most parents', () => {
  const samples = [2000, 60000]
  const larger: ThresholdJob = { ...job, v: 12, classes: 12, m: 4, samples }
  const looks = measureThreshold(larger)
  const threshold = exactContrastThreshold(larger)!
  // contrast = P/threshold, up to the share by which rows are seen more or less often
  for (const { P, contrast } of looks) {
    expect(contrast! / (P / threshold)).toBeGreaterThan(0.7)
    expect(contrast! / (P / threshold)).toBeLessThan(1.4)
  }
  expect(looks[1]!.adjustedRand).toBeGreaterThan(0.8)
  expect(measureThreshold(larger)).toEqual(looks)
})

test('controls: uncorrelated rules and the leaf of another string have no threshold and no score', () => {
  const shape = { v: 4, classes: 4, m: 4, s: 3, L: 2, samples: [20000], enough: 2 }
  const score = (over: Partial<ThresholdJob>) => measureThreshold({ ...job, ...shape, ...over })[0]!
  const scores = [0, 1, 2, 3].map((repeat) => ({
    uncorrelated: score({ repeat, rules: 'uncorrelated' }).adjustedRand,
    shuffled: score({ repeat, context: 'shuffled' }).adjustedRand,
    random: score({ repeat }).adjustedRand,
  }))
  const mean = (kind: 'uncorrelated' | 'shuffled' | 'random') =>
    scores.reduce((sum, one) => sum + one[kind], 0) / scores.length
  expect(mean('uncorrelated')).toBeLessThan(0.2)
  expect(mean('shuffled')).toBeLessThan(0.2)
  expect(mean('random')).toBeGreaterThan(0.6)
  expect(exactContrastThreshold({ ...job, ...shape, rules: 'uncorrelated' })).toBeNull()
  expect(exactContrastThreshold({ ...job, context: 'shuffled' })).toBeNull()
})

test('exact thresholds of 20 grammars: the known values of the theory', () => {
  const near = (found: number, known: number, share: number) =>
    expect(Math.abs(found / known - 1), `${found} against ${known}`).toBeLessThan(share)
  const wide = exactThresholds({ seed: 0, shape: { v: 32, m: 8, s: 2, L: 3 }, grammars: 20 })
  near(wide[0]!, 21200, 0.1)
  near(wide[1]!, 206000, 0.1)
  const narrow = exactThresholds({ seed: 0, shape: { v: 16, m: 4, s: 2, L: 4 }, grammars: 20 })
  near(narrow[0]!, 1339, 0.15)
  near(narrow[1]!, 5666, 0.15)
  near(narrow[2]!, 30300, 0.2)
})

test('collapse and mean curves worked by hand', () => {
  const { before, after } = collapse([
    [1, 2],
    [Math.E, 2 * Math.E],
  ])
  expect(before).toBeCloseTo(Math.SQRT1_2, 12)
  expect(after).toBeCloseTo(0, 12)
  const look = (P: number, adjustedRand: number) => ({
    P,
    adjustedRand,
    recall: 0,
    precision: 0,
    contrast: null,
  })
  const curve = meanCurve([
    { looks: [look(1, 0), look(2, 1)], exact: null },
    { looks: [look(1, 0.5), look(2, 0.5), look(4, 0)], exact: null },
  ])
  expect(curve.map(({ P, score }) => [P, score.value])).toEqual([
    [1, 0.25],
    [2, 0.75],
    [4, 0.5],
  ])
})

test('climbing finds more heights with more data', () => {
  const climb = {
    seed: 0,
    repeat: 0,
    shape: { v: 8, m: 2, s: 2, L: 4 },
    context: 'latents' as const,
    restarts: 6,
  }
  const few = measureClimb({ ...climb, P: 32 }).scores
  const many = measureClimb({ ...climb, P: 4096 }).scores
  expect(many).toHaveLength(3)
  expect(Math.min(...many)).toBeGreaterThan(0.8)
  expect(few[2]).toBeLessThan(0.5)
})

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-clustering-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const small = (...set: string[]) =>
  composeConfig(clustering, {
    set: ['grammars=2', 'most=4096', 'restarts=2', 'climbMost=1024', 'exactGrammars=2', ...set],
    values: {
      settings: [
        { v: 6, m: 2, s: 2, height: 2 },
        { v: 8, m: 2, s: 2, height: 2 },
        { v: 8, m: 3, s: 2, height: 2 },
      ],
      classification: [
        { v: 6, classes: 8, m: 2, s: 2, L: 2 },
        { v: 6, classes: 16, m: 2, s: 2, L: 2 },
      ],
      climb: { v: 8, m: 2, s: 2, L: 3 },
      control: { v: 4, m: 4, s: 3, height: 2 },
      exactShapes: [{ v: 8, m: 2, s: 2, L: 3 }],
    },
  })

test('a small run: verdicts with controls, figures, tables', async () => {
  const { folder, summary } = await executeRun(clustering, small(), { root, threads: 1 })
  expect(summary.headline).toMatch(/^k-means finds synonyms at P ∝/)
  expect(summary.verdicts!.filter(({ control }) => control)).toHaveLength(2)
  for (const { measured, pass } of summary.verdicts!) if (measured === null) expect(pass).toBe(false)
  const { html } = writeReport([loadRun(folder)], [clustering], folder)
  const page = readFileSync(html, 'utf8')
  for (const title of [
    'When synonyms are found',
    'Climbing with leaves as context',
    'Where there is nothing to find',
  ])
    expect(page).toContain(title)
  expect(page).not.toMatch(/NaN|Infinity/)
})

/** A signal that is aborted from its n-th look on; a run looks once before every part. */
function abortedAfter(looks: number): AbortSignal {
  let looked = 0
  const { signal } = new AbortController()
  return Object.defineProperty(signal, 'aborted', { get: () => ++looked > looks })
}

test('an interrupted run ends with the same result', async () => {
  const config = small('seed=2', 'most=1024', 'climbMost=128')
  const whole = await executeRun(clustering, config, { root: join(root, 'whole'), threads: 1 })
  const cut = { root: join(root, 'cut'), threads: 1 }
  for (const looks of [4, 9])
    await expect(executeRun(clustering, config, { ...cut, signal: abortedAfter(looks) })).rejects.toThrow(
      /resume with/,
    )
  const resumed = await executeRun(clustering, config, cut)
  expect(resumed.resumed).toBe(true)
  expect(resumed.summary.result).toEqual(whole.summary.result)
})

test('settings that cannot be are refused before anything is counted', async () => {
  const config = composeConfig(clustering, {
    values: {
      settings: [
        { v: 4, m: 2, s: 2, height: 2 },
        { v: 4, m: 8, s: 2, height: 2 },
      ],
    },
  })
  await expect(executeRun(clustering, config, { root, threads: 1 })).rejects.toThrow(
    /config\.settings\.1\.m: expected v·m ≤ v\^s/,
  )
})
