/** @file Networks that learn in the page: the numbers behind the figures of learning and of diffusion, without a page. */
import { learningCurve, lookSteps, makeNoiseProcess, treeUnetFor } from '../../../src/diffusion/index.ts'
import {
  exactPlateau,
  type Grammar,
  lastTokenInputs,
  sampleTrees,
  trainTest,
} from '../../../src/grammar/index.ts'
import {
  adam,
  attentionStack,
  crossEntropyLoss,
  hierarchicalCnn,
  scaledLearningRate,
  sgd,
  train,
} from '../../../src/nn/index.ts'
import { crossEntropy, random, type Tensor, tensor } from '../../../src/tensor/index.ts'
import { grammarOf, type Sizes } from './trees.ts'

export type Learner = 'cnn' | 'attention'

/** The exact loss given the last s^ℓ − 1 tokens, ℓ = 0 … L, of this grammar, in nats. */
export const plateausOf = (sizes: Sizes): number[] => {
  const grammar = grammarOf(sizes)
  return Array.from(
    { length: sizes.L + 1 },
    (_, level) => exactPlateau(grammar, level, { samples: 1024 }).loss,
  )
}

/** Strings that the papers say a level takes: v·m^(ℓ+1) of a CNN, v·m^(2ℓ−1) of attention (of any context, ℓ = 1 … L). */
export const thresholdsOf = ({ v, m, L }: Sizes, learner: Learner): number[] =>
  Array.from({ length: L }, (_, i) => v * m ** (learner === 'cnn' ? i + 2 : Math.max(2, 2 * i + 1)))

export interface LossPoint {
  readonly step: number
  readonly strings: number
  readonly loss: number
}

function inputs({ d, v }: Grammar, leaves: Int32Array): { x: Tensor; last: Tensor } {
  const { x, last } = lastTokenInputs(leaves, { d, v, width: d })
  return { x: tensor(x, { shape: [last.length, d, v] }), last: tensor(last) }
}

/** Train on fresh strings to say the last token; a point at about every quarter of a doubling. */
export async function learnLastToken(
  sizes: Sizes,
  {
    learner,
    width,
    steps,
    batchSize = 128,
  }: { learner: Learner; width: number; steps: number; batchSize?: number },
  onPoint: (point: LossPoint) => void,
): Promise<void> {
  const grammar = grammarOf(sizes)
  const { v, s, L, d } = grammar
  const key = random.foldIn(random.key(sizes.seed), 7)
  const held = inputs(grammar, sampleTrees(grammar, random.foldIn(key, 0), 1024).levels[L]!)
  const common = {
    data: (_: number, forBatch: random.Key) =>
      inputs(grammar, sampleTrees(grammar, forBatch, batchSize).levels[L]!),
  }
  const every = 16
  let next = every
  const shared = {
    ...common,
    ...{ batchSize, steps, seed: sizes.seed, logEvery: every, stepsPerCall: 4, threads: 1 },
    onMetrics: (line: { step: number; [name: string]: number }) => {
      const loss = line['validationLoss'] ?? line['loss']
      if (loss === undefined || line.step < next) return
      next = Math.ceil((line.step * 2 ** 0.25) / every) * every
      onPoint({ step: line.step, strings: line.step * batchSize, loss })
    },
  }
  if (learner === 'cnn') {
    const network = hierarchicalCnn({ symbols: v, branching: s, depth: L, width, outputs: v })
    await train<ReturnType<typeof network.init>, typeof held>({
      ...shared,
      parameters: network.init(random.foldIn(key, 1)),
      loss: (p, { x, last }) => crossEntropyLoss(network.apply(p, x), last),
      evaluate: {
        data: held,
        every,
        batchSize: 1024,
        measure: (p, { x, last }) => ({ loss: crossEntropy(network.apply(p, x), last) }),
      },
      optimizer: sgd({ momentum: 0 }),
      learningRate: scaledLearningRate('meanField', 1, width),
    })
    return
  }
  const network = attentionStack({
    ...{ symbols: v, length: d, features: width, outputs: v },
    ...{ heads: Math.max(1, Math.min(16, width / 8)), layers: L },
  })
  await train<ReturnType<typeof network.init>, typeof held>({
    ...shared,
    parameters: network.init(random.foldIn(key, 1)),
    loss: (p, { x, last }) => crossEntropyLoss(network.apply(p, x), last),
    evaluate: {
      data: held,
      every,
      batchSize: 1024,
      measure: (p, { x, last }) => ({ loss: crossEntropy(network.apply(p, x), last) }),
    },
    optimizer: adam(),
    learningRate: 1e-3,
  })
}

export interface CompositionPoint {
  readonly step: number
  readonly validationLoss: number
  /** A_1 … A_L above chance. */
  readonly validity: number[]
  readonly copies: number
}

/** Training strings of a grammar at the most: half of them, the others are to be told apart from copies. */
export const mostStrings = ({ v, m, s, L }: Sizes): number =>
  Math.floor((v * m ** ((s ** L - 1) / (s - 1))) / 2)

/** Train a tree U-Net on P strings and parse what it generates at each look. */
export async function learnToCompose(
  sizes: Sizes,
  { P, width, steps }: { P: number; width: number; steps: number },
  onPoint: (point: CompositionPoint) => void,
): Promise<void> {
  const grammar = grammarOf(sizes)
  const key = random.foldIn(random.key(sizes.seed), 8)
  const { train: seen, test } = trainTest(
    grammar,
    random.foldIn(key, 0),
    P,
    Math.min(256, mostStrings(sizes)),
  )
  const f = sizes.m / sizes.v ** (sizes.s - 1)
  const noising = makeNoiseProcess({ steps: 25 })
  await learningCurve(grammar, treeUnetFor(grammar, { width }), noising, {
    ...{ train: seen, validation: test, steps, key: random.foldIn(key, 1) },
    ...{ batchSize: 64, learningRate: 3e-3, samples: 256, losses: 512, threads: 1 },
    looks: lookSteps(32, steps, 2),
    onLook: (look) => {
      const validity = look.validity.slice(1).map((share, i) => {
        const chance = f ** ((sizes.s ** (i + 1) - 1) / (sizes.s - 1))
        return (share - chance) / (1 - chance)
      })
      onPoint({ step: look.step, validationLoss: look.validationLoss, validity, copies: look.copies })
      return true
    },
  })
}
