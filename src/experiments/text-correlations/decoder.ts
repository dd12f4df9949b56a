/** @file A small decoder that learns from P symbols, stopped where held-out text is predicted best. */
import { fail } from '../../base/index.ts'
import type { Sequence } from '../../data/index.ts'
import type { Bench } from '../../lab/index.ts'
import {
  adam,
  applyInBatches,
  constant,
  crossEntropyLoss,
  train,
  transformer,
  warmUp,
} from '../../nn/index.ts'
import { crossEntropy, mean, random, type Tensor, tensor } from '../../tensor/index.ts'
import type { Config } from './config.ts'
import { type Prepared, someOf, splitText } from './text.ts'

/** Loss of a decoder on test windows by how many symbols it has seen of them, in nats. */
export interface DecoderRow {
  readonly of: 'decoder'
  readonly context: number
  readonly loss: number
  /** Step with the least loss on held-out text, and the last one. */
  readonly best: number
  readonly steps: number
}

type Windows = { x: Tensor; next: Tensor }

/** Steps between looks at held-out text, and of one call of the runtime. */
const every = 32
const stepsPerCall = 8

/** Windows of held-out text: enough for the second digit. */
const mostWindows = 1024

/** Windows one after the other, each with what follows every one of its symbols. */
function windowsOf(pieces: readonly Uint16Array[], length: number, most = Number.POSITIVE_INFINITY): Windows {
  const starts = pieces.flatMap((piece) =>
    Array.from({ length: Math.floor((piece.length - 1) / length) }, (_, i) =>
      piece.subarray(i * length, (i + 1) * length + 1),
    ),
  )
  const count = Math.min(most, starts.length)
  if (count === 0)
    fail('TL_BAD_CONFIG', `config.window: expected pieces of text longer than ${length} symbols`)
  const chosen = Array.from({ length: count }, (_, i) => starts[Math.floor((i * starts.length) / count)]!)
  const table = (shift: number): Tensor => {
    const values = new Int32Array(count * length)
    for (const [i, window] of chosen.entries())
      for (let at = 0; at < length; at++) values[i * length + at] = window[at + shift]!
    return tensor(values, { shape: [count, length] })
  }
  return { x: table(0), next: table(1) }
}

/** Train one decoder; a row for every length of context. */
export async function trainDecoder(
  { ids, symbols }: Sequence,
  P: number,
  { key, config, signal, progress, threads }: Bench<Config, Sequence, Prepared>,
): Promise<DecoderRow[]> {
  const { window, features, layers, batchSize, learningRate, steps, patience } = config
  const split = splitText(ids, config)
  const network = transformer({
    ...{ vocabulary: symbols.length, context: window, features, layers, heads: features / 16 },
    ...{ positions: 'rotary', rotary: { base: 100 }, tiedHead: false },
  })
  const data = windowsOf(someOf(split.train, random.foldIn(key, 1), P), window)
  type Parameters = ReturnType<typeof network.init>
  const lossOf = (p: Parameters, { x, next }: Windows): Tensor => crossEntropy(network.apply(p, x), next)
  const result = await train<Parameters, Windows>({
    parameters: network.init(random.foldIn(key, 2)),
    loss: (p, { x, next }) => crossEntropyLoss(network.apply(p, x), next),
    data,
    optimizer: adam(),
    learningRate: warmUp(every, constant(learningRate)),
    clipNorm: 1,
    ...{ steps, stepsPerCall, logEvery: every },
    batchSize: Math.min(batchSize, data.x.shape[0]!),
    seed: random.sampleBits(random.foldIn(key, 3), 1)[0]!,
    evaluate: {
      ...{ data: windowsOf(split.validation, window, mostWindows / 2), every, batchSize: 256 },
      measure: (p, batch) => ({ loss: mean(lossOf(p, batch), 1) }),
    },
    best: { metric: 'validationLoss', patience },
    onProgress: ({ step, total, metrics }) => {
      const seen = metrics['validationLoss']
      progress(step / total, `P = ${P}${seen === undefined ? '' : `, held out ${seen.toFixed(3)}`}`)
    },
    ...{ threads, signal },
  })
  const { step: best, parameters } = result.best!
  const test = windowsOf(split.test, window, mostWindows)
  const losses = (
    await applyInBatches((p: Parameters, batch: Windows) => ({ loss: lossOf(p, batch) }), parameters, test, {
      batchSize: 256,
      threads,
    })
  )['loss']!.data as Float32Array
  const count = losses.length / window
  return Array.from({ length: window }, (_, at): DecoderRow => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += losses[i * window + at]!
    return { of: 'decoder', context: at + 1, loss: sum / count, best, steps: result.step }
  })
}
