/** @file Tokens that are found in a text as they are, before anything is split or merged: special ones and others. */
import { literal } from './pattern.ts'
import { spaces, wordCharacters } from './unicode.ts'

export interface AddedToken {
  readonly id: number
  readonly content: string
  /** Recognised in a text only where asked, and left out of decoded text where asked. */
  readonly special: boolean
  /** Looked for after normalization instead of before. */
  readonly normalized: boolean
  readonly singleWord: boolean
  /** Swallow the whitespace to the left, to the right. */
  readonly leftStrip: boolean
  readonly rightStrip: boolean
}

/** A text cut into the tokens found, as ids, and what lies between. */
type Cut = (text: string, special: boolean) => (string | number)[]

const endsWithSpace = new RegExp(`[${spaces}]*$`, 'v')
const beginsWithSpace = new RegExp(`^[${spaces}]*`, 'v')
const endsWithWord = new RegExp(`[${wordCharacters}]$`, 'v')
const beginsWithWord = new RegExp(`^[${wordCharacters}]`, 'v')

/** How these tokens, written as given, cut a text: leftmost first, of those the longest. */
export function cutterOf(tokens: readonly { written: string; token: AddedToken }[]): Cut {
  const rows = new Map(
    tokens.filter(({ written }) => written !== '').map(({ written, token }) => [written, token]),
  )
  if (rows.size === 0) return (text) => (text === '' ? [] : [text])
  const longestFirst = [...rows.keys()].sort((a, b) => b.length - a.length)
  const expression = new RegExp(longestFirst.map((word) => literal(word).source).join('|'), 'gv')
  return (text, special) => {
    const parts: (string | number)[] = []
    let done = 0
    for (const found of text.matchAll(expression)) {
      const token = rows.get(found[0])!
      if (token.special && !special) continue
      let start = found.index
      let end = start + found[0].length
      if (
        token.singleWord &&
        (endsWithWord.test(text.slice(0, start)) || beginsWithWord.test(text.slice(end)))
      )
        continue
      // what a token before has swallowed stays swallowed
      if (token.leftStrip) start = Math.max(done, start - endsWithSpace.exec(text.slice(0, start))![0].length)
      if (token.rightStrip) end += beginsWithSpace.exec(text.slice(end))![0].length
      if (start > done) parts.push(text.slice(done, start))
      parts.push(token.id)
      done = end
    }
    if (done < text.length) parts.push(text.slice(done))
    return parts
  }
}
