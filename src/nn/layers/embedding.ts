/** @file Tables of vectors looked up by integers, and sinusoidal features of time. */
import { fail } from '../../base/index.ts'
import {
  cast,
  concatenate,
  cos,
  type FloatDtype,
  gather,
  mul,
  reshape,
  showSpec,
  sin,
  type Tensor,
  tensor,
} from '../../tensor/index.ts'
import { type Initializer, initialize } from '../initializers.ts'
import { type Layer, requirePositive } from '../layer.ts'

/** A table [count, features]: integers [...] below count ↦ [..., features]. The parameters are the table itself. */
export function embedding(
  count: number,
  features: number,
  { init = { normal: 1 } }: { readonly init?: Initializer } = {},
): Layer<Tensor, [indices: Tensor]> {
  requirePositive('embedding: sizes', count, features)
  return {
    init: (key) => initialize(key, [count, features], init, { fanIn: count, fanOut: features }),
    apply: (table, indices) => gather(table, indices, 0),
  }
}

/**
 * Sines and cosines of t at geometric frequencies f_i = longest^(−i / h), h = features / 2: t [N] ↦ [N, features], sines
 * first. (Vaswani et al. 2017; the order is that of Ho et al. 2020)
 */
export function sinusoidalFeatures(
  t: Tensor,
  features: number,
  { longest = 10_000, dtype = 'f32' }: { readonly longest?: number; readonly dtype?: FloatDtype } = {},
): Tensor {
  const half = features / 2
  if (!Number.isInteger(half) || half < 1)
    fail('TL_BAD_ARGUMENT', `sinusoidalFeatures: expected an even number of features, got ${features}`)
  if (t.rank !== 1) fail('TL_SHAPE_MISMATCH', `sinusoidalFeatures: expected t [N], got ${showSpec(t)}`)
  const frequencies = Float64Array.from({ length: half }, (_, i) => longest ** (-i / half))
  const angles = mul(cast(reshape(t, [t.size, 1]), dtype), tensor(frequencies, { dtype }))
  return concatenate([sin(angles), cos(angles)], 1)
}
