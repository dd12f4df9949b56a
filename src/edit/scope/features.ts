/** @file Features of prompts outside their subjects: means of hidden states, each of norm √width. */
import type { LanguageModel } from '../../lm/index.ts'
import { batchesOf } from '../memoir/batches.ts'

/** A prompt as ids, and how much each token counts. */
export interface Weighted {
  readonly ids: readonly number[]
  /** Sum 1. */
  readonly weights: Float64Array
}

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

/** Features [width] of prompts, by hidden states that enter block `layer`. `onPrompt` hears how many are done. */
type Features = (prompts: readonly Weighted[], onPrompt?: (done: number) => void) => Promise<Float64Array[]>

/** Opens the blocks below `layer`; their program is compiled at the first call. */
export function openFeatures(model: LanguageModel, layer: number): { of: Features; dispose(): void } {
  const { width } = model.config
  let opened: ReturnType<LanguageModel['segment']> | undefined
  return {
    async of(given, onPrompt = () => undefined) {
      const prompts = given.map((one) => within(one, model.context))
      const features = new Array<Float64Array>(prompts.length)
      if (layer === 0) {
        for (const [i, { ids, weights }] of prompts.entries())
          features[i] = mixed(model.weights.embed(ids, [...ids.keys()]), 0, width, weights)
        return features
      }
      opened ??= model.segment({ to: layer, head: false })
      const segment = await opened
      let done = 0
      for (const { group, tokens, ids, last } of batchesOf(prompts.map((one) => one.ids))) {
        const { x } = await segment.run({ ids, kvCache: segment.kvCache(group.length, tokens), last })
        for (const [b, i] of group.entries()) features[i] = mixed(x!, b * tokens, width, prompts[i]!.weights)
        done += group.length
        onPrompt(done)
      }
      return features
    },
    dispose: () => void opened?.then((segment) => segment.dispose()).catch(() => undefined),
  }
}
