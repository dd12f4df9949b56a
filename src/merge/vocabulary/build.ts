/** @file The tokenizer of the output: a model's own, or the union of all, with tokens that the recipe adds. */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fail, isObject } from '../../base/index.ts'
import { readObject } from '../../base/read.ts'
import { companionsOf } from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import { type AddedToken, addedToken, nextId, readTokenizer, type Tokenizer } from './tokenizer.ts'

/** The vocabulary of a merge, and what each model has of it. */
export interface Vocabulary {
  readonly tokenizer: Tokenizer
  /** How it differs from the tokenizer on disk. */
  readonly change: 'none' | 'added' | 'stripped'
  /** Rows of the output's tables: the tokens, rounded up to `pad_to_multiple_of`. */
  readonly rows: number
  /** For each model its tokens, and the number of rows that its config.json says; ids beyond are no tokens. */
  readonly own: ReadonlyMap<string, { readonly ids: ReadonlyMap<string, number>; readonly limit: number }>
  readonly warnings: readonly string[]
  /** Changes whenever a row of the output could. */
  readonly digest: string
}

/** Where a config.json says how many rows the table has. */
function vocabularySize(model: string): number | undefined {
  const config = readObject(join(companionsOf(model), 'config.json'))
  const inner = config?.['text_config']
  const size = config?.['vocab_size'] ?? (isObject(inner) ? inner['vocab_size'] : undefined)
  return Number.isInteger(size) && (size as number) > 0 ? (size as number) : undefined
}

interface Loaded {
  readonly tokenizer: Tokenizer
  readonly limit: number
}

/** A base without the tokens that its table has no rows for. */
function stripped({ tokenizer, limit }: Loaded): Tokenizer {
  const gone = [...tokenizer.ids].filter(([, id]) => id >= limit).map(([token]) => token)
  if (gone.length === 0) return tokenizer
  const { model, kind, json } = tokenizer
  const inGone = new Set(gone)
  const ids = new Map([...tokenizer.ids].filter(([token]) => !inGone.has(token)))
  const added = tokenizer.added.filter(({ id }) => id < limit)
  const inner = json?.['model']
  if (!isObject(inner)) {
    // names of tokenizer_config.json that no file gives a number are the only ones that can be left out
    return fail(
      'TL_UNSUPPORTED',
      `${model}: ${gone.length} tokens, ${JSON.stringify(gone[0])} first, lie beyond the ${limit} rows of its table; they can be left out of tokenizer.json only: save it once with transformers`,
    )
  }
  const vocabulary = inner['vocab']
  const isInside = isObject(vocabulary) ? gone.some((token) => Object.hasOwn(vocabulary, token)) : false
  if (kind !== 'BPE' || !isObject(vocabulary)) {
    const words = Array.isArray(vocabulary) ? vocabulary.length : 0
    if (isInside || words > limit)
      fail(
        'TL_UNSUPPORTED',
        `${model}: its ${kind} tokenizer has words beyond the ${limit} rows of its table, which can be left out of BPE only; take another tokenizer_source`,
      )
    return { ...tokenizer, ids, added }
  }
  const merges = Array.isArray(inner['merges']) ? (inner['merges'] as unknown[]) : []
  const keeps = (merge: unknown): boolean => {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge
    if (!Array.isArray(pair) || pair.length !== 2)
      return fail('TL_BAD_FILE', `${join(model, 'tokenizer.json')}: model.merges: expected pairs of tokens`)
    return ![pair[0], pair[1], `${pair[0]}${pair[1]}`].some((token) => inGone.has(token))
  }
  return {
    model,
    kind,
    ids,
    added,
    json: {
      ...json,
      model: {
        ...inner,
        vocab: Object.fromEntries(Object.entries(vocabulary).filter(([token]) => !inGone.has(token))),
        merges: merges.filter(keeps),
      },
    },
  }
}

/** `tokenizer` with more tokens, those that it has left as they are. */
function withTokens(tokenizer: Tokenizer, tokens: Iterable<AddedToken>): Tokenizer {
  const ids = new Map(tokenizer.ids)
  const added = [...tokenizer.added]
  const known = new Set(added.map(({ content }) => content))
  let next = nextId(ids)
  for (const token of tokens) {
    if (known.has(token.content)) continue
    known.add(token.content)
    const id = ids.get(token.content) ?? next++
    ids.set(token.content, id)
    added.push({ ...token, id })
  }
  return { ...tokenizer, ids, added: added.toSorted((a, b) => a.id - b.id) }
}

/**
 * mergekit's union: the first tokenizer with its splitting rules and ids; then the words that only others have, as added
 * tokens; then the added tokens of others. Of a token that several added, the first one's flags stay.
 */
