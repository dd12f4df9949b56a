/** @file Rotary positions: pairs of features turned by an angle proportional to the position. (Su et al. 2021) */
import { fail } from '../../base/index.ts'
import {
  add,
  arange,
  cast,
  concatenate,
  cos,
  isFloat,
  mul,
  neg,
  reshape,
  showSpec,
  sin,
  sliceAxis,
  stack,
  type Tensor,
  tensor,
} from '../../tensor/index.ts'

export interface RotaryOptions {
  /** Angle of pair i at position p: p · base^(−2i / D). Default 10 000. */
  readonly base?: number
  /** Which features form a pair: i and i + D/2 (`half`, as in Llama), or 2i and 2i + 1 (`interleaved`, as in GPT-J). */
  readonly pairs?: 'half' | 'interleaved'
  /** Features that are turned, from the first; the rest stay. Default all. */
  readonly features?: number
  /** Positions [T] of the T rows. Default 0 … T − 1. */
  readonly positions?: Tensor
}

/** Turn queries or keys: x [..., T, D] ↦ the same. */
export function rotary(
  x: Tensor,
  { base = 10_000, pairs = 'half', features, positions }: RotaryOptions = {},
): Tensor {
  const width = x.shape.at(-1) ?? 0
  const turned = features ?? width
  if (x.rank < 2 || turned % 2 !== 0 || turned < 2 || turned > width || !isFloat(x.dtype))
    fail(
      'TL_SHAPE_MISMATCH',
      `rotary: expected float [..., T, D] and an even number of features <= D to turn, got ${showSpec(x)} and ${turned}`,
    )
  const length = x.shape.at(-2)!
  const half = turned / 2
  const frequencies = Float64Array.from({ length: half }, (_, i) => base ** (-i / half))
  const where = cast(positions ?? arange(length), x.dtype)
  if (where.rank !== 1 || where.size !== length)
    fail(
      'TL_SHAPE_MISMATCH',
      `rotary: expected positions [${length}] for ${showSpec(x)}, got ${showSpec(where)}`,
    )
  const angles = mul(reshape(where, [length, 1]), tensor(frequencies, { dtype: x.dtype })) // [T, half]
  const wide = (t: Tensor): Tensor =>
    pairs === 'half' ? concatenate([t, t], 1) : reshape(stack([t, t], 2), [length, turned])
  const part = turned === width ? x : sliceAxis(x, -1, 0, turned)
  const y = add(mul(part, wide(cos(angles))), mul(quarterTurn(part, pairs), wide(sin(angles))))
  return turned === width ? y : concatenate([y, sliceAxis(x, -1, turned, width)], -1)
}

/** Each pair (a, b) ↦ (−b, a). */
function quarterTurn(x: Tensor, pairs: 'half' | 'interleaved'): Tensor {
  const width = x.shape.at(-1)!
  if (pairs === 'half')
    return concatenate([neg(sliceAxis(x, -1, width / 2, width)), sliceAxis(x, -1, 0, width / 2)], -1)
  const open = reshape(x, [...x.shape.slice(0, -1), width / 2, 2])
  return reshape(concatenate([neg(sliceAxis(open, -1, 1, 2)), sliceAxis(open, -1, 0, 1)], -1), x.shape)
}
