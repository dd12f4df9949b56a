/** @file Attention of few queries to a long context: keys and values are never made. */
import { matmul, mul, reshape, softmax, type Tensor, transpose } from '../../tensor/index.ts'

/** Products per string of Tq queries of D features on Tk positions of C features: by way of keys and values, and without them. */
export const isCheaperWithoutKeys = (queries: number, positions: number, headFeatures: number): boolean =>
  queries * (headFeatures + positions) < positions * headFeatures

/**
 * softmax(Q Kᵀ / √D) V for K = scale · c W_Kᵀ and V = scale · c W_Vᵀ of a context c [B, Tk, C], with the sums in another order:
 * scores are (Q W_K) cᵀ, and the mean of values is (softmax(scores) c) W_Vᵀ. q [B, Tq, H · D], weights [H · D, C] ↦ [B, Tq, H · D].
 */
export function attendFew(
  q: Tensor,
  context: Tensor,
  { heads, ...rest }: { heads: number; readonly key: Tensor; readonly value: Tensor; readonly scale: number },
): Tensor {
  const [b, tq, wide] = q.shape as [number, number, number]
  const [c, d] = [context.shape[2]!, wide / heads]
  const ofHeads = (weight: Tensor): Tensor => reshape(weight, [heads, d, c])
  // one product for each head over all strings, then one for each string over all heads
  const byHead = (x: Tensor, features: number): Tensor =>
    transpose(reshape(x, [b * tq, heads, features]), [1, 0, 2])
  const byString = (x: Tensor, features: number): Tensor =>
    reshape(transpose(x, [1, 0, 2]), [b, tq * heads, features])
  const asked = byString(matmul(byHead(q, d), ofHeads(rest.key)), c)
  const scores = mul(matmul(asked, context, { transposeB: true }), rest.scale / Math.sqrt(d))
  const mixed = byHead(matmul(softmax(scores), context), c)
  const y = reshape(byString(matmul(mixed, ofHeads(rest.value), { transposeB: true }), d), [b, tq, wide])
  return rest.scale === 1 ? y : mul(y, rest.scale)
}
