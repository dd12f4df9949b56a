/** @file Data sets on their way into the cache, ended at every change of a file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { getDataset } from '../../src/data/index.ts'
import { plainSettings, serve, tinyDigits } from '../data/helpers.ts'
import { endAtEveryChange } from './everyChange.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-kills-data-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const digits = await tinyDigits()
const options = (cacheDir: string, url = 'http://127.0.0.1:9/') => ({
  cacheDir,
  table: digits.table,
  settings: plainSettings(url),
  pauses: [],
})

it('data get from a tarball', async () => {
  const [place, from] = [join(root, 'cache'), join(root, 'set.tgz')]
  writeFileSync(from, digits.tgz)
  const run = () => getDataset('tiny', { ...options(place), from })
  expect(await endAtEveryChange({ out: join(place, 'datasets'), place, run })).toBeGreaterThan(10)
})

it('data get from a registry', async () => {
  const place = join(root, 'downloads')
  const registry = await serve((request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const range = `bytes ${start}-${digits.tgz.length - 1}/${digits.tgz.length}`
    response.writeHead(start ? 206 : 200, start ? { 'content-range': range } : {})
    response.end(digits.tgz.subarray(start))
  })
  try {
    const run = () => getDataset('tiny', options(place, registry.url))
    expect(await endAtEveryChange({ out: join(place, 'datasets'), place, run })).toBeGreaterThan(10)
  } finally {
    await registry.close()
  }
})
