/**
 * @file Regular expressions of tokenizer files (Oniguruma, as Hugging Face's tokenizers run them) in JavaScript's words.
 * What a pattern means here: `\s` is Unicode's White_Space, which has U+0085 and lacks U+FEFF; `\p{…}` is Unicode 16;
 * `(?i:…)` also folds ſ with s and the Kelvin sign with k; `X?+` is possessive.
 */
import { fail } from '../../base/index.ts'
import { newIn17, spaces } from './unicode.ts'

const CONTROL: Record<string, string> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v', a: '\x07', e: '\x1b' }
const FOLDED: Record<string, string> = { s: 'ſ', k: '\u212a', å: '\u212b' }

const hex = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`

/** A character and what it equals regardless of case. */
function folds(character: string): string[] {
  const lower = character.toLowerCase()
  const upper = character.toUpperCase()
  return [...new Set([character, lower, upper, FOLDED[lower] ?? character])].filter(
    (form) => [...form].length === 1,
  )
}

/** A pattern as a global JavaScript expression. Throws `TL_UNSUPPORTED` for what has no counterpart, naming `label`. */
export function translate(pattern: string, label: string): RegExp {
  const characters = [...pattern]
  let at = 0
  const refuse = (what: string): never =>
    fail(
      'TL_UNSUPPORTED',
      `${label}: the pattern ${JSON.stringify(pattern)} has ${what}, which is not supported`,
    )
  const peek = (word: string): boolean => characters.slice(at, at + word.length).join('') === word
  const take = (word: string): boolean => {
    if (!peek(word)) return false
    at += [...word].length
    return true
  }
  const next = (): string => characters[at++] ?? refuse('an unfinished end')
  const until = (end: string): string => {
    let text = ''
    while (!take(end)) text += next()
    return text
  }

  /** After a backslash: members of a class, or a single character. */
  function escaped(): { members: string } | { character: string } {
    const letter = next()
    if (letter === 's') return { members: spaces }
    if (letter === 'S') return { members: `[^${spaces}]` }
    if (letter === 'd') return { members: `[\\p{Nd}--[${newIn17}]]` }
    if (letter === 'D') return { members: `[^[\\p{Nd}--[${newIn17}]]]` }
    if (letter === 'p' || letter === 'P') {
      if (!take('{')) refuse(`\\${letter} without a name`)
      const negated = take('^') !== (letter === 'P')
      const name = until('}')
      if (!/^[A-Za-z_]+$/.test(name)) refuse(`\\p{${name}}`)
      const known = /^([LMNPSZC][a-z&]?|Letter|Mark|Number|Punctuation|Symbol)$/.test(name)
      const property = known ? `\\p{${name}}` : `\\p{Script=${name}}`
      return { members: negated ? `[^[${property}--[${newIn17}]]]` : `[${property}--[${newIn17}]]` }
    }
    if (letter === 'x') return { character: code(take('{') ? until('}') : next() + next()) }
    if (letter === 'u') return { character: code(next() + next() + next() + next()) }
    if (letter in CONTROL) return { character: CONTROL[letter]! }
    return /[A-Za-z0-9]/.test(letter) ? refuse(`\\${letter}`) : { character: letter }
  }
  function code(digits: string): string {
    const value = Number.parseInt(digits, 16)
    return value <= 0x10ffff ? String.fromCodePoint(value) : refuse(`the character code ${digits}`)
  }

  /** After an opening bracket. */
  function characterClass(insensitive: boolean): string {
    const negated = take('^')
    let members = ''
    for (let first = true; first || !peek(']'); first = false) {
      if (take('[')) {
        if (peek(':')) refuse('a POSIX class')
        members += characterClass(insensitive)
        continue
      }
      if (peek('&&')) refuse('an intersection of classes')
      const low = member()
      if (typeof low !== 'string') {
        members += low.members
        continue
      }
      const range = peek('-') && characters[at + 1] !== ']' && characters[at + 1] !== undefined
      if (!range) {
        members += (insensitive ? folds(low) : [low]).map(hex).join('')
        continue
      }
      at++
      const high = member()
      if (typeof high !== 'string') {
        members += hex(low) + hex('-') + high.members
        continue
      }
      members += `${hex(low)}-${hex(high)}`
      if (insensitive) {
        const end = high.codePointAt(0)!
        if (end > 0x7f) refuse('a range beyond ASCII under (?i)')
        for (let letter = low.codePointAt(0)!; letter <= end; letter++)
          members += folds(String.fromCodePoint(letter)).map(hex).join('')
      }
    }
    at++
    return `[${negated ? '^' : ''}${members}]`
  }
  function member(): string | { members: string } {
    const character = next()
    if (character !== '\\') return character
    const found = escaped()
    return 'character' in found ? found.character : found
  }

  const out: string[] = []
  /** Groups that are open: where their text begins in `out`, and how case was treated outside. */
  const groups: { start: number; insensitive: boolean }[] = []
  let insensitive = false
  let atom = 0
  let names = 0

  function group(): void {
    groups.push({ start: out.length, insensitive })
    if (!take('?')) out.push('(?:')
    else if (take('i:')) {
      insensitive = true
      out.push('(?:')
    } else if (take('i)')) {
      groups.pop()
      insensitive = true
    } else {
      const kind = [':', '=', '!', '<=', '<!'].find(take)
      if (!kind) refuse(`(?${characters[at] ?? ''}`)
      out.push(`(?${kind}`)
    }
  }
  function quantifier(first: string): void {
    if (out.length === 0) refuse(`${first} at its beginning`)
    let text = first
    if (first === '{') {
      text += `${until('}')}}`
      if (!/^\{\d*,?\d*\}$/.test(text) || text === '{}' || text === '{,}') refuse(`the repetition ${text}`)
      text = text.replace('{,', '{0,')
    }
    if (take('?')) out.push(`${text}?`)
    else if (first !== '{' && take('+')) {
      // atomic: what a lookahead has matched is not tried again
      const name = `atomic${names++}`
      const body = out.splice(atom).join('')
      out.push(`(?:(?=(?<${name}>${body}${text}))\\k<${name}>)`)
    } else if (first === '{' && take('+')) {
      const body = out.splice(atom).join('')
      out.push(`(?:${body}${text})+`)
    } else out.push(text)
  }

  while (at < characters.length) {
    const character = next()
    if (character === '(') {
      group()
      continue
    }
    if (character === ')') {
      const closed = groups.pop() ?? refuse('an unmatched )')
      out.push(')')
      insensitive = closed.insensitive
      atom = closed.start
      continue
    }
    if (character === '*' || character === '+' || character === '?' || character === '{') {
      quantifier(character)
      continue
    }
    if (character === '|') {
      out.push('|')
      continue
    }
    atom = out.length
    if (character === '[') out.push(characterClass(insensitive))
    else if (character === '.') out.push('[^\\n]')
    else if (character === '^') out.push('(?:^|(?<=\\n))')
    else if (character === '$') out.push('(?:$|(?=\\n))')
    else {
      const found = character === '\\' ? escaped() : { character }
      if ('members' in found) out.push(`[${found.members}]`)
      else if (insensitive) out.push(`[${folds(found.character).map(hex).join('')}]`)
      else out.push(hex(found.character))
    }
  }
  if (groups.length > 0) refuse('an unmatched (')
  try {
    return new RegExp(out.join(''), 'gv')
  } catch (error) {
    return refuse(`something JavaScript refuses (${(error as Error).message.replace(/^.*: /s, '')})`)
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
