/** @file A tokenizer of a Hugging Face folder as `tokenizer.ggml.*`: what llama.cpp has a name for, and nothing else. */
import { fail, isObject } from '../../base/index.ts'
import type { GgufField } from '../../checkpoint/index.ts'
import type { Definition, MergeTable } from '../../tokenizer/index.ts'
import { isByteLevel, mergesByScore, pres, TYPE } from '../../tokenizer/index.ts'

const text = (value: string): GgufField => ({ type: 'string', value })
const truth = (value: boolean): GgufField => ({ type: 'bool', value })
const texts = (value: string[]): GgufField => ({ type: 'array', of: 'string', value })
const id = (value: number): GgufField => ({ type: 'uint32', value })

/** JSON of a step without what changes nothing: keys sorted, defaults left out, a list of one step that step. */
function plain(step: unknown): unknown {
  if (Array.isArray(step)) return step.map(plain)
  if (!isObject(step)) return step ?? null
  const list = step['pretokenizers'] ?? step['normalizers']
  if (step['type'] === 'Sequence' && Array.isArray(list)) {
    const steps = list.map(plain).filter((one) => one !== null)
    if (steps.length < 2) return steps[0] ?? null
    return { type: 'Sequence', steps }
  }
  const defaults: Record<string, unknown> = { invert: false, trim_offsets: step['trim_offsets'] }
  if (step['type'] === 'ByteLevel') defaults['use_regex'] = true
  return Object.fromEntries(
    Object.entries(step)
      .filter(([key, value]) => !(key in defaults && defaults[key] === value))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [key, plain(value)]),
  )
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(plain(a)) === JSON.stringify(plain(b))

/** The name that llama.cpp has for this way of cutting words. Throws `TL_UNSUPPORTED`. */
function preOf({ label, preTokenizer, normalizer, ignoreMerges }: Definition): string {
  const cutsAlike = Object.entries(pres).filter(([, row]) => same(row.preTokenizer, preTokenizer))
  const [found] = cutsAlike.filter(
    ([, row]) => same(row.normalizer, normalizer) && (row.ignoreMerges ?? false) === ignoreMerges,
  )
  if (found) return found[0]
  return fail(
    'TL_UNSUPPORTED',
    cutsAlike.length > 0
      ? `${label}: cuts words as "${cutsAlike[0]![0]}" of llama.cpp does, but with another normalizer or another "ignore_merges": GGUF has no name for that`
      : `${label}: GGUF has no name that is known here for its way of cutting words (known: ${Object.keys(pres).join(', ')})`,
  )
}

/** Does a Llama-2 style tokenizer put a space in front of a text? Throws `TL_UNSUPPORTED` for other styles. */
function spacePrefix({ label, normalizer, preTokenizer }: Definition): boolean {
  const toMark = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const inFront = { type: 'Prepend', prepend: '▁' }
  if (preTokenizer === null) {
    if (same(normalizer, { type: 'Sequence', normalizers: [inFront, toMark] })) return true
    if (same(normalizer, toMark)) return false
  }
  const isMeta =
    normalizer === null &&
    isObject(preTokenizer) &&
    preTokenizer['type'] === 'Metaspace' &&
    (preTokenizer['replacement'] ?? '▁') === '▁' &&
    preTokenizer['split'] === false
  if (isMeta) {
    const scheme =
      preTokenizer['prepend_scheme'] ?? (preTokenizer['add_prefix_space'] === false ? 'never' : 'always')
    return scheme !== 'never'
  }
  return fail(
    'TL_UNSUPPORTED',
    `${label}: falls back on bytes, but does not mark words as Llama 2 does (▁ in front and for spaces): GGUF has no name for that`,
  )
}

/**
 * Scores by which SentencePiece merges in the order of the list: what is made first has the best one. Tokens whose merges
 * stand between each other's share one. Throws `TL_UNSUPPORTED` when scores would merge anything else.
 */
function scoresOf({ label, merges, vocabulary }: Definition, types: Int32Array): Float32Array {
  const first = new Map<number, number>()
  const last = new Map<number, number>()
  for (const [i, token] of merges.result.entries()) {
    const rank = merges.rank[i]!
    first.set(token, Math.min(first.get(token) ?? rank, rank))
    last.set(token, Math.max(last.get(token) ?? rank, rank))
  }
  const scores = new Float32Array(types.length)
  let [group, reached] = [0, Number.NEGATIVE_INFINITY]
  for (const [token, rank] of [...first].sort(([, a], [, b]) => a - b)) {
    if (rank > reached) group++
    reached = Math.max(reached, last.get(token)!)
    scores[token] = -group
  }
  for (const made of vocabulary.values())
    if (types[made] === TYPE.normal && !first.has(made)) scores[made] = -group - 1
  const usable = (token: number): boolean => types[token] === TYPE.normal || types[token] === TYPE.userDefined
  const [own, theirs] = [merges, mergesByScore(vocabulary, scores, usable)].map(pairsOf) as [
    Set<string>,
    Set<string>,
  ]
  const odd = [...own].find((pair) => !theirs.has(pair)) ?? [...theirs].find((pair) => !own.has(pair))
  if (odd !== undefined)
    fail(
      'TL_UNSUPPORTED',
      `${label}: its merges are not those of a SentencePiece vocabulary (${odd
        .split(' ')
        .map(Number)
        .map((one) => JSON.stringify([...vocabulary].find(([, n]) => n === one)?.[0]))
        .join(' + ')}): GGUF keeps scores, which would merge otherwise`,
    )
  return scores
}

