/** @file What a config reads: files and folders that it names, by the hash of what they hold. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { statusOf } from '../../base/files.ts'
import { hashFile } from '../../base/hashFile.ts'
import { fail, isObject } from '../../base/index.ts'
import { contentHash } from '../canonical.ts'

/** Texts of a config that may be paths. A word without a separator or an ending is a name. */
const pathsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return /[/\\.]/.test(value) ? [value] : []
  if (Array.isArray(value)) return value.flatMap(pathsIn)
  return isObject(value) ? Object.values(value).flatMap(pathsIn) : []
}

/** SHA-256 of a file, or of a folder's names and their hashes. */
async function hashOf(path: string): Promise<string> {
  if (!statusOf(path)?.isDirectory()) return (await hashFile(path)).sha256
  const parts: [string, string][] = []
  for (const name of readdirSync(path).sort()) parts.push([name, await hashOf(join(path, name))])
  return contentHash(parts)
}

/** Hashes of what a config names and this machine has, by path; undefined when that is nothing. */
export async function readsOf(config: unknown): Promise<Record<string, string> | undefined> {
  const found = [...new Set(pathsIn(config))].filter((path) => statusOf(path))
  if (found.length === 0) return undefined
  const hashes: Record<string, string> = {}
  for (const path of found) hashes[path] = await hashOf(path)
  return hashes
}

const checked = new Map<string, Promise<string>>()

/** Refuse a job whose files are absent here, or others. Throws TL_IO or TL_CHECKSUM naming the path. */
export async function checkReads(reads: Readonly<Record<string, string>> = {}): Promise<void> {
  for (const [path, expected] of Object.entries(reads)) {
    const status = statusOf(path)
    if (!status?.isFile() && !status?.isDirectory())
      fail(
        'TL_IO',
        `${path}: the job reads it, and it is not on this machine: copy it here, to the same path`,
      )
    const key = `${path} ${status.mtimeMs} ${status.size}`
    const hash = checked.get(key) ?? hashOf(path)
    checked.set(key, hash)
    const found = await hash
    if (found !== expected)
      fail(
        'TL_CHECKSUM',
        `${path}: expected what the submitting machine has (SHA-256 ${expected.slice(0, 12)}…), got ${found.slice(0, 12)}…: copy the same files here`,
      )
  }
}
