/** @file One training step as a pure function of state and inputs: loss, gradient, clipping, update, average, report. */

import { fail } from '../../base/index.ts'
import {
  cast,
  concatenate,
  type FloatDtype,
  isFloat,
  leaves,
  reshape,
  type Tensor,
  Tensor as TensorClass,
  type TensorLike,
  valueAndGradWithAux,
} from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'
import { clipByGlobalNorm, movingAverage } from '../optimizers/gradients.ts'
import { unpackScalars } from '../optimizers/optimizer.ts'
import type { Batch, LossResult, TrainOptions } from './options.ts'

/** What a step carries on: everything that is not a function of the step's number. */
export type TrainState = { trainable: Parameters; optimizer: Parameters; average?: Parameters }

interface StepFunction {
  readonly initial: (trainable: Parameters) => TrainState
  /** Scalars of step t (from 0). */
  readonly scalars: (step: number, learningRate: number) => readonly number[]
  /** Outputs one vector: the loss, then the other reported values. */
  readonly run: (
    state: TrainState,
    batch: Batch,
    scalars: Tensor,
    key: Tensor,
  ) => { state: TrainState; outputs: Tensor }
  /** Names of the vector's values; known once `run` has been traced. */
  readonly reported: () => readonly string[]
  readonly objective: (trainable: Parameters, batch: Batch, key: Tensor) => Tensor
  readonly dtype: FloatDtype
}

const asRecord = (result: LossResult): { loss: Tensor; metrics?: Readonly<Record<string, Tensor>> } =>
  result instanceof TensorClass ? { loss: result } : result

/** `join` completes the trained parameters with the frozen ones. */
export function makeStep<P extends Parameters, B extends Batch>(
  { loss, optimizer, clipNorm, averageDecay }: TrainOptions<P, B>,
  trainable: Parameters,
  join: (trainable: Parameters) => P,
): StepFunction {
  const dtype = leaves(trainable).find((t) => isFloat(t.dtype))?.dtype as FloatDtype | undefined
  if (!dtype)
    fail('TL_BAD_ARGUMENT', 'train: expected at least one parameter to train (is everything frozen?)')
  if (clipNorm !== undefined && !(clipNorm > 0))
    fail('TL_BAD_ARGUMENT', `clipNorm: expected a number above 0, got ${clipNorm}`)
  const decayOf = (step: number): number => {
    const decay = typeof averageDecay === 'function' ? averageDecay(step) : averageDecay!
    if (!(decay >= 0 && decay < 1))
      fail('TL_BAD_ARGUMENT', `averageDecay: expected a number in [0, 1), got ${decay}`)
    return decay
  }
  if (averageDecay !== undefined) decayOf(1)
  let names: readonly string[] = ['loss']
  const evaluateLoss = (p: Parameters, batch: Batch, key: Tensor) =>
    asRecord(loss(join(p), batch as B, { key }))

  return {
    dtype,
    reported: () => names,
    objective: (p, batch, key) => evaluateLoss(p, batch, key).loss,
    initial: (start) => ({
      trainable: start,
      optimizer: optimizer.init(start),
      ...(averageDecay !== undefined && { average: start }),
    }),
    scalars: (step, rate) => [
      ...optimizer.scalars(step + 1, rate),
      ...(averageDecay === undefined ? [] : [1 - decayOf(step + 1)]),
    ],
    run: (state, batch, scalars, key) => {
      const { value, gradient, aux } = valueAndGradWithAux((p: Parameters) => {
        const result = evaluateLoss(p, batch, key)
        return { value: result.loss, aux: result.metrics ?? {} }
      })(state.trainable)
      const clipped = clipNorm === undefined ? undefined : clipByGlobalNorm(gradient, clipNorm)
      const report: Record<string, TensorLike> = { loss: value, ...aux }
      if (clipped) report['gradientNorm'] = clipped.norm
      const numbers = unpackScalars(scalars)
      const next = optimizer.update(state.trainable, clipped?.gradients ?? gradient, state.optimizer, numbers)
      names = Object.keys(report)
      return {
        state: {
          trainable: next.parameters,
          optimizer: next.state,
          ...(state.average && { average: movingAverage(state.average, next.parameters, numbers.at(-1)!) }),
        },
        outputs: concatenate(Object.entries(report).map(([name, x]) => element(name, x as Tensor, dtype!))),
      }
    },
  }
}

function element(name: string, x: Tensor, dtype: FloatDtype): Tensor {
  if (x.size !== 1)
    fail('TL_SHAPE_MISMATCH', `train: metric "${name}" should be a scalar, got ${x} (take its mean)`)
  return cast(reshape(x, [1]), dtype)
}
