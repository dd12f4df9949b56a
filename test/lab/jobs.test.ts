/** @file Jobs: each kept as soon as it is finished, none done twice, whatever cuts the run. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readMetrics, runJobs } from '../../src/lab/index.ts'
import { worked } from './squares.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-jobs-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const task = { module: new URL('./squares.ts', import.meta.url).href, name: 'square' }
const jobs = [1, 2, 3, 4, 5].map((x) => ({ x }))
const expected = jobs.map(({ x }) => ({ squared: x * x, nothing: null }))
const contextIn = (name: string, signal = new AbortController().signal) => {
  const folder = mkdtempSync(join(root, name))
  const shown: { done: number; total: number; detail?: string }[] = []
  return { folder, threads: 1, signal, progress: (step: (typeof shown)[number]) => shown.push(step), shown }
}

test('results in order, as JSON carries them; progress by cost', async () => {
  const context = contextIn('order')
  const results = await runJobs(context, task, jobs, { label: ({ x }) => `x = ${x}`, cost: ({ x }) => x })
  expect(results).toEqual(expected)
  expect(context.shown.map(({ done }) => done)).toEqual([0, 1, 3, 6, 10, 15])
  expect(context.shown.at(-1)).toEqual({ done: 15, total: 15, detail: 'x = 5' })
  await runJobs(context, task, [{ x: 6 }])
  expect(readMetrics(join(context.folder, 'metrics.jsonl'))).toEqual(
    [1, 2, 3, 4, 5, 6].map((x, step) => ({
      step,
      task: 'square',
      job: { x },
      result: { squared: x * x, nothing: null },
    })),
  )
})

test('an interrupted run goes on where it was; a torn line is done again, a foreign one refused', async () => {
  let looked = 0
  const { signal } = new AbortController()
  Object.defineProperty(signal, 'aborted', { get: () => ++looked > 3 })
  const context = contextIn('cut', signal)
  await expect(runJobs(context, task, jobs)).rejects.toThrow('interrupted after 3 of 5 parts')
  const path = join(context.folder, 'jobs.jsonl')
  const lines = readFileSync(path, 'utf8').split('\n')
  expect(lines).toHaveLength(4)
  const again = { ...context, signal: new AbortController().signal }
  writeFileSync(path, `${lines[0]}\nnonsense\n${lines[1]}\n`)
  await expect(runJobs(again, task, jobs)).rejects.toThrow(
    /jobs\.jsonl:2: expected a finished job, got nonsense \(run again with --fresh\)/,
  )
  writeFileSync(path, `${lines[0]}\n${lines[1]}\n${lines[2]!.slice(0, 20)}`)
  worked.length = 0
  expect(await runJobs(again, task, jobs)).toEqual(expected)
  expect(worked).toEqual([3, 4, 5])
  worked.length = 0
  expect(await runJobs(again, task, jobs)).toEqual(expected)
  expect(worked).toEqual([])
})

test('a job that fails ends the run with its reason; the finished ones are kept', async () => {
  const context = contextIn('fails')
  await expect(runJobs(context, task, [{ x: 7 }, { x: 13 }, { x: 8 }])).rejects.toThrow('unlucky')
  worked.length = 0
  await runJobs(context, task, [{ x: 7 }, { x: 8 }])
  expect(worked).toEqual([8])
})
