/** The digits experiment end to end on small made-up digits: learning, figures, export, and exact resume after interruptions. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { experiments } from '../../src/experiments/index.ts'
import { composeConfig, executeRun, exportRun, loadRun, writeReport } from '../../src/lab/index.ts'
import { writeMadeUpDigits } from './madeUpDigits.ts'

const digits = experiments.find(({ name }) => name === 'digits')!
let root: string
let data: string

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-digits-'))
  data = mkdtempSync(join(tmpdir(), 'treeline-digits-data-'))
  writeMadeUpDigits(data)
})
afterAll(() => {
  for (const folder of [root, data]) rmSync(folder, { recursive: true, force: true })
})

const configFor = (...set: string[]) =>
  composeConfig(digits, {
    set: ['epochs=6', 'batchSize=32', 'channels=[4,8]', 'shift=1', ...set],
    values: { dataset: data },
  })

test('learns, reports and exports', async () => {
  const { folder, summary } = await executeRun(digits, configFor(), { root, threads: 1 })
  expect(summary.result['testAccuracy']).toBeGreaterThan(0.9)
  expect(summary.headline).toMatch(/^test accuracy \d+\.\d\d %$/)
  const run = loadRun(folder)
  const rows = summary.result['rows'] as { part: string; truth: string; guess: string; count: number }[]
  const confusion = rows.filter(({ part }) => part === 'confusion')
  const sum = (of: typeof confusion) => of.reduce((count, row) => count + row.count, 0)
  const [total, right] = [sum(confusion), sum(confusion.filter(({ truth, guess }) => truth === guess))]
  expect(total).toBe(200)
  expect(right / total).toBeCloseTo(summary.result['testAccuracy'] as number, 12)
  const { html } = writeReport([run], experiments, folder)
  const page = readFileSync(html, 'utf8')
  for (const title of ['Loss', 'Test error', 'What is taken for what', 'The worst mistakes'])
    expect(page).toContain(title)
  const { bytes } = await exportRun(run, experiments, join(root, 'digits.onnx'))
  expect(bytes).toBeGreaterThan(4 * (summary.result['parameters'] as number))
})

/** A signal that is aborted from its n-th look on. Training looks once a step, so where it is cut depends on no clock. */
function abortedAfter(looks: number): AbortSignal {
  let looked = 0
  const { signal } = new AbortController()
  return Object.defineProperty(signal, 'aborted', { get: () => ++looked > looks })
}

test('a run interrupted three times ends with the same bits as one that was not', async () => {
  const config = configFor('seed=5', 'epochs=3')
  const whole = await executeRun(digits, config, { root: join(root, 'whole'), threads: 1 })
  const cutRoot = join(root, 'cut')
  for (const steps of [7, 13, 17]) {
    const signal = abortedAfter(steps)
    await expect(executeRun(digits, config, { root: cutRoot, threads: 1, signal })).rejects.toThrow(
      /resume with/,
    )
  }
  const resumed = await executeRun(digits, config, { root: cutRoot, threads: 1 })
  expect(resumed.resumed).toBe(true)
  for (const file of ['cells/0-0/state.safetensors', 'cells/0-0/metrics.jsonl', 'metrics.jsonl'])
    expect(
      readFileSync(join(resumed.folder, file)).equals(readFileSync(join(whole.folder, file))),
      file,
    ).toBe(true)
})

test('the same config gives the same bits, another seed others', async () => {
  const read = async (name: string, ...set: string[]) => {
    const { folder } = await executeRun(digits, configFor('epochs=1', ...set), {
      root: join(root, name),
      threads: 1,
    })
    return readFileSync(join(folder, 'cells/0-0/state.safetensors'))
  }
  const first = await read('first')
  expect((await read('second')).equals(first)).toBe(true)
  expect((await read('third', 'seed=1')).equals(first)).toBe(false)
})
