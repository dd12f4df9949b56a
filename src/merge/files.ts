/** @file Small files of a model's folder: read whole, with a limit, and checked to be what they should. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { explainSystemError } from '../base/files.ts'
import { fail, isObject, parseJsonBytes, bytes as showBytes } from '../base/index.ts'

/** A JSON object. */
export type Json = Record<string, unknown>

const mostBytes = 256e6

/** A small file. Throws TL_IO, and TL_BAD_FILE above 256 MB. */
export function readBytes(path: string): Uint8Array {
  try {
    const { size } = statSync(path)
    if (size > mostBytes)
      fail('TL_BAD_FILE', `${path}: ${showBytes(size)}, expected at most ${showBytes(mostBytes)}`)
    return readFileSync(path)
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
}

/** The same as text. */
export const readText = (path: string): string => new TextDecoder().decode(readBytes(path))

/** A JSON object; undefined when there is no such file. Throws TL_BAD_FILE for anything else. */
export function readJson(path: string): Json | undefined {
  if (!existsSync(path)) return undefined
  const value = parseJsonBytes(readBytes(path), path)
  return isObject(value) ? value : fail('TL_BAD_FILE', `${path}: expected a JSON object`)
}

/** Text of a JSON file. */
export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
