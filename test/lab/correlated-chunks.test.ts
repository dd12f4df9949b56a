/** @file The experiment correlated-chunks on a small grammar: end to end, resumed, the same bits; its parts against known values. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { jackknife, relativeCorrelations, susceptibility } from '../../src/diffusion/index.ts'
import { averageRuns } from '../../src/experiments/correlated-chunks/average.ts'
import { collapse } from '../../src/experiments/correlated-chunks/collapse.ts'
import {
  decayExponent,
  lengthExponent,
  peakOf,
  sidesOf,
} from '../../src/experiments/correlated-chunks/estimates.ts'
import { exactPart, sampledPart } from '../../src/experiments/correlated-chunks/jobs.ts'
import { noisesAround } from '../../src/experiments/correlated-chunks/noises.ts'
import { experiments } from '../../src/experiments/index.ts'
import { composeConfig, executeRun, loadRun, writeReport } from '../../src/lab/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-chunks-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const experiment = experiments.find(({ name }) => name === 'correlated-chunks')!
const tiny = (...set: string[]) =>
  composeConfig(experiment, {
    set: [
      'v=16,m=4,L=4,depths=[3,4],grammars=3,data=1,step=0.02',
      'sampled.data=2,sampled.trajectories=8,masking.data=2,masking.trajectories=8',
      'controls.data=3,controls.trajectories=8,controls.points=4,controls.d=16',
      ...set,
    ],
  })

/** A signal that is aborted from its n-th look on: where a run is cut depends on no clock. */
function abortedAfter(looks: number): AbortSignal {
  let looked = 0
  const { signal } = new AbortController()
  return Object.defineProperty(signal, 'aborted', { get: () => ++looked > looks })
}

describe('end to end', () => {
  test('measures, concludes and draws; runs of several seeds are one picture', async () => {
    const first = await executeRun(experiment, tiny(), { root, threads: 1 })
    const second = await executeRun(experiment, tiny('seed=1'), { root, threads: 1 })
    expect(first.summary.headline).toMatch(
      /^χ peaks at ε = 0\.\d+ \(ε\* = 0\.800\), height [\d.]+ → [\d.]+ as L = 3 → 4$/,
    )
    const claims = first.summary.verdicts!.map(({ claim }) => claim)
    for (const part of [
      'χ(ε) peaks',
      'round trips',
      'r^−a',
      'masking',
      'Gaussian field',
      'two modes',
      '32 modes',
    ])
      expect(claims.some((claim) => claim.includes(part))).toBe(true)
    expect(first.summary.verdicts!.filter(({ control }) => control)).toHaveLength(5)
    expect(JSON.stringify(first.summary)).not.toMatch(/NaN|Infinity/)
    for (const runs of [[first], [first, second]]) {
      const { html } = writeReport(
        runs.map(({ folder }) => loadRun(folder)),
        experiments,
        join(root, `report-${runs.length}`),
      )
      const page = readFileSync(html, 'utf8')
      for (const title of [
        'Tokens change in chunks',
        'no scale',
        'diverges',
        'one curve',
        'Masking',
        'Controls',
        'shape of C(r)',
      ])
        expect(page).toContain(title)
      expect(page).not.toMatch(/NaN|undefined/)
    }
  })

  test('a run cut short goes on where it was and ends with the same result', async () => {
    const config = tiny('seed=2')
    const whole = await executeRun(experiment, config, { root: join(root, 'whole'), threads: 1 })
    const cut = join(root, 'cut')
    for (const looks of [4, 9])
      await expect(
        executeRun(experiment, config, { root: cut, threads: 1, signal: abortedAfter(looks) }),
      ).rejects.toThrow(/interrupted/)
    const resumed = await executeRun(experiment, config, { root: cut, threads: 1 })
    expect(resumed.summary.result).toEqual(whole.summary.result)
    const lines = readFileSync(join(resumed.folder, 'jobs.jsonl'), 'utf8')
    expect(lines).toBe(readFileSync(join(whole.folder, 'jobs.jsonl'), 'utf8'))
    writeFileSync(join(root, 'note'), lines) // the folder stays writable
  })

  test('grammars without a critical noise, and sizes that cannot be, are refused in one line', async () => {
    const run = (...set: string[]) =>
      executeRun(experiment, tiny(...set), { root: join(root, 'bad'), threads: 1 })
    await expect(run('m=10')).rejects.toThrow(/config: v = 16, m = 10, s = 2 has no critical noise/)
    await expect(run('m=17')).rejects.toThrow(/config\.m: expected/)
    await expect(run('depths=[3,3]')).rejects.toThrow(/at least two different depths/)
    expect(() => tiny('controls.d=24')).toThrow(/config\.controls\.d: expected a power of 4/)
  })
})

