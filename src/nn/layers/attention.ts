/** @file Multi-head attention: to itself or to a context, with masks, rotary positions and shared key–value heads. */
import { fail } from '../../base/index.ts'
import {
  add,
  matmul,
  mul,
  reshape,
  showSpec,
  softmax,
  split,
  type Tensor,
  transpose,
  triangularMask,
  where,
} from '../../tensor/index.ts'
import type { Initializer } from '../initializers.ts'
import { initAll, type Key, type Layer, requireFeatures, requirePositive } from '../layer.ts'
import { attendFew, isCheaperWithoutKeys } from './attendFew.ts'
import { type DenseParameters, dense } from './dense.ts'
import { dropout } from './dropout.ts'
import { type RotaryOptions, rotary } from './rotary.ts'

export interface AttendOptions {
  /** Row t may look at columns up to t (counted from the end when there are more keys than queries). */
  readonly causal?: boolean
  /** Booleans that broadcast to [B, H, Tq, Tk], true where a query may look. A row of false looks everywhere alike. */
  readonly mask?: Tensor
  /** Factor of the scores. Default 1 / √D. */
  readonly scale?: number
  /** Dropout of the attention weights, when there is a key. */
  readonly dropout?: number
  readonly key?: Key | Tensor
}

/** Far below every score, finite so that a fully masked row does not give NaN. */
const excluded = -1e30

/**
 * softmax(scale · Q Kᵀ) V: q [B, H, Tq, D], k and v [B, G, Tk, D] with G dividing H (each key–value head serves H / G
 * queries) ↦ [B, H, Tq, D].
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, options: AttendOptions = {}): Tensor {
  const { causal = false, mask, scale, dropout: rate = 0, key } = options
  const [b, h, tq, d] = q.shape as [number, number, number, number]
  const [, g, tk] = k.shape as [number, number, number]
  if (q.rank !== 4 || k.rank !== 4 || v.rank !== 4 || h % g !== 0 || (causal && tk < tq))
    fail(
      'TL_SHAPE_MISMATCH',
      `attend: expected q [B, H, Tq, D], k and v [B, G, Tk, D] with G dividing H${causal ? ' and Tk >= Tq' : ''}, got ${[q, k, v].map(showSpec).join(', ')}`,
    )
  // the queries of one key–value head are rows of one matrix, so nothing is repeated
  const rows = (x: Tensor): Tensor => (g === h ? x : reshape(x, [b, g, (h / g) * tq, x.shape[3]!]))
  const heads = (x: Tensor): Tensor => (g === h ? x : reshape(x, [b, h, tq, x.shape[3]!]))
  let scores = heads(mul(matmul(rows(q), k, { transposeB: true }), scale ?? 1 / Math.sqrt(d)))
  const penalty = (allowed: Tensor): Tensor => where(allowed, 0, excluded).cast(q.dtype)
  if (causal) scores = add(scores, penalty(triangularMask(tq, tk, tk - tq)))
  if (mask) scores = add(scores, penalty(mask))
  const weights = dropout(softmax(scores), rate, key)
  return heads(matmul(rows(weights), v))
}

/** Separate projections, or one for all three (`fused`). Each { weight, bias? }. */
export type AttentionParameters = {
  query?: DenseParameters
  key?: DenseParameters
  value?: DenseParameters
  qkv?: DenseParameters
  out: DenseParameters
}

export interface AttentionOptions {
  readonly heads: number
  /** Key–value heads; default as many as heads. */
  readonly keyValueHeads?: number
  /** Features of one head; default features / heads. */
  readonly headFeatures?: number
  /** Features of the context in cross-attention; default as of the input. */
  readonly contextFeatures?: number
  /** One projection `qkv` (queries, keys, values in this order) in place of three. */
  readonly fused?: boolean
  readonly bias?: boolean
  readonly causal?: boolean
  readonly rotary?: RotaryOptions
  readonly init?: Initializer
  /** Factor of every projection, as that of `dense`. Default 1. */
  readonly scale?: number
  readonly dropout?: number
}

/** What may be given beside the input. `context` [B, Tk, C]: keys and values come from it (cross-attention). */
export interface AttentionInputs {
  readonly context?: Tensor
  readonly mask?: Tensor
  readonly key?: Key | Tensor
  /** Positions [T] for rotary positions. Default 0 … T − 1. */
  readonly positions?: Tensor
}

