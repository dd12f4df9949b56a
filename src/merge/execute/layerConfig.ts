/** @file What config.json says of single layers, after layers were taken, left out and repeated. */
import { isObject, type JsonObject } from '../../base/index.ts'
import type { MergeConfig } from '../config/index.ts'
import { textConfig } from './architectures.ts'

/** A layer of the output: the layer of a model that its configuration comes from. */
interface Taken {
  readonly model: string
  readonly layer: number
}

/** For each layer of the output the layer that it was; undefined when the file names no layers. */
function takenLayers(config: MergeConfig): Taken[] | undefined {
  const [module, ...others] = config.modules
  if (!module || others.length > 0) return undefined
  const first = config.baseModel ?? config.models[0]!
  const taken = module.slices.map(({ sources }) => {
    const source = sources.find(({ model }) => model === first) ?? sources[0]!
    return (
      source.layers && {
        model: source.model,
        from: source.layers[0],
        count: source.layers[1] - source.layers[0],
      }
    )
  })
  if (taken.some((slice) => !slice)) return undefined
  return taken.flatMap((slice) =>
    Array.from({ length: slice!.count }, (_, i) => ({ model: slice!.model, layer: slice!.from + i })),
  )
}

/** Keys whose value is the number of layers. */
const layerCounts = ['num_hidden_layers', 'n_layer', 'num_layers', 'n_layers'] as const

const countOf = (config: JsonObject | undefined): number | undefined => {
  const found = layerCounts.map((key) => config?.[key]).find((value) => typeof value === 'number')
  return typeof found === 'number' ? found : undefined
}

/** Lists of numbers of layers. */
const indexLists = [
  'mlp_only_layers',
  'attn_layer_indices',
  'full_attn_idxs',
  'cross_attention_layers',
  'global_attn_layers',
]
/** The layers below this number are of one kind, the others of another. */
const beginnings = ['max_window_layers', 'first_k_dense_replace']
/** Every n-th layer is of another kind. */
const periods = [
  'sliding_window_pattern',
  'full_attention_interval',
  'global_attn_every_n_layers',
  'decoder_sparse_step',
  'moe_layer_freq',
  'interleave_moe_layer_step',
  'no_rope_layer_interval',
  'attn_layer_period',
  'expert_layer_period',
  'cross_attention_interval',
]

interface Change {
  readonly config: JsonObject
  readonly warnings: readonly string[]
}

/** A list with one entry for each layer, as long as the model has layers. */
const isPerLayer = (value: unknown, count: number): value is unknown[] =>
  Array.isArray(value) && value.length === count

function changed(
  config: JsonObject,
  taken: readonly Taken[],
  whole: (model: string) => JsonObject | undefined,
): Change {
  const result: JsonObject = { ...config }
  const warnings: string[] = []
  const count = countOf(config)
  if (count === undefined) return { config, warnings }
  for (const key of layerCounts) if (key in result) result[key] = taken.length
  for (const [key, value] of Object.entries(config)) {
    if (isPerLayer(value, count))
      result[key] = taken.map(({ model, layer }) => {
        const own = whole(model)?.[key]
        return (Array.isArray(own) ? own : value)[layer]
      })
    else if (indexLists.includes(key) && Array.isArray(value)) {
      const list = (model: string): unknown[] => {
        const own = whole(model)?.[key]
        return Array.isArray(own) ? own : value
      }
      result[key] = taken.flatMap(({ model, layer }, i) => (list(model).includes(layer) ? [i] : []))
    } else if (beginnings.includes(key) && typeof value === 'number' && value > 0) {
      const isBefore = taken.map(({ model, layer }) => {
        const own = whole(model)?.[key]
        return layer < (typeof own === 'number' ? own : value)
      })
      const before = isBefore.filter(Boolean).length
      if (before < taken.length || value < count) result[key] = before
      if (isBefore.lastIndexOf(true) >= before && !('layer_types' in config))
        warnings.push(
          `config.json: ${key}: layers of one kind no longer come first, which this number cannot say; check the output`,
        )
    } else if (periods.includes(key) && typeof value === 'number' && value > 1) {
      if (taken.some(({ layer }, i) => layer % value !== i % value) && !('layer_types' in config))
        warnings.push(
          `config.json: ${key}: every ${value}th layer is of another kind, and the layers taken do not follow this; check the output`,
        )
    }
  }
  return { config: result, warnings }
}

/**
 * The configuration of an output made of chosen layers: their number, one entry in each list that has one for each layer, and
 * what counts layers. `config` as it is when the file takes all layers of its models.
 */
export function withTakenLayers(config: JsonObject, merge: MergeConfig): Change {
  const taken = takenLayers(merge)
  if (!taken) return { config, warnings: [] }
  const known = new Map<string, JsonObject | undefined>()
  const whole = (model: string): JsonObject | undefined => {
    if (!known.has(model)) known.set(model, textConfig(model))
    return known.get(model)
  }
  const outer = changed(config, taken, whole)
  const inner = config['text_config']
  if (!isObject(inner)) return outer
  const text = changed(inner, taken, whole)
  return {
    config: { ...outer.config, text_config: text.config },
    warnings: [...outer.warnings, ...text.warnings],
  }
}