describe('v = 32, m = 8, s = 2, L = 9: values found with another program (exact inference, 32 data of 48 samples)', () => {
  const shape = { v: 32, classes: 32, m: 8, s: 2, L: 9 }
  const noises = [0.65, 0.7, 0.72, 0.74, 0.76, 0.8]
  const groups = [0, 1, 2].map((grammar) =>
    exactPart({ part: 'exact', shape, seed: 0, grammar, data: 1, noises }),
  )

  test('χ(ε)', () => {
    // the other program's values have errors of about 4 %, ours of about 5 % with 3 data
    for (const [i, known] of [2.45, 3.91, 6.0, 7.66, 4.51, 2.65].entries()) {
      const { value } = jackknife(
        groups.map(({ heights }) => heights[i]!),
        susceptibility,
      )
      expect(Math.abs(value / known - 1), `ε = ${noises[i]}`).toBeLessThan(0.15)
    }
  })

  test('C(ℓ)/C(0) halves with each doubling of the distance near ε*', () => {
    const [at] = [exactPart({ part: 'exact', shape, seed: 1, grammar: 0, data: 3, noises: [0.731] })]
    const relative = relativeCorrelations(at.heights[0]!, 2)
    for (const [height, known] of [0.628, 0.335, 0.179, 0.097, 0.052, 0.028].entries())
      expect(Math.abs(relative[height + 1]! / known - 1)).toBeLessThan(0.12)
    expect(Math.abs(decayExponent(relative, 2) - 0.92)).toBeLessThan(0.06)
  })
})

test('parts of the same grammar agree: round trips and the exact computation', () => {
  const job = { shape: { v: 16, classes: 16, m: 4, s: 2, L: 5 }, seed: 3, grammar: 0, data: 4, noises: [0.7] }
  const exact = exactPart({ ...job, part: 'exact' }).heights[0]!
  const sampled = sampledPart({ ...job, part: 'epsilon', trajectories: 500 })
  expect(Math.abs(susceptibility(sampled.heights[0]!) / susceptibility(exact) - 1)).toBeLessThan(0.1)
  // C(0) by height is a sum over tokens, by distance a mean
  expect(sampled.distances![0]![0]! * 32).toBeCloseTo(sampled.heights[0]![0]!, 3)
})

describe('estimators', () => {
  test('the top of a parabola is found from three uneven points', () => {
    const x = [0, 0.7, 1, 1.6, 3]
    const { at, height, inside } = peakOf(
      x,
      x.map((t) => 5 - 2 * (t - 1.1) ** 2),
    )
    expect([at, height, inside]).toEqual([expect.closeTo(1.1, 10), expect.closeTo(5, 10), true])
    expect(peakOf([1, 2, 3], [1, 2, 3])).toEqual({ at: 3, height: 3, inside: false })
  })

  test('exponents of known laws', () => {
    const relative = Array.from({ length: 10 }, (_, height) => 3 ** (-0.8 * height))
    expect(decayExponent(relative, 3)).toBeCloseTo(0.8, 12)
    const noises = [0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7]
    const lengths = noises.map((eps) => (eps < 0.5 ? 3 : 1) * Math.abs(eps - 0.5) ** -1.7)
    expect(lengthExponent(sidesOf(noises, lengths, 0.5))).toBeCloseTo(1.7, 10)
  })

  test('curves with one scaling function collapse, and only with the right exponent', () => {
    const curves = [0.2, 0.3, 0.35, 0.4, 0.6, 0.65, 0.7, 0.8].map((eps) => {
      const r = Array.from({ length: 12 }, (_, i) => 1.5 ** i)
      return { eps, r, y: r.map((x) => Math.exp(-x * Math.abs(eps - 0.5) ** 2)) }
    })
    const right = collapse(curves, 0.5, 2)
    expect(right.after).toBeLessThan(0.1 * right.before)
    expect(collapse(curves, 0.5, 1).after).toBeGreaterThan(4 * right.after)
  })

  test('noise levels are round, rising, inside (0, 1), and hold ε*', () => {
    for (const star of [0.05, 0.3, 0.731183, 0.97]) {
      const levels = noisesAround(star, 0.005)
      expect(levels).toContain(star)
      expect(levels).toEqual([...new Set(levels)].sort((a, b) => a - b))
      expect(levels[0]).toBeGreaterThan(0)
      expect(levels.at(-1)).toBeLessThan(1)
    }
  })

  test('runs are averaged number by number, errors in squares', () => {
    const run = (x: number, error: number | null) => ({
      name: 'a',
      x,
      curve: { value: [x, 2 * x], error: [error, 3] },
    })
    expect(averageRuns([run(1, 3), run(2, 4)])).toEqual({
      name: 'a',
      x: 1.5,
      curve: { value: [1.5, 3], error: [2.5, Math.hypot(3, 3) / 2] },
    })
    expect(averageRuns([run(1, null), run(2, 4)]).curve.error[0]).toBeNull()
  })
})
