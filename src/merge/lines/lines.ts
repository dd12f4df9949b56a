/**
 * @file LiNeS, layer-increasing network scaling (Wang et al. 2025, arXiv 2410.17146): the task vector of block ℓ of L is
 * scaled by λ^(ℓ) = α + β (ℓ − 1)/(L − 1), what lies outside the blocks by α.
 */
import { fail } from '../../base/index.ts'
import { findLayers, type LayerOptions, type Layers, layerOf } from './layers.ts'
import { headPattern, wrapperPrefix } from './stacks.ts'

/** λ^(ℓ) for block `layer` = 1 … `count`; α + β when there is only one block. */
export const linesScale = (layer: number, count: number, alpha: number, beta: number): number =>
  count === 1 ? alpha + beta : alpha + (beta * (layer - 1)) / (count - 1)

/** Scaling of a single fine-tuned model that keeps its last block as it is: β = 1 − α. */
export const singleTask = (alpha: number): { alpha: number; beta: number } => ({ alpha, beta: 1 - alpha })

export interface LinesOptions extends LayerOptions {
  readonly alpha: number
  readonly beta: number
  /** The factor of the output layer: α like everything outside the blocks, or α + β like the last block. Default 'alpha'. */
  readonly head?: 'alpha' | 'last'
}

/** One tensor's factor and why: its block, or null outside the blocks. */
export interface LinesRow {
  readonly name: string
  readonly stack: string | null
  readonly layer: number | null
  readonly count: number | null
  readonly factor: number
}

const isHead = (name: string): boolean => headPattern.test(name.replace(wrapperPrefix, ''))

function rowOf(name: string, layers: Layers, { alpha, beta, head }: LinesOptions): LinesRow {
  const place = layerOf(name, layers)
  if (!place) {
    const factor = head === 'last' && isHead(name) ? alpha + beta : alpha
    return { name, stack: null, layer: null, count: null, factor }
  }
  return { name, ...place, factor: linesScale(place.layer, place.count, alpha, beta) }
}

/**
 * The factor of every tensor of a model, in the order of `names`. A head that is tied to the embedding (absent from the
 * file) shares the embedding's factor, α. Errors: TL_BAD_ARGUMENT for α or β that is not finite, for a model whose blocks
 * are not found, for `head: 'last'` without a head of its own.
 */
export function linesPlan(names: Iterable<string>, options: LinesOptions): LinesRow[] {
  for (const key of ['alpha', 'beta'] as const)
    if (!Number.isFinite(options[key]))
      fail('TL_BAD_ARGUMENT', `lines.${key}: expected a finite number, got ${options[key]}`)
  const all = [...names]
  const layers = findLayers(all, options)
  if (options.head === 'last' && !all.some(isHead))
    fail(
      'TL_BAD_ARGUMENT',
      'lines.head: the model has no head of its own (it is tied to the embedding); use alpha',
    )
  return all.map((name) => rowOf(name, layers, options))
}

/**
 * θ₀ + factor · (θ − θ₀) for one tensor, f32: θ itself, bit for bit, at factor 1, and θ₀ at 0. For methods with `lambda`
 * the factor may go into it instead, which saves one rounding and is what mergekit computes for `lambda: [α, α + β]`.
 */
export function applyLines(base: Float32Array, merged: Float32Array, factor: number): Float32Array {
  if (base.length !== merged.length)
    fail('TL_SHAPE_MISMATCH', `applyLines: expected equal lengths, got ${base.length} and ${merged.length}`)
  if (factor === 1) return merged.slice()
  const by = Math.fround(factor)
  const out = new Float32Array(base.length)
  for (let i = 0; i < out.length; i++)
    out[i] = base[i]! + Math.fround(Math.fround(merged[i]! - base[i]!) * by)
  return out
}

/** Running L1 norms over all tensors of a merge, for `autoAlpha`. */
export interface TaskVectorNorms {
  /** Adds one tensor (or a piece of one). */
  readonly add: (base: Float32Array, models: readonly Float32Array[], merged: Float32Array) => void
  /** ‖Σ_t τ_t‖₁ and ‖τ_merged‖₁ of what was added. */
  readonly norms: () => { l1Sum: number; l1Merged: number }
}

/** Sums to stream a merge through: sums of pieces are the sums of the whole, up to rounding in double precision. */
export function taskVectorNorms(): TaskVectorNorms {
  let [l1Sum, l1Merged] = [0, 0]
  return {
    add(base, models, merged) {
      for (let i = 0; i < base.length; i++) {
        let total = 0
        for (const values of models) total += values[i]! - base[i]!
        l1Sum += Math.abs(total)
        l1Merged += Math.abs(merged[i]! - base[i]!)
      }
    },
    norms: () => ({ l1Sum, l1Merged }),
  }
}

/**
 * α = (1/N) ‖Σ_t τ_t‖₁ / ‖τ_merged‖₁ for N task vectors (the authors' code; 1/N for plain task arithmetic, where the merged
 * vector is the sum). Errors: TL_BAD_ARGUMENT when the merged task vector is zero and the sum is not.
 */
export function autoAlpha(l1Sum: number, l1Merged: number, count: number): number {
  if (!(Number.isInteger(count) && count >= 1))
    fail('TL_BAD_ARGUMENT', `autoAlpha: expected a number of models >= 1, got ${count}`)
  if (!(l1Sum >= 0 && l1Merged >= 0 && Number.isFinite(l1Sum) && Number.isFinite(l1Merged)))
    fail(
      'TL_NOT_FINITE',
      `autoAlpha: expected finite norms, got ${l1Sum} and ${l1Merged}; an input holds NaN or infinity`,
    )
  if (l1Merged > 0) return l1Sum / l1Merged / count
  if (l1Sum > 0)
    fail(
      'TL_BAD_ARGUMENT',
      'lines.alpha: auto: the merged model equals its base, so nothing can be scaled; give a number',
    )
  return 1 / count
}
