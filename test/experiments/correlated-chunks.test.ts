/** The study correlated-chunks: from covariances of theory alone it must find the theory; its estimators on known laws. */
import { expect, test } from 'vitest'
import { controlDistances, controls, pairCounts } from '../../src/diffusion/index.ts'
import {
  alphaBarAt,
  type Cell,
  cellsOf,
  noisesAround,
  noisesOf,
  type Row,
  type Rows,
  replicasOfCell,
} from '../../src/experiments/correlated-chunks/cells.ts'
import { type Config, shapeOf } from '../../src/experiments/correlated-chunks/config.ts'
import { collapse, decayExponent, lengthExponent } from '../../src/experiments/correlated-chunks/estimates.ts'
import { correlatedChunks } from '../../src/experiments/correlated-chunks.ts'
import { pairStatistics } from '../../src/grammar/index.ts'
import { composeConfig, executeRun } from '../../src/lab/index.ts'

const config = composeConfig(correlatedChunks, {
  preset: 'quick',
  set: ['depths=4,10', 'grammars=3'],
}) as Config

/** Rows as theory gives them; masking and the mixture of 32 modes have none and get a peak by hand. */
function theoryRows({ part, L, control }: Cell): Row[] {
  return noisesOf(config, part).map((noise): Row => {
    if (control !== null) {
      const { d } = config.controls
      const { susceptibility, line } = controls[control]
      const chi = susceptibility ? susceptibility(d, alphaBarAt(noise)) : 1 + 50 * noise * (1 - noise) ** 2
      return {
        noise,
        sums: [1, chi - 1],
        distances: line ? controlDistances(d).map((r) => (r === 0 ? 1 : 0.2)) : [],
      }
    }
    if (part === 'masking')
      return { noise, sums: [1, 3 * Math.exp(-(((noise - 0.3) / 0.15) ** 2))], distances: [] }
    const { relative } = pairStatistics(shapeOf(config, L), noise)
    const sums = pairCounts(config.s ** L, config.s).map((pairs, height) => pairs * relative[height]!)
    return { noise, sums, distances: [] }
  })
}

const rowsOf = (seed: number): Rows =>
  cellsOf(config).flatMap((cell) =>
    Array.from({ length: replicasOfCell(config, cell) }, (_, replica) =>
      theoryRows(cell).map((row) => ({ ...cell, ...row, seed, replica })),
    ).flat(),
  )

test('covariances of theory give the peaks, exponents and controls of theory, also from several seeds', () => {
  for (const rows of [rowsOf(0), [...rowsOf(0), ...rowsOf(1)]]) {
    const { claims, charts, tables, headline, result } = correlatedChunks.study.findings(rows, config)
    expect(claims.map(({ claim, outcome }) => [claim, outcome])).toEqual(
      claims.map(({ claim }) => [claim, 'holds']),
    )
    expect(claims.filter(({ control }) => control)).toHaveLength(5)
    // the exact χ of two modes ends a little below its largest value
    expect(claims.find(({ claim }) => claim.startsWith('two modes'))!.predicted).toBeCloseTo(0.9982, 3.5)
    expect(headline).toBe('χ peaks at ε = 0.732 (ε* = 0.731), height 3.2 → 9.1 as L = 4 → 10')
    // the size of the tree moves both exponents; the estimators see what mean field has at this size
    expect(result!['decay']).toBeCloseTo(result!['decayMeanField'] as number, 6)
    expect(result!['nu']).toBeCloseTo(result!['nuMeanField'] as number, 6)
    expect(charts.map((draw) => draw().name)).toEqual([
      ...['chi', 'round-trips', 'correlations', 'length', 'collapse', 'masking', 'controls', 'shapes'],
    ])
    expect(tables).toHaveLength(3)
  }
})

test('exponents of known laws are found', () => {
  const relative = Array.from({ length: 10 }, (_, height) => 3 ** (-0.8 * height))
  expect(decayExponent(relative, 3)).toBeCloseTo(0.8, 12)
  const x = [0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7]
  const y = x.map((eps) => (eps < 0.5 ? 3 : 1) * Math.abs(eps - 0.5) ** -1.7)
  expect(lengthExponent({ x, y }, 0.5)).toBeCloseTo(1.7, 10)
})

test('curves with one scaling function collapse, and only with the right exponent', () => {
  const curves = [0.2, 0.3, 0.35, 0.4, 0.6, 0.65, 0.7, 0.8].map((eps) => {
    const x = Array.from({ length: 12 }, (_, i) => 1.5 ** i)
    return { eps, x, y: x.map((r) => Math.exp(-r * Math.abs(eps - 0.5) ** 2)) }
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

test('grammars without a critical noise, and sizes that cannot be, are refused in one line', async () => {
  const tiny = (set: string) => composeConfig(correlatedChunks, { preset: 'tiny', set: [set] })
  const run = (set: string) => executeRun(correlatedChunks, tiny(set), { threads: 1 })
  await expect(run('m=10')).rejects.toThrow(/config: v = 16, m = 10, s = 2 has no critical noise/)
  await expect(run('m=17')).rejects.toThrow(/config\.m: expected/)
  await expect(run('depths=[3,3]')).rejects.toThrow(/at least two different depths/)
  expect(() => tiny('controls.d=24')).toThrow(/config\.controls\.d: expected a power of 4/)
})
