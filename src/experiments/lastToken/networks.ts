/** @file The networks that learn to predict the last token, and how each is trained. (design of Cagnetta and Wyart 2024, 2025) */
import { type Grammar, lastTokenInputs, nextTokenInputs } from '../../grammar/index.ts'
import {
  adam,
  attentionStack,
  cosine,
  crossEntropyLoss,
  hierarchicalCnn,
  hierarchicalLcn,
  type Key,
  type Layer,
  type Optimizer,
  type Parameters,
  type Schedule,
  scaledLearningRate,
  sgd,
  transformer,
  warmUp,
} from '../../nn/index.ts'
import { reshape, sliceAxis, type Tensor, tensor } from '../../tensor/index.ts'

export const architectures = ['cnn', 'attention', 'lcn', 'decoder'] as const
export type Architecture = (typeof architectures)[number]

export const networkNames: Readonly<Record<Architecture, string>> = {
  cnn: 'CNN',
  attention: 'attention',
  lcn: 'locally connected',
  decoder: 'decoder',
}

/** Sizes of the networks and how they are trained. */
interface Settings {
  /** Channels of the CNN and the locally connected network. */
  readonly width: number
  /** The stack and the decoder, trained by Adam. */
  readonly attention: {
    readonly features: number
    readonly heads: number
    readonly layers: number
    readonly learningRate: number
    readonly warmup: number
  }
  /** Of the CNN and the locally connected network; the rate is multiplied by the width. */
  readonly sgd: { readonly learningRate: number; readonly momentum: number }
}

/** Strings as a network takes them. `x` is what it sees, `target` what it is to say. */
export type Strings = { x: Tensor; target: Tensor }

export interface Learner {
  readonly init: (key: Key) => Parameters
  /** Mean over the strings, in nats; of the decoder over all positions, too. */
  readonly loss: (parameters: Parameters, strings: Strings) => Tensor
  /** Logits of the last token, [B, v]. */
  readonly logits: (parameters: Parameters, x: Tensor) => Tensor
  readonly inputs: (leaves: Int32Array) => Strings
  /** Hidden layers 1 …: all units that the prediction of the last token depends on, [B, …] each. */
  readonly layers: (parameters: Parameters, x: Tensor) => Tensor[]
  readonly optimizer: Optimizer
  /** A constant rate after the warm-up, or one that falls to a tenth. */
  readonly rate: (falls: boolean) => Schedule
}

/** Whose thresholds a network is held against: weights that are shared know the tuples below, others do not. */
export const kindOf = (network: Architecture): 'cnn' | 'transformer' =>
  network === 'cnn' ? 'cnn' : 'transformer'

/** Power of m that theory says, and that of the strings that levels take; the same at ℓ = 2. */
export const powerOfTheory = (network: Architecture, level: number): number =>
  network === 'cnn' ? level + 1 : 2 * level - 1

/** Who pays for what: the stack and the decoder share nothing over positions. */
const isAttention = (network: Architecture): boolean => network === 'attention' || network === 'decoder'

/** Seconds of a step on a core, about: multiply-adds of strings of d tokens, three times those forward; those of attention are slow. */
export function secondsPerStep(
  network: Architecture,
  { v, s, d }: { readonly v: number; readonly s: number; readonly d: number },
  { width, attention: { features: e, layers }, batchSize }: Settings & { readonly batchSize: number },
): number {
  const layer = e * e * (network === 'decoder' ? 12 : 4) + 2 * d * e
  const products = isAttention(network)
    ? 3 * d * (v * e + layers * layer)
    : d * v * width + (d / (s - 1)) * width ** 2
  return 3e-4 + 1.2e-10 * batchSize * products
}

/** Inputs and loss of a network that sees the string with its last token hidden. */
function masked({ d, v }: Grammar, network: Layer<never>): Pick<Learner, 'loss' | 'logits' | 'inputs'> {
  const logits: Learner['logits'] = (parameters, x) => network.apply(parameters as never, x)
  return {
    logits,
    loss: (parameters, { x, target }) => crossEntropyLoss(logits(parameters, x), target),
    inputs: (leaves) => {
      const { x, last } = lastTokenInputs(leaves, { d, v, width: d })
      return { x: tensor(x, { shape: [last.length, d, v] }), target: tensor(last) }
    },
  }
}

/** Layers after the embedding, which comes first; of the last one the prediction has the last of the positions alone. */
function readAtLast([, ...hidden]: readonly Tensor[], positions: number): Tensor[] {
  return [...hidden.slice(0, -1), sliceAxis(hidden.at(-1)!, 1, positions - 1, positions)]
}

function decoder({ d, v }: Grammar, { features, heads, layers }: Settings['attention']) {
  const network = transformer({ vocabulary: v, context: d - 1, features, heads, layers })
  const apply = network.apply as (parameters: Parameters, x: Tensor) => Tensor
  return {
    init: network.init,
    loss: (parameters, { x, target }) => crossEntropyLoss(apply(parameters, x), target),
    logits: (parameters, x) => reshape(sliceAxis(apply(parameters, x), 1, d - 2, d - 1), [x.shape[0]!, v]),
    layers: (parameters, x) => readAtLast(network.activations(parameters as never, x), d - 1),
    inputs: (leaves) => {
      const { tokens, next } = nextTokenInputs(leaves, { d, width: d })
      const shape = [leaves.length / d, d - 1]
      return { x: tensor(tokens, { shape }), target: tensor(next, { shape }) }
    },
  } satisfies Omit<Learner, 'optimizer' | 'rate'>
}

/** A network of a kind for a grammar; `factor` multiplies its width. */
export function learnerOf(kind: Architecture, grammar: Grammar, config: Settings, factor: number): Learner {
  const { v, s, L, d } = grammar
  const width = Math.round(config.width * factor)
  const { learningRate, warmup, heads, layers } = config.attention
  const features = Math.max(1, Math.round((config.attention.features * factor) / heads)) * heads
  if (isAttention(kind)) {
    const stack = attentionStack({ symbols: v, length: d, features, heads, layers, outputs: v })
    const network =
      kind === 'attention'
        ? {
            init: stack.init,
            ...masked(grammar, stack as never),
            layers: (parameters: Parameters, x: Tensor) =>
              readAtLast(stack.activations(parameters as never, x), d),
          }
        : decoder(grammar, { ...config.attention, features })
    return {
      ...network,
      optimizer: adam(),
      rate: (falls) =>
        falls
          ? cosine({ peak: learningRate, final: learningRate / 10, warmup })
          : warmUp(warmup, () => learningRate),
    }
  }
  const sizes = { symbols: v, branching: s, depth: L, width, outputs: v }
  const network = kind === 'cnn' ? hierarchicalCnn(sizes) : hierarchicalLcn(sizes)
  const rate = scaledLearningRate('meanField', config.sgd.learningRate, width)
  return {
    init: network.init,
    ...masked(grammar, network as never),
    layers: network.activations as Learner['layers'],
    optimizer: sgd({ momentum: config.sgd.momentum }),
    rate: () => () => rate,
  }
}
