/**
 * @file Tokenizers in GGUF metadata (`tokenizer.ggml.*`), put into tokenizer.json's terms. `gpt2` is byte-level BPE whose
 * way of cutting words is named by `pre`; `llama` is SentencePiece's BPE, which merges what has the best score.
 */
import { fail } from '../base/index.ts'
import type { AddedToken } from './added.ts'
import { type Definition, turnEnds } from './definition.ts'
import { mergeTable } from './huggingFace.ts'
import type { MergeTable } from './merges.ts'

type Metadata = Readonly<Record<string, unknown>>

/** `trim_offsets` decides no ids, but the reference wants it written. */
const byteLevel = (useRegex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
})
const isolated = (pattern: string) => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
})
const sequence = (...steps: unknown[]) => ({ type: 'Sequence', pretokenizers: steps })
const digits = { type: 'Digits', individual_digits: true }

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const words = (numbers: string): string =>
  `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
const cased = (end: string, numbers: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${end}|` +
  `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${end}|` +
  `${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

interface Pre {
  preTokenizer: unknown
  normalizer?: unknown
  ignoreMerges?: boolean
  /** Unless the file says otherwise. */
  addsBos?: boolean
}

const gpt2: Pre = { preTokenizer: byteLevel(true) }
const singleDigits: Pre = { preTokenizer: sequence(digits, byteLevel(true)) }
const llama3: Pre = {
  preTokenizer: sequence(isolated(words('\\p{N}{1,3}')), byteLevel(false)),
  ignoreMerges: true,
  addsBos: true,
}
const qwen2: Pre = {
  preTokenizer: sequence(isolated(words('\\p{N}')), byteLevel(false)),
  normalizer: { type: 'NFC' },
}
const tekken: Pre = {
  preTokenizer: sequence(isolated(cased('', '\\p{N}')), byteLevel(false)),
  ignoreMerges: true,
  addsBos: true,
}
const gpt4o: Pre = {
  preTokenizer: sequence(isolated(cased(`${contractions}?`, '\\p{N}{1,3}')), byteLevel(false)),
}

/** What llama.cpp does with a file that says `default`: punctuation, then GPT-2's words, then digits by three. */
const byDefault: Pre = {
  preTokenizer: sequence(
    isolated('[\\p{P}\\$\\+<=>\\^~\\|]+'),
    isolated("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"),
    isolated('\\p{N}+'),
    isolated('[0-9][0-9][0-9]'),
    byteLevel(false),
  ),
}

/** `tokenizer.ggml.pre`, as llama.cpp names the families; the first name of a family is the one that is written. */
export const pres: Readonly<Record<string, Pre>> = {
  default: byDefault,
  'gpt-2': gpt2,
  mpt: gpt2,
  olmo: gpt2,
  smollm: singleDigits,
  starcoder: singleDigits,
  refact: singleDigits,
  codeshell: singleDigits,
  'llama-bpe': llama3,
  llama3,
  'llama-v3': llama3,
  falcon3: llama3,
  pixtral: llama3,
  'smaug-bpe': { ...llama3, ignoreMerges: false, addsBos: false },
  qwen2,
  'deepseek-r1-qwen': qwen2,
  tekken,
  'gpt-4o': gpt4o,
}

/** llama.cpp's `llama_token_type`. */
export const TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

interface Reader {
  text(key: string): string | undefined
  integer(key: string): number | undefined
  truth(key: string): boolean | undefined
  texts(key: string): readonly string[] | undefined
  numbers(key: string): ArrayLike<number> | undefined
}

function readerOf(metadata: Metadata, label: string): Reader {
  const typed =
    <T>(expected: string, accepts: (value: unknown) => boolean) =>
    (key: string): T | undefined => {
      const value = metadata[key]
      if (value !== undefined && !accepts(value))
        fail(
          'TL_BAD_FILE',
          `${label}: ${key} is no ${expected}: the file is damaged or made by another program`,
        )
      return value as T | undefined
    }
  return {
    text: typed('text', (value) => typeof value === 'string'),
    integer: typed('whole number', Number.isInteger),
    truth: typed('truth value', (value) => typeof value === 'boolean'),
    texts: typed(
      'list of texts',
      (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
    ),
    numbers: typed('list of numbers', (value) => ArrayBuffer.isView(value)),
  }
}

/**
 * SentencePiece has scores where BPE has a list: a pair may merge when the two together are a token, the best score first.
 * Tokens of one score share a rank.
 */
export function mergesByScore(
  vocabulary: ReadonlyMap<string, number>,
  scores: ArrayLike<number>,
  usable: (id: number) => boolean,
): MergeTable {
  const left: number[] = []
  const right: number[] = []
  const result: number[] = []
  for (const [token, id] of vocabulary) {
    if (!usable(id)) continue
    let head = ''
    for (const character of token) {
      if (head !== '') {
        const [a, b] = [vocabulary.get(head), vocabulary.get(token.slice(head.length))]
        if (a !== undefined && b !== undefined) {
          left.push(a)
          right.push(b)
          result.push(id)
        }
      }
      head += character
    }
  }
  const ordered = [...new Set(result.map((id) => scores[id]!))].sort((a, b) => b - a)
  const rankOf = new Map(ordered.map((score, rank) => [score, rank]))
  return {
    left: Int32Array.from(left),
    right: Int32Array.from(right),
    result: Int32Array.from(result),
    rank: Int32Array.from(result, (id) => rankOf.get(scores[id]!)!),
  }
}

const replace = (from: string, to: string) => ({ type: 'Replace', pattern: { String: from }, content: to })

function sentencePiece(
  read: Reader,
  vocabulary: ReadonlyMap<string, number>,
  types: ArrayLike<number>,
  label: string,
) {
  if (read.truth('tokenizer.ggml.remove_extra_whitespaces'))
    fail('TL_UNSUPPORTED', `${label}: tokenizer.ggml.remove_extra_whitespaces is not supported`)
  const scores = read.numbers('tokenizer.ggml.scores')
  if (!scores || scores.length !== types.length)
    return fail(
      'TL_BAD_FILE',
      `${label}: tokenizer.ggml.scores has ${scores?.length ?? 0} entries for ${types.length} tokens`,
    )
  const prefix = read.truth('tokenizer.ggml.add_space_prefix') ?? true
  return {
    merges: mergesByScore(
      vocabulary,
      scores,
      (id) => types[id] === TYPE.normal || types[id] === TYPE.userDefined,
    ),
    byteFallback: true,
    fuseUnknown: true,
    ignoreMerges: false,
    normalizer: {
      type: 'Sequence',
      normalizers: [...(prefix ? [{ type: 'Prepend', prepend: '▁' }] : []), replace(' ', '▁')],
    },
    preTokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        replace('▁', ' '),
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    addsBos: true,
  }
}

function bytePairs(read: Reader, vocabulary: ReadonlyMap<string, number>, label: string) {
  const pre = read.text('tokenizer.ggml.pre')
  if (pre === undefined)
    fail(
      'TL_UNSUPPORTED',
      `${label}: tokenizer.ggml.pre is missing, so how it cuts words is unknown: convert the model again with a current llama.cpp`,
    )
  if (!Object.hasOwn(pres, pre!))
    fail(
      'TL_UNSUPPORTED',
      `${label}: tokenizer.ggml.pre = ${pre} is not supported, so how it cuts words is unknown (supported: ${Object.keys(pres).join(', ')})`,
    )
  const row = pres[pre!]!
  const merges = read.texts('tokenizer.ggml.merges')
  if (!merges) fail('TL_BAD_FILE', `${label}: tokenizer.ggml.merges is missing`)
  return {
    merges: mergeTable(merges!, vocabulary, label),
    byteFallback: false,
    fuseUnknown: false,
    ignoreMerges: row.ignoreMerges ?? false,
    normalizer: row.normalizer ?? null,
    preTokenizer: row.preTokenizer,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    addsBos: row.addsBos ?? false,
  }
}

/** The definition in a GGUF file's metadata. Throws `TL_UNSUPPORTED` with the list of what is supported, `TL_BAD_FILE`. */
export function readGgufTokenizer(metadata: Metadata, label: string): Definition {
  const read = readerOf(metadata, label)
  const model = read.text('tokenizer.ggml.model')
  const tokens = read.texts('tokenizer.ggml.tokens')
  if (model === undefined || !tokens)
    return fail(
      'TL_UNSUPPORTED',
      `${label}: has no tokenizer (tokenizer.ggml.*): it may not be a language model`,
    )
  if (model !== 'gpt2' && model !== 'llama')
    return fail(
      'TL_UNSUPPORTED',
      `${label}: tokenizer.ggml.model = ${model} is not supported (supported: gpt2, llama)`,
    )
  const types = read.numbers('tokenizer.ggml.token_type') ?? new Int32Array(tokens.length).fill(TYPE.normal)
  if (types.length !== tokens.length)
    fail('TL_BAD_FILE', `${label}: ${types.length} token types for ${tokens.length} tokens`)
  // a token that is listed twice has the later id
  const vocabulary = new Map(tokens.map((token, id) => [token, id]))
  const added = tokens.flatMap((content, id): AddedToken[] => {
    const special = types[id] === TYPE.control || types[id] === TYPE.unknown
    if (!special && types[id] !== TYPE.userDefined) return []
    return [
      { id, content, special, normalized: false, singleWord: false, leftStrip: false, rightStrip: false },
    ]
  })
  const { addsBos, ...family } =
    model === 'gpt2' ? bytePairs(read, vocabulary, label) : sentencePiece(read, vocabulary, types, label)

  const names: Record<string, string> = {}
  const id = (name: string): number | undefined => {
    const found = read.integer(`tokenizer.ggml.${name}_token_id`)
    if (found !== undefined && tokens[found] === undefined)
      fail('TL_BAD_FILE', `${label}: ${name}_token_id is ${found}, but there are ${tokens.length} tokens`)
    return found
  }
  for (const [name, key] of [
    ['bos', 'bos'],
    ['eos', 'eos'],
    ['unk', 'unknown'],
    ['pad', 'padding'],
  ] as const) {
    const found = id(key)
    if (found !== undefined) names[`${name}_token`] = tokens[found]!
  }
  const bosId = id('bos')
  const declared = [id('eos'), id('eot'), id('eom')].filter((one) => one !== undefined)
  const template = read.text('tokenizer.chat_template')
  const unknown = model === 'llama' ? names['unk_token'] : undefined
  return {
    label,
    vocabulary,
    added,
    ...family,
    ...(unknown === undefined ? {} : { unknown }),
    ...(bosId === undefined ? {} : { bosId }),
    addsBos: bosId !== undefined && (read.truth('tokenizer.ggml.add_bos_token') ?? addsBos),
    eosIds: turnEnds(
      declared,
      added.filter(({ special }) => special),
    ),
    names,
    ...(template === undefined ? {} : { chatTemplate: template }),
  }
}
