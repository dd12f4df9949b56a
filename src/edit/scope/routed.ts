/** @file The scope as a part of a program: which of the edits that may answer are asked what they were taught. */
import {
  add,
  div,
  greaterEqual,
  matmul,
  mean,
  mul,
  rmsNorm,
  type Spec,
  spec,
  sqrt,
  sub,
  sum,
  type Tensor,
  tensor,
  topK,
} from '../../tensor/index.ts'
import type { Asks } from '../store/index.ts'
import { cohortOf, commonness, type ScopeMap } from './scope.ts'

/** What the edits that may answer ask, as arrays for a program. */
export interface ScopeTable {
  /** [E, width] */
  readonly means: Float32Array
  /** [E, dimensions] */
  readonly vectors: Float32Array
  /** Least scores, before the commonness of the prompt is taken off, [E]. */
  readonly needs: Float32Array
}

/** Below every score: an edit that is not held back. */
const none = -1e9
/** An edit's own prompt is not held back by rounding. */
const slack = 1e-3

/** The least score of an edit whose own prompt scores `1 − 2 · own`: never more than that. */
export const needOf = (threshold: number, own: number): number =>
  Math.min(threshold, 1 - 2 * own - slack) + own

/** The table of edits, in their order; those without `asks` are not held back. */
export function scopeTable(
  scope: ScopeMap,
  edits: readonly { readonly asks?: Asks }[],
  threshold: number | undefined,
): ScopeTable {
  const { width, dimensions } = scope
  const count = Math.max(1, edits.length)
  const means = new Float32Array(count * width)
  const vectors = new Float32Array(count * dimensions)
  const needs = new Float32Array(count).fill(none)
  for (const [e, { asks }] of edits.entries()) {
    if (!asks) continue
    means.set(asks.mean, e * width)
    vectors.set(asks.vector, e * dimensions)
    if (threshold !== undefined) needs[e] = needOf(threshold, commonness(scope, asks.vector))
  }
  return { means, vectors, needs }
}

/** Inputs of a program: how much each token counts for each edit, and the table; the map as it is. */
export const scopeSpecs = (
  { width, dimensions, questions }: ScopeMap,
  { edits, batch, tokens }: { readonly edits: number; readonly batch: number; readonly tokens: number },
): Readonly<Record<ScopeInput, Spec>> => ({
  outside: spec([batch, edits, tokens]),
  scopeMeans: spec([edits, width]),
  scopeVectors: spec([edits, dimensions]),
  scopeNeeds: spec([edits]),
  scopeMap: spec([width, dimensions]),
  scopeQuestions: spec([dimensions, questions.length / dimensions]),
})
export type ScopeInput =
  | 'outside'
  | 'scopeMeans'
  | 'scopeVectors'
  | 'scopeNeeds'
  | 'scopeMap'
  | 'scopeQuestions'

/** The known questions, column by column, as a program takes them. */
export function questionColumns({ dimensions, questions }: ScopeMap): Float32Array {
  const count = questions.length / dimensions
  const out = new Float32Array(questions.length)
  for (let q = 0; q < count; q++)
    for (let d = 0; d < dimensions; d++) out[d * count + q] = questions[q * dimensions + d]!
  return out
}

/** Whether each edit is asked what it was taught, bool [E], of hidden states [B, S, width] of one sequence that enter the scope's block. */
export function asksSame(states: Tensor, inputs: Readonly<Record<ScopeInput, Tensor>>): Tensor {
  const ones = tensor(new Float32Array(states.shape.at(-1)!).fill(1))
  const sized = rmsNorm(states, ones, { epsilon: 1e-30 })
  // one sequence
  const rest = sub(sum(matmul(inputs.outside, sized), 0), inputs.scopeMeans)
  const mapped = matmul(rest, inputs.scopeMap)
  const vectors = div(mapped, sqrt(add(sum(mul(mapped, mapped), -1, { keepDims: true }), 1e-30)))
  const cosines = sum(mul(vectors, inputs.scopeVectors), -1)
  const questions = inputs.scopeQuestions.shape[1] as number
  const { values } = topK(matmul(vectors, inputs.scopeQuestions), cohortOf(questions))
  return greaterEqual(sub(cosines, mul(mean(values, -1), 0.5)), inputs.scopeNeeds)
}
