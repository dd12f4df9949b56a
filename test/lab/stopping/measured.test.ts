/** The planner on trainings that were measured: ours on an RHM, and small ones on images, grammars and text. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  curveRowsOf,
  gatherCurves,
  intervalOf,
  planStop,
  type TrainingCurve,
  widthOf,
} from '../../../src/lab/index.ts'

const plan = (curves: readonly TrainingCurve[]) => planStop(curves, { by: 'validation', share: 0.02, at: [] })

describe('trainings of our own on an RHM', () => {
  // `memorization`, paper preset, three seeds: local exponents from doubling to doubling 0.2, 0.9, 1.3, 1.4, 1.3
  const path = new URL('../../fixtures/rhm-curves.csv', import.meta.url)
  const { curves } = gatherCurves(curveRowsOf(readFileSync(path, 'utf8'), 'rhm-curves.csv'))

  test.each([
    ['copies', 0.02, [64, 128]],
    ['copies', 0.05, [64]],
    ['validation', 0.02, [64, 128]],
  ] as const)('%s (%s): P eight times the largest that was seen', (by, share, largest) => {
    const { points } = planStop(curves, { by, share, at: [] })
    for (const most of largest) {
      const { predictions } = planStop(
        curves.filter(({ P }) => P <= most),
        { by, share, at: [8 * most] },
      )
      const { tau } = points.find(({ P, bound }) => P === 8 * most && bound === null)!
      expect(predictions[0]!.low).toBeLessThan(tau)
      expect(predictions[0]!.high).toBeGreaterThan(tau)
      expect(widthOf(predictions[0]!)).toBeLessThan(5.5)
    }
  })

  test('the bend is named, from P up to 128 on', () => {
    for (const most of [128, 1024]) {
      const { law, notes } = planStop(
        curves.filter(({ P }) => P <= most),
        { by: 'copies', share: 0.02, at: [] },
      )
      expect(law!.bend!.low).toBeGreaterThan(0)
      expect(notes.join('\n')).toContain(
        `the law bends: its exponent changes by ${law!.bend!.value.toFixed(2)}`,
      )
    }
  })
})

describe('measured curves', () => {
  const folder = process.env['TREELINE_TEST_CURVES'] ?? resolve('../shared/data/curves')
  const curvesOf = (name: string): TrainingCurve[] => {
    const path = join(folder, `${name}.csv`)
    return gatherCurves(curveRowsOf(readFileSync(path, 'utf8'), path)).curves
  }
  const measured = existsSync(folder) ? test : test.skip

  // a held-out P eight times the largest is not in these files: two P are needed for a law, and they reach from 32 to 256
  measured.each([
    ['grammar', 'validation', 0.02],
    ['grammar', 'copies', 0.02],
    ['grammar', 'copies', 0.05],
    ['images', 'validation', 0.02],
    ['images', 'copies', 0.02],
    ['images', 'copies', 0.05],
  ] as const)('%s by %s (%s): P = 256 from P up to 128, and from P up to 64', (name, by, share) => {
    const curves = curvesOf(name)
    const all = planStop(curves, { by, share, at: [] })
    expect(all.leaveOneOut.map(({ P }) => P)).toEqual([32, 64, 128, 256])
    const { tau, bound } = all.points.at(-1)!
    expect(bound).toBeNull()
    for (const most of [128, 64]) {
      const few = curves.filter(({ P }) => P <= most)
      const [one] = planStop(few, { by, share, at: [256] }).predictions
      expect(one!.low).toBeLessThan(tau)
      expect(one!.high).toBeGreaterThan(tau)
      expect(widthOf(one!)).toBeLessThan(5)
    }
  })

  measured('the grammar’s minimum grows more slowly than P, its copies do not, and the plan says so', () => {
    const { law, beside, notes } = plan(curvesOf('grammar'))
    expect(law!.bHigh).toBeLessThan(1)
    expect(beside!.law!.bLow).toBeLessThan(1)
    expect(beside!.law!.bHigh).toBeGreaterThan(1)
    expect(notes.join('\n')).toContain('disagree')
  })

  measured('the times of the text are those that were read off its curves', () => {
    const { points, law } = plan(curvesOf('text'))
    // 229, and 914 to 1292 (noisy)
    expect(points[0]!.low).toBeLessThan(229)
    expect(points[0]!.high).toBeGreaterThan(229)
    expect(points[1]!.low).toBeLessThan(914)
    expect(points[1]!.high).toBeGreaterThan(1292)
    const [low, high] = intervalOf({ value: 0.96, error: 0.13 })
    expect(law!.b).toBeGreaterThan(low)
    expect(law!.b).toBeLessThan(high)
  })
})
