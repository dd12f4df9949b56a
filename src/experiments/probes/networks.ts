/** @file The networks that are probed: what each makes of a string, layer by layer, and how it is trained. */
import { type Grammar, lastTokenInputs } from '../../grammar/index.ts'
import {
  adam,
  attentionStack,
  hierarchicalCnn,
  type Key,
  type Optimizer,
  type Parameters,
  type Schedule,
  scaledLearningRate,
  sgd,
  warmUp,
} from '../../nn/index.ts'
import { sliceAxis, type Tensor, tensor } from '../../tensor/index.ts'
import type { Config, networks } from './config.ts'

export type Architecture = (typeof networks)[number]

/** Strings as networks see them, the last token hidden, [count, d, v]; and that token, [count]. */
export type Strings = { x: Tensor; target: Tensor }

export const stringsFor = ({ d, v }: Grammar, leaves: Int32Array): Strings => {
  const { x, last } = lastTokenInputs(leaves, { d, v, width: d })
  return { x: tensor(x, { shape: [last.length, d, v] }), target: tensor(last) }
}

export interface Probed {
  readonly init: (key: Key) => Parameters
  /** Logits of the last token, [B, v]. */
  readonly logits: (parameters: Parameters, x: Tensor) => Tensor
  /** Hidden layers 1 …: all units that the prediction depends on, [B, …] each. */
  readonly layers: (parameters: Parameters, x: Tensor) => Tensor[]
  readonly optimizer: Optimizer
  readonly rate: Schedule
}

export const layersOf = (network: Architecture, { L, attention }: Pick<Config, 'L' | 'attention'>): number =>
  network === 'cnn' ? L : attention.layers

export function probed(kind: Architecture, { v, s, L, d }: Grammar, config: Config): Probed {
  if (kind === 'cnn') {
    const { width } = config
    const network = hierarchicalCnn({ symbols: v, branching: s, depth: L, width, outputs: v })
    const rate = scaledLearningRate('meanField', config.learningRate, width)
    return {
      init: network.init,
      logits: network.apply as Probed['logits'],
      layers: network.activations as Probed['layers'],
      optimizer: sgd({ momentum: 0 }),
      rate: () => rate,
    }
  }
  const { learningRate, warmup, ...sizes } = config.attention
  const network = attentionStack({ symbols: v, length: d, outputs: v, ...sizes })
  const activations = network.activations as Probed['layers']
  return {
    init: network.init,
    logits: network.apply as Probed['logits'],
    // the embedding comes first; of the last layer the prediction has the last position alone
    layers: (parameters, x) => {
      const [, ...hidden] = activations(parameters, x)
      return [...hidden.slice(0, -1), sliceAxis(hidden.at(-1)!, 1, d - 1, d)]
    },
    optimizer: adam(),
    rate: warmUp(warmup, () => learningRate),
  }
}
