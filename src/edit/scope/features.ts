/** @file Features of prompts: means of hidden states, each of norm √width, over tokens outside the subject, or the last one's. */
import type { LanguageModel } from '../../lm/index.ts'
import { batchesOf } from '../memoir/batches.ts'
import type { Look } from './scope.ts'

/** A prompt as ids, and how much each token counts. */
export interface Weighted {
  readonly ids: readonly number[]
  /** Sum 1. */
  readonly weights: Float64Array
}

/** Weights by which the last of some tokens counts alone. */
export const lastWeights = (tokens: number): Float64Array =>
  Float64Array.from({ length: tokens }, (_, t) => Number(t === tokens - 1))

/** Σ w_t h_t / ‖h_t‖ √width over rows `from` … of hidden states [·, width]. */
function mixed(states: Float32Array, from: number, width: number, weights: Float64Array): Float64Array {
  const out = new Float64Array(width)
  for (const [t, weight] of weights.entries()) {
    if (weight === 0) continue
    const at = (from + t) * width
    let squares = 0
    for (let j = 0; j < width; j++) squares += states[at + j]! ** 2
    const factor = weight / Math.sqrt(squares / width + 1e-30)
    for (let j = 0; j < width; j++) out[j]! += factor * states[at + j]!
  }
  return out
}

/** The beginning of a prompt that the context does not hold. */
function within({ ids, weights }: Weighted, context: number): Weighted {
  if (ids.length <= context) return { ids, weights }
  const kept = weights.slice(0, context)
  const total = kept.reduce((a, b) => a + b, 0)
  return {
    ids: ids.slice(0, context),
    weights: total > 0 ? kept.map((weight) => weight / total) : kept.fill(1 / context),
  }
}

/** Features [looks · width] of prompts. `onPrompt` hears how many are done. */
type Features = (prompts: readonly Weighted[], onPrompt?: (done: number) => void) => Promise<Float64Array[]>

/** Opens the blocks below those that are looked at; their programs are compiled at the first call. */
export function openFeatures(
  model: LanguageModel,
  looks: readonly Look[],
): { of: Features; dispose(): void } {
  const { width } = model.config
  const layers = [...new Set(looks.map(({ layer }) => layer))].sort((a, b) => a - b)
  type Opened = ReturnType<LanguageModel['segment']>
  const opened = new Map<number, Opened>()
  /** From the last layer that is looked at to the next. */
  function segmentTo(layer: number, from: number): Opened {
    const segment = opened.get(layer) ?? model.segment({ from, to: layer, head: false })
    opened.set(layer, segment)
    return segment
  }
  return {
    async of(given, onPrompt = () => undefined) {
      const prompts = given.map((one) => within(one, model.context))
      const features = prompts.map(() => new Float64Array(looks.length * width))
      let done = 0
      for (const { group, tokens, ids, last } of batchesOf(prompts.map((one) => one.ids))) {
        const positions = ids.map((_, t) => t % tokens)
        let states = layers[0] === 0 ? model.weights.embed(ids, positions) : new Float32Array()
        let from = 0
        for (const layer of layers) {
          if (layer > 0) {
            const segment = await segmentTo(layer, from)
            const kvCache = segment.kvCache(group.length, tokens)
            const entering = from === 0 ? { ids } : { x: states }
            states = (await segment.run({ ...entering, kvCache, last })).x!
            from = layer
          }
          for (const [l, look] of looks.entries()) {
            if (look.layer !== layer) continue
            for (const [b, i] of group.entries()) {
              const { ids: own, weights } = prompts[i]!
              const counted = look.tokens === 'last' ? lastWeights(own.length) : weights
              features[i]!.set(mixed(states, b * tokens, width, counted), l * width)
            }
          }
        }
        done += group.length
        onPrompt(done)
      }
      return features
    },
    dispose: () => {
      for (const segment of opened.values()) void segment.then((own) => own.dispose()).catch(() => undefined)
    },
  }
}
