/** @file Whole files, read into memory: bytes, text and JSON, with mistakes named in one line. */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { fail } from './errors.ts'
import { explainSystemError } from './files.ts'
import { isObject, type JsonObject, parseJson, parseJsonBytes, refuseUtf16 } from './json.ts'
import { bytes as showBytes } from './numbers.ts'

/** Beyond this a file is none of those that are read whole (and a JavaScript string ends at 512 MB). */
const mostBytes = 256e6

/** The bytes of a file, 0 for standard input. Throws `TL_IO`, and `TL_BAD_FILE` above `most` bytes. */
export function readBytes(path: string | 0, most = mostBytes): Buffer {
  const name = path === 0 ? 'standard input' : path
  const refuseAbove = (size: number): void => {
    if (size > most)
      fail('TL_BAD_FILE', `${name}: expected at most ${showBytes(most)}, got ${showBytes(size)}`)
  }
  try {
    if (path !== 0) refuseAbove(statSync(path).size)
    const content = readFileSync(path)
    refuseAbove(content.length)
    return content
  } catch (error) {
    return explainSystemError(error, `cannot read ${name}`)
  }
}

/** Can `readBytes` read a file? Throws as it does; nothing is read. */
export function checkReadable(path: string, most = mostBytes): void {
  try {
    accessSync(path, constants.R_OK)
    const status = statSync(path)
    if (!status.isFile()) fail('TL_IO', `cannot read ${path}: expected a file`)
    if (status.size > most)
      fail('TL_BAD_FILE', `${path}: expected at most ${showBytes(most)}, got ${showBytes(status.size)}`)
  } catch (error) {
    explainSystemError(error, `cannot read ${path}`)
  }
}

/** Text in UTF-8, without the mark that some editors put in front. Throws `TL_BAD_FILE` naming `label`. */
export function textOf(content: Uint8Array, label: string): string {
  refuseUtf16(content, label)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content)
  } catch {
    return fail('TL_BAD_FILE', `${label}: expected text in UTF-8; this is no text`)
  }
}

/** The text of a file. Throws as `readBytes` and `textOf` do. */
export const readText = (path: string): string => textOf(readBytes(path), path)

/** The JSON of a file. Throws as `readText` does, and `TL_BAD_FILE` with the line on which it stops being JSON. */
export const readJson = (path: string): unknown => parseJson(readText(path), path)

/**
 * The JSON object in a file of a model, undefined when there is no such file. Throws `TL_IO`, and `TL_BAD_FILE` for anything
 * else, a byte-order mark too: other tools would stop at it.
 */
export function readObject(path: string): JsonObject | undefined {
  if (!existsSync(path)) return undefined
  const value = parseJsonBytes(readBytes(path), path)
  return isObject(value) ? value : fail('TL_BAD_FILE', `${path}: expected a JSON object`)
}
