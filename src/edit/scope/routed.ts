/** @file The scope as a part of a program: which of the edits that may answer are asked what they were taught. */
import {
  add,
  div,
  greaterEqual,
  matmul,
  mean,
  mul,
  reshape,
  rmsNorm,
  type Spec,
  slice,
  spec,
  sqrt,
  sub,
  sum,
  type Tensor,
  tensor,
  topK,
} from '../../tensor/index.ts'
import type { Asks } from '../store/index.ts'
import { cohortOf, type Look, mapped, placed, type ScopeMap } from './scope.ts'

/** What the edits that may answer ask, as arrays for a program. */
export interface ScopeTable {
  /** Mean features of general questions about the subjects, mapped, [looks, E, dimensions]. */
  readonly means: Float32Array
  /** [looks, E, dimensions] */
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
  const { width, dimensions, looks } = scope
  const count = Math.max(1, edits.length)
  const means = new Float32Array(looks.length * count * dimensions)
  const vectors = new Float32Array(looks.length * count * dimensions)
  const needs = new Float32Array(count).fill(none)
  for (const [e, { asks }] of edits.entries()) {
    if (!asks) continue
    for (const [l, look] of looks.entries()) {
      const at = (l * count + e) * dimensions
      means.set(mapped(look, asks.mean.subarray(l * width, (l + 1) * width)), at)
      vectors.set(asks.vector.subarray(l * dimensions, (l + 1) * dimensions), at)
    }
    if (threshold !== undefined)
      needs[e] = needOf(threshold, placed(scope, Float64Array.from(asks.vector)).common)
  }
  return { means, vectors, needs }
}

/** Inputs of a program: how much each token counts for each edit, and alone; the table; discriminants as they are. */
export const scopeSpecs = (
  { width, dimensions, looks }: ScopeMap,
  { edits, batch, tokens }: { readonly edits: number; readonly batch: number; readonly tokens: number },
): Readonly<Record<ScopeInput, Spec>> => ({
  outside: spec([batch, edits, tokens]),
  ending: spec([batch, 1, tokens]),
  scopeMeans: spec([looks.length, edits, dimensions]),
  scopeVectors: spec([looks.length, edits, dimensions]),
  scopeNeeds: spec([edits]),
  scopeMap: spec([looks.length, width, dimensions]),
  scopeQuestions: spec([looks.length, dimensions, questionsOf(looks)]),
})
export type ScopeInput =
  | 'outside'
  | 'ending'
  | 'scopeMeans'
  | 'scopeVectors'
  | 'scopeNeeds'
  | 'scopeMap'
  | 'scopeQuestions'

const questionsOf = ([look]: ScopeMap['looks']): number => look!.questions.length / look!.dimensions

/** The discriminants of all looks as a program takes them, [looks, width, dimensions]; known questions column by column. */
export function scopeArrays({ width, dimensions, looks }: ScopeMap): {
  readonly map: Float32Array
  readonly questions: Float32Array
} {
  const count = questionsOf(looks)
  const map = new Float32Array(looks.length * width * dimensions)
  const questions = new Float32Array(looks.length * count * dimensions)
  for (const [l, look] of looks.entries()) {
    map.set(look.map, l * width * dimensions)
    for (let q = 0; q < count; q++)
      for (let d = 0; d < dimensions; d++)
        questions[(l * dimensions + d) * count + q] = look.questions[q * dimensions + d]!
  }
  return { map, questions }
}

/** A matrix of one look. */
const matrixOf = (x: Tensor, look: number): Tensor => {
  const [, rows, columns] = x.shape as [number, number, number]
  return reshape(slice(x, [look, 0, 0], [look + 1, rows, columns]), [rows, columns])
}

/** Scores [E] by one look less the commonness of the edits' own prompts, of hidden states [1, S, width]. */
function lookScores(
  states: Tensor,
  tokens: Look['tokens'],
  look: number,
  inputs: Readonly<Record<ScopeInput, Tensor>>,
): Tensor {
  const ones = tensor(new Float32Array(states.shape.at(-1)!).fill(1))
  // one sequence
  const sized = sum(rmsNorm(states, ones, { epsilon: 1e-30 }), 0)
  // mapped first: the map is narrow, and edits are many
  const narrow = matmul(sized, matrixOf(inputs.scopeMap, look))
  const weights = sum(tokens === 'last' ? inputs.ending : inputs.outside, 0)
  const rest = sub(matmul(weights, narrow), matrixOf(inputs.scopeMeans, look))
  const vectors = div(rest, sqrt(add(sum(mul(rest, rest), -1, { keepDims: true }), 1e-30)))
  const cosines = sum(mul(vectors, matrixOf(inputs.scopeVectors, look)), -1)
  const known = matrixOf(inputs.scopeQuestions, look)
  const { values } = topK(matmul(vectors, known), cohortOf(known.shape[1]!))
  return sub(cosines, mul(mean(values, -1), 0.5))
}

/** Whether each edit is asked what it was taught, found while a program passes the blocks that are looked at. */
export function askingAlong(looks: readonly Look[]): {
  /** Look at the hidden states [1, S, width] that enter a block. */
  enter(layer: number, states: () => Tensor, inputs: () => Readonly<Record<ScopeInput, Tensor>>): void
  /** bool [E], once every block is passed. */
  same(needs: Tensor): Tensor
} {
  let total: Tensor | undefined
  return {
    enter(layer, states, inputs) {
      for (const [l, look] of looks.entries())
        if (look.layer === layer) {
          const scores = mul(lookScores(states(), look.tokens, l, inputs()), look.weight)
          total = total ? add(total, scores) : scores
        }
    },
    same: (needs) => greaterEqual(total!, needs),
  }
}
