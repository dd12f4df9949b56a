/** @file Training of one network on the last token: on fresh strings, or on the same ones until its test loss turns. */
import { doublings } from '../../lab/index.ts'
import { overTable, type Parameters, train } from '../../nn/index.ts'
import { logSoftmax, mul, neg, random, sum, type Tensor, tensor } from '../../tensor/index.ts'
import type { Learner, Strings } from './networks.ts'

/** Steps of one call of the runtime: looks are at multiples. */
export const stepsPerCall = 4

/** Steps 2^{k/looks} up to the last. */
function lookSteps(steps: number, looks: number): number[] {
  const all = [...doublings(16, steps, looks), steps].map(
    (step) => stepsPerCall * Math.max(1, Math.round(step / stepsPerCall)),
  )
  return [...new Set(all)]
}

/** Test loss after so many steps, in nats. */
export interface Look {
  readonly step: number
  readonly loss: number
}

export const leastOf = (looks: readonly Look[]): Look =>
  looks.reduce((best, look) => (look.loss < best.loss ? look : best))

/** The least test loss is behind: training has gone on for half as long again, and the loss is above it. */
export function hasTurned(looks: readonly Look[]): boolean {
  const [best, last] = [leastOf(looks), looks.at(-1)!]
  return last.step > 1.6 * best.step && last.loss > 1.01 * best.loss
}

/** Test strings with the exact predictions of their last tokens, [count, v]. */
interface Unseen {
  readonly strings: Strings
  readonly exact: Float64Array
}

/** Mean cross-entropy of a network against exact predictions on test strings. */
function testLoss(learner: Learner, { strings, exact }: Unseen) {
  const count = strings.x.shape[0]!
  const data = {
    x: strings.x,
    exact: tensor(Float32Array.from(exact), { shape: [count, exact.length / count] }),
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

interface Training {
  readonly key: random.Key
  /** The strings of a step, each seen once; or all there are, in batches, until the test loss has turned. */
  readonly data: ((step: number) => Strings) | { readonly strings: Strings; readonly batchSize: number }
  readonly test: Unseen
  /** Whether the rate falls to a tenth. Default: on fresh strings. */
  readonly falls?: boolean
  /** Steps at most, a multiple of `stepsPerCall`. */
  readonly steps: number
  /** Looks for each doubling of steps. */
  readonly looks: number
  readonly signal: AbortSignal
  readonly progress: (share: number) => void
  readonly onLook?: (look: Look, parameters: Parameters) => Promise<void>
}

/** Test losses on the way. */
export async function trainLastToken(learner: Learner, training: Training): Promise<Look[]> {
  const { key, data, steps, signal, progress, onLook } = training
  const isOnline = typeof data === 'function'
  const { falls = isOnline } = training
  const test = testLoss(learner, training.test)
  const looks: Look[] = []
  try {
    await train<Parameters, Strings>({
      parameters: learner.init(random.foldIn(key, 0)),
      loss: learner.loss,
      ...(isOnline ? { data } : { data: data.strings, batchSize: data.batchSize }),
      optimizer: learner.optimizer,
      learningRate: learner.rate(falls),
      steps,
      seed: random.sampleBits(random.foldIn(key, 1), 1)[0]!,
      snapshots: {
        at: lookSteps(steps, training.looks),
        use: async (parameters, step) => {
          const look = { step, loss: await test.of(parameters) }
          looks.push(look)
          await onLook?.(look, parameters)
          return isOnline || !hasTurned(looks)
        },
      },
      onProgress: ({ step, total }) => progress(step / total),
      ...{ logEvery: steps, stepsPerCall, threads: 1, signal },
    })
  } finally {
    test.dispose()
  }
  return looks
}
