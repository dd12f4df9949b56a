/** @file A network trained on fresh strings, and how much each of its layers minds changes of hidden symbols, look by look. */
import {
  exactPlateau,
  type Grammar,
  intervene,
  lastToken,
  makeGrammar,
  sampleTrees,
  type Trees,
} from '../../grammar/index.ts'
import type { Bench } from '../../lab/index.ts'
import { overTable, type Parameters, similarity } from '../../nn/index.ts'
import { random, type Tensor } from '../../tensor/index.ts'
import { type Learner, learnerOf } from '../lastToken/networks.ts'
import { trainLastToken } from '../lastToken/training.ts'
import { type Config, networks } from './config.ts'

export interface Cell {
  readonly network: (typeof networks)[number]
}

/** One layer and one hidden symbol, after so many strings. */
export interface Row {
  readonly samples: number
  /** Cross-entropy of the last token in nats, against exact predictions on the strings that are changed. */
  readonly loss: number
  /** The exact plateaus of the grammar, ℓ = 0 … L, in nats. */
  readonly plateaus: readonly number[]
  /** Height ℓ of the hidden symbol. */
  readonly level: number
  /** Hidden layer, 1 first. */
  readonly layer: number
  /** Mean cosine of standardised activations with those of the changed strings: another symbol, another rule. */
  readonly symbol: number
  readonly rule: number
}

type Probe = Pick<Row, 'level' | 'layer' | 'symbol' | 'rule'>

/** Ready to look at parameters of a network: trees, and the same with the hidden symbol beside the path to the last token changed. */
function prober(learner: Learner, grammar: Grammar, trees: Trees, key: random.Key) {
  const { s, L } = grammar
  const { count } = trees
  const seenOf = ({ levels }: Trees): Tensor => learner.inputs(levels[L]!).x
  const original = seenOf(trees)
  const changed = Array.from({ length: L - 1 }, (_, i) => {
    const level = i + 1
    const place = { height: level, node: s ** (L - level) - 2 }
    const of = (what: 'symbol' | 'rule', number: number): Tensor =>
      seenOf(intervene(grammar, trees, place, what, random.foldIn(key, 2 * level + number)))
    return { level, symbol: of('symbol', 0), rule: of('rule', 1) }
  })
  const hidden = overTable<Parameters, { x: Tensor }>(
    (p, { x }) => Object.fromEntries(learner.layers(p, x).map((h, i) => [`layer${i + 1}`, h])),
    { batchSize: Math.min(512, count), threads: 1 },
  )
  async function look(parameters: Parameters): Promise<Probe[]> {
    const activations = async (x: Tensor) => {
      const all = await hidden.all(parameters, { x })
      return Object.values(all).map(({ data: values }) => values as Float32Array)
    }
    const before = await activations(original)
    const probes: Probe[] = []
    for (const { level, symbol, rule } of changed) {
      const [bySymbol, byRule] = [await activations(symbol), await activations(rule)]
      for (const [i, own] of before.entries())
        probes.push({
          ...{ level, layer: i + 1 },
          symbol: similarity(own, bySymbol[i]!, count),
          rule: similarity(own, byRule[i]!, count),
        })
    }
    return probes
  }
  return { look, dispose: () => hidden.dispose() }
}

/** The grammar of a replica, whatever learns it. */
export const grammarOf = (key: random.Key, { v, m, s, L }: Config): Grammar =>
  makeGrammar({ v, classes: v, m, s, L }, random.split(key, 4)[0]!)

/** Sizes of the networks as they are learned with. */
export const settingsOf = ({ learningRate, ...config }: Config) => ({
  ...config,
  sgd: { learningRate, momentum: 0 },
})

/** Do one cell: all networks of a replica learn the same strings of the same grammar. */
export async function measure({ network }: Cell, { key, config, signal, progress }: Bench<Config, void>) {
  const { L, batchSize } = config
  const [, forProbes, forData, forWeights] = random.split(key, 4)
  const grammar = grammarOf(key, config)
  const learner = learnerOf(network, grammar, settingsOf(config), 1)
  const trees = sampleTrees(grammar, random.foldIn(forProbes, 0), config.probes)
  const leaves = trees.levels[L]!
  const plateaus = Array.from({ length: L + 1 }, (_, level) => exactPlateau(grammar, level).loss)
  const { look, dispose } = prober(learner, grammar, trees, forProbes)
  const rows: Row[] = []
  try {
    await trainLastToken(learner, {
      key: random.foldIn(forWeights, networks.indexOf(network)),
      data: (step) =>
        learner.inputs(sampleTrees(grammar, random.foldIn(forData, step), batchSize).levels[L]!),
      falls: false,
      test: { strings: learner.inputs(leaves), exact: lastToken(grammar, leaves, grammar.d - 1) },
      ...{ steps: config.steps[network], looks: config.looks, signal, progress },
      onLook: async ({ step, loss }, parameters) => {
        const probes = await look(parameters)
        rows.push(...probes.map((probe) => ({ samples: step * batchSize, loss, plateaus, ...probe })))
      },
    })
  } finally {
    dispose()
  }
  return rows
}
