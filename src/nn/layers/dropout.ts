/** @file Dropout: random zeros from a key; no key, no dropout. */
import { fail } from '../../base/index.ts'
import { cast, mul, random, type Tensor } from '../../tensor/index.ts'
import type { Key } from '../layer.ts'

/**
 * Each element is zero with probability `rate`, else divided by 1 − rate; without a key (evaluation) x is returned as it is.
 * The key is concrete or u32[2] in a graph. (Srivastava et al. 2014)
 */
export function dropout(x: Tensor, rate: number, key: Key | Tensor | undefined): Tensor {
  if (!(rate >= 0 && rate < 1)) fail('TL_BAD_ARGUMENT', `dropout: expected a rate in [0, 1), got ${rate}`)
  if (rate === 0 || key === undefined) return x
  const kept = cast(random.bernoulli(key, 1 - rate, x.shape), x.dtype)
  return mul(x, mul(kept, 1 / (1 - rate)))
}
