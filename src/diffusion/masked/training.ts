/** @file Training of a network on masked strings, and looks at it on the way. */
import { fail } from '../../base/index.ts'
import {
  adamW,
  constant,
  countParameters,
  type Key,
  overTable,
  type Parameters,
  train,
  warmUp,
} from '../../nn/index.ts'
import { random } from '../../tensor/index.ts'
import { emptyMasked, type MaskedStrings, remask } from './masks.ts'
import { type MaskedNetwork, maskedLoss } from './network.ts'

/** What is learned from: windows anywhere in a running sequence, or so many strings and no others. */
export type MaskedSource =
  | { readonly sequence: ArrayLike<number> }
  /** [P, d], each epoch in another order. */
  | { readonly strings: Int32Array }

export interface MaskedTraining<P extends Parameters> {
  readonly source: MaskedSource
  readonly parameters: P
  readonly steps: number
  readonly batchSize: number
  /** Of AdamW (β 0.9 and 0.98), constant after `warmUp` steps. */
  readonly learningRate: number
  /** Default 100. */
  readonly warmUp?: number
  /** Default 0.01. */
  readonly weightDecay?: number
  readonly key: random.Key
  /** Looks at the parameters after these steps, multiples of `maskedSteps`; training ends when one returns false. */
  readonly looks?: readonly number[]
  readonly onLook?: (parameters: P, step: number) => boolean | Promise<boolean>
  /** The state of training; a run that was cut goes on from it. */
  readonly checkpoint?: { readonly path: string; readonly every?: number }
  /** Called before the first step of a run that goes on. */
  readonly onResume?: (step: number) => void
  /** Whatever else the run is a function of: a checkpoint with another is refused. */
  readonly config?: unknown
  readonly threads?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (share: number, loss: number) => void
}

/** Steps in one call of the runtime; looks and the end of training are at multiples of it. */
export const maskedSteps = 8

/** Norm that gradients are clipped to. */
const clipNorm = 1

/** Batches of windows that begin anywhere in a sequence, as `train` takes them. */
function windowsOf(sequence: ArrayLike<number>, d: number, batchSize: number) {
  const begins = sequence.length - d + 1
  if (begins < 1)
    fail('TL_BAD_ARGUMENT', `sequence: expected at least d = ${d} symbols, got ${sequence.length}`)
  return (_: number, key: Key): MaskedStrings => {
    const [forPlaces, forMasks] = random.split(key as random.Key)
    const clean = new Int32Array(batchSize * d)
    for (const [b, from] of random.sampleIntegers(forPlaces, batchSize, begins).entries())
      for (let i = 0; i < d; i++) clean[b * d + i] = sequence[from + i]!
    const strings = emptyMasked(clean, d)
    remask(strings, forMasks)
    return strings
  }
}

/** Train. The same key gives the same numbers. Throws what `train` throws. */
export async function trainMasked<P extends Parameters>(
  network: MaskedNetwork<P>,
  options: MaskedTraining<P>,
): Promise<{ parameters: P; step: number }> {
  const { source, steps, learningRate, weightDecay = 0.01, looks = [], onLook, onProgress } = options
  const { checkpoint, onResume, threads, signal } = options
  const { d } = network
  const isTable = 'strings' in source
  const batchSize = isTable
    ? Math.min(options.batchSize, Math.floor(source.strings.length / d))
    : options.batchSize
  return train<P, MaskedStrings>({
    parameters: options.parameters,
    loss: (parameters, batch) => maskedLoss(network, parameters, batch).mean(),
    ...(isTable
      ? { data: emptyMasked(source.strings, d), augment: remask }
      : { data: windowsOf(source.sequence, d, batchSize) }),
    optimizer: adamW({ beta1: 0.9, beta2: 0.98, weightDecay }),
    learningRate: warmUp(options.warmUp ?? 100, constant(learningRate)),
    clipNorm,
    steps: Math.ceil(steps / maskedSteps) * maskedSteps,
    batchSize,
    seed: random.sampleBits(options.key, 1)[0]!,
    stepsPerCall: countParameters(options.parameters) < 2e6 ? maskedSteps : 1,
    logEvery: 8 * maskedSteps,
    ...(onLook && { snapshots: { at: looks, use: onLook } }),
    ...(checkpoint && { checkpoint, resume: true }),
    ...(onResume && { onResume }),
    ...(options.config !== undefined && { config: options.config }),
    ...(onProgress && { onProgress: ({ step, total, loss }) => onProgress(step / total, loss) }),
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
  })
}

/** Losses of strings by a network, nats a symbol of each; for any of its parameters. */
export function maskedLosses<P extends Parameters>(
  network: MaskedNetwork<P>,
  { batchSize = 256, threads = 1 }: { readonly batchSize?: number; readonly threads?: number } = {},
): { of(parameters: P, strings: MaskedStrings): Promise<Float32Array>; dispose(): void } {
  const table = overTable<P, MaskedStrings>(
    (parameters, strings) => ({ loss: maskedLoss(network, parameters, strings) }),
    { batchSize, threads },
  )
  return {
    of: async (parameters, strings) => (await table.all(parameters, strings))['loss']!.data as Float32Array,
    dispose: () => table.dispose(),
  }
}
