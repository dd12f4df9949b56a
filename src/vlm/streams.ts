/**
 * @file Two texts that grow by the same tokens, one with a condition and one without. They share a program; a token goes through both in
 * one batch while the second keeps up, and what it has missed goes through at once when it is asked for.
 */
import type { KvCache, LanguageModel, Segment } from '../lm/index.ts'
import { capacityFor, withRoomFor } from '../lm/index.ts'

/** Tokens that go through the model at once. */
const chunk = 512
const firstCapacity = 256

export interface Streams {
  /** Tokens that were run through each stream, and runs of both at once: what was done. */
  readonly counts: { readonly conditioned: number; readonly unconditioned: number; readonly together: number }
  /** Logits [vocabulary] of the first after its beginning. */
  begin(): Promise<Float32Array>
  /** Logits [vocabulary] of the second after all tokens so far. */
  unconditioned(): Promise<Float32Array>
  /** Take a token in; logits [vocabulary] of the first. `both`: the second will be asked for, too. */
  push(id: number, both: boolean): Promise<Float32Array>
}

/** The part of a cache that belongs to one stream; it has a length of its own. */
function partOf(cache: KvCache, stream: number, length: number): KvCache {
  const of = (all: readonly Float32Array[]): Float32Array[] =>
    all.map((data) => {
      const size = data.length / cache.batch
      return data.subarray(stream * size, (stream + 1) * size)
    })
  return { batch: 1, capacity: cache.capacity, length, keys: of(cache.keys), values: of(cache.values) }
}

/**
 * Open streams with beginnings [tokens, width] of the model's embeddings; without the second there is but one. Throws where a stream
 * becomes longer than the context.
 */
export function openStreams(
  { config, context, weights }: LanguageModel,
  program: Segment,
  beginnings: readonly [Float32Array] | readonly [Float32Array, Float32Array],
): Streams {
  const { width, vocabulary } = config
  const counts = { conditioned: 0, unconditioned: 0, together: 0 }
  const lengths = beginnings.map(() => 0)
  const longest = Math.max(...beginnings.map((x) => x.length / width))
  let cache = program.kvCache(beginnings.length, capacityFor(longest + 1, firstCapacity, context))
  /** Tokens that the second has not taken in yet. */
  let pending: number[] = []
  let second: Float32Array | undefined

  function makeRoom(total: number): void {
    cache.length = Math.max(...lengths)
    cache = withRoomFor(cache, config, total, context)
  }
  /** Rows through one stream, in chunks; logits after the last. */
  async function take(stream: number, x: Float32Array): Promise<Float32Array> {
    const total = x.length / width
    makeRoom(lengths[stream]! + total)
    let logits!: Float32Array
    for (let at = 0; at < total; at += chunk) {
      const part = x.subarray(at * width, Math.min(at + chunk, total) * width)
      const tokens = part.length / width
      const kvCache = beginnings.length === 1 ? cache : partOf(cache, stream, lengths[stream]!)
      kvCache.length = lengths[stream]!
      const rows = [tokens - 1]
      logits = (await program.run({ x: part, kvCache, rows })).logits!
      lengths[stream]! += tokens
    }
    counts[stream === 0 ? 'conditioned' : 'unconditioned'] += total
    return logits
  }
  const embedded = (ids: readonly number[], from: number): Float32Array =>
    weights.embed(
      ids,
      ids.map((_, i) => from + i),
    )

  async function together(id: number): Promise<Float32Array> {
    makeRoom(Math.max(...lengths) + 1)
    cache.length = Math.max(...lengths)
    const one = embedded([id], 0)
    const x = new Float32Array(2 * width)
    x.set(one)
    x.set(one, width)
    const { logits } = await program.run({ x, kvCache: cache, last: Int32Array.from(lengths), rows: [0, 1] })
    for (const stream of [0, 1]) lengths[stream]! += 1
    counts.conditioned++
    counts.unconditioned++
    counts.together++
    second = logits!.subarray(vocabulary)
    return logits!.subarray(0, vocabulary)
  }

  return {
    counts,
    begin: () => take(0, beginnings[0]),
    async unconditioned() {
      second ??= await take(1, beginnings[1]!)
      if (pending.length > 0) second = await take(1, embedded(pending, lengths[1]!))
      pending = []
      return second
    },
    async push(id, both) {
      if (both && second && pending.length === 0) return together(id)
      if (beginnings.length > 1) pending.push(id)
      return take(0, embedded([id], lengths[0]!))
    },
  }
}
