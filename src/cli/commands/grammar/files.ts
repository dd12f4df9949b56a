/** @file Files of the grammar commands: reading with a bound, and results as JSON that people can read as well. */
import { readBytes, readText as readFile, textOf } from '../../../base/read.ts'
import type { Grammar } from '../../../grammar/index.ts'
import { integerOption } from '../../options.ts'

/** The text of a file, or of standard input for `-`. Throws TL_IO when it cannot be read. */
export function readText(path: string): string {
  return path === '-' ? textOf(readBytes(0), 'standard input') : readFile(path)
}

/** A `*.grammar.json` file. */
export async function loadGrammar(path: string): Promise<Grammar> {
  const { grammarFromText } = await import('../../../grammar/index.ts')
  return grammarFromText(readText(path), path)
}

/** `--seed`, 0 when it is not given. */
export const seedFlag = () =>
  integerOption('--seed <n>', 'all randomness comes from it', 0, 0xffff_ffff).default(0)

/** An object as JSON with one line for each field, and one for each item of a field that is a list of lists or objects. */
export function jsonText(value: Readonly<Record<string, unknown>>): string {
  const fields = Object.entries(value).map(([name, field]) => {
    const lines = Array.isArray(field) && typeof field[0] === 'object' && field[0] !== null
    const text = lines
      ? `[\n${field.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`
      : JSON.stringify(field)
    return `  ${JSON.stringify(name)}: ${text}`
  })
  return `{\n${fields.join(',\n')}\n}\n`
}
