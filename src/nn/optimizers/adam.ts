/**
 * @file Adam and AdamW. The moments are kept as plain sums, M = Σ β₁^(t−i) gᵢ and V = Σ β₂^(t−i) gᵢ²; the factors 1 − β of the
 * usual averages and the bias corrections go into two scalars, which saves a fifth of the passes over memory:
 *
 *   w ← w − α M / (√V + ε̂),   α = η (1 − β₁) / (1 − β₁ᵗ) · √((1 − β₂ᵗ) / (1 − β₂)),   ε̂ = ε √((1 − β₂ᵗ) / (1 − β₂))
 */
import { fail } from '../../base/index.ts'
import { add, div, mul, sqrt, sub, type Tensor } from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'
import { type Optimizer, updateLeaves, zerosLikeTree } from './optimizer.ts'

export interface AdamOptions {
  /** Default 0.9. */
  readonly beta1?: number
  /** Default 0.999. */
  readonly beta2?: number
  /** Default 1e-8. */
  readonly epsilon?: number
  /** Adam: λ in g + λ w. Default 0. */
  readonly weightDecay?: number
}

export interface AdamWOptions extends AdamOptions {
  /** λ in w ← (1 − η λ) w before the step. Default 0.01. */
  readonly weightDecay?: number
  /** Which parameters decay, by dotted name. Default all; often only matrices: `(_, w) => w.rank > 1`. */
  readonly decays?: (name: string, parameter: Tensor) => boolean
}

/** Sums of gradients and of their squares, each a tree like the parameters. */
export type AdamState = { sum: Parameters; squares: Parameters }

function build(
  name: string,
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamOptions,
  decays: ((name: string, parameter: Tensor) => boolean) | undefined,
): Optimizer<AdamState> {
  const isShare = (beta: number): boolean => beta >= 0 && beta < 1
  if (!(isShare(beta1) && isShare(beta2) && epsilon >= 0 && weightDecay >= 0))
    fail(
      'TL_BAD_ARGUMENT',
      `${name}: expected beta1 and beta2 in [0, 1), epsilon and weightDecay >= 0, got ${beta1}, ${beta2}, ${epsilon}, ${weightDecay}`,
    )
  return {
    name,
    settings: { beta1, beta2, epsilon, weightDecay },
    init: (parameters) => ({ sum: zerosLikeTree(parameters), squares: zerosLikeTree(parameters) }),
    scalars: (step, rate) => {
      const spread = Math.sqrt((1 - beta2 ** step) / (1 - beta2))
      return [((rate * (1 - beta1)) / (1 - beta1 ** step)) * spread, epsilon * spread, 1 - rate * weightDecay]
    },
    update: (parameters, gradients, state, [alpha, small, shrink]) => {
      const [next, sum, squares] = updateLeaves(
        (path, w, g, m, v) => {
          const slope = decays || weightDecay === 0 ? g! : add(g!, mul(w!, weightDecay))
          const first = add(mul(m!, beta1), slope)
          const second = add(mul(v!, beta2), mul(slope, slope))
          const kept = decays?.(path, w!) && weightDecay > 0 ? mul(w!, shrink!) : w!
          return [sub(kept, div(mul(first, alpha!), add(sqrt(second), small!))), first, second]
        },
        parameters,
        gradients,
        state.sum,
        state.squares,
      )
      return next ? { parameters: next, state: { sum: sum!, squares: squares! } } : { parameters, state }
    },
  }
}

/** Adam (Kingma & Ba 2015); weight decay, if any, is added to the gradient, as in PyTorch. */
export const adam = (options: AdamOptions = {}): Optimizer<AdamState> => build('adam', options, undefined)

/** Adam with decoupled weight decay. (Loshchilov & Hutter 2019) */
export const adamW = ({ weightDecay = 0.01, decays = () => true, ...rest }: AdamWOptions = {}) =>
  build('adamW', { ...rest, weightDecay }, decays)
