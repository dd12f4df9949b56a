/** @file A tokenizer as the files that Transformers loads: tokenizer.json, tokenizer_config.json, special_tokens_map.json. */
import { prettyJson } from '../../base/index.ts'
import type { Definition } from '../../tokenizer/index.ts'

/** `bos_token` in front, and `eos_token` behind, as GGUF's `add_bos_token` and `add_eos_token` say. */
function postProcessor(
  { names, addsBos }: Definition,
  idOf: (token: string) => number | undefined,
  addsEos: boolean,
) {
  const special = (token: string, type: number) => ({ SpecialToken: { id: token, type_id: type } })
  const [bos, eos] = [addsBos ? names['bos_token'] : undefined, addsEos ? names['eos_token'] : undefined]
  if (bos === undefined && eos === undefined) return null
  const text = (id: string, type: number) => [
    ...(bos === undefined ? [] : [special(bos, type)]),
    { Sequence: { id, type_id: type } },
    ...(eos === undefined ? [] : [special(eos, type)]),
  ]
  const used = [bos, eos].filter((token) => token !== undefined)
  return {
    type: 'TemplateProcessing',
    single: text('A', 0),
    pair: [...text('A', 0), ...text('B', 1)],
    special_tokens: Object.fromEntries(
      used.map((token) => [token, { id: token, ids: [idOf(token)], tokens: [token] }]),
    ),
  }
}

/** Chat templates beside the default one, by name. */
export type Templates = readonly { readonly name: string; readonly template: string }[]

/** The files by name. `context` is the most tokens a text may have. */
export function tokenizerFiles(
  definition: Definition,
  { context, addsEos, templates }: { context: number; addsEos: boolean; templates: Templates },
): Map<string, string> {
  const { vocabulary, merges, added, names, chatTemplate } = definition
  const tokens: string[] = []
  for (const [token, id] of vocabulary) tokens[id] = token
  const ids = new Map([...vocabulary, ...added.map(({ id, content }) => [content, id] as const)])
  const order = Uint32Array.from(merges.rank.keys()).sort(
    (a, b) => merges.rank[a]! - merges.rank[b]! || a - b,
  )
  const pairs = Array.from(order, (i) => [tokens[merges.left[i]!]!, tokens[merges.right[i]!]!])
  const template = chatTemplate === undefined ? [] : [{ name: 'default', template: chatTemplate }]
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map((token) => ({
      id: token.id,
      content: token.content,
      single_word: token.singleWord,
      lstrip: token.leftStrip,
      rstrip: token.rightStrip,
      normalized: token.normalized,
      special: token.special,
    })),
    normalizer: definition.normalizer,
    pre_tokenizer: definition.preTokenizer,
    post_processor: postProcessor(definition, (token) => ids.get(token), addsEos),
    decoder: definition.decoder,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: definition.unknown ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: definition.fuseUnknown,
      byte_fallback: definition.byteFallback,
      ignore_merges: definition.ignoreMerges,
      vocab: Object.fromEntries([...vocabulary].sort(([, a], [, b]) => a - b)),
      merges: pairs,
    },
  }
  return new Map([
    // one line: the vocabulary of a large model would take a hundred thousand
    ['tokenizer.json', `${JSON.stringify(tokenizer)}\n`],
    [
      'tokenizer_config.json',
      prettyJson({
        ...names,
        add_bos_token: definition.addsBos,
        add_eos_token: addsEos,
        ...(template.length + templates.length > 0 && {
          chat_template: templates.length === 0 ? chatTemplate : [...template, ...templates],
        }),
        clean_up_tokenization_spaces: false,
        model_max_length: context,
        tokenizer_class: 'PreTrainedTokenizerFast',
      }),
    ],
    ['special_tokens_map.json', prettyJson(names)],
  ])
}
