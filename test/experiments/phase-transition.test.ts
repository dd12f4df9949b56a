/** The study phase-transition: from curves of theory alone it must find the theory. */
import { expect, test } from 'vitest'
import {
  type Cell,
  cellsOf,
  type Row,
  type Rows,
  suppose,
} from '../../src/experiments/phase-transition/cells.ts'
import type { Config } from '../../src/experiments/phase-transition/config.ts'
import { phaseTransition } from '../../src/experiments/phase-transition.ts'
import { beliefs } from '../../src/grammar/index.ts'
import { composeConfig, executeRun } from '../../src/lab/index.ts'

const config = composeConfig(phaseTransition, {
  preset: 'quick',
  set: ['others.channels=masking,thresholds.settings=[[16,4,2],[8,8,3]]'],
}) as Config

/** Rows as mean field gives them, a little apart from replica to replica. */
function theoryRows(cell: Cell, replica: number): Row[] {
  if (cell.part === 'mixture')
    return (['mode', 'coordinate'] as const).flatMap((of) =>
      [0, 1].map((datum) => ({
        ...{ of, datum, level: 0 },
        survival: cell.noise.map((time) => (1 - time) ** (of === 'mode' ? 1 : 2 + 0.1 * datum)),
      })),
    )
  const { v, m, s, depth } = cell
  const found = cell.noise.map((eps) => {
    const shifted = Math.min(1, Math.max(0, eps + 1e-4 * ((replica % 2) - 0.5)))
    const { up, marginal } = beliefs({ v, classes: v, m, s, L: depth }, shifted)
    return cell.part === 'lost' ? up : marginal
  })
  const levels = Array.from({ length: cell.rootOnly ? 1 : depth + 1 }, (_, level): Row => {
    return { of: 'node', level, datum: 0, survival: found.map((heights) => heights[depth - level]!) }
  })
  return [...levels, { ...levels[0]!, of: 'observation' }]
}

function allRows(seed: number): Rows {
  const rows: Rows[number][] = []
  for (let known = 0; ; ) {
    const cells = cellsOf(config, rows)
    if (cells.length === known) return rows
    known = cells.length
    rows.splice(0)
    for (const cell of cells)
      for (let replica = 0; replica < Math.min(4, cell.grammars); replica++)
        rows.push(...theoryRows(cell, replica).map((row) => ({ ...cell, ...row, seed, replica })))
  }
}

test('curves of theory have the thresholds, growths and crossings of theory, also from several seeds', () => {
  for (const rows of [allRows(0), [...allRows(0), ...allRows(1)]]) {
    const { claims, charts, tables, headline } = phaseTransition.study.findings(rows, config)
    expect(claims.map(({ outcome, claim }) => [claim, outcome])).toEqual(
      claims.map(({ claim }) => [claim, 'holds']),
    )
    for (const { measured, predicted } of claims.slice(0, 6)) expect(measured).toBeCloseTo(predicted!, 2.5)
    expect(claims.filter(({ control }) => control)).toHaveLength(2)
    expect(headline).toMatch(
      /^class lost at ε = 0\.73[12]\d* ± 0\.0\d+, where the curves of L = 4 and 10 cross/,
    )
    const names = charts.map((draw) => draw().name)
    expect(names).toEqual(
      expect.arrayContaining([
        'levels-epsilon',
        'class-by-depth',
        'phase-diagram',
        'mixture',
        'levels-masking',
      ]),
    )
    expect(tables).toHaveLength(3)
  }
})

test('looks lead to cells around the fall, and what is supposed leads to as many', () => {
  const supposed = cellsOf(config, []).flatMap((cell) =>
    suppose(cell).map((row) => ({ ...cell, ...row, seed: 0, replica: 0 })),
  )
  const close = cellsOf(config, supposed).filter(({ stage, part }) => stage === 'close' && part === 'curves')
  expect(close.map(({ channel, depth }) => `${channel} ${depth}`)).toEqual([
    'epsilon 10',
    'epsilon 8',
    'epsilon 6',
    'epsilon 4',
    'masking 8',
    'masking 6',
    'masking 4',
  ])
  for (const { noise } of close)
    expect(noise.filter((at) => Math.abs(at - 0.5) < 0.1).length).toBeGreaterThan(5)
})

test('configs that cannot be are refused before anything is measured', async () => {
  const refused = (set: string) =>
    executeRun(phaseTransition, composeConfig(phaseTransition, { preset: 'tiny', set: [set] }), {
      threads: 1,
    })
  await expect(refused('grammar.m=9')).rejects.toThrow(/^config\.grammar\.m: expected v·m ≤ v\^s/)
  await expect(refused('depths=3,3')).rejects.toThrow('config.depths: expected at least two different depths')
  await expect(refused('thresholds.settings=[[4,5,2]]')).rejects.toThrow(
    /^config\.thresholds\.settings\[0\]\.m/,
  )
})
