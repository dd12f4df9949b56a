/** @file A network trained on fresh strings, and how much each of its layers minds changes of hidden symbols, look by look. */
import {
  exactPlateau,
  type Grammar,
  intervene,
  lastToken,
  makeGrammar,
  sampleTrees,
} from '../../grammar/index.ts'
import { type Bench, doublings } from '../../lab/index.ts'
import { crossEntropyLoss, overTable, type Parameters, similarity, train } from '../../nn/index.ts'
import { logSoftmax, mul, neg, random, sum, type Tensor, tensor } from '../../tensor/index.ts'
import { type Config, networks } from './config.ts'
import { type Architecture, type Probed, probed, type Strings, stringsFor } from './networks.ts'

export interface Cell {
  readonly network: Architecture
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

/** Steps of one call of the runtime: looks are at multiples. */
const stepsPerCall = 4

/** Steps 2^{k/looks} from 16 up to the last. */
const lookSteps = (steps: number, looks: number): number[] => [
  ...new Set(
    [...doublings(16, steps, looks), steps].map((step) => stepsPerCall * Math.round(step / stepsPerCall)),
  ),
]

type Look = Pick<Row, 'loss'> & { readonly probes: readonly Omit<Row, 'samples' | 'loss' | 'plateaus'>[] }

/** Ready to look at parameters of a network: strings, and the same with the hidden symbol beside the path to the last token changed. */
function prober(network: Probed, grammar: Grammar, count: number, key: random.Key) {
  const { v, s, L, d } = grammar
  const trees = sampleTrees(grammar, random.foldIn(key, 0), count)
  const leaves = trees.levels[L]!
  const exact = lastToken(grammar, leaves, d - 1)
  const data = {
    x: stringsFor(grammar, leaves).x,
    exact: tensor(Float32Array.from(exact), { shape: [count, v] }),
  }
  const changed = Array.from({ length: L - 1 }, (_, i) => {
    const level = i + 1
    const place = { height: level, node: s ** (L - level) - 2 }
    const of = (what: 'symbol' | 'rule', number: number): Tensor =>
      stringsFor(
        grammar,
        intervene(grammar, trees, place, what, random.foldIn(key, 2 * level + number)).levels[L]!,
      ).x
    return { level, symbol: of('symbol', 0), rule: of('rule', 1) }
  })
  const options = { batchSize: Math.min(512, count), threads: 1 }
  const losses = overTable<Parameters, typeof data>(
    (p, batch) => ({ loss: neg(sum(mul(batch.exact, logSoftmax(network.logits(p, batch.x))), 1)) }),
    options,
  )
  const hidden = overTable<Parameters, { x: Tensor }>(
    (p, { x }) => Object.fromEntries(network.layers(p, x).map((h, i) => [`layer${i + 1}`, h])),
    options,
  )
  async function look(parameters: Parameters): Promise<Look> {
    const { loss } = await losses.means(parameters, data)
    const activations = async (x: Tensor) => {
      const all = await hidden.all(parameters, { x })
      return Object.values(all).map(({ data: values }) => values as Float32Array)
    }
    const before = await activations(data.x)
    const probes: Look['probes'][number][] = []
    for (const { level, symbol, rule } of changed) {
      const [bySymbol, byRule] = [await activations(symbol), await activations(rule)]
      for (const [i, own] of before.entries())
        probes.push({
          ...{ level, layer: i + 1 },
          symbol: similarity(own, bySymbol[i]!, count),
          rule: similarity(own, byRule[i]!, count),
        })
    }
    return { loss: loss!, probes }
  }
  return {
    look,
    dispose() {
      losses.dispose()
      hidden.dispose()
    },
  }
}

/** The grammar of a replica, whatever learns it. */
export const grammarOf = (key: random.Key, { v, m, s, L }: Config): Grammar =>
  makeGrammar({ v, classes: v, m, s, L }, random.split(key, 4)[0]!)

/** Do one cell: all networks of a replica learn the same strings of the same grammar. */
export async function measure(
  { network: kind }: Cell,
  { key, config, signal, progress }: Bench<Config, void>,
) {
  const { L, batchSize } = config
  const [, forProbes, forData, forWeights] = random.split(key, 4)
  const grammar = grammarOf(key, config)
  const network = probed(kind, grammar, config)
  const own = random.foldIn(forWeights, networks.indexOf(kind))
  const plateaus = Array.from({ length: L + 1 }, (_, level) => exactPlateau(grammar, level).loss)
  const { look, dispose } = prober(network, grammar, config.probes, forProbes)
  const steps = config.steps[kind]
  const rows: Row[] = []
  try {
    await train<Parameters, Strings>({
      parameters: network.init(random.foldIn(own, 0)),
      loss: (p, { x, target }) => crossEntropyLoss(network.logits(p, x), target),
      data: (step) =>
        stringsFor(grammar, sampleTrees(grammar, random.foldIn(forData, step), batchSize).levels[L]!),
      optimizer: network.optimizer,
      learningRate: network.rate,
      steps,
      seed: random.sampleBits(random.foldIn(own, 1), 1)[0]!,
      snapshots: {
        at: lookSteps(steps, config.looks),
        use: async (parameters, step) => {
          const { loss, probes } = await look(parameters)
          rows.push(...probes.map((probe) => ({ samples: step * batchSize, loss, plateaus, ...probe })))
          return true
        },
      },
      onProgress: ({ step, total }) => progress(step / total),
      ...{ logEvery: steps, stepsPerCall, threads: 1, signal },
    })
  } finally {
    dispose()
  }
  return rows
}
