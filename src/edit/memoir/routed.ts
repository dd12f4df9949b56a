/**
 * @file Routing and the residual memory as parts of a program: which edit answers is decided between the activations of a
 * prompt and the edited projection, so that a prompt goes through the model once whether an edit answers or not.
 */
import {
  abs,
  add,
  argmax,
  cast,
  div,
  gather,
  greater,
  greaterEqual,
  linear,
  matmul,
  max,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  topK,
  where,
} from '../../tensor/index.ts'
import { placesOf } from './masks.ts'
import type { Routable } from './router.ts'

/** Edits that may answer, of equally near ones the preferred first. */
export interface Candidates {
  readonly numbers: readonly number[]
  /** [hidden, E]: 1 where feature i, among the largest, counts for an edit: its mask has the one that i is permuted to. */
  readonly table: Float32Array
  /** Rows of the memory that each may use, [E, k]. */
  readonly places: Int32Array
}

/** The edits as a program takes them; of equally near ones the later answers. An edit that is none where there are none. */
export function candidatesOf(
  edits: readonly Routable[],
  ones: number,
  permutation: ArrayLike<number>,
): Candidates {
  const hidden = permutation.length
  const all = edits.toSorted((a, b) => b.number - a.number)
  const count = Math.max(1, all.length)
  const table = new Float32Array(hidden * count)
  const places = new Int32Array(count * ones)
  for (const [e, { mask }] of all.entries()) {
    places.set(placesOf(mask), e * ones)
    for (let i = 0; i < hidden; i++) {
      const bit = permutation[i]!
      table[i * count + e] = (mask[bit >>> 5]! >>> (bit & 31)) & 1
    }
  }
  return { numbers: all.map(({ number }) => number), table, places }
}

/** The least count of shared ones whose overlap with k is at least τ, as numbers are compared elsewhere. */
export function neededOnes(threshold: number, ones: number): number {
  let need = Math.max(0, Math.floor(threshold * ones) - 1)
  while (need / ones < threshold) need++
  return need
}

/** Feature f64 [hidden] of activations a [B, S, hidden] of one prompt: Σ w a / Σ w with w f64 [B, 1, S]. */
export function meanFeature(a: Tensor, weights: Tensor): Tensor {
  const total = sum(matmul(weights, cast(a, 'f64')), 0) // one sequence
  return reshape(div(total, sum(weights)), [a.shape.at(-1)!])
}

export interface Choice {
  /** Place of the nearest candidate, i32 [1]. */
  readonly nearest: Tensor
  /** Ones that it shares with the prompt, f32 [1]; −1 when none is allowed. */
  readonly shared: Tensor
  /** Whether it answers, bool [1]. */
  readonly answers: Tensor
  /** Rows of the memory that it may use, [k]. */
  readonly places: Tensor
}

/** TopHash of a feature f64 [hidden] (centred already), ones shared with each candidate, the nearest of those allowed. */
export function choose(
  feature: Tensor,
  ones: number,
  edits: {
    readonly table: Tensor
    readonly places: Tensor
    /** Positive for those that may answer, [E]. */
    readonly allowed?: Tensor
    /** Ones that each must share at least, [E]; beside `need`. */
    readonly least?: Tensor
  },
  need: Tensor | number,
): Choice {
  const { indices } = topK(abs(feature), ones)
  const counts = sum(gather(edits.table, indices, 0), 0)
  const { allowed, least } = edits
  const near = least ? where(greaterEqual(counts, least), counts, -1).cast('f32') : counts
  const shared = allowed ? where(greater(allowed, 0), near, -1).cast('f32') : near
  const nearest = reshape(argmax(shared), [1]).cast('i32')
  const most = reshape(max(shared), [1])
  return {
    nearest,
    shared: most,
    answers: greaterEqual(most, need),
    places: reshape(gather(edits.places, nearest, 0), [ones]),
  }
}

/** a W₀ + (m ⊙ a) M with the mask m of the chosen edit, read where m is one only; a W₀, bit for bit, when none answers. */
export function remembered(
  a: Tensor,
  plain: (a: Tensor) => Tensor,
  { places, answers }: Choice,
  memory: Tensor,
): Tensor {
  const own = mul(gather(a, places, -1), cast(answers, 'f32'))
  return add(plain(a), linear(own, gather(memory, places, 0)))
}

/** A feature less the mean feature of background prompts. */
export const centred = (feature: Tensor, background: Tensor): Tensor => sub(feature, background)
