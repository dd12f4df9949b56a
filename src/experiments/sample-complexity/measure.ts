/** @file One training run or one count, and what is read off it. */
import {
  countedTupleClassNoise,
  exchangeSynonyms,
  type Grammar,
  makeGrammar,
  meanTupleClassSignal,
  oneHot,
  sampleDistinct,
  sliceTrees,
  type Trees,
  trainTest,
  whiten,
} from '../../grammar/index.ts'
import type { Bench } from '../../lab/index.ts'
import {
  agreementKernel,
  cosine,
  crossEntropyLoss,
  evaluateMeans,
  type HierarchicalCnn,
  type HierarchicalCnnParameters,
  hierarchicalCnn,
  isCorrect,
  kernelError,
  type Layer,
  mlp,
  overTable,
  type Parameters,
  scaledLearningRate,
  sensitivity,
  sgd,
  train,
} from '../../nn/index.ts'
import { random, type Tensor, tensor } from '../../tensor/index.ts'
import { type Cell, fullShape } from './cells.ts'
import type { Config } from './config.ts'

/** Share of test strings whose class is wrong; of trained networks also the last training cross-entropy and the steps taken. */
interface Mistakes {
  readonly of: 'error'
  readonly value: number
  readonly loss: number | null
  readonly steps: number | null
}

/** S_{k,l} of layer k for synonyms of height l; null where the layer answers the same to everything. */
export interface Sensitivity {
  readonly of: 'sensitivity'
  readonly layer: number
  readonly height: number
  readonly value: number | null
}

/** Sampling noise of the class frequencies of tuples over their exact signal, both relative variances. */
interface Noise {
  readonly of: 'noise'
  readonly value: number
  readonly noise: number
  readonly signal: number
}

export type Row = Mistakes | Sensitivity | Noise

/**
 * Keys of a grammar and of all that is random beside it, the same whatever is done with them. They come from the run's seed, not
 * from the key of the bench, which has the replica before the shape.
 */
