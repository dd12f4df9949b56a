/** @file Stochastic gradient descent, with momentum and weight decay as in PyTorch. */
import { fail } from '../../base/index.ts'
import { add, mul, sub, type Tensor } from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'
import { type Optimizer, updateLeaves, zerosLikeTree } from './optimizer.ts'

export interface SgdOptions {
  /** μ in u ← μ u + g. Default 0: no state. */
  readonly momentum?: number
  /** Step along g + μ u in place of u. (Nesterov 1983, in the form of Sutskever et al. 2013) */
  readonly nesterov?: boolean
  /** λ: the gradient becomes g + λ w. */
  readonly weightDecay?: number
}

/** momentum: a tree like the parameters, absent without momentum. */
export type SgdState = { momentum?: Parameters }

/** w ← w − η u, u ← μ u + g. */
export function sgd(options: SgdOptions = {}): Optimizer<SgdState> {
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options
  if (!(momentum >= 0 && momentum < 1 && weightDecay >= 0) || (nesterov && momentum === 0))
    fail(
      'TL_BAD_ARGUMENT',
      `sgd: expected momentum in [0, 1) (above 0 for nesterov) and weightDecay >= 0, got momentum ${momentum}, nesterov ${nesterov}, weightDecay ${weightDecay}`,
    )
  const decayed = (g: Tensor, w: Tensor): Tensor => (weightDecay === 0 ? g : add(g, mul(w, weightDecay)))
  return {
    name: 'sgd',
    settings: { momentum, nesterov, weightDecay },
    init: (parameters) => (momentum === 0 ? {} : { momentum: zerosLikeTree(parameters) }),
    scalars: (_, learningRate) => [learningRate],
    update: (parameters, gradients, state, [rate]) => {
      if (!state.momentum) {
        const [next] = updateLeaves(
          (_, w, g) => [sub(w!, mul(decayed(g!, w!), rate!))],
          parameters,
          gradients,
        )
        return { parameters: next ?? parameters, state }
      }
      const [next, velocity] = updateLeaves(
        (_, w, g, u) => {
          const slope = decayed(g!, w!)
          const moved = add(mul(u!, momentum), slope)
          const along = nesterov ? add(slope, mul(moved, momentum)) : moved
          return [sub(w!, mul(along, rate!)), moved]
        },
        parameters,
        gradients,
        state.momentum,
      )
      return { parameters: next ?? parameters, state: { momentum: velocity ?? state.momentum } }
    },
  }
}
