/** @file Attention over whole sequences whose length is left open: what programs for other runtimes are written with. */
import {
  add,
  concatenate,
  gather,
  greater,
  less,
  logicalOr,
  matmul,
  mul,
  reshape,
  sliceAxis,
  softmax,
  sub,
  type Tensor,
  transpose,
  where,
} from '../tensor/index.ts'
import type { Attention } from './block.ts'
import type { ModelConfig } from './config.ts'

/** Far below every score, finite so that a fully masked row does not give NaN. */
const excluded = -1e30

/**
 * Causal attention of one sequence, qkv [1, S, (H + 2G) · D], for every S: `positions` is 0, 1, … as f32 [S], and the tables
 * are of all positions there are. No constant and no attribute depends on S, so that `exportDynamicOnnx` takes it.
 */
export function anyLengthAttention(
  config: ModelConfig,
  positions: Tensor,
  tables?: { readonly cos: Tensor; readonly sin: Tensor },
): Attention {
  const { heads, keyValueHeads, headSlots: d, headWidth, window } = config
  const [s] = positions.shape as [number]
  const shared = heads / keyValueHeads
  const index = positions.cast('i32')
  const [here, there] = [reshape(positions, [s, 1]), reshape(positions, [1, s])]
  const later = greater(there, here)
  const hidden = window > 0 ? logicalOr(later, less(there, add(sub(here, window), 1))) : later
  const penalty = where(hidden, excluded, 0).cast('f32')
  // queries that share a key–value head stand one below the other
  const mask = concatenate(
    Array.from({ length: shared }, () => penalty),
    0,
  )
  const turn = (x: Tensor): Tensor => {
    if (!tables) return x
    const [cos, sin] = [gather(tables.cos, index, 0), gather(tables.sin, index, 0)]
    const [first, second] = [sliceAxis(x, -1, 0, d / 2), sliceAxis(x, -1, d / 2, d)]
    return concatenate([sub(mul(first, cos), mul(second, sin)), add(mul(second, cos), mul(first, sin))], -1)
  }
  return (qkv) => {
    const parts = transpose(reshape(qkv, [s, heads + 2 * keyValueHeads, d]), [1, 0, 2])
    const q = reshape(turn(sliceAxis(parts, 0, 0, heads)), [keyValueHeads, shared * s, d])
    const k = turn(sliceAxis(parts, 0, heads, heads + keyValueHeads))
    const v = sliceAxis(parts, 0, heads + keyValueHeads, heads + 2 * keyValueHeads)
    const scores = mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(headWidth))
    const mixed = reshape(matmul(softmax(add(scores, mask)), v), [heads, s, d])
    return reshape(transpose(mixed, [1, 0, 2]), [1, s, heads * d])
  }
}
