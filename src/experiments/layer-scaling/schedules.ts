/** @file Factors by depth: LiNeS, and schedules that must not do as well if depth is what matters. */
import type { Key } from '../../base/index.ts'
import { applyLines, autoAlpha, findLayers, layerOf, linesScale, taskVectorNorms } from '../../merge/index.ts'
import { random } from '../../tensor/index.ts'
import type { Weights } from '../merging/tensors.ts'

/**
 * `lines`: α + β (ℓ − 1)/(L − 1). `reversed`: the same factors from the last block to the first. `shuffled`: in a random order.
 * `constant`: their mean in every block. Outside the blocks all have α. `plain`: α everywhere.
 */
export const schemes = ['plain', 'lines', 'reversed', 'constant', 'shuffled'] as const
export type Scheme = (typeof schemes)[number]

/** Factors of blocks 1 … L. */
function blockFactors(scheme: Scheme, count: number, alpha: number, beta: number, key: Key): number[] {
  const rising = Array.from({ length: count }, (_, i) => linesScale(i + 1, count, alpha, beta))
  if (scheme === 'reversed') return rising.toReversed()
  if (scheme === 'plain') return rising.map(() => alpha)
  if (scheme === 'constant') return rising.map(() => rising.reduce((sum, f) => sum + f, 0) / count)
  if (scheme === 'shuffled') return Array.from(random.samplePermutation(key, count), (i) => rising[i]!)
  return rising
}

/** The factor of each tensor. Throws TL_BAD_ARGUMENT for a model whose blocks are not found. */
export function factorsOf(
  scheme: Scheme,
  names: readonly string[],
  { alpha, beta, key }: { readonly alpha: number; readonly beta: number; readonly key: Key },
): Map<string, number> {
  if (scheme === 'plain') return new Map(names.map((name) => [name, alpha]))
  const layers = findLayers(names)
  const factors = layers.map(({ count }) => blockFactors(scheme, count, alpha, beta, key))
  return new Map(
    names.map((name) => {
      const place = layerOf(name, layers)
      const stack = place ? layers.findIndex((one) => one.name === place.stack) : -1
      return [name, place ? factors[stack]![place.layer - 1]! : alpha]
    }),
  )
}

/** θ₀ + factor · (θ − θ₀), tensor by tensor. */
export const scaled = (base: Weights, merged: Weights, factors: ReadonlyMap<string, number>): Weights =>
  new Map(
    [...merged].map(([name, values]) => [name, applyLines(base.get(name)!, values, factors.get(name)!)]),
  )

/** α by the norm rule: (1/N) ‖Σ τ‖₁ / ‖τ_merged‖₁. */
export function alphaByNorms(base: Weights, models: readonly Weights[], merged: Weights): number {
  const running = taskVectorNorms()
  for (const [name, values] of merged)
    running.add(
      base.get(name)!,
      models.map((model) => model.get(name)!),
      values,
    )
  const { l1Sum, l1Merged } = running.norms()
  return autoAlpha(l1Sum, l1Merged, models.length)
}
