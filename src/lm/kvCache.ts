/** @file Keys and values of the tokens so far, for a range of blocks. */
import type { ModelConfig } from './config.ts'

/** Keys and values of a range of blocks for some sequences: f32 [B, G, capacity, D] for each block. */
export interface KvCache {
  readonly batch: number
  readonly capacity: number
  readonly keys: readonly Float32Array[]
  readonly values: readonly Float32Array[]
  /** Tokens of each sequence, padding included. Set it lower to forget the tokens from there on. */
  length: number
}

/** A capacity for `total` tokens: `least`, doubled until they fit, but no more than the context needs. */
export function capacityFor(total: number, least: number, context: number): number {
  let capacity = least
  while (capacity < total) capacity *= 2
  return Math.max(total, Math.min(capacity, context))
}

/** The cache itself where `total` tokens fit; else a larger one with the same first `length` tokens. */
export function withRoomFor(
  cache: KvCache,
  { keyValueHeads, headSlots }: ModelConfig,
  total: number,
  context: number,
): KvCache {
  if (cache.capacity >= total) return cache
  const capacity = capacityFor(total, cache.capacity, context)
  const { batch, length } = cache
  const resize = (data: Float32Array): Float32Array => {
    const out = new Float32Array(batch * keyValueHeads * capacity * headSlots)
    for (let i = 0; i < batch * keyValueHeads; i++) {
      const from = i * cache.capacity * headSlots
      out.set(data.subarray(from, from + length * headSlots), i * capacity * headSlots)
    }
    return out
  }
  return { batch, capacity, length, keys: cache.keys.map(resize), values: cache.values.map(resize) }
}
