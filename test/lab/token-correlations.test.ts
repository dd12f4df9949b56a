/** Token correlations: counts against the enumeration of every string, estimates by hand, a whole small run, exact resume. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { heightOf } from '../../src/experiments/token-correlations/analyse.ts'
import { exactMeanSquares } from '../../src/experiments/token-correlations/exact.ts'
import {
  type CorrelationJob,
  grammarOf,
  measureCorrelations,
  sampleSizes,
} from '../../src/experiments/token-correlations/measure.ts'
import { tokenCorrelations } from '../../src/experiments/token-correlations.ts'
import { enumerate } from '../../src/grammar/index.ts'
import { composeConfig, executeRun, loadRun, writeReport } from '../../src/lab/index.ts'
import {
  crossing,
  geometricMean,
  meanOf,
  powerOf,
  rootMean,
  slopeOf,
  spreadOf,
} from '../../src/lab/statistics.ts'

describe('estimates', () => {
  test('means, slopes and spreads worked by hand', () => {
    expect(meanOf([1, 2, 3, 6])).toMatchObject({ value: 3, n: 4, error: Math.sqrt(14 / 3 / 4) })
    expect(meanOf([5])).toEqual({ value: 5, error: null, n: 1 })
    expect(spreadOf([1, 3])).toBeCloseTo(Math.SQRT2, 12)
    expect(geometricMean([1, 4]).value).toBeCloseTo(2, 12)
    expect(rootMean([9, 16]).value).toBeCloseTo(Math.sqrt(12.5), 12)
    // y = 1 + 2x with residuals +1 −2 +1: slope 2, its error √(6 / 1 / 2)
    const { value, error } = slopeOf([
      [0, 2],
      [1, 1],
      [2, 6],
    ])
    expect(value).toBeCloseTo(2, 12)
    expect(error).toBeCloseTo(Math.sqrt(6 / 2), 12)
    expect(powerOf([2, 3, 5].map((x) => [x, 7 * x ** 1.5] as const)).value).toBeCloseTo(1.5, 12)
  })

  test('a crossing is the last upward one, straight in ln x', () => {
    const curve = [0, 2, 0, 1, 3].map((y, i) => ({ x: 2 ** i, y }))
    expect(crossing(curve, 2)).toBeCloseTo(2 ** 3.5, 12)
    expect(crossing(curve, 5)).toBeNull()
    expect(crossing(curve.slice(4), 2)).toBeNull()
  })

  test('heights of distances, and numbers of data', () => {
    expect([1, 2, 3, 4, 7, 8].map((t) => heightOf(t, 2))).toEqual([1, 2, 2, 3, 3, 4])
    expect([1, 2, 3, 8, 9].map((t) => heightOf(t, 3))).toEqual([1, 1, 2, 2, 3])
    expect(sampleSizes(16, 100)).toEqual([16, 32, 64])
    expect(sampleSizes(16, 64, 2)).toEqual([16, 23, 32, 45, 64])
  })
})

const job: CorrelationJob = {
  seed: 3,
  repeat: 0,
  shape: { v: 4, m: 2, s: 2, L: 3 },
  rules: 'random',
  samples: [1000, 2 ** 16],
}

/** Mean squares over symbol pairs from every string of the grammar, which are all equally likely. */
function fromAllStrings({ shape: { v, m, s } }: CorrelationJob) {
  const { grammar } = grammarOf(job)
  const { d, L } = grammar
  const { count, levels } = enumerate(grammar)
  const leaves = levels[L]!
  expect(count).toBe(4 * 2 ** 7)
  const meanSquare = (of: (string: number) => number, size: number): number => {
    const joint = new Map<string, number>()
    const rows = new Map<number, number>()
    const columns = new Map<number, number>()
    const add = <K>(map: Map<K, number>, key: K) => map.set(key, (map.get(key) ?? 0) + 1 / count)
    for (let i = 0; i < count; i++) {
      const [a, b] = [of(i), leaves[i * d + d - 1]!]
      add(joint, `${a} ${b}`)
      add(rows, a)
      add(columns, b)
    }
    let sum = 0
    for (const [a, p] of rows)
      for (const [b, q] of columns) sum += ((joint.get(`${a} ${b}`) ?? 0) - p * q) ** 2
    return sum / size
  }
  return {
    tokens: Array.from({ length: d - 1 }, (_, k) => meanSquare((i) => leaves[i * d + d - 2 - k]!, v * v)),
    tuples: Array.from({ length: d / s - 1 }, (_, b) =>
      meanSquare(
        (i) => {
          const at = i * d + d - (b + 2) * s
          return leaves[at]! * v + leaves[at + 1]!
        },
        v * m * v,
      ),
    ),
  }
}