function keysOf(cell: Cell, seed: number, replica: number) {
  const { v, classes, m, s, L } = fullShape(cell)
  const numbers = [v, classes, m, s, L, cell.rules === 'random' ? 0 : 1, replica]
  const [forGrammar, forData, forTraining, forProbes] = random.split(
    numbers.reduce(random.foldIn, random.key(seed)),
    4,
  )
  return { forGrammar, forData, forTraining, forProbes }
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

/** What stochastic gradient descent needs to know. */
interface Descent extends Pick<Config, 'momentum' | 'batchSize' | 'stopLoss'> {
  readonly width: number
  readonly learningRate: number
  readonly steps: number
}

/** Cross-entropy, SGD whose rate grows with the width and falls to a tenth (cosine), until the loss is small enough. */
async function descend<P extends Parameters>(
  network: Layer<P>,
  strings: Strings,
  test: Strings,
  { width, learningRate, momentum, batchSize, steps, stopLoss }: Descent,
  key: random.Key,
  { signal, progress }: Pick<Bench<Config, void>, 'signal' | 'progress'>,
): Promise<{ parameters: P; mistakes: Mistakes }> {
  const [forWeights, forOrder] = random.split(key)
  const rate = scaledLearningRate('meanField', learningRate, width)
  const { parameters, metrics, step } = await train<P, Strings>({
    parameters: network.init(forWeights),
    loss: (p, { x, label }) => crossEntropyLoss(network.apply(p, x), label),
    data: strings,
    optimizer: sgd({ momentum }),
    learningRate: cosine({ peak: rate, final: rate / 10 }),
    steps: Math.ceil(steps / lookEvery) * lookEvery,
    batchSize: Math.min(batchSize, strings.x.shape[0]!),
    seed: random.sampleBits(forOrder, 1)[0]!,
    logEvery: lookEvery,
    stopWhen: ({ loss }) => loss! < stopLoss,
    onProgress: ({ step: done, total }) => progress(done / total),
    stepsPerCall,
    threads: 1,
    signal,
  })
  const { correct } = await evaluateMeans<P, Strings>(
    (p, { x, label }) => ({ correct: isCorrect(network.apply(p, x), label) }),
    parameters,
    test,
    { batchSize: 500, threads: 1 },
  )
  return { parameters, mistakes: { of: 'error', value: 1 - correct!, loss: metrics['loss']!, steps: step } }
}

/** S_{k,l} of the hidden layers k = 1 … L, for synonyms of the heights l = 1 … L − 1. */
async function probe(
  network: HierarchicalCnn,
  parameters: HierarchicalCnnParameters,
  grammar: Grammar,
  strings: Trees,
  key: random.Key,
): Promise<Sensitivity[]> {
  const { L } = grammar
  const { count } = strings
  const look = overTable<HierarchicalCnnParameters, Strings>(
    (p, { x }) => Object.fromEntries(network.activations(p, x).map((h, k) => [`layer${k + 1}`, h])),
    { batchSize: count, threads: 1 },
  )
  const found: Sensitivity[] = []
  try {
    const before = await look.all(parameters, whitened(grammar, strings))
    for (let height = 1; height < L; height++) {
      const exchanged = exchangeSynonyms(grammar, strings, height, random.foldIn(key, height))
      const after = await look.all(parameters, whitened(grammar, exchanged))
      for (let layer = 1; layer <= L; layer++) {
        const [original, moved] = [before, after].map((all) => all[`layer${layer}`]!.data as Float32Array)
        const value = sensitivity(original!, moved!, count)
        found.push({ of: 'sensitivity', layer, height, value: Number.isFinite(value) ? value : null })
      }
    }
    return found
  } finally {
    look.dispose()
  }
}

/** The grammar of a replica of a cell. */
export const grammarOf = (cell: Cell, seed: number, replica: number): Grammar =>
  makeGrammar(fullShape(cell), keysOf(cell, seed, replica).forGrammar, { rules: cell.rules })

/** Do one cell. Training sets of one grammar are nested, its test set is the same for equal `test`. */
export async function measure(cell: Cell, bench: Bench<Config, void>): Promise<Row[]> {
  const { config, replica } = bench
  const { forData, forTraining, forProbes } = keysOf(cell, config.seed, replica)
  const grammar = grammarOf(cell, config.seed, replica)
  const { v, s, L } = grammar
  if (cell.part === 'correlations') {
    const trees = sampleDistinct(grammar, forData, cell.P)
    const [noise, signal] = [countedTupleClassNoise(grammar, trees, cell.P), meanTupleClassSignal(grammar)]
    return [{ of: 'noise', value: noise / signal, noise, signal }]
  }
  const { train: strings, test } = trainTest(grammar, forData, cell.P, cell.test)
  if (cell.part === 'lazy') {
    const labelled = ({ levels }: Trees) => ({ leaves: levels[L]!, classes: levels[0]! })
    const value = kernelError(agreementKernel(grammar), labelled(strings), labelled(test), grammar)
    return [{ of: 'error', value, loss: null, steps: null }]
  }
  const [seen, tested] = [whitened(grammar, strings), whitened(grammar, test)]
  if (cell.part === 'shallow') {
    const { width } = config.shallow
    const sizes = [grammar.d * v, width, v]
    const network = mlp({ sizes, parametrization: 'meanField', bias: false })
    const descent = { ...config, ...config.shallow }
    return [(await descend(network, seen, tested, descent, forTraining, bench)).mistakes]
  }
  const network = hierarchicalCnn({ symbols: v, branching: s, depth: L, width: config.width, outputs: v })
  const { parameters, mistakes } = await descend(network, seen, tested, config, forTraining, bench)
  if (cell.part === 'control') return [mistakes]
  const probed = sliceTrees(test, 0, Math.min(config.probes, test.count))
  return [mistakes, ...(await probe(network, parameters, grammar, probed, forProbes))]
}
