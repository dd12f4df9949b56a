/** @file The tour: short presets, one after another; a failure is noted and the rest goes on. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { fail } from '../../src/base/index.ts'
import { defineExperiment, seedField, tour } from '../../src/lab/index.ts'
import { makeToy } from './toy.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-tour-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const failing = defineExperiment({
  name: 'failing',
  title: 'Fails',
  description: 'Fails.',
  config: z.strictObject({ seed: seedField }),
  presets: { quick: {}, paper: {} },
  run: async () => fail('TL_NETWORK', 'the registry does not answer'),
  summary: () => ({ headline: '', paragraph: '' }),
  figures: () => [],
})

test('the rest goes on after a failure, with the quick preset; finished runs are skipped', async () => {
  const heard: string[] = []
  const options = {
    root,
    threads: 1,
    onBegin: ({ name }: { name: string }) => heard.push(`begin ${name}`),
    onEnd: ({ error }: { error?: string }) => heard.push(error ?? 'done'),
  }
  const stops = await tour([failing, makeToy()], options)
  expect(heard).toEqual(['begin failing', 'the registry does not answer', 'begin toy', 'done'])
  expect(stops[0]).toMatchObject({ error: 'the registry does not answer' })
  expect(stops[1]!.outcome).toMatchObject({ skipped: false, summary: { config: { steps: 5 } } })
  const again = await tour([makeToy()], options)
  expect(again[0]!.outcome).toMatchObject({ skipped: true, folder: stops[1]!.outcome!.folder })
})

test('each shows its headline, or with `quick` all of its quick preset', async () => {
  const toy = makeToy()
  const short = { ...toy, presets: { ...toy.presets, tour: { steps: 2 } as object } }
  const steps = async (preset?: 'quick') =>
    (await tour([short], { root: join(root, 'short'), threads: 1, preset }))[0]!.outcome!.summary.config
  expect(await steps()).toMatchObject({ steps: 2 })
  expect(await steps('quick')).toMatchObject({ steps: 5 })
})

test('an interruption ends it, a mistake in an experiment too', async () => {
  const cut = new AbortController()
  const toy = makeToy({ at: (step) => step === 3 && cut.abort() })
  const begun: string[] = []
  const options = { root: join(root, 'cut'), threads: 1, signal: cut.signal }
  const whole = tour([toy, failing], { ...options, onBegin: ({ name }) => begun.push(name) })
  await expect(whole).rejects.toMatchObject({ code: 'TL_INTERRUPTED' })
  expect(begun).toEqual(['toy'])
  const broken = { ...failing, run: async () => (undefined as unknown as { x: number }).x as never }
  await expect(tour([broken], { root: join(root, 'broken') })).rejects.toThrow(TypeError)
})

test('the whole of it advances from 0 to 1 and never goes back, whatever the phases of an experiment', async () => {
  const phases = defineExperiment({
    ...failing,
    name: 'phases',
    cost: () => 3,
    async run({ progress }) {
      for (const total of [10, 4]) for (let done = 0; done <= total; done++) progress({ done, total })
      return {}
    },
  })
  const cheap = { ...phases, name: 'cheap', cost: () => 1 }
  const seen: { share: number; secondsLeft: number }[] = []
  const options = { root: join(root, 'whole'), onOverall: (step: (typeof seen)[number]) => seen.push(step) }
  await tour([phases, cheap], { ...options, threads: 1 })
  const shares = seen.map(({ share }) => share)
  expect(shares).toEqual([...shares].sort((a, b) => a - b))
  expect(shares[0]).toBe(0)
  expect(shares.at(-1)).toBe(1)
  // the first takes three quarters of the cost; the second begins where it ends, and says so twice
  expect(shares.filter((share) => share <= 0.75)).toHaveLength(1 + 16 + 2)
  expect(seen.every(({ secondsLeft }) => Number.isFinite(secondsLeft) && secondsLeft >= 0)).toBe(true)
  expect(seen.at(-1)!.secondsLeft).toBe(0)
  // what was finished before is done at once, and says nothing about the pace
  seen.length = 0
  await tour([phases, { ...cheap, name: 'other' }], { ...options, threads: 1 })
  expect(seen[0]!.share).toBe(0)
  expect(seen[1]!.share).toBeGreaterThan(0)
  expect(seen.at(-1)).toEqual({ share: 1, secondsLeft: 0 })
})