const pairsOf = ({ left, right }: MergeTable): Set<string> =>
  new Set(Array.from(left, (a, i) => `${a} ${right[i]}`))

/** What the folder says beside the definition. */
interface Around {
  /** Rows of the embedding: one token each. */
  readonly rows: number
  /** `eos_token_id` of generation_config.json or config.json. */
  readonly ends: readonly number[]
  readonly addsEos: boolean
  /** Ids of config.json for special tokens that the tokenizer's files do not name. */
  readonly ids: Readonly<Record<string, unknown>>
  readonly templates: readonly { readonly name: string; readonly template: string }[]
}

/** The fields, and what is lost. Throws `TL_UNSUPPORTED`, `TL_BAD_FILE`. */
export function ggufTokenizer(
  definition: Definition,
  { rows, ends, addsEos, ids, templates }: Around,
): { fields: [string, GgufField][]; notes: string[] } {
  const { label, vocabulary, added, merges, names } = definition
  const isPieces = definition.byteFallback && !isByteLevel(definition.preTokenizer)
  if (!isPieces && !isByteLevel(definition.preTokenizer))
    fail('TL_UNSUPPORTED', `${label}: neither byte-level BPE nor Llama-2 style: GGUF has no name for it`)
  const tokens: (string | undefined)[] = new Array(rows)
  const types = new Int32Array(rows).fill(TYPE.unused)
  const put = (token: string, at: number, type: number): void => {
    if (at >= rows)
      fail(
        'TL_UNSUPPORTED',
        `${label}: token ${JSON.stringify(token)} has the id ${at}, the embedding has ${rows} rows: GGUF needs a row for each token`,
      )
    tokens[at] = token
    types[at] = type
  }
  for (const [token, at] of vocabulary)
    put(
      token,
      at,
      // rows that were filled up to a round number come back as they were
      token === `[PAD${at}]`
        ? TYPE.unused
        : isPieces && /^<0x[0-9A-F]{2}>$/.test(token)
          ? TYPE.byte
          : TYPE.normal,
    )
  for (const { content, id: at, special } of added)
    put(content, at, special ? TYPE.control : TYPE.userDefined)
  const idOf = (token: string | undefined): number | undefined => {
    const at = token === undefined ? -1 : tokens.indexOf(token)
    return at === -1 ? undefined : at
  }
  const unknown = idOf(definition.unknown)
  if (isPieces && unknown !== undefined) types[unknown] = TYPE.unknown
  const family: [string, GgufField][] = isPieces
    ? [
        ['tokenizer.ggml.model', text('llama')],
        ['tokenizer.ggml.pre', text('default')],
        ['tokenizer.ggml.scores', { type: 'array', of: 'float32', value: scoresOf(definition, types) }],
        ['tokenizer.ggml.add_space_prefix', truth(spacePrefix(definition))],
      ]
    : [
        ['tokenizer.ggml.model', text('gpt2')],
        ['tokenizer.ggml.pre', text(preOf(definition))],
        ['tokenizer.ggml.merges', texts(mergeList(merges, tokens))],
        ['tokenizer.ggml.add_space_prefix', truth(false)],
      ]
  const named = (name: string): number | undefined => {
    const own = idOf(names[`${name}_token`])
    if (own !== undefined) return own
    const [value] = [ids[`${name}_token_id`]].flat()
    return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < rows
      ? value
      : undefined
  }
  const eos = named('eos')
  const [eot, eom] = ends.filter((one) => one !== eos && one < rows)
  const special = (key: string, at: number | undefined): [string, GgufField][] =>
    at === undefined ? [] : [[`tokenizer.ggml.${key}_token_id`, id(at)]]
  const stripped = added.filter((token) => token.leftStrip || token.rightStrip || token.singleWord)
  const notes =
    stripped.length > 0
      ? [
          `${label}: GGUF cannot say that ${stripped
            .map(({ content }) => JSON.stringify(content))
            .slice(0, 3)
            .join(', ')} ${stripped.length === 1 ? 'takes' : 'take'} the spaces beside`,
        ]
      : []
  return {
    fields: [
      ...family,
      ['tokenizer.ggml.tokens', texts(Array.from(tokens, (token, at) => token ?? `[PAD${at}]`))],
      ['tokenizer.ggml.token_type', { type: 'array', of: 'int32', value: types }],
      ...special('bos', named('bos')),
      ...special('eos', eos),
      ...special('eot', eot),
      ...special('eom', eom),
      ...special('unknown', isPieces ? (unknown ?? named('unk')) : named('unk')),
      ...special('padding', named('pad')),
      ['tokenizer.ggml.add_bos_token', truth(definition.addsBos)],
      ...(addsEos ? [['tokenizer.ggml.add_eos_token', truth(true)] as [string, GgufField]] : []),
      ...(definition.chatTemplate === undefined
        ? []
        : [['tokenizer.chat_template', text(definition.chatTemplate)] as [string, GgufField]]),
      ...templates.map(({ name, template }): [string, GgufField] => [
        `tokenizer.chat_template.${name}`,
        text(template),
      ]),
      ...(templates.length > 0
        ? [['tokenizer.chat_templates', texts(templates.map(({ name }) => name))] as [string, GgufField]]
        : []),
    ],
    notes,
  }
}

function mergeList({ left, right, rank }: MergeTable, tokens: readonly (string | undefined)[]): string[] {
  const order = Uint32Array.from(rank.keys()).sort((a, b) => rank[a]! - rank[b]! || a - b)
  return Array.from(order, (i) => `${tokens[left[i]!]} ${tokens[right[i]!]}`)
}
