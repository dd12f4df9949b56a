/** @file From a tarball to a folder: every byte is checked against the table before the folder gets its name. */
import { createHash } from 'node:crypto'
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  openSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, gunzipSync } from 'node:zlib'
import { extract } from 'tar-stream'
import { explainSystemError, makeFolder } from '../base/files.ts'
import { fail } from '../base/index.ts'
import { readBytes } from '../base/read.ts'
import { explainCacheError } from './cache.ts'
import { type DatasetSource, type PinnedFile, packageOf } from './sources.ts'

/** Whether a path of a package belongs to a pinned file that is joined from several. */
function isPart({ path }: PinnedFile, candidate: string): boolean {
  const [before, after] = path.split('*')
  return (
    after !== undefined &&
    candidate.length >= before!.length + after.length &&
    candidate.startsWith(before!) &&
    candidate.endsWith(after) &&
    !candidate.slice(before!.length).includes('/')
  )
}

type Options = {
  cacheDir: string
  signal?: AbortSignal | undefined
  onBytes?: ((phase: 'verify' | 'unpack', done: number, total: number) => void) | undefined
}

/** SHA-256 in hexadecimal. */
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/**
 * Compare a tarball with the size and the SHA-512 the registry published. Returns what is wrong, or undefined.
 * Throws `TL_IO` when it cannot be read, `TL_INTERRUPTED`.
 */
export async function tarballMismatch(
  tarball: string,
  source: DatasetSource,
  { signal, onBytes }: Options,
): Promise<string | undefined> {
  const { integrity, bytes: expected } = packageOf(source)
  const hash = createHash('sha512')
  let done = 0
  try {
    const { size } = statSync(tarball)
    if (size !== expected) return `has ${size} bytes, expected ${expected}`
    for await (const chunk of createReadStream(tarball, {
      highWaterMark: 1 << 20,
    }) as AsyncIterable<Buffer>) {
      if (signal?.aborted)
        return fail('TL_INTERRUPTED', 'interrupted while checking the download, which is kept')
      hash.update(chunk)
      done += chunk.byteLength
      onBytes?.('verify', done, expected)
    }
  } catch (error) {
    return explainSystemError(error, `cannot read ${tarball}`)
  }
  const got = `sha512-${hash.digest('base64')}`
  return got === integrity
    ? undefined
    : `has the checksum ${got.slice(0, 23)}…, expected ${integrity.slice(0, 23)}…`
}

/**
 * Extract the files of the table from a checked tarball into the new folder `into`. Only names of the table are
 * ever written, each bounded by its known size. Throws `TL_CHECKSUM`, `TL_BAD_FILE`, `TL_IO`, `TL_INTERRUPTED`.
 */
export async function unpackTarball(
  tarball: string,
  into: string,
  source: DatasetSource,
  options: Options,
): Promise<void> {
  const { cacheDir, signal, onBytes } = options
  const wanted = new Map(Object.entries(source.files).map(([name, file]) => [file.path, { name, file }]))
  const joined = [...wanted.values()]
    .filter(({ file }) => file.path.includes('*'))
    .map((pinned) => ({ ...pinned, parts: new Map<string, Uint8Array>() }))
  const total = Object.values(source.files).reduce((sum, file) => sum + file.bytes, 0)
  let done = 0
  const archive = extract()
  const flow = pipeline(createReadStream(tarball), createGunzip(), archive, signal ? { signal } : {})
  // The loop below meets the same error; without this line Node would call it unhandled.
  flow.catch(() => {})
  try {
    makeFolder(into)
    for await (const entry of archive) {
      const path = entry.header.name.replace(/^[^/]*\//, '') // npm puts everything below one folder
      const isFile = entry.header.type === 'file'
      const whole = isFile ? joined.find(({ file }) => isPart(file, path)) : undefined
      if (whole) {
        whole.parts.set(path, await readPart(entry as AsyncIterable<Uint8Array>, whole.file))
        continue
      }
      const found = isFile ? wanted.get(path) : undefined
      if (!found) {
        entry.resume()
        continue
      }
      wanted.delete(path)
      const target = join(into, found.name)
      await writeEntry(entry as AsyncIterable<Uint8Array>, target, found.file, (count) => {
        done += count
        onBytes?.('unpack', done, total)
      })
    }
    await flow
    for (const { name, file, parts } of joined) {
      if (parts.size === 0) continue
      wanted.delete(file.path)
      const inOrder = [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes)
      await writeEntry(inOrder, join(into, name), file, (count) => {
        done += count
        onBytes?.('unpack', done, total)
      })
    }
  } catch (error) {
    archive.destroy()
    if (signal?.aborted) return fail('TL_INTERRUPTED', 'interrupted while unpacking: the download is kept')
    const { code, message } = error as NodeJS.ErrnoException
    if (code?.startsWith('TL_')) throw error
    if (code?.startsWith('E') && !code.startsWith('ERR_')) return explainCacheError(error, cacheDir)
    return fail('TL_BAD_FILE', `${tarball}: damaged package (${message})`, error)
  }
  if (wanted.size) fail('TL_BAD_FILE', `${tarball}: the package lacks ${[...wanted.keys()].join(', ')}`)
}

/** One of the files that are joined, ending with a line break. */
async function readPart(entry: AsyncIterable<Uint8Array>, file: PinnedFile): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of entry) {
    size += chunk.byteLength
    if (size > file.bytes)
      fail('TL_CHECKSUM', `${file.path} in the package is larger than the expected ${file.bytes} bytes`)
    chunks.push(chunk)
  }
  const lineBreak = 10
  if (chunks.at(-1)?.at(-1) !== lineBreak) chunks.push(Uint8Array.of(lineBreak))
  return Buffer.concat(chunks)
}

