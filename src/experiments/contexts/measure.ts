/** @file One network that sees the end of strings, trained on P of them until its test loss turns. */
import {
  exactPlateau,
  type Grammar,
  lastToken,
  lowestLevels,
  makeGrammar,
  type Shape,
  trainTest,
} from '../../grammar/index.ts'
import type { Bench } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import type { Point } from '../lastToken/halfWay.ts'
import { learnerOf } from '../lastToken/networks.ts'
import { type Look, leastOf, stepsPerCall, trainLastToken } from '../lastToken/training.ts'
import { type Config, networks } from './config.ts'

/** A network that sees the last s^level tokens, the last of them masked. */
export interface Cell {
  readonly network: (typeof networks)[number]
  readonly level: number
  /** The number P of training strings. */
  readonly samples: number
}

/** Cross-entropies in nats, against exact predictions from whole test strings. */
export interface Row extends Omit<Point, 'samples'> {
  readonly step: number
  /** The same of the exact predictor that sees no more than the network, on the same test strings. */
  readonly exact: number
}

export const shapeOf = ({ v, m, s, L }: Pick<Config, 'v' | 'm' | 's' | 'L'>): Shape => ({
  ...{ v, classes: v, m, s, L },
})

/** The last `width` tokens of strings of d. */
const endOf = (leaves: Int32Array, d: number, width: number): Int32Array =>
  leaves.filter((_, i) => i % d >= d - width)

function crossEntropy(truth: Float64Array, predicted: Float64Array, count: number): number {
  // a token that never comes costs nothing
  return truth.reduce((sum, p, i) => (p > 0 ? sum - p * Math.log(predicted[i]!) : sum), 0) / count
}

/** The least loss is behind by more than half of its steps: at its plateau a loss stays flat and need not turn. */
const isOver = (looks: readonly Look[]): boolean => looks.at(-1)!.step > 1.6 * leastOf(looks).step

/** Steps at most, whole calls. */
export const stepsOf = ({ network }: Pick<Cell, 'network'>, { steps }: Config): number =>
  stepsPerCall * Math.ceil(steps[network] / stepsPerCall)

/** The grammar of a replica, whatever learns it. */
export const grammarOf = (key: random.Key, config: Config): Grammar =>
  makeGrammar(shapeOf(config), random.split(key, 3)[0]!)

/** Do one cell. All networks of a grammar have the same test strings, and training sets are nested. */
export async function measure(cell: Cell, { key, config, signal, progress }: Bench<Config, void>) {
  const { network, level, samples } = cell
  const [, forData, forWeights] = random.split(key, 3)
  const grammar = grammarOf(key, config)
  const { L, d, s } = grammar
  const width = s ** level
  const seen = lowestLevels(grammar, level)
  const learner = learnerOf(network, seen, config, 1)
  const sets = trainTest(grammar, forData, samples, config.test)
  const inputs = (leaves: Int32Array) => learner.inputs(endOf(leaves, d, width))
  const unseen = sets.test.levels[L]!
  const truth = lastToken(grammar, unseen, d - 1)
  const looks = await trainLastToken(learner, {
    key: random.foldIn(random.foldIn(forWeights, networks.indexOf(network)), level),
    data: { strings: inputs(sets.train.levels[L]!), batchSize: Math.min(config.batchSize, samples) },
    test: { strings: inputs(unseen), exact: truth },
    ...{ steps: stepsOf(cell, config), looks: config.looks, signal, progress },
  })
  const best = leastOf(looks)
  const exact = crossEntropy(truth, lastToken(grammar, unseen, width - 1), config.test)
  const row: Row = {
    ...best,
    exact,
    plateaus: Array.from({ length: L + 1 }, (_, at) => exactPlateau(grammar, at).loss),
    isCut: !isOver(looks),
  }
  return [row]
}
