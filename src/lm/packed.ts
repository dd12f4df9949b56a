/**
 * @file Blocks over packed sequences, laid end to end, without a cache and differentiable: no token is padding, and the last block works
 * only on the tokens whose result is wanted. What is differentiated when the top of a frozen model is trained through.
 */
import {
  add,
  concatenate,
  gelu,
  matmul,
  mul,
  reshape,
  rmsNorm,
  softmax,
  split,
  sub,
  swiGlu,
  type Tensor,
  tensor,
  transpose,
} from '../tensor/index.ts'
import { causalMask, excluded, normalize } from './block.ts'
import type { ModelConfig } from './config.ts'
import { applyLinear, type Linear } from './matrix.ts'
import { rotaryTables } from './rotary.ts'
import type { BlockWeights } from './weights.ts'

/** Where T tokens of several sequences stand. */
export interface PackedLayout {
  /** 0 where a token (row) may look, −10³⁰ elsewhere: [T, T]. */
  readonly mask: Tensor
  /** Rotary angles of each token, [T, D/2]; absent with learned positions. */
  readonly cos?: Tensor
  readonly sin?: Tensor
}

/** The layout of sequences of these lengths, as numbers. */
export function packedLayout(
  config: ModelConfig,
  lengths: readonly number[],
  factors?: Float32Array,
): { mask: Float32Array; cos?: Float32Array; sin?: Float32Array } {
  const total = lengths.reduce((a, b) => a + b, 0)
  const mask = new Float32Array(total * total).fill(excluded)
  const tables = rotaryTables(config, Math.max(...lengths), factors)
  const half = config.headSlots / 2
  const [cos, sin] = [new Float32Array(total * half), new Float32Array(total * half)]
  let start = 0
  for (const length of lengths) {
    const own = causalMask(length, config.window)
    for (let r = 0; r < length; r++)
      mask.set(own.subarray(r * length, (r + 1) * length), (start + r) * total + start)
    if (tables) {
      cos.set((tables.cos.data as Float32Array).subarray(0, length * half), start * half)
      sin.set((tables.sin.data as Float32Array).subarray(0, length * half), start * half)
    }
    start += length
  }
  return { mask, ...(tables && { cos, sin }) }
}

/** Columns from … to − 1 of a dense map, as one of its own. */
function columnsOf({ weight, bias }: Linear, from: number, to: number): Linear {
  const { data, shape } = weight as Tensor
  const [rows, columns] = shape as [number, number]
  const own = new Float32Array(rows * (to - from))
  for (let r = 0; r < rows; r++)
    own.set((data as Float32Array).subarray(r * columns + from, r * columns + to), r * (to - from))
  return {
    weight: tensor(own, { shape: [rows, to - from] }),
    ...(bias && { bias: tensor((bias.data as Float32Array).slice(from, to)) }),
  }
}

/** A block whose queries are apart from its keys and values. */
export interface LastBlockWeights extends Omit<BlockWeights, 'qkv'> {
  readonly query: Linear
  readonly keyValue: Linear
}

/** A block's weights for `lastPackedBlock`. */
export function lastBlockWeights(
  { heads, headSlots }: ModelConfig,
  { qkv, ...rest }: BlockWeights,
): LastBlockWeights {
  const wide = heads * headSlots
  return {
    ...rest,
    query: columnsOf(qkv, 0, wide),
    keyValue: columnsOf(qkv, wide, (qkv.weight as Tensor).shape[1]!),
  }
}

const pair = (parts: readonly Tensor[]): [Tensor, Tensor] => parts as [Tensor, Tensor]

/** [T, heads · D] ↦ [heads, T, D], normalized head by head where the model does that, and turned to the tokens' places. */
function headsOf(
  { headSlots: d, epsilon }: ModelConfig,
  x: Tensor,
  scale?: Tensor,
  { cos, sin }: Omit<PackedLayout, 'mask'> = {},
): Tensor {
  const apart = reshape(x, [x.shape[0]!, x.shape[1]! / d, d])
  const own = transpose(scale ? rmsNorm(apart, scale, { epsilon }) : apart, [1, 0, 2])
  if (!cos || !sin) return own
  const [first, second] = pair(split(own, 2, -1))
  return concatenate([sub(mul(first, cos), mul(second, sin)), add(mul(second, cos), mul(first, sin))], -1)
}

/** Queries [R, H · D] at their layout, keys and values [T, 2 G · D] at theirs ↦ the mix [R, H · D]. */
function attend(
  config: ModelConfig,
  norms: BlockWeights['headNorms'],
  query: Tensor,
  keyValue: Tensor,
  at: PackedLayout,
  whole: PackedLayout,
): Tensor {
  const { heads, keyValueHeads, headSlots: d, headWidth } = config
  const [rows, shared] = [query.shape[0]!, heads / keyValueHeads]
  const [keys, values] = pair(split(keyValue, 2, -1))
  const q = reshape(headsOf(config, query, norms?.query, at), [keyValueHeads, shared * rows, d])
  const k = headsOf(config, keys, norms?.key, whole)
  const scores = mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(headWidth))
  const mask = concatenate(Array<Tensor>(shared).fill(at.mask))
  const mixed = matmul(softmax(add(scores, mask)), headsOf(config, values))
  return reshape(transpose(reshape(mixed, [heads, rows, d]), [1, 0, 2]), [rows, heads * d])
}

/** x plus the mix of its attention, then plus its feed-forward. */
function rest(
  config: ModelConfig,
  { out, norm2, up, down }: Pick<BlockWeights, 'out' | 'norm2' | 'up' | 'down'>,
  x: Tensor,
  mixed: Tensor,
): Tensor {
  const middle = add(x, applyLinear(out, mixed))
  const wide = applyLinear(up, normalize(config, norm2, middle))
  const a = config.architecture.feedForward === 'swiglu' ? swiGlu(wide) : gelu(wide, { approximate: 'tanh' })
  return add(middle, applyLinear(down, a))
}

/** One block: the stream that enters, [T, width] ↦ the stream that leaves. */
export function packedBlock(
  config: ModelConfig,
  weights: BlockWeights,
  x: Tensor,
  layout: PackedLayout,
): Tensor {
  const { heads, keyValueHeads, headSlots: d } = config
  const qkv = applyLinear(weights.qkv, normalize(config, weights.norm1, x))
  const [query, keyValue] = pair(split(qkv, [heads * d, 2 * keyValueHeads * d], -1))
  return rest(config, weights, x, attend(config, weights.headNorms, query, keyValue, layout, layout))
}

/** The rows of x [T, N] that `pick` [R, T] has its ones at: [R, N]. A product with zeros and ones is exact, and so is its transpose. */
export const selectRows = (pick: Tensor, x: Tensor): Tensor => matmul(pick, x)

/** One block, only the selected rows of its result: [T, width], pick [R, T] ↦ [R, width]. */
export function lastPackedBlock(
  config: ModelConfig,
  weights: LastBlockWeights,
  x: Tensor,
  layout: PackedLayout,
  pick: Tensor,
): Tensor {
  const { cos, sin, mask } = layout
  const normalized = normalize(config, weights.norm1, x)
  const at: PackedLayout = {
    mask: selectRows(pick, mask),
    ...(cos && sin && { cos: selectRows(pick, cos), sin: selectRows(pick, sin) }),
  }
  const query = applyLinear(weights.query, selectRows(pick, normalized))
  const keyValue = applyLinear(weights.keyValue, normalized)
  return rest(
    config,
    weights,
    selectRows(pick, x),
    attend(config, weights.headNorms, query, keyValue, at, layout),
  )
}
