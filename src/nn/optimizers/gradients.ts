/** @file What happens to trees of gradients and parameters beside the update: clipping and running averages. */
import {
  add,
  div,
  leaves,
  mapTree,
  minimum,
  mul,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  zipTrees,
} from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'

/** √(Σ g²) over all leaves, a scalar. */
export const globalNorm = (tree: Parameters): Tensor =>
  sqrt(
    leaves(tree)
      .map((g) => sum(square(g)))
      .reduce((a, b) => add(a, b)),
  )

/** Gradients scaled so that their global norm is at most `limit`, and the norm they had. (Pascanu et al. 2013) */
export function clipByGlobalNorm<P extends Parameters>(
  gradients: P,
  limit: number,
): { gradients: P; norm: Tensor } {
  const norm = globalNorm(gradients)
  const factor = minimum(div(limit, add(norm, 1e-6)), 1)
  return { gradients: mapTree(gradients as Parameters, (g) => mul(g, factor)) as P, norm }
}

/** Exponential moving average of parameters: a + (1 − decay) (p − a). `rate` is 1 − decay, a scalar. */
export const movingAverage = (average: Parameters, parameters: Parameters, rate: Tensor): Parameters =>
  zipTrees((a: Tensor, p: Tensor) => add(a, mul(sub(p, a), rate)), average, parameters)
