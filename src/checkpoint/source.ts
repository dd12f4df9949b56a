/** @file Bytes at an offset, from a file or from memory: what a lazy reader stands on. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { explainSystemError } from '../base/files.ts'
import { fail } from '../base/index.ts'

/** Random access to bytes. `label` names the source in messages. */
export type ByteSource = {
  label: string
  byteLength: number
  /** Fill `into` from byte `offset`. Throws `TL_BAD_FILE` when the source is shorter, `TL_IO` when reading fails. */
  readInto(offset: number, into: Uint8Array): void
  close(): void
}

/** A file, held open until `close()`. */
export function fileSource(path: string): ByteSource {
  let descriptor: number
  let byteLength: number
  try {
    // a named pipe without a writer would be waited for; it is refused below (the flag is not there on Windows)
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  try {
    const status = fstatSync(descriptor)
    if (!status.isFile()) fail('TL_IO', `cannot read ${path}: a file was expected`)
    byteLength = status.size
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  let open = true
  return {
    label: path,
    byteLength,
    readInto(offset, into) {
      if (!open) fail('TL_BAD_ARGUMENT', `${path}: read after close()`)
      for (let done = 0; done < into.byteLength; ) {
        let got: number
        try {
          got = readSync(descriptor, into, done, Math.min(into.byteLength - done, 1 << 30), offset + done)
        } catch (error) {
          return explainSystemError(error, `cannot read ${path}`)
        }
        if (got === 0)
          fail('TL_BAD_FILE', `${path}: ends at byte ${offset + done}, sooner than when it was opened`)
        done += got
      }
    },
    close() {
      if (open) closeSync(descriptor)
      open = false
    },
  }
}

/** Bytes already in memory; reads copy. */
export const memorySource = (bytes: Uint8Array, label: string): ByteSource => ({
  label,
  byteLength: bytes.byteLength,
  readInto(offset, into) {
    if (offset + into.byteLength > bytes.byteLength)
      fail('TL_BAD_FILE', `${label}: ends at byte ${bytes.byteLength}`)
    into.set(bytes.subarray(offset, offset + into.byteLength))
  },
  close() {},
})

/** The header was checked against the file, so only a tensor beyond this machine's memory can fail here. */
export function allocate(size: number, label: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size)
  } catch (error) {
    return fail('TL_IO', `${label}: ${size} bytes do not fit into memory: read it in chunks`, error)
  }
}
