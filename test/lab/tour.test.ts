/** @file The tour: quick presets, one after another; a failure is noted and the rest goes on. */
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
