/** @file Training one network on one set of strings, and what is read off it afterwards. */
import { type Grammar, oneHot, type Trees, whiten } from '../../grammar/index.ts'
import {
  cosine,
  crossEntropyLoss,
  evaluateMeans,
  hierarchicalCnn,
  isCorrect,
  type Layer,
  mlp,
  overTable,
  type Parameters,
  scaledLearningRate,
  sgd,
  train,
} from '../../nn/index.ts'
import { random, type Tensor, tensor } from '../../tensor/index.ts'
import type { Descent } from './jobs.ts'
import { exchangeSynonyms, sensitivity } from './synonyms.ts'

/** What one training run found. */
export interface Fitted {
  /** Share of test strings whose class is wrong. */
  error: number
  /** Mean training cross-entropy over the last steps. */
  loss: number
  steps: number
  /** S_{k,l} at [k − 1][l − 1], hidden layers k = 1 … L, synonyms of height l = 1 … L − 1; null when not asked for. */
  sensitivity: (number | null)[][] | null
}

/** Strings as networks see them, whitened: x [count, d, v], label [count]. */
type Strings = { x: Tensor; label: Tensor }

const whitened = ({ d, v, L }: Grammar, { count, levels }: Trees): Strings => ({
  x: tensor(whiten(oneHot(levels[L]!, v), v), { shape: [count, d, v] }),
  label: tensor(levels[0]!.slice(), { shape: [count] }),
})

/** Steps between looks at the loss, and in one call of the runtime. */
const lookEvery = 64
const stepsPerCall = 8

type Activations = Readonly<Record<string, Tensor>>

/** The signal ends training with TL_INTERRUPTED. */
type Interruptible = Descent & { readonly signal?: AbortSignal | undefined }

interface Outcome<P> {
  parameters: P
  fitted: Fitted
}

/** Cross-entropy, SGD whose rate grows with the width and falls to a tenth (cosine), until the loss is small enough. */
async function descend<P extends Parameters>(
  network: Layer<P>,
  strings: Strings,
  test: Strings,
  descent: Interruptible,
  key: random.Key,
): Promise<Outcome<P>> {
  const [forWeights, forOrder] = random.split(key) as [random.Key, random.Key]
  const { width, stopLoss, signal } = descent
  const count = strings.x.shape[0]!
  const rate = scaledLearningRate('meanField', descent.learningRate, width)
  const { parameters, metrics, step } = await train<P, Strings>({
    parameters: network.init(forWeights),
    loss: (p, { x, label }) => crossEntropyLoss(network.apply(p, x), label),
    data: strings,
    optimizer: sgd({ momentum: descent.momentum }),
    learningRate: cosine({ peak: rate, final: rate / 10 }),
    steps: Math.ceil(descent.steps / lookEvery) * lookEvery,
    batchSize: Math.min(descent.batchSize, count),
    seed: random.sampleBits(forOrder, 1)[0]!,
    logEvery: lookEvery,
    stopWhen: ({ loss }) => loss! < stopLoss,
    stepsPerCall,
    threads: 1,
    ...(signal && { signal }),
  })
  const { correct } = await evaluateMeans<P, Strings>(
    (p, { x, label }) => ({ correct: isCorrect(network.apply(p, x), label) }),
    parameters,
    test,
    { batchSize: 500, threads: 1 },
  )
  const fitted = { error: 1 - correct!, loss: metrics['loss']!, steps: step, sensitivity: null }
  return { parameters, fitted }
}

/** One hidden dense layer, in the mean-field parametrization. */
export async function trainShallow(
  grammar: Grammar,
  strings: Trees,
  test: Trees,
  descent: Interruptible,
  key: random.Key,
): Promise<Fitted> {
  const network = mlp({
    sizes: [grammar.d * grammar.v, descent.width, grammar.classes],
    parametrization: 'meanField',
    bias: false,
  })
  const { fitted } = await descend(network, whitened(grammar, strings), whitened(grammar, test), descent, key)
  return fitted
}

/** The hierarchical CNN as deep as the grammar; sensitivities on the first `probes.count` test strings. */
export async function trainCnn(
  grammar: Grammar,
  strings: Trees,
  test: Trees,
  descent: Interruptible,
  key: random.Key,
  probes: { count: number; key: random.Key },
): Promise<Fitted> {
  const { v, classes, s, L } = grammar
  const network = hierarchicalCnn({
    symbols: v,
    branching: s,
    depth: L,
    width: descent.width,
    outputs: classes,
  })
  const tested = whitened(grammar, test)
  const { parameters, fitted } = await descend(network, whitened(grammar, strings), tested, descent, key)
  if (probes.count === 0) return fitted

  const count = Math.min(probes.count, test.count)
  const original: Trees = {
    count,
    levels: test.levels.map((symbols, level) => symbols.subarray(0, count * s ** level)),
  }
  const look = overTable<typeof parameters, Strings>(
    (p, { x }) => Object.fromEntries(network.activations(p, x).map((h, k) => [`layer${k + 1}`, h])),
    { batchSize: count, threads: 1 },
  )
  const layers = Array.from({ length: L }, (_, k) => `layer${k + 1}`)
  const heights = Array.from({ length: L - 1 }, (_, i) => i + 1)
  try {
    const before = await look.all(parameters, whitened(grammar, original))
    const after: Activations[] = []
    for (const height of heights) {
      const exchanged = exchangeSynonyms(grammar, original, height, random.foldIn(probes.key, height))
      after.push(await look.all(parameters, whitened(grammar, exchanged)))
    }
    const S = layers.map((layer) =>
      after.map((moved) => {
        const value = sensitivity(
          before[layer]!.data as Float32Array,
          moved[layer]!.data as Float32Array,
          count,
        )
        return Number.isFinite(value) ? value : null
      }),
    )
    return { ...fitted, sensitivity: S }
  } finally {
    look.dispose()
  }
}
