/** @file SHA-256 of files of any size, a few megabytes at a time (Node only). */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { fail } from './errors.ts'
import { explainSystemError } from './files.ts'
import type { Task } from './workers.ts'

/** Bytes that are read at once. */
const piece = 1 << 22

/** What a file holds: its length in bytes and the SHA-256 of them, in hexadecimal. */
export interface FileHash {
  readonly bytes: number
  readonly sha256: string
}

/** Hash a file. The next piece is read while one is hashed. Throws TL_IO, TL_INTERRUPTED. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<FileHash> {
  const hash = createHash('sha256')
  try {
    const file = await open(path, 'r')
    try {
      let [current, next] = [Buffer.allocUnsafe(piece), Buffer.allocUnsafe(piece)]
      let bytes = 0
      let reading = file.read(current, 0, piece, 0)
      for (let { bytesRead } = await reading; bytesRead > 0; { bytesRead } = await reading) {
        if (signal?.aborted) fail('TL_INTERRUPTED', `interrupted while ${path} was hashed`)
        bytes += bytesRead
        reading = file.read(next, 0, piece, bytes)
        hash.update(current.subarray(0, bytesRead))
        ;[current, next] = [next, current]
      }
      return { bytes, sha256: hash.digest('hex') }
    } finally {
      await file.close()
    }
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
}

/** For `mapInWorkers`. */
export const hashTask: Task = { module: import.meta.url, name: 'hashFile' }
