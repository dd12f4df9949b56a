/** @file Canonical JSON and content hashes: the same config gives the same text, the same hash, the same folder. */
import { createHash } from 'node:crypto'
import { type Json, toJson } from '../base/index.ts'

/** JSON with sorted keys and no spaces, for hashing. */
export function canonicalJson(value: unknown): string {
  const sort = (node: Json): Json => {
    if (node === null || typeof node !== 'object') return node
    if (Array.isArray(node)) return node.map(sort)
    const entries = Object.entries(node as { [key: string]: Json })
    return Object.fromEntries(
      entries.sort(([a], [b]) => Number(a > b) - Number(a < b)).map(([key, member]) => [key, sort(member)]),
    )
  }
  return JSON.stringify(sort(toJson(value)))
}

/** SHA-256 of the canonical JSON, 64 hexadecimal digits. */
export const contentHash = (value: unknown): string =>
  createHash('sha256').update(canonicalJson(value)).digest('hex')
