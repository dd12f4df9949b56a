/** @file Where a tensor stands in a model, told from its name: which stack of layers, which layer, or before or after. */
import {
  embeddings,
  isDerived,
  isHead,
  type StoredAt,
  type TensorPlace,
  tiedTo,
} from '../../checkpoint/index.ts'

export { isDerived, tiedTo }

/** Sizes and type of a stored tensor, without its values. */
export interface TensorHeader {
  /** Its name in the file, where that is another one than in the plan. */
  readonly name?: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly byteLength?: number
  readonly place?: TensorPlace
}

/** Where a tensor's bytes lie, as a planned input says it. */
export const storedAt = ({ dtype, shape, byteLength, place }: TensorHeader): { stored?: StoredAt } =>
  place && byteLength !== undefined ? { stored: { ...place, dtype, shape, byteLength } } : {}

/** The headers of one model. */
export type Headers = ReadonlyMap<string, TensorHeader>

/** A tensor of a layer: `model.layers.3.mlp.up_proj.weight` is `.mlp.up_proj.weight` of layer 3 of `model.layers`. */
interface LayerName {
  readonly stack: string
  readonly layer: number
  readonly rest: string
}

/** The first number between dots counts layers, as mergekit has it for architectures that it does not know. */
export function splitName(name: string): LayerName | undefined {
  const match = /\.(\d{1,6})\./.exec(name)
  if (!match) return undefined
  const end = match.index + match[0].length - 1
  return { stack: name.slice(0, match.index), layer: Number(match[1]), rest: name.slice(end) }
}

/** The name of a layer's tensor. */
export const joinName = (stack: string, layer: number, rest: string): string => `${stack}.${layer}${rest}`

/** Tensors after the last layer: they take the parameters of the last slice, embeddings those of the first. */
const afterLayers =
  /(^|\.)(lm_head|norm|norm_f|ln_f|final_layer_?norm|post_layernorm|layernorm_post|ln_post|embed_out|output|output_layer|classifier|score|pooler|pre_classifier|vocab_\w+|cls)\./

/** Does a tensor outside the layers come after them? */
export const isAfterLayers = (name: string): boolean =>
  afterLayers.test(name) && !/embed(ding)?s?\./.test(name)

/** Other tensors whose rows are tokens, in the architectures that mergekit knows. */
const otherTables = new Set([
  'lm_head.bias',
  'lm_head.decoder.weight',
  'lm_head.linear.weight',
  'lm_head.linear.bias',
  'embed_out.weight',
  'encoder.embed_tokens.weight',
  'decoder.embed_tokens.weight',
  'backbone.embeddings.weight',
  'model.tok_embeddings.weight',
  'transformer.embd.wte.weight',
  'transformer.word_embeddings.weight',
  'transformer.embedding.word_embeddings.weight',
  'transformer.output_layer.weight',
  'embeddings.word_embeddings.weight',
  'bert.embeddings.word_embeddings.weight',
  'roberta.embeddings.word_embeddings.weight',
  'distilbert.embeddings.word_embeddings.weight',
  'cls.predictions.bias',
  'cls.predictions.decoder.weight',
  'vocab_projector.weight',
  'vocab_projector.bias',
])

/** Does its first axis count tokens? */
export const isVocabulary = (name: string): boolean =>
  isHead(name) || embeddings.includes(name) || otherTables.has(name)

/** The same items with the layers of each stack in the order of their numbers; files sort names as texts: 0, 1, 10, 2. */
export function inLayerOrder<Item>(
  items: readonly Item[],
  placeOf: (item: Item) => { readonly stack: string; readonly layer: number | null } | undefined,
): Item[] {
  const first = new Map<string, number>()
  const placed = items.map((item, index) => {
    const place = placeOf(item)
    const key = place && place.layer !== null ? place.stack : undefined
    if (key !== undefined && !first.has(key)) first.set(key, index)
    return { item, index, at: key === undefined ? index : first.get(key)!, layer: place?.layer ?? 0 }
  })
  return placed.sort((a, b) => a.at - b.at || a.layer - b.layer || a.index - b.index).map(({ item }) => item)
}

/** A model's tensors in order: those of no layer, and those of each layer of each stack. */
export interface Layout {
  readonly loose: readonly string[]
  /** `stacks.get(stack)[layer]` is the list of the layer's names without stack and number. */
  readonly stacks: ReadonlyMap<string, readonly (readonly string[])[]>
}

/** Sort a model's tensors. Layers are numbered from 0; gaps are empty layers. */
export function layoutOf(headers: Headers): Layout {
  const loose: string[] = []
  const stacks = new Map<string, string[][]>()
  for (const name of headers.keys()) {
    if (isDerived(name)) continue
    const split = splitName(name)
    // a number as large as the model has tensors does not count layers
    if (!split || split.layer >= headers.size) {
      loose.push(name)
      continue
    }
    const layers = stacks.get(split.stack) ?? []
    while (layers.length <= split.layer) layers.push([])
    layers[split.layer]!.push(split.rest)
    stacks.set(split.stack, layers)
  }
  return { loose, stacks }
}
