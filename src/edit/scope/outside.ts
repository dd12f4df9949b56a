/** @file Which tokens of a prompt say what is asked, and not of whom: those outside the subject, in its last sentence that names it. */
import type { Tokenizer } from '../../lm/index.ts'
import { plainText } from '../memoir/subject.ts'

/** The pieces of a text that its tokens stand for; a character of several tokens counts for the last of them. */
export function piecesOf(
  words: Pick<Tokenizer, 'decode'> & Partial<Pick<Tokenizer, 'decoder'>>,
  ids: readonly number[],
): string[] {
  const decoder = words.decoder?.()
  if (decoder) return ids.map((id) => decoder.push(id))
  let before = ''
  return ids.map((_, i) => {
    const text = words.decode(ids.slice(0, i + 1), { cut: true })
    const piece = text.slice(before.length)
    before = text
    return piece
  })
}

/** Finds a subject as whole words, whatever its case and the punctuation between them; undefined for one without words. */
function finderOf(subject: string): RegExp | undefined {
  const parts = plainText(subject).trim().split(' ').filter(Boolean)
  if (parts.length === 0) return undefined
  const words = parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`(?<![\\p{L}\\p{N}])${words.join('[\\p{P}\\s]+')}(?![\\p{L}\\p{N}])`, 'giu')
}

/**
 * Weights of tokens, with sum 1: equal outside the subject, 0 within it and in sentences before the one that names it last. Equal
 * for all where the text does not name the subject, or says nothing else.
 */
export function outsideWeights(pieces: readonly string[], subject: string): Float64Array {
  const text = pieces.join('')
  const found = [...text.matchAll(finderOf(subject) ?? /$^/g)].map((match) => ({
    from: match.index,
    to: match.index + match[0].length,
  }))
  const last = found.at(-1)
  const before = last && [...text.slice(0, last.from).matchAll(/[.!?]\s+/g)].at(-1)
  const begin = before ? before.index + before[0].length : 0
  const weights = new Float64Array(pieces.length)
  let at = 0
  for (const [t, piece] of pieces.entries()) {
    // a space before a word belongs to its token
    const from = at + Math.max(0, piece.search(/\S/))
    at += piece.length
    const isInside = found.some((one) => from < one.to && at > one.from)
    if (last && !isInside && from >= begin && piece !== '') weights[t] = 1
  }
  const total = weights.reduce((a, b) => a + b, 0)
  return total > 0 ? weights.map((w) => w / total) : weights.fill(1 / pieces.length)
}
