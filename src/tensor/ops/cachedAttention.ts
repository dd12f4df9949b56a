/**
 * @file Attention of new tokens to all tokens so far, whose keys and values lie in a cache of fixed capacity: rotary positions,
 * shared key–value heads, sliding windows. The runtime's kernel may write the cache in place; the definition is below.
 */
import { fromFloat64, isFloat, type Spec, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { microsoft } from '../onnx/emitter.ts'
import { type Attributes, applyAll, type Tensor, tensor } from '../tensor.ts'
import { takeAlong } from './along.ts'
import { add, maximum, minimum, mul, sub } from './arithmetic.ts'
import { broadcastTo } from './broadcast.ts'
import { defineComposite } from './composite.ts'
import { gather } from './gather.ts'
import { iota } from './iota.ts'
import { cast, equal, greater, greaterEqual, less, lessEqual, logicalAnd, where } from './logic.ts'
import { matmul } from './matmul.ts'
import { softmax } from './normalize.ts'
import { concatenate, sliceAxis } from './pieces.ts'
import { reshape, transpose } from './shape.ts'

interface Layout {
  readonly heads: number
  readonly keyValueHeads: number
  /** Tokens a query sees, itself included; 0 for all. */
  readonly window: number
  /** Factor of the scores. */
  readonly scale: number
}
const layoutOf = (attributes: Attributes): Layout => attributes as unknown as Layout

function shape(inputs: readonly Spec[], attributes: Attributes): Spec[] {
  const [qkv, keys, values, last, total, cos, sin] = inputs as [Spec, Spec, Spec, Spec, Spec, Spec?, Spec?]
  const { heads, keyValueHeads } = layoutOf(attributes)
  const [b, s, width] = qkv.shape as [number, number, number]
  const d = width / (heads + 2 * keyValueHeads)
  const isCache = ({ shape: c, dtype }: Spec): boolean =>
    c.length === 4 && c[0] === b && c[1] === keyValueHeads && c[2]! >= s && c[3] === d && dtype === qkv.dtype
  const isTable = (t?: Spec): boolean =>
    !t || (t.shape.length === 2 && t.shape[1] === d / 2 && t.dtype === qkv.dtype)
  if (
    qkv.shape.length !== 3 ||
    !isFloat(qkv.dtype) ||
    heads % keyValueHeads !== 0 ||
    !Number.isInteger(d) ||
    ![keys, values].every(isCache) ||
    last.dtype !== 'i32' ||
    last.shape.join() !== String(b) ||
    total.dtype !== 'i32' ||
    total.shape.join() !== '1' ||
    !isTable(cos) ||
    !isTable(sin)
  )
    fail(
      'TL_SHAPE_MISMATCH',
      `cachedAttention: expected qkv [B, S, (${heads} + 2·${keyValueHeads})·D], keys and values [B, ${keyValueHeads}, C >= S, D], last i32[B], total i32[1], cosines and sines [P, D/2], got ${inputs.map(showSpec).join(', ')}`,
    )
  return [
    { shape: [b, s, heads * d], dtype: qkv.dtype },
    { shape: keys.shape, dtype: keys.dtype },
    { shape: values.shape, dtype: values.dtype },
  ]
}

const clip = (x: Tensor, low: number, high: number): Tensor => maximum(minimum(x, high), low)

/** Far below every score, finite so that a fully masked row does not give NaN. */
const excluded = -1e30

defineComposite('cachedAttention', {
  shape,
  define: (inputs, attributes) => {
    const [qkv, keys, values, last, total, cos, sin] = inputs as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor?,
      Tensor?,
    ]
    const { heads, keyValueHeads, window, scale } = layoutOf(attributes)
    const [b, s, width] = qkv.shape as [number, number, number]
    const d = width / (heads + 2 * keyValueHeads)
    const capacity = keys.shape[2]!
    // a call that holds everything begins at 0, even where a sequence is padded; others end with the last token
    const start = where(equal(total, s), 0, add(last, 1 - s)).cast('i32') // [B]
    const position = add(reshape(start, [b, 1]), reshape(iota([s]), [1, s])) // [B, S]
    const split = transpose(reshape(qkv, [b, s, heads + 2 * keyValueHeads, d]), [0, 2, 1, 3])
    const part = (from: number, count: number): Tensor => sliceAxis(split, 1, from, from + count)
    const turn = (x: Tensor): Tensor => {
      if (!cos || !sin) return x
      const at = clip(position, 0, cos.shape[0]! - 1)
      const table = (t: Tensor): Tensor => reshape(gather(t, at, 0), [b, 1, s, d / 2])
      const [c, n] = [table(cos), table(sin)]
      const [first, second] = [sliceAxis(x, -1, 0, d / 2), sliceAxis(x, -1, d / 2, d)]
      return concatenate([sub(mul(first, c), mul(second, n)), add(mul(second, c), mul(first, n))], -1)
    }
    // cache slot ↦ the new row that goes there
    const slot = reshape(iota([capacity]), [1, capacity])
    const row = sub(slot, reshape(start, [b, 1])) // [B, C]
    const isNew = logicalAnd(greaterEqual(row, 0), less(row, s))
    const wide = (t: Tensor): Tensor => broadcastTo(reshape(t, [b, 1, capacity, 1]), keys.shape)
    const index = wide(clip(row, 0, s - 1))
    const updated = (fresh: Tensor, cache: Tensor): Tensor =>
      where(wide(isNew), takeAlong(fresh, index, 2), cache)
    const newKeys = updated(turn(part(heads, keyValueHeads)), keys)
    const newValues = updated(part(heads + keyValueHeads, keyValueHeads), values)
    const shared = heads / keyValueHeads
    // a single number would be fused into the product by the runtime, which keeps such a factor in single precision
    const scales = tensor(fromFloat64(new Float64Array(d).fill(scale), qkv.dtype))
    const q = mul(reshape(turn(part(0, heads)), [b, keyValueHeads, shared * s, d]), scales)
    const scores = matmul(q, newKeys, { transposeB: true })
    const [here, there] = [reshape(position, [b, s, 1]), reshape(slot, [1, 1, capacity])]
    const past = lessEqual(there, here)
    const seen = window ? logicalAnd(past, greater(there, sub(here, window))) : past // [B, S, C]
    const penalty = cast(where(seen, 0, excluded), qkv.dtype)
    const masked = add(reshape(scores, [b, heads, s, capacity]), reshape(penalty, [b, 1, s, capacity]))
    const weights = reshape(softmax(masked), [b, keyValueHeads, shared * s, capacity])
    const mixed = reshape(matmul(weights, newValues), [b, heads, s, d])
    return [reshape(transpose(mixed, [0, 2, 1, 3]), [b, s, heads * d]), newKeys, newValues]
  },
  onnx: (e, names, node) => {
    const [qkv, keys, values, last, total, cos, sin] = names as [
      string,
      string,
      string,
      string,
      string,
      string?,
      string?,
    ]
    const { heads, keyValueHeads, window, scale } = layoutOf(node.attributes)
    const attributes = {
      num_heads: heads,
      kv_num_heads: keyValueHeads,
      do_rotary: cos ? 1 : 0,
      local_window_size: window || -1,
      scale: { float: scale },
    }
    return e.nodes(
      'GroupQueryAttention',
      [qkv, '', '', keys, values, last, total, ...(cos && sin ? [cos, sin] : [])],
      attributes,
      { domain: microsoft, outputs: 3 },
    )
  },
  fuses: (node, { target }) =>
    target === 'cpu' &&
    node.outputs[0]!.dtype === 'f32' &&
    node.outputs.every(({ size }) => size > 0) &&
    // what the kernel takes: heads of a multiple of 8 features, of 16 when it turns them
    node.outputs[1]!.shape[3]! % (node.inputs.length === 5 ? 8 : 16) === 0,
})

