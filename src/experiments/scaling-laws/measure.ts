/** @file One network trained on the last token of strings of one grammar: on fresh ones, or on P until its test loss turns. */
import {
  exactPlateau,
  type Grammar,
  lastToken,
  levelThreshold,
  makeGrammar,
  type Shape,
  sampleTrees,
  trainTest,
  treeCount,
} from '../../grammar/index.ts'
import { type Bench, doublings } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { type Architecture, architectures, learnerOf } from '../lastToken/networks.ts'
import { hasTurned, leastOf, stepsPerCall, trainLastToken } from '../lastToken/training.ts'
import type { Config, parts } from './config.ts'

/** P is 0 where every step has strings of its own; `factor` multiplies the width. */
export interface Cell {
  readonly part: (typeof parts)[number]
  readonly network: Architecture
  readonly v: number
  readonly m: number
  readonly L: number
  readonly factor: number
  readonly P: number
}

export interface Row {
  /** Strings seen, each of them once; or P. */
  readonly samples: number
  readonly step: number
  /** Cross-entropy of the last token in nats, against exact predictions on test strings; of P strings the least on the way. */
  readonly loss: number
  /** The exact plateaus of the grammar, ℓ = 0 … L, in nats. */
  readonly plateaus: readonly number[]
  /** Training ended before the test loss turned: more steps would have brought it lower. */
  readonly isCut: boolean
}

export const shapeOf = ({ v, m, L }: Pick<Cell, 'v' | 'm' | 'L'>): Shape => ({ v, classes: v, m, s: 2, L })

/** Sizes of training sets: P doubles up to what theory says a level takes, as far as there are strings. */
export function countsOf(network: Architecture, cell: Pick<Cell, 'v' | 'm' | 'L'>, config: Config): number[] {
  const { from, level, cnn, others, most, perDoubling } = config.offline
  const shape = shapeOf(cell)
  const top =
    network === 'cnn'
      ? cnn * levelThreshold(shape, 'cnn', Math.min(level, cell.L))
      : others * levelThreshold(shape, 'transformer', Math.min(level, cell.L))
  const all = Number(treeCount(shape))
  const last = Math.min(top, most, all / 2, all - config.test)
  return doublings(Math.max(4, Math.round(from * cell.v * cell.m ** 2)), last, perDoubling)
}

/** The grammar of a replica of a cell. */
export const grammarOf = (cell: Cell, key: random.Key): Grammar =>
  makeGrammar(shapeOf(cell), random.split(key, 4)[0]!)

/** Do one cell. Networks of one kind begin alike at every P, and training sets of one grammar are nested. */
export async function measure(cell: Cell, { key, config, signal, progress }: Bench<Config, void>) {
  const [, forTest, forData, forWeights] = random.split(key, 4)
  const { batchSize } = config
  const grammar = grammarOf(cell, key)
  const { L } = grammar
  const learner = learnerOf(cell.network, grammar, config, cell.factor)
  const own = random.foldIn(forWeights, architectures.indexOf(cell.network))
  const isOnline = cell.part === 'online'
  const steps = stepsOf(cell, config)
  const sets = isOnline
    ? { train: undefined, test: sampleTrees(grammar, forTest, config.test) }
    : trainTest(grammar, forData, cell.P, config.test)
  const unseen = sets.test.levels[L]!
  const looks = await trainLastToken(learner, {
    key: own,
    data: sets.train
      ? { strings: learner.inputs(sets.train.levels[L]!), batchSize: Math.min(batchSize, cell.P) }
      : (step) => learner.inputs(sampleTrees(grammar, random.foldIn(forData, step), batchSize).levels[L]!),
    test: { strings: learner.inputs(unseen), exact: lastToken(grammar, unseen, grammar.d - 1) },
    ...{ steps, looks: config.looks, signal, progress },
  })
  const plateaus = Array.from({ length: L + 1 }, (_, level) => exactPlateau(grammar, level).loss)
  if (isOnline)
    return looks.map(
      ({ step, loss }): Row => ({ samples: step * batchSize, step, loss, plateaus, isCut: false }),
    )
  const best = leastOf(looks)
  return [{ samples: cell.P, ...best, plateaus, isCut: !hasTurned(looks) } satisfies Row]
}

/** Steps of a training at most, whole calls. */
export function stepsOf({ part, network }: Pick<Cell, 'part' | 'network'>, config: Config): number {
  const { online, offline } = config
  const steps =
    part !== 'online' ? offline.steps : network === 'cnn' || network === 'lcn' ? online.cnn : online.attention
  return stepsPerCall * Math.ceil(steps / stepsPerCall)
}
