/** @file One conversation: the tokens so far and their cache, which grows in steps. */
import { fail } from '../base/index.ts'
import type { ModelConfig } from './config.ts'
import { capacityFor, type KvCache, withRoomFor } from './kvCache.ts'
import type { Segment, SegmentOutputs } from './segment.ts'

export interface Session {
  /** Tokens so far. */
  readonly ids: readonly number[]
  /** Take tokens in; logits [vocabulary] after the last. */
  prefill(ids: readonly number[]): Promise<Float32Array>
  /** Take one token in; logits [vocabulary] after it. */
  decode(id: number): Promise<Float32Array>
  /** Take tokens in; logits of chosen rows of them, [R, vocabulary]. */
  logits(ids: readonly number[], rows: readonly number[]): Promise<Float32Array>
  /** Forget all tokens from this place on; the cache before it stays. */
  truncate(length: number): void
}

/** Tokens that go through the model at once: what a long prompt needs beside its cache. */
const chunk = 512
const firstCapacity = 256

/** Token ids of a model. Throws `TL_BAD_ARGUMENT`. */
export function checkIds(ids: ArrayLike<number>, { vocabulary }: ModelConfig): void {
  for (let i = 0; i < ids.length; i++)
    if (!(Number.isInteger(ids[i]) && ids[i]! >= 0 && ids[i]! < vocabulary))
      fail('TL_BAD_ARGUMENT', `token ${i}: expected an id from 0 to ${vocabulary - 1}, got ${ids[i]}`)
}

/** Open a conversation with a model whose whole program is `program`. */
export function openSession(config: ModelConfig, context: number, program: () => Promise<Segment>): Session {
  const ids: number[] = []
  let kvCache: KvCache | undefined
  let busy: Promise<unknown> = Promise.resolve()

  async function take(given: readonly number[], rows: readonly number[]): Promise<SegmentOutputs> {
    const segment = await program()
    const total = ids.length + given.length
    kvCache = kvCache
      ? withRoomFor(kvCache, config, total, context)
      : segment.kvCache(1, capacityFor(total, firstCapacity, context))
    const outputs = await segment.run({ ids: given, kvCache, rows })
    ids.push(...given)
    return outputs
  }

  async function logits(given: readonly number[], rows: readonly number[]): Promise<Float32Array> {
    checkIds(given, config)
    if (given.length === 0) fail('TL_BAD_ARGUMENT', 'session: expected at least one token')
    if (ids.length + given.length > context)
      fail('TL_BAD_ARGUMENT', `session: ${ids.length + given.length} tokens, the context holds ${context}`)
    for (const row of rows)
      if (!(Number.isInteger(row) && row >= 0 && row < given.length))
        fail('TL_BAD_ARGUMENT', `session: row ${row} of ${given.length} tokens`)
    // the common case, without a copy
    if (given.length <= chunk && rows.length > 0) return (await take(given, rows)).logits!
    const out = new Float32Array(rows.length * config.vocabulary)
    for (let at = 0; at < given.length; at += chunk) {
      const part = given.slice(at, at + chunk)
      const wanted = rows.flatMap((row, k) =>
        row >= at && row < at + part.length ? [[row - at, k] as const] : [],
      )
      // the head must have a row: the last one, when nobody asks for any
      const own = wanted.length ? wanted.map(([row]) => row) : [part.length - 1]
      const result = (await take(part, own)).logits!
      for (const [i, [, k]] of wanted.entries())
        out.set(result.subarray(i * config.vocabulary, (i + 1) * config.vocabulary), k * config.vocabulary)
    }
    return out
  }
  // calls that overlap wait for each other, so that tokens keep their order
  const inTurn = (given: readonly number[], rows: readonly number[]): Promise<Float32Array> => {
    const result = busy.then(() => logits(given, rows))
    busy = result.catch(() => undefined)
    return result
  }
  return {
    ids,
    prefill: (given) => inTurn(given, [given.length - 1]),
    decode: (id) => inTurn([id], [0]),
    logits: inTurn,
    truncate: (length) => {
      if (!(Number.isInteger(length) && length >= 0 && length <= ids.length))
        fail('TL_BAD_ARGUMENT', `truncate: expected 0 to ${ids.length} tokens, got ${length}`)
      ids.length = length
      if (kvCache) kvCache.length = length
    },
  }
}