test('exact covariances equal those of all strings', () => {
  const all = fromAllStrings(job)
  const exact = exactMeanSquares(grammarOf(job).grammar)
  for (const kind of ['tokens', 'tuples'] as const)
    for (const [place, value] of all[kind].entries()) expect(exact[kind][place]).toBeCloseTo(value, 14)
})

test('counted covariances come to those of all strings, and between strings there is only noise', () => {
  const all = fromAllStrings(job)
  const looks = measureCorrelations(job)
  const { P, tokens, tuples } = looks[1]!
  expect(P).toBe(2 ** 16)
  for (const [place, value] of all.tokens.entries()) {
    // of 16 entries of about 1/4 each, with a deviation of 1/√(16 P) at most
    const error = 2 * Math.sqrt(value / (16 * P)) + 1 / (16 * P)
    expect(Math.abs(tokens.within[place]! - value)).toBeLessThan(4 * error)
  }
  for (const [place, value] of all.tuples.entries())
    expect(Math.abs(tuples.within[place]! - value)).toBeLessThan(
      4 * (2 * Math.sqrt(value / (32 * P)) + 1 / (32 * P)),
    )
  for (const look of looks)
    for (const square of look.tokens.between) expect(square * 16 * look.P).toBeLessThan(4)
  expect(measureCorrelations(job)).toEqual(looks)
})

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-correlations-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const small = (...set: string[]) =>
  composeConfig(tokenCorrelations, {
    set: ['most=16384', 'grammars=3', 'plateauData=64', 'control={"v":4,"m":4,"s":3,"L":2}', ...set],
    values: {
      shapes: [
        { v: 8, m: 2, s: 2, L: 3 },
        { v: 6, m: 3, s: 2, L: 2 },
      ],
    },
  })

test('a small run: thresholds, verdicts, figures', async () => {
  const { folder, summary } = await executeRun(tokenCorrelations, small(), { root, threads: 1 })
  expect(summary.headline).toMatch(
    /^correlations at height ℓ leave the noise at P ∝ .*\^\d\.\d\d ± \d\.\d\d$/,
  )
  const control = summary.verdicts!.find((verdict) => verdict.control)!
  expect(control.pass).toBe(true)
  // few symbols and few grammars: the mean of some hundred squares
  const noise = summary.verdicts!.find(({ claim }) => claim.startsWith('noise of the covariance'))!
  expect(Math.abs(noise.measured! - 1)).toBeLessThan(0.15)
  const { html } = writeReport([loadRun(folder)], [tokenCorrelations], folder)
  const page = readFileSync(html, 'utf8')
  for (const title of ['What P strings show', 'Covariance against distance', 'How far P strings let one see'])
    expect(page).toContain(title)
  expect(page).not.toMatch(/NaN|Infinity/)
})

/** A signal that is aborted from its n-th look on; a run looks once before every grammar. */
function abortedAfter(looks: number): AbortSignal {
  let looked = 0
  const { signal } = new AbortController()
  return Object.defineProperty(signal, 'aborted', { get: () => ++looked > looks })
}

test('an interrupted run ends with the same result', async () => {
  const config = small('seed=2', 'most=512')
  const whole = await executeRun(tokenCorrelations, config, { root: join(root, 'whole'), threads: 1 })
  const cut = { root: join(root, 'cut'), threads: 1 }
  for (const looks of [3, 5])
    await expect(
      executeRun(tokenCorrelations, config, { ...cut, signal: abortedAfter(looks) }),
    ).rejects.toThrow(/resume with/)
  const resumed = await executeRun(tokenCorrelations, config, cut)
  expect(resumed.resumed).toBe(true)
  expect(resumed.summary.result).toEqual(whole.summary.result)
})

test('shapes that cannot be are refused before anything is counted', async () => {
  const config = composeConfig(tokenCorrelations, { values: { shapes: [{ v: 4, m: 8, s: 2, L: 2 }] } })
  await expect(executeRun(tokenCorrelations, config, { root, threads: 1 })).rejects.toThrow(
    /config\.shapes\.0\.m: expected v·m ≤ v\^s, got 4·8 = 32 > 16/,
  )
})
