/** @file Training of a denoising network on a set of strings, and looks at it on the way. */
import { fail } from '../../base/index.ts'
import { adam, countParameters, type Parameters, train } from '../../nn/index.ts'
import { random } from '../../tensor/index.ts'
import { type DenoisingNetwork, logitsOf } from './network.ts'
import type { NoiseProcess } from './noiseProcess.ts'
import type { NoisyStrings } from './objectives.ts'
import { type CleanStrings, emptyStrings, renoise } from './strings.ts'

export interface DenoiserTraining<P extends Parameters> {
  /** What is trained on: each epoch in another order, each string made noisy anew. */
  readonly strings: CleanStrings
  readonly parameters: P
  readonly steps: number
  readonly batchSize: number
  /** Of Adam, constant. */
  readonly learningRate: number
  /** Keep an exponential moving average, which is what is looked at. */
  readonly averageDecay?: number
  readonly key: random.Key
  /** Looks at the parameters after these steps, multiples of `stepsPerCall`; training ends when one returns false. */
  readonly looks?: readonly number[]
  readonly onLook?: (parameters: P, step: number) => boolean | Promise<boolean>
  readonly checkpoint?: { readonly path: string; readonly every?: number }
  /** Whatever else the run is a function of, such as the hash of its grammar: a checkpoint with another is refused. */
  readonly config?: unknown
  readonly threads?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (share: number) => void
}

/** Looks and the end of training are at multiples of this. Small networks do as many steps in one call of the runtime. */
export const stepsPerCall = 8

/**
 * From so many parameters on a call is one step: calls cost little beside it, and Adam's update is then one pass over memory (see
 * `compileStep`). The numbers are the same to the bit.
 */
const largeFrom = 500_000

/** Steps 2^{k/perDoubling} from `from` to `to`, as multiples of `stepsPerCall`, rising. */
export function lookSteps(from: number, to: number, perDoubling = 2): number[] {
  if (!(from >= 1 && to >= from))
    fail('TL_BAD_ARGUMENT', `looks: expected 1 ≤ from ≤ to, got ${from} and ${to}`)
  const steps: number[] = []
  for (let k = 0; ; k++) {
    const step = Math.round((from * 2 ** (k / perDoubling)) / stepsPerCall) * stepsPerCall
    if (step > to) return steps
    if (step > (steps.at(-1) ?? 0)) steps.push(step)
  }
}

/** Train. Throws what `train` throws. */
export async function trainDenoiser<P extends Parameters>(
  network: DenoisingNetwork<P>,
  noising: NoiseProcess,
  options: DenoiserTraining<P>,
): Promise<{ parameters: P; average?: P; step: number }> {
  const { strings, steps, batchSize, learningRate, averageDecay, looks = [], onLook, onProgress } = options
  const { checkpoint, threads, signal } = options
  const logits = logitsOf(network, noising)
  const refill = renoise(noising, network.v)
  return train<P, NoisyStrings>({
    parameters: options.parameters,
    loss: (parameters, batch) => noising.objective.loss(logits(parameters, batch), batch).mean(),
    data: emptyStrings(strings, noising),
    augment: refill,
    optimizer: adam(),
    learningRate,
    steps: Math.ceil(steps / stepsPerCall) * stepsPerCall,
    batchSize: Math.min(batchSize, strings.leaves.length / strings.d),
    seed: random.sampleBits(options.key, 1)[0]!,
    stepsPerCall: countParameters(options.parameters) < largeFrom ? stepsPerCall : 1,
    logEvery: 8 * stepsPerCall,
    ...(averageDecay !== undefined && { averageDecay }),
    ...(onLook && { snapshots: { at: looks, use: onLook } }),
    ...(checkpoint && { checkpoint, resume: true }),
    ...(options.config !== undefined && { config: options.config }),
    ...(onProgress && { onProgress: ({ step, total }) => onProgress(step / total) }),
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
  })
}
