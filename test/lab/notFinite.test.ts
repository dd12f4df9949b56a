/** A run whose result is not finite: named in its headline, its summary, its metrics and every table. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { z } from 'zod'
import { formatMeasured, formatNumber } from '../../src/base/index.ts'
import { tableOf } from '../../src/lab/collect/table.ts'
import { csvText } from '../../src/lab/collect/write.ts'
import { executeRun } from '../../src/lab/execute.ts'
import { defineExperiment, seedField } from '../../src/lab/index.ts'
import { groupClaims } from '../../src/lab/report/claims.ts'
import { tableHtml } from '../../src/lab/report/html.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-nan-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const broken = defineExperiment({
  name: 'broken',
  version: 1,
  title: 'Broken',
  description: 'Divides by zero.',
  config: z.strictObject({ seed: seedField }),
  presets: { quick: {}, paper: {} },
  run: async (context) => {
    context.metric({ step: 1, loss: context.config.seed === 0 ? Number.NaN : 2 })
    const bad = context.config.seed === 0
    return { last: bad ? Number.NaN : 3, curve: [1, bad ? Number.POSITIVE_INFINITY : 2], fine: 4 }
  },
  summary: ({ result }) => ({
    headline: `h ${result['last']}`,
    paragraph: '',
    verdicts: [
      {
        ...{ claim: 'is three', measured: result['last'] as number | null },
        ...{ error: null, predicted: 3, pass: true, control: false },
      },
    ],
  }),
  figures: () => [],
})

it('is named where it stands, never null without a word, never averaged', async () => {
  const runs = []
  for (const seed of [0, 1]) {
    const { folder, summary } = await executeRun(broken, { seed }, { root })
    const metrics = readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    runs.push({ folder, summary, metrics })
  }
  const [bad, good] = runs as [(typeof runs)[0], (typeof runs)[0]]
  expect(bad.summary.headline).toBe('h null (not finite: last is NaN, curve[1] is Infinity)')
  expect(good.summary.headline).toBe('h 3')
  const stored = JSON.parse(readFileSync(join(bad.folder, 'summary.json'), 'utf8'))
  expect(stored.result).toEqual({ last: null, curve: [1, null], fine: 4 })
  expect(stored.notFinite).toEqual({ last: 'NaN', 'curve[1]': 'Infinity' })
  expect(good.summary).not.toHaveProperty('notFinite')
  expect(JSON.parse(bad.metrics)).toEqual({ step: 1, loss: null, notFinite: { loss: 'NaN' } })
  expect(JSON.parse(good.metrics)).toEqual({ step: 1, loss: 2 })

  const views = runs.map(({ folder, summary, metrics }) => ({
    ...{ folder, summary, hash: summary.hash, experiment: 'broken' },
    ...{ config: summary.config, result: summary.result, metrics: [JSON.parse(metrics)], read: () => null },
  }))
  const cells = (options: Parameters<typeof tableOf>[1], name: string) =>
    tableOf(views, options).columns.find((column) => column.name === name)!.cells
  expect(cells({}, 'result.last')).toEqual([Number.NaN, 3])
  expect(cells({ metrics: true }, 'metric.loss')).toEqual([Number.NaN, 2])
  expect(csvText(tableOf(views))).toContain('NaN')
  const [shown] = groupClaims(broken, [{ label: '', config: { seed: 0 }, runs: views }])
  expect([shown!.claim, shown!.measured]).toEqual(['is three (a finite number in 1 of 2 runs)', 3])
})

it('numbers of reports', () => {
  expect([formatNumber(Number.NaN), formatNumber(null), formatNumber(-0)]).toEqual(['NaN', '–', '0'])
  const table = tableHtml({ title: 't', columns: ['a', 'b'], rows: [['x', '-0.0 ± 0.1 (-0.03, a-0, -0)']] })
  expect(table).toContain('<td>0.0 ± 0.1 (-0.03, a-0, 0)</td>')
  expect([formatMeasured(1, 0), formatMeasured(Number.NaN, 1)]).toEqual(['1', 'NaN'])
})
