/** @file Metrics for each example; the training loop and `mean` average them. */
import { argmax, cast, equal, type Tensor } from '../tensor/index.ts'

/** 1 where the largest logit is that of the label, else 0: logits [..., C], labels [...] ↦ f32 [...]. */
export const isCorrect = (logits: Tensor, labels: Tensor): Tensor =>
  cast(equal(argmax(logits, -1), cast(labels, 'i32')), 'f32')

/** Share of correct labels, a scalar. */
export const accuracy = (logits: Tensor, labels: Tensor): Tensor => isCorrect(logits, labels).mean()
