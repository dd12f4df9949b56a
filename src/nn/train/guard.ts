/** @file The guard against NaN and infinity: which tensor was the first that was not finite. */
import { fail } from '../../base/index.ts'
import {
  type CompileOptions,
  compile,
  entries,
  isFloat,
  type Tensor,
  valueAndGrad,
} from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'
import type { Batch } from './options.ts'

/** The dotted name of the first float tensor with an element that is NaN or infinite. */
export function firstNonFinite(tree: Parameters, prefix = ''): string | undefined {
  for (const [name, t] of entries(tree)) {
    if (!isFloat(t.dtype)) continue
    const data = t.data as Float32Array
    for (let i = 0; i < data.length; i++)
      if (!Number.isFinite(data[i])) return [prefix, name].filter(Boolean).join('.')
  }
  return undefined
}

interface Failure {
  readonly step: number
  readonly loss: number
  readonly learningRate: number
  readonly batch: Batch
  readonly key: Tensor
  /** State before and after the step: trainable parameters and the optimizer's state. */
  readonly before: Parameters
  readonly after: Parameters
  /** The loss as a function of what is trained. */
  readonly objective: (trainable: Parameters, batch: Batch, key: Tensor) => Tensor
}

/** Throw TL_NOT_FINITE, naming step, loss, and the first tensor at fault: batch, state before, gradient, state after. */
export async function reportNonFinite(failure: Failure, options: CompileOptions): Promise<never> {
  const { step, loss, learningRate, batch, before, after } = failure
  const stop = (place: string, advice: string): never =>
    fail(
      'TL_NOT_FINITE',
      `training stopped at step ${step}: the loss is ${loss}; the first tensor that is not finite is ${place} (${advice})`,
    )
  const slower = `lower the learning rate, now ${learningRate.toPrecision(3)}, or set clipNorm`
  const input = firstNonFinite(batch, 'batch')
  if (input) return stop(input, 'check the data')
  const old = firstNonFinite(before)
  if (old) return stop(old, slower)
  const { trainable } = before as { trainable: Parameters }
  const program = compile(
    (p: Parameters, b: Batch, key: Tensor) =>
      valueAndGrad((q: Parameters) => failure.objective(q, b, key))(p).gradient,
    options,
  )
  try {
    const gradient = firstNonFinite(await program(trainable, batch, failure.key), 'gradient')
    if (gradient) return stop(gradient, slower)
  } finally {
    program.dispose()
  }
  const next = firstNonFinite(after)
  return stop(next ?? 'the loss itself', slower)
}
