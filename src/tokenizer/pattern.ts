/**
 * @file Regular expressions of tokenizer files (Oniguruma, as Hugging Face's tokenizers run them) as JavaScript's.
 * `oniguruma-to-es` translates them; properties are held at the Unicode version of the reference.
 */
import { toRegExpDetails } from 'oniguruma-to-es'
import { fail, TreelineError } from '../base/index.ts'
import { newIn17 } from './unicode.ts'

const hex = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`

/** A JavaScript expression whose `\p{…}` and `\P{…}` lack the characters that the reference does not know yet. */
const atUnicode16 = (source: string): string =>
  source.replace(/\\(?:([pP])(\{[^}]*\})|[^pP])/g, (whole, letter?: string, name?: string) => {
    // these do not grow
    if (letter === undefined || name === '{Any}' || name === '{space}') return whole
    const known = `[\\p${name}--[${newIn17}]]`
    return letter === 'p' ? known : `[^${known}]`
  })

/** A pattern as a global JavaScript expression. Throws `TL_UNSUPPORTED` for what has no counterpart, naming `label`. */
export function translate(pattern: string, label: string): RegExp {
  const refuse = (why: string): never =>
    fail('TL_UNSUPPORTED', `${label}: the pattern ${JSON.stringify(pattern)} cannot be followed: ${why}`)
  try {
    const { pattern: source, flags, options } = toRegExpDetails(pattern, { global: true, target: 'ES2024' })
    // groups need not be hidden, for nothing reads them
    if (options?.strategy || flags.includes('y'))
      refuse('\\G, the end of the match before, has no counterpart')
    new RegExp(source, flags)
    return new RegExp(atUnicode16(source), flags)
  } catch (error) {
    if (error instanceof TreelineError) throw error
    return refuse((error as Error).message.replace(/^Invalid regular expression: .*: /s, ''))
  }
}

/** A literal text as a global expression. */
export const literal = (text: string): RegExp => new RegExp([...text].map(hex).join(''), 'gv')

/** `{ "Regex": … }` or `{ "String": … }`, as tokenizer files write patterns. */
export function patternOf(value: unknown, label: string): RegExp {
  if (typeof value === 'object' && value !== null) {
    const { Regex: regex, String: text } = value as Record<string, unknown>
    if (typeof regex === 'string') return translate(regex, label)
    if (typeof text === 'string') return literal(text)
  }
  return fail(
    'TL_BAD_FILE',
    `${label}: expected a pattern { "Regex": … } or { "String": … }, got ${JSON.stringify(value)}`,
  )
}
