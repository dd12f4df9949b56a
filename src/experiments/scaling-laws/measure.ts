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
import { overTable, type Parameters, train } from '../../nn/index.ts'
import { logSoftmax, mul, neg, random, sum, type Tensor, tensor } from '../../tensor/index.ts'
import { architectures, type Config, type parts } from './config.ts'
import { type Architecture, type Learner, learnerOf, type Strings } from './networks.ts'

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

/** Steps of one call of the runtime: looks are at multiples. */
const stepsPerCall = 4

/** Steps 2^{k/looks} up to the last. */
function lookSteps(steps: number, looks: number): number[] {
  const all = [...doublings(16, steps, looks), steps].map(
    (step) => stepsPerCall * Math.max(1, Math.round(step / stepsPerCall)),
  )
  return [...new Set(all)]
}

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

interface Look {
  readonly step: number
  readonly loss: number
}

const leastOf = (looks: readonly Look[]): Look =>
  looks.reduce((best, look) => (look.loss < best.loss ? look : best))

/** The least test loss is behind: training has gone on for half as long again, and the loss is above it. */
function hasTurned(looks: readonly Look[]): boolean {
  const [best, last] = [leastOf(looks), looks.at(-1)!]
  return last.step > 1.6 * best.step && last.loss > 1.01 * best.loss
}

/** Mean cross-entropy of a network against exact predictions on test strings. */
function testLoss(learner: Learner, { d, v }: Grammar, leaves: Int32Array, exact: Float64Array) {
  const count = leaves.length / d
  const data = {
    x: learner.inputs(leaves).x,
    exact: tensor(Float32Array.from(exact), { shape: [count, v] }),
  }
  const means = overTable<Parameters, { x: Tensor; exact: Tensor }>(
    (p, batch) => ({ loss: neg(sum(mul(batch.exact, logSoftmax(learner.logits(p, batch.x))), 1)) }),
    { batchSize: Math.min(512, count), threads: 1 },
  )
  return {
    of: async (parameters: Parameters): Promise<number> => (await means.means(parameters, data))['loss']!,
    dispose: () => means.dispose(),
  }
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
  const test = testLoss(learner, grammar, unseen, lastToken(grammar, unseen, grammar.d - 1))
  const fresh = (step: number): Strings =>
    learner.inputs(sampleTrees(grammar, random.foldIn(forData, step), batchSize).levels[L]!)
  const looks: Look[] = []
  try {
    await train<Parameters, Strings>({
      parameters: learner.init(random.foldIn(own, 0)),
      loss: learner.loss,
      data: sets.train ? learner.inputs(sets.train.levels[L]!) : fresh,
      ...(sets.train && { batchSize: Math.min(batchSize, cell.P) }),
      optimizer: learner.optimizer,
      learningRate: learner.rate(isOnline),
      steps,
      seed: random.sampleBits(random.foldIn(own, 1), 1)[0]!,
      snapshots: {
        at: lookSteps(steps, config.looks),
        use: async (parameters, step) => {
          looks.push({ step, loss: await test.of(parameters) })
          return isOnline || !hasTurned(looks)
        },
      },
      onProgress: ({ step, total }) => progress(step / total),
      ...{ logEvery: steps, stepsPerCall, threads: 1, signal },
    })
  } finally {
    test.dispose()
  }
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
