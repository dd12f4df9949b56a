/** @file Normalizers of `tokenizer.json`: what happens to a text before it is split. One row each. */
import { fail, type JsonObject } from '../base/index.ts'
import { patternOf } from './pattern.ts'
import { objectOf, objectsOf, textOf } from './settings.ts'
import { inert } from './unicode.ts'

type Normalizer = (text: string) => string
type Row = (settings: JsonObject, label: string) => Normalizer

/** Per code point: JavaScript's own knows the final sigma, the reference does not. */
const lowercase: Normalizer = (text) => Array.from(text, (character) => character.toLowerCase()).join('')

const inertCharacter = new RegExp(`([${inert}])`, 'v')

/** A normalization form; what the reference's older tables do not know stays as it is and keeps its neighbours apart. */
const form =
  (name: 'NFC' | 'NFD' | 'NFKC' | 'NFKD'): Row =>
  () =>
  (text) =>
    text
      .split(inertCharacter)
      .map((part, index) => (index % 2 === 1 ? part : part.normalize(name)))
      .join('')

const rows: Record<string, Row> = {
  NFC: form('NFC'),
  NFD: form('NFD'),
  NFKC: form('NFKC'),
  NFKD: form('NFKD'),
  Lowercase: () => lowercase,
  Prepend({ prepend }, label) {
    const prefix = textOf(prepend, 'normalizer Prepend: prepend', label)
    return (text) => (text === '' ? text : prefix + text)
  },
  Replace({ pattern, content }, label) {
    const expression = patternOf(pattern, label)
    const to = textOf(content, 'normalizer Replace: content', label)
    return (text) => text.replace(expression, () => to)
  },
  Sequence({ normalizers }, label) {
    const steps = objectsOf(normalizers, 'normalizers', label).map((step) => normalizerOf(step, label))
    return (text) => steps.reduce((current, step) => step(current), text)
  },
}

/** The function a normalizer's JSON describes; `null` changes nothing. Throws `TL_UNSUPPORTED` listing the known ones. */
export function normalizerOf(json: unknown, label: string): Normalizer {
  if (json === null || json === undefined) return (text) => text
  const settings = objectOf(json, 'normalizer', label)
  const type = String(settings['type'])
  if (!Object.hasOwn(rows, type))
    fail(
      'TL_UNSUPPORTED',
      `${label}: normalizer ${type} is not supported (supported: ${Object.keys(rows).join(', ')})`,
    )
  return rows[type]!(settings, label)
}
