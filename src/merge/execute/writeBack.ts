/** @file Has shards put on disk while the merge goes on, so that at its end little is left to wait for. */
import { close, fdatasync, open } from 'node:fs'
import { promisify } from 'node:util'
import { explainSystemError } from '../../base/files.ts'

const [opening, syncing, closing] = [promisify(open), promisify(fdatasync), promisify(close)]

/** Bytes that are written before the disk is asked for them: enough to be one long transfer. */
const portion = 1 << 26

/** What has been written since the disk was last asked. */
interface WriteBack {
  /** Bytes were written into this file. */
  readonly written: (path: string, bytes: number) => void
  /** Wait for what was asked for. Throws TL_IO when the disk could not take it. */
  readonly settle: () => Promise<void>
}

/** Begin without anything to write. One file at a time is waited for, on a thread of the system. */
export function writeBack(): WriteBack {
  const waiting = new Map<string, number>()
  let running: Promise<void> | undefined
  let failed: { path: string; error: unknown } | undefined

  async function transfer(path: string): Promise<void> {
    try {
      const descriptor = await opening(path, 'r+')
      try {
        await syncing(descriptor)
      } finally {
        await closing(descriptor)
      }
    } catch (error) {
      failed ??= { path, error }
    } finally {
      running = undefined
    }
  }

  return {
    written(path, bytes) {
      const amount = (waiting.get(path) ?? 0) + bytes
      if (running || amount < portion) {
        waiting.set(path, amount)
        return
      }
      waiting.delete(path)
      running = transfer(path)
    },
    async settle() {
      await running
      if (failed) explainSystemError(failed.error, `cannot write ${failed.path}`)
    },
  }
}