export interface CachedAttentionOptions {
  readonly heads: number
  /** A divisor of the heads. Default as many. */
  readonly keyValueHeads?: number
  /** Tokens a query sees, itself included. Default all. */
  readonly window?: number
  /** Factor of the scores. Default 1 / √D. */
  readonly scale?: number
}

export interface CachedAttentionInputs {
  /** Queries, keys and values of the new tokens side by side: [B, S, (H + 2G) · D]. */
  readonly qkv: Tensor
  /** Keys (turned) and values so far: [B, G, C, D] each. */
  readonly keys: Tensor
  readonly values: Tensor
  /** Index of the last token of each sequence once these are in: i32 [B]. */
  readonly last: Tensor
  /** Tokens of the longest sequence once these are in: i32 [1]. */
  readonly total: Tensor
  /** Cosines and sines of the angles by position, [P, D/2], for rotary positions (pairs i and i + D/2). */
  readonly cos?: Tensor
  readonly sin?: Tensor
}

/**
 * Causal attention through a cache. New tokens take the positions up to `last`; or, when they are all there is (total = S),
 * the first S, so that shorter sequences are padded on the right and their padding is overwritten later. Returns the mix
 * [B, S, H · D] and the cache with the new tokens in it. The runtime's kernel takes several tokens of several sequences only
 * when they are all there is.
 */
export function cachedAttention(
  { qkv, keys, values, last, total, cos, sin }: CachedAttentionInputs,
  { heads, keyValueHeads = heads, window = 0, scale }: CachedAttentionOptions,
): { mixed: Tensor; keys: Tensor; values: Tensor } {
  if (!cos !== !sin) fail('TL_BAD_ARGUMENT', 'cachedAttention: expected cosines and sines, or neither')
  const tables = cos && sin ? [cos, sin] : []
  const attributes = { heads, keyValueHeads, window, scale: scale ?? 1 / Math.sqrt(keys.shape.at(-1)!) }
  const [mixed, newKeys, newValues] = applyAll(
    'cachedAttention',
    [qkv, keys, values, last, total, ...tables],
    attributes,
  )
  return { mixed: mixed!, keys: newKeys!, values: newValues! }
}