/** Multi-head attention: x [B, T, features] ↦ the same. (Vaswani et al. 2017) */
export function attention(
  features: number,
  options: AttentionOptions,
): Layer<AttentionParameters, [x: Tensor, inputs?: AttentionInputs]> {
  const { heads, bias = true, fused = false, causal = false, init = 'glorot', dropout: rate = 0 } = options
  const { scale = 1 } = options
  const { keyValueHeads = heads, headFeatures = features / heads, contextFeatures = features } = options
  requirePositive('attention: features, heads', features, heads, keyValueHeads)
  if (!Number.isInteger(headFeatures) || heads % keyValueHeads !== 0)
    fail(
      'TL_BAD_ARGUMENT',
      `attention: expected heads that divide ${features} features and key–value heads that divide the heads, got ${heads} and ${keyValueHeads}`,
    )
  const [wide, narrow] = [heads * headFeatures, keyValueHeads * headFeatures]
  if (fused && contextFeatures !== features)
    fail('TL_BAD_ARGUMENT', 'attention: a fused projection needs a context as wide as the input')
  const projection = (inputs: number, outputs: number) => dense(inputs, outputs, { bias, init, scale })
  const apart = {
    query: projection(features, wide),
    key: projection(contextFeatures, narrow),
    value: projection(contextFeatures, narrow),
  }
  const together = { qkv: projection(features, wide + 2 * narrow) }
  const out = projection(wide, features)
  /** [B, T, n · D] ↦ [B, n, T, D] */
  const separate = (x: Tensor, n: number): Tensor =>
    transpose(reshape(x, [x.shape[0]!, x.shape[1]!, n, headFeatures]), [0, 2, 1, 3])

  function project(parameters: AttentionParameters, x: Tensor, context: Tensor): [Tensor, Tensor, Tensor] {
    if (!fused)
      return [
        separate(apart.query.apply(parameters.query!, x), heads),
        separate(apart.key.apply(parameters.key!, context), keyValueHeads),
        separate(apart.value.apply(parameters.value!, context), keyValueHeads),
      ]
    if (context !== x)
      fail('TL_BAD_ARGUMENT', 'attention: a fused projection takes no context (use separate projections)')
    const all = together.qkv.apply(parameters.qkv!, x)
    const [b, t] = x.shape as [number, number]
    if (keyValueHeads === heads) {
      const stacked = transpose(reshape(all, [b, t, 3, heads, headFeatures]), [2, 0, 3, 1, 4])
      const parts = split(stacked, 3, 0).map((part) => reshape(part, [b, heads, t, headFeatures]))
      return parts as [Tensor, Tensor, Tensor]
    }
    const [q, k, v] = split(all, [wide, narrow, narrow], -1) as [Tensor, Tensor, Tensor]
    return [separate(q, heads), separate(k, keyValueHeads), separate(v, keyValueHeads)]
  }

  // only what attends without keys does: a bias of them, rotary positions and groups of heads have no place in it
  const canDoWithoutKeys =
    !fused && !bias && !causal && rate === 0 && keyValueHeads === heads && options.rotary === undefined
  const isFew = (x: Tensor, context: Tensor): boolean =>
    canDoWithoutKeys && isCheaperWithoutKeys(x.shape[1]!, context.shape[1]!, headFeatures)

  const fromFew = ({ query, key, value }: AttentionParameters, x: Tensor, context: Tensor): Tensor =>
    attendFew(apart.query.apply(query!, x), context, { heads, key: key!.weight, value: value!.weight, scale })

  return {
    init: (key) => (fused ? initAll(key, { ...together, out }) : initAll(key, { ...apart, out })),
    apply: (parameters, x, { context = x, mask, key, positions } = {}) => {
      requireFeatures(`attention(${features})`, x, features)
      if (x.rank !== 3)
        fail('TL_SHAPE_MISMATCH', `attention: expected [B, T, ${features}], got ${showSpec(x)}`)
      if (!mask && isFew(x, context)) return out.apply(parameters.out, fromFew(parameters, x, context))
      let [q, k, v] = project(parameters, x, context)
      if (options.rotary) {
        const turn = { ...options.rotary, ...(positions && { positions }) }
        q = rotary(q, turn)
        k = rotary(k, turn)
      }
      const y = attend(q, k, v, { causal, dropout: rate, ...(mask && { mask }), ...(key && { key }) })
      const joined = reshape(transpose(y, [0, 2, 1, 3]), [x.shape[0]!, x.shape[1]!, wide])
      return out.apply(parameters.out, joined)
    },
  }
}
