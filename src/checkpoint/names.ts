/**
 * @file What names of tensors mean whatever the model: tables of tokens, heads that are tied to them, tables that programs
 * compute, and the prefix that one file of a model has and another has not.
 */

/** Tables of tokens that are looked up, by the names that architectures give them. */
export const embeddings = [
  'model.embed_tokens.weight',
  'transformer.wte.weight',
  'wte.weight',
  'model.language_model.embed_tokens.weight',
  'model.decoder.embed_tokens.weight',
  'embed_tokens.weight',
  'shared.weight',
  'gpt_neox.embed_in.weight',
  'token_embd.weight',
]

/** Is it an output head that may be tied to the embedding? */
export const isHead = (name: string): boolean => name === 'lm_head.weight' || name === 'output.weight'

interface Names {
  has(name: string): boolean
}

/** The embedding that stands in for a head which a model does not store because it is tied. */
export const tiedTo = (name: string, names: Names): string | undefined =>
  isHead(name) ? embeddings.find((embedding) => names.has(embedding)) : undefined

/** Tables that programs compute themselves: mergekit leaves them out, and so do we. */
export const isDerived = (name: string): boolean =>
  /(^|\.)rotary_emb\.inv_freq$|\.attn\.masked_bias$|(^|\.)h\.\d+\.attn\.bias$/.test(name)

/** What a model with a head, or a program around a model, puts before its names. */
const prefixes = [
  'model.',
  'transformer.',
  'gpt_neox.',
  'module.',
  '_orig_mod.',
  'base_model.model.',
  'bert.',
  'roberta.',
  'distilbert.',
  'electra.',
  'deberta.',
  'vit.',
  'backbone.',
  'language_model.',
  'model.language_model.',
  'model.model.',
]

/**
 * What `reference` calls each of `names`: the name itself where it has it, else the name with one prefix put on or taken off,
 * the same for all. Names that it does not have under either stay as they are.
 */
export function alignedNames(names: Iterable<string>, reference: Names): Map<string, string> {
  const all = [...names]
  const own = new Set(all)
  const unknown = all.filter((name) => !reference.has(name))
  const changes = prefixes.flatMap((prefix): ((name: string) => string)[] => [
    (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name),
    (name) => prefix + name,
  ])
  let [best, most]: [(name: string) => string, number] = [(name) => name, 0]
  for (const change of changes) {
    const found = unknown.filter((name) => {
      const other = change(name)
      return reference.has(other) && !own.has(other)
    }).length
    if (found > most) [best, most] = [change, found]
  }
  return new Map(
    all.map((name) => {
      if (reference.has(name)) return [name, name]
      const other = best(name)
      return [name, reference.has(other) && !own.has(other) ? other : name]
    }),
  )
}