async function writeEntry(
  entry: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  target: string,
  file: PinnedFile,
  onBytes: (count: number) => void,
): Promise<void> {
  const wrong = (what: string): never => fail('TL_CHECKSUM', `${file.path} in the package ${what}`)
  const hash = createHash('sha256')
  const descriptor = openSync(target, 'wx')
  let size = 0
  try {
    for await (const chunk of entry) {
      size += chunk.byteLength
      if (size > file.bytes) return wrong(`is larger than the expected ${file.bytes} bytes`)
      hash.update(chunk)
      for (let offset = 0; offset < chunk.byteLength; ) offset += writeSync(descriptor, chunk, offset)
      onBytes(chunk.byteLength)
    }
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  if (size !== file.bytes) wrong(`has ${size} bytes, expected ${file.bytes}`)
  const got = hash.digest('hex')
  if (got !== file.sha256) wrong(`has SHA-256 ${got.slice(0, 16)}…, expected ${file.sha256.slice(0, 16)}…`)
}

/**
 * Copy the files of the table from a folder, plain or gzipped, into the new folder `into`, each compared with its checksum. Throws
 * `TL_IO`, `TL_CHECKSUM`, `TL_BAD_FILE`, `TL_INTERRUPTED`.
 */
export function copyFolder(
  from: string,
  into: string,
  source: DatasetSource,
  { cacheDir, signal, onBytes }: Options,
): void {
  const total = Object.values(source.files).reduce((sum, file) => sum + file.bytes, 0)
  let done = 0
  makeFolder(into)
  for (const [name, file] of Object.entries(source.files)) {
    if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted while copying')
    const path = [name, `${name}.gz`].map((own) => join(from, own)).find((own) => existsSync(own)) ?? ''
    if (path === '')
      fail('TL_IO', `${from}: no ${name} or ${name}.gz: expected the folder of ${source.title}`)
    const content = unzipped(readBytes(path), path, file.bytes)
    if (content.byteLength !== file.bytes)
      fail(
        'TL_CHECKSUM',
        `${path}: ${content.byteLength} bytes, expected ${file.bytes}: it is not the published file`,
      )
    const got = sha256(content)
    if (got !== file.sha256)
      fail(
        'TL_CHECKSUM',
        `${path}: SHA-256 ${got.slice(0, 16)}…, expected ${file.sha256.slice(0, 16)}…: it is not the published file`,
      )
    try {
      writeFileSync(join(into, name), content, { flag: 'wx', flush: true })
    } catch (error) {
      explainCacheError(error, cacheDir)
    }
    done += content.byteLength
    onBytes?.('unpack', done, total)
  }
}

/** Bytes that may be gzipped, of which at most one more than expected is unpacked. */
function unzipped(bytes: Uint8Array, label: string, expected: number): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return gunzipSync(bytes, { maxOutputLength: expected + 1 })
  } catch (error) {
    return fail('TL_BAD_FILE', `${label}: damaged gzip data (${(error as Error).message})`, error)
  }
}
