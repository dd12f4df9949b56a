/** @file Objects that a text mentions: the longest phrases of a table, in the singular and in the plural. */

/** An object in a text. */
export interface Mention {
  /** Its class. */
  readonly object: string
  /** The word it begins at, from 0. */
  readonly word: number
}

export interface ObjectTable {
  /** Classes, each with other words for it, in the singular; a class is a word for itself. */
  readonly objects: Readonly<Record<string, readonly string[]>>
  /** Phrases with a word of a class that are none of it. */
  readonly others?: readonly string[]
  /** Words before a class that belong to it. */
  readonly modifiers?: readonly (readonly [word: string, classes: readonly string[]])[]
}

const irregular: Readonly<Record<string, readonly string[]>> = {
  ...{ man: ['men'], woman: ['women'], child: ['children'], person: ['persons'], people: ['peoples'] },
  ...{ mouse: ['mice'], goose: ['geese'], gentleman: ['gentlemen'], policeman: ['policemen'] },
  ...{ fireman: ['firemen'], businessman: ['businessmen'], fisherman: ['fishermen'], sheep: ['sheep'] },
  ...{ ox: ['oxen'], aircraft: ['aircraft'], cattle: ['cattle'], luggage: ['luggage'] },
}

/** A word in the plural, in the spellings that it may have. */
function pluralsOf(word: string): readonly string[] {
  if (Object.hasOwn(irregular, word)) return irregular[word]!
  if (/[^aeiou]y$/.test(word)) return [`${word.slice(0, -1)}ies`]
  if (/(?:ch|sh|s|x|z)$/.test(word)) return [`${word}es`]
  const plain = [`${word}s`]
  if (/o$/.test(word)) plain.push(`${word}es`)
  if (/fe$/.test(word)) plain.push(`${word.slice(0, -2)}ves`)
  else if (/[^f]f$/.test(word)) plain.push(`${word.slice(0, -1)}ves`)
  return plain
}

/** A phrase in the singular and in the plural: its last word changes, or that before "of" and "in". */
function formsOf(phrase: string): readonly string[] {
  const words = phrase.split(' ')
  const link = words.findIndex((word) => word === 'of' || word === 'in')
  const head = link > 0 ? link - 1 : words.length - 1
  const many = pluralsOf(words[head]!).map((plural) => words.with(head, plural).join(' '))
  return [phrase, ...many]
}

/** Words of a text, in lower case: letters and digits, apostrophes and hyphens taken apart. */
export const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(/[’']s\b/g, '')
    .match(/[\p{L}\p{N}]+/gu) ?? []

/** Finds the objects of a table in texts. */
export function mentionFinder({ objects, others = [], modifiers = [] }: ObjectTable) {
  /** Phrases in all their forms ↦ classes; undefined for those of none. */
  const phrases = new Map<string, string | undefined>()
  const add = (phrase: string, object: string | undefined): void => {
    for (const form of formsOf(wordsOf(phrase).join(' '))) if (!phrases.has(form)) phrases.set(form, object)
  }
  for (const other of others) add(other, undefined)
  for (const object of Object.keys(objects)) add(object, object)
  for (const [object, words] of Object.entries(objects)) for (const word of words) add(word, object)
  const before = new Map(modifiers.map(([word, classes]) => [word, new Set(classes)]))
  const longest = Math.max(1, ...[...phrases.keys()].map((phrase) => phrase.split(' ').length))

  /** The longest phrase that begins at a word. */
  function phraseAt(words: readonly string[], at: number): { object: string | undefined; length: number } {
    for (let length = Math.min(longest, words.length - at); length > 0; length--) {
      const phrase = words.slice(at, at + length).join(' ')
      if (phrases.has(phrase)) return { object: phrases.get(phrase), length }
    }
    return { object: undefined, length: 1 }
  }
  return (text: string): Mention[] => {
    const words = wordsOf(text)
    const found: Mention[] = []
    for (let at = 0; at < words.length; ) {
      const own = phraseAt(words, at)
      const classes = own.length === 1 ? before.get(words[at]!) : undefined
      const next = classes && at + 1 < words.length ? phraseAt(words, at + 1) : undefined
      const isModifier = next?.object !== undefined && classes!.has(next.object)
      const { object, length } = isModifier ? { object: next.object, length: 1 + next.length } : own
      if (object !== undefined) found.push({ object, word: at })
      at += length
    }
    return found
  }
}
