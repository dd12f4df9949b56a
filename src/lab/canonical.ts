/** @file Canonical JSON and content hashes: the same config gives the same text, the same hash, the same folder. */
import { createHash } from 'node:crypto'

/** A value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A copy that JSON carries as it is: numbers that are not finite become null, undefined members vanish. */
export function toJson(value: unknown): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'bigint') return value.toString()
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return Array.from(value as unknown as ArrayLike<number | bigint>, toJson)
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object') return null
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, toJson(member)]),
  )
}

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

/** Two-space JSON with a final newline, for files that people open. */
export const prettyJson = (value: unknown): string => `${JSON.stringify(toJson(value), null, 2)}\n`
