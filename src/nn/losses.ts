/** @file Losses: scalars, means over all examples unless weights say otherwise. All are computed from logits, stably. */
import { fail } from '../base/index.ts'
import {
  add,
  crossEntropy as crossEntropyOfEach,
  div,
  logSoftmax,
  mean,
  mul,
  neg,
  relu,
  sameShape,
  showSpec,
  softplus,
  square,
  sub,
  sum,
  type Tensor,
} from '../tensor/index.ts'

/** Mean of values of any shape; with weights (of the same shape) Σ w x / Σ w. */
export function weightedMean(values: Tensor, weights?: Tensor): Tensor {
  if (!weights) return mean(values)
  if (!sameShape(values.shape, weights.shape))
    fail(
      'TL_SHAPE_MISMATCH',
      `weights: expected one for each value ${showSpec(values)}, got ${showSpec(weights)}`,
    )
  return div(sum(mul(values, weights)), sum(weights))
}

export interface CrossEntropyOptions {
  /** Share ε of the target that is spread evenly over all classes (Szegedy et al. 2016). Default 0. */
  readonly smoothing?: number
  /** Weight of each label, [...]. */
  readonly weights?: Tensor
}

/** Mean negative log-likelihood of integer labels [...] under softmax(logits [..., C]), in nats. */
export function crossEntropyLoss(
  logits: Tensor,
  labels: Tensor,
  { smoothing = 0, weights }: CrossEntropyOptions = {},
): Tensor {
  if (!(smoothing >= 0 && smoothing < 1))
    fail('TL_BAD_ARGUMENT', `crossEntropyLoss: expected smoothing in [0, 1), got ${smoothing}`)
  const hard = crossEntropyOfEach(logits, labels)
  if (smoothing === 0) return weightedMean(hard, weights)
  const spread = neg(mean(logSoftmax(logits), -1))
  return weightedMean(add(mul(hard, 1 - smoothing), mul(spread, smoothing)), weights)
}

/** Mean of (prediction − target)² over every element; shapes must be equal. */
export function meanSquaredError(prediction: Tensor, target: Tensor): Tensor {
  requireSame('meanSquaredError', prediction, target)
  return mean(square(sub(prediction, target)))
}

/**
 * Mean of max(0, margin − y f)^power for outputs f and labels y = ±1 of one shape; power 2 is the quadratic hinge of the
 * jamming and lazy-training papers.
 */
export function hingeLoss(
  outputs: Tensor,
  signs: Tensor,
  { margin = 1, power = 1 }: { readonly margin?: number; readonly power?: 1 | 2 } = {},
): Tensor {
  requireSame('hingeLoss', outputs, signs)
  const gap = relu(sub(margin, mul(outputs, signs)))
  return mean(power === 2 ? square(gap) : gap)
}

/** Mean of −y log σ(z) − (1 − y) log σ(−z) for logits z and targets y in [0, 1] of one shape. */
export function binaryCrossEntropyLoss(logits: Tensor, targets: Tensor): Tensor {
  requireSame('binaryCrossEntropyLoss', logits, targets)
  return mean(sub(softplus(logits), mul(logits, targets)))
}

function requireSame(name: string, a: Tensor, b: Tensor): void {
  if (!sameShape(a.shape, b.shape) || a.dtype !== b.dtype)
    fail(
      'TL_SHAPE_MISMATCH',
      `${name}: expected two tensors of one shape, got ${showSpec(a)} and ${showSpec(b)}`,
    )
}