function union(base: Tokenizer, all: readonly Loaded[]): Tokenizer {
  const words: AddedToken[] = []
  const added: AddedToken[] = []
  // a word that any of them adds stands among the added
  const isAdded = new Set(
    all.flatMap(({ tokenizer, limit }) =>
      tokenizer.added.filter(({ id }) => id < limit).map(({ content }) => content),
    ),
  )
  for (const { tokenizer, limit } of all) {
    for (const [token, id] of tokenizer.ids)
      if (id < limit && !isAdded.has(token) && !base.ids.has(token)) words.push(addedToken(token, 0))
    added.push(...tokenizer.added.filter(({ id }) => id < limit))
  }
  return withTokens(base, [...words, ...added])
}

/** The tokenizer of a model, of the base where it has none. */
function load(model: string): Loaded | undefined {
  const tokenizer = readTokenizer(model)
  return tokenizer && { tokenizer, limit: vocabularySize(model) ?? nextId(tokenizer.ids) }
}

/**
 * The vocabulary that a configuration with a tokenizer asks for, from the files of the models. `others`: models beside
 * the merge's own whose tables are read. Throws as `readTokenizer`, and TL_BAD_FILE when the tokenizer that is to be
 * taken is not there.
 */
export function readVocabulary(config: MergeConfig, others: readonly string[] = []): Vocabulary {
  const setting = config.tokenizer!
  const first = config.baseModel ?? config.models[0]!
  const missing = (model: string): never =>
    fail('TL_BAD_FILE', `${setting.where}: ${model} has no tokenizer.json and no vocab.json to take`)
  const base = load(first) ?? missing(first)
  const baseTokenizer = stripped(base)
  const own = new Map<string, { ids: ReadonlyMap<string, number>; limit: number }>()
  const all: Loaded[] = []
  const warnings: string[] = []
  for (const model of [...config.models, ...others]) {
    if (own.has(model)) continue
    const loaded = model === first ? { ...base, tokenizer: baseTokenizer } : load(model)
    if (!loaded) warnings.push(`${model} has no tokenizer: taken to have the tokens of ${first}`)
    else if (config.models.includes(model)) all.push(loaded)
    const limit = loaded?.limit ?? vocabularySize(model) ?? base.limit
    own.set(model, { ids: (loaded?.tokenizer ?? baseTokenizer).ids, limit })
  }
  const { source, tokens, padToMultipleOf = 1 } = setting
  const isNamed = source !== 'base' && source !== 'union'
  const onDisk = isNamed ? (readTokenizer(source) ?? missing(source)) : base.tokenizer
  let chosen = isNamed ? onDisk : baseTokenizer
  if (source === 'union') chosen = union(baseTokenizer, all)
  const fresh = tokens.filter(({ token }) => !chosen.ids.has(token))
  const tokenizer = withTokens(
    chosen,
    fresh.map(({ token }) => addedToken(token, 0)),
  )
  const isStripped = !isNamed && baseTokenizer !== base.tokenizer
  const unstripped = tokenizer.added.length === onDisk.added.length ? 'none' : 'added'
  const count = nextId(tokenizer.ids)
  const digest = createHash('sha256')
    .update(
      JSON.stringify([[...tokenizer.ids], [...own].map(([model, one]) => [model, one.limit, [...one.ids]])]),
    )
    .digest('hex')
  return {
    tokenizer,
    change: isStripped ? 'stripped' : unstripped,
    rows: Math.ceil(count / padToMultipleOf) * padToMultipleOf,
    own,
    warnings,
    digest,
  }
}

/** Models whose tables are as large as the first one's, but whose rows are other tokens: merged as they are, words mix. */
export function differentTokens(config: MergeConfig): string[] {
  const [first, ...others] = config.models
  // most fine-tunes have the tokenizer of their base, byte for byte: a vocabulary takes long to read
  const files = others.filter((model) => !hasSameTokenizer(first!, model))
  const tokens = files.length > 0 ? readIfPlain(first!) : undefined
  if (!tokens) return []
  return files.flatMap((model) => {
    const own = readIfPlain(model)
    if (!own) return []
    const odd = [...own.ids].find(([token, id]) => tokens.ids.has(token) && tokens.ids.get(token) !== id)
    return odd
      ? [
          `the tokenizers differ: ${JSON.stringify(odd[0]).slice(0, 60)} is token ${tokens.ids.get(odd[0])} of ${first} and ${odd[1]} of ${model}, so rows of different tokens are mixed; write \`tokenizer_source: base\` or \`union\` to align them`,
        ]
      : []
  })
}

/** Do two models have a tokenizer.json of the same bytes? */
function hasSameTokenizer(a: string, b: string): boolean {
  const [first, second] = [a, b].map((model) => join(companionsOf(model), 'tokenizer.json')) as [
    string,
    string,
  ]
  try {
    return statSync(first).size === statSync(second).size && readFileSync(first).equals(readFileSync(second))
  } catch {
    return false
  }
}

/** A tokenizer where there is a readable one: a merge that does not ask for it must not stop at it. */
function readIfPlain(model: string): Tokenizer | undefined {
  try {
    return readTokenizer(model)
  } catch {
    return undefined
  }
}
