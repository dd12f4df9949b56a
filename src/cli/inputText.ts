/** @file Texts from standard input: where an option's text is `-`, or where there is none and something is piped in. */
import { fstatSync } from 'node:fs'
import { fail } from '../base/index.ts'
import type { Io } from './io.ts'

/** Is something piped into the process? Neither a terminal nor nothing at all (`/dev/null`) is. */
export function isPiped({ input }: Io): boolean {
  if (!input) return false
  try {
    const about = fstatSync(0)
    return about.isFIFO() || about.isFile()
  } catch {
    return false
  }
}

/** The text of an option; for `-` all of standard input, without the line end that closes it. */
export async function textOrInput(word: string, { input }: Io): Promise<string> {
  if (word !== '-') return word
  if (!input) return fail('TL_USAGE', '-: there is no standard input here')
  const parts: Buffer[] = []
  for await (const part of input) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
