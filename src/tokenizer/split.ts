/** @file Pre-tokenizers of `tokenizer.json`: they cut a text into the pieces within which tokens are merged. One row each. */
import { didYouMean, fail, isObject, type JsonObject } from '../base/index.ts'
import { literal, patternOf, translate } from './pattern.ts'
import { objectOf, objectsOf, textOf } from './settings.ts'

/** Pieces of a text, in order. `first` is true for the piece with which the whole text begins. */
type Splitter = (text: string, first: boolean) => string[]
type Row = (settings: JsonObject, label: string) => Splitter

/** GPT-2's pattern, which ByteLevel brings with it. */
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

type Part = { start: number; end: number; match: boolean }

/** The whole text, alternating between what the expression matches and what lies between. */
function partition(text: string, expression: RegExp, invert: boolean): Part[] {
  const parts: Part[] = []
  let end = 0
  expression.lastIndex = 0
  for (let found = expression.exec(text); found; found = expression.exec(text)) {
    const start = found.index
    if (start > end) parts.push({ start: end, end: start, match: invert })
    end = start + found[0].length
    if (end > start) parts.push({ start, end, match: !invert })
    // an empty match: on by one character, never into the middle of one
    else expression.lastIndex = start + (text.codePointAt(start)! > 0xffff ? 2 : 1)
  }
  if (end < text.length) parts.push({ start: end, end: text.length, match: invert })
  return parts
}

/** What becomes of matches, by the reference's names: parts in, spans out. */
const behaviors: Record<string, (parts: Part[]) => Part[]> = {
  removed: (parts) => parts.filter(({ match }) => !match),
  isolated: (parts) => parts,
  contiguous: (parts) => joined(parts, (part, before) => part.match === before.match),
  mergedwithprevious: (parts) => joined(parts, (part, before) => part.match && !before.match),
  mergedwithnext: (parts) => joined(parts, (part, before) => before.match && !part.match),
}

/** Neighbours put together where `together` says so of a part and the one before it. */
function joined(parts: Part[], together: (part: Part, before: Part) => boolean): Part[] {
  const spans: Part[] = []
  for (const [index, part] of parts.entries()) {
    const before = parts[index - 1]
    if (before && together(part, before)) spans.at(-1)!.end = part.end
    else spans.push({ ...part })
  }
  return spans
}

/** Cut by an expression. The name of the behaviour in any of the reference's spellings. */
function cutter(expression: RegExp, behavior: string, invert: boolean, label: string): Splitter {
  const key = behavior.toLowerCase().replaceAll('_', '')
  const shape = Object.hasOwn(behaviors, key) ? behaviors[key] : undefined
  if (!shape)
    return fail(
      'TL_UNSUPPORTED',
      `${label}: split behavior ${behavior}: ${didYouMean(behavior, Object.keys(behaviors))}`,
    )
  const cut: Splitter = (text) =>
    shape(partition(text, expression, invert)).map(({ start, end }) => text.slice(start, end))
  if (key !== 'isolated') return cut
  // most patterns match all there is, and then a list of the matches is the answer, much faster
  return (text, first) => {
    const matches = text.match(expression)
    if (!matches) return [text]
    let length = 0
    for (const match of matches) length += match.length
    return length === text.length && !matches.includes('') ? matches : cut(text, first)
  }
}

const rows: Record<string, Row> = {
  Split({ pattern, behavior, invert }, label) {
    return cutter(
      patternOf(pattern, label),
      textOf(behavior, 'pre-tokenizer Split: behavior', label),
      invert === true,
      label,
    )
  },
  Digits({ individual_digits: individual }) {
    // the reference asks Rust's tables here, which are Unicode 17's, so JavaScript's \p{N} as it is
    const digits = individual === true ? /(\p{N})/u : /(\p{N}+)/u
    return (text) => text.split(digits).filter((piece) => piece !== '')
  },
  ByteLevel({ add_prefix_space: prefix = true, use_regex: regex = true }, label) {
    const cut: Splitter =
      regex === false ? (text) => [text] : cutter(translate(GPT2, label), 'isolated', false, label)
    return (text, first) => cut(prefix === true && !text.startsWith(' ') ? ` ${text}` : text, first)
  },
  Metaspace({ replacement = '▁', prepend_scheme: scheme, add_prefix_space: legacy, split = true }, label) {
    const mark = textOf(replacement, 'pre-tokenizer Metaspace: replacement', label)
    const when = scheme ?? (legacy === false ? 'never' : 'always')
    const cut: Splitter =
      split === false ? (text) => [text] : cutter(literal(mark), 'mergedWithNext', false, label)
    return (text, first) => {
      const marked = text.replaceAll(' ', mark)
      const prepend = (when === 'always' || (when === 'first' && first)) && !marked.startsWith(mark)
      return cut(prepend ? mark + marked : marked, first)
    }
  },
  Sequence({ pretokenizers }, label) {
    const list = objectsOf(pretokenizers, 'pretokenizers', label)
    const bytes = list.findIndex((step) => step['type'] === 'ByteLevel')
    if (bytes !== -1 && bytes !== list.length - 1)
      fail(
        'TL_UNSUPPORTED',
        `${label}: ByteLevel is not the last pre-tokenizer; only that order is supported`,
      )
    const steps = list.map((step) => splitterOf(step, label))
    return (text, first) => {
      let pieces = [text]
      for (const step of steps) pieces = pieces.flatMap((piece, index) => step(piece, first && index === 0))
      return pieces
    }
  },
}

/** The function a pre-tokenizer's JSON describes; `null` leaves the text whole. Throws `TL_UNSUPPORTED` listing the known ones. */
export function splitterOf(json: unknown, label: string): Splitter {
  if (json === null || json === undefined) return (text) => [text]
  const settings = objectOf(json, 'pre-tokenizer', label)
  const type = String(settings['type'])
  if (!Object.hasOwn(rows, type))
    fail(
      'TL_UNSUPPORTED',
      `${label}: pre-tokenizer ${type} is not supported (supported: ${Object.keys(rows).join(', ')})`,
    )
  return rows[type]!(settings, label)
}

/** Does this pre-tokenizer turn pieces into bytes? */
export function isByteLevel(json: unknown): boolean {
  if (!isObject(json)) return false
  const { type, pretokenizers } = json
  return (
    type === 'ByteLevel' ||
    (type === 'Sequence' && Array.isArray(pretokenizers) && pretokenizers.some(isByteLevel))
  )
}
