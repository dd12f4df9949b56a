/** @file What a model of a family is worth on a task: features once, then any number of readings of them. */
import { fail } from '../../base/index.ts'
import { linearize, type Parameters } from '../../nn/index.ts'
import {
  argmax,
  type Compiled,
  type CompileOptions,
  compile,
  logSoftmax,
  reshape,
  type Tensor,
  type Tree,
  takeAlong,
  tensor,
} from '../../tensor/index.ts'
import type { Batch, Split, Task, TaskFamily } from './family.ts'

/** Features of a split, row by row [rows, width], and its classes [rows]. */
export interface Features {
  readonly values: Float32Array
  readonly labels: Int32Array
}

/** Features at θ₀ and their derivative along a change: those of the tangent model at θ₀ + α τ are z₀ + α Jτ. */
export interface Tangents {
  readonly values: Float32Array
  readonly change: Float32Array
  readonly labels: Int32Array
}

/** What a head makes of features. */
export interface Reading {
  /** Share of right answers. */
  readonly accuracy: number
  /** Mean log p of the right answers, in nats. */
  readonly logLikelihood: number
  /** The likeliest class of each row. */
  readonly answers: Int32Array
}

export interface Measures {
  /** Features of all examples of a split. */
  features(parameters: Parameters, task: Task, split: Split): Promise<Features>
  /** f(θ₀) and J τ of all examples of a split: one pass serves every α. */
  tangents(parameters0: Parameters, change: Parameters, task: Task, split: Split): Promise<Tangents>
  /** A task's head on features. */
  read(task: Task, features: Features): Promise<Reading>
  dispose(): void
}

interface MeasureOptions extends Pick<CompileOptions, 'threads'> {
  /** Examples in each call of a program. Default 32. */
  readonly batchSize?: number
  /** Most examples of a split that are read, its first. Default all. */
  readonly most?: number
  readonly signal?: AbortSignal
}

/** Programs of a family, compiled when they are first needed. */
export function openMeasures(
  { features, logits }: Pick<TaskFamily, 'features' | 'logits'>,
  { batchSize = 32, most = Number.POSITIVE_INFINITY, signal, ...options }: MeasureOptions = {},
): Measures {
  const encode = compile(features, { name: 'features', ...options }) as Compiled<
    [Parameters, Tree<Tensor>],
    Tensor
  >
  const push = compile(
    (origin: Parameters, change: Parameters, inputs: Tree<Tensor>) =>
      linearize({ apply: features }, origin).parts(change, inputs),
    { name: 'tangents', ...options },
  ) as Compiled<[Parameters, Parameters, Tree<Tensor>], { value: Tensor; change: Tensor }>
  const judge = compile(
    (z: Tensor, head: Tree<Tensor>, labels: Tensor) => {
      const rows = logits(z, head)
      const chosen = takeAlong(logSoftmax(rows), reshape(labels, [labels.size, 1]))
      return { answers: argmax(rows, -1), logP: reshape(chosen, [labels.size]) }
    },
    { name: 'readings', ...options },
  ) as Compiled<[Tensor, Tree<Tensor>, Tensor], { answers: Tensor; logP: Tensor }>

  /** Calls for each batch of a split, the rows of each that are examples. */
  async function visit(
    task: Task,
    split: Split,
    use: (batch: Batch, rows: number, start: number) => Promise<void>,
  ): Promise<Int32Array> {
    const count = Math.min(most, task.counts[split])
    const groups = Array.from({ length: Math.ceil(count / batchSize) }, (_, g) =>
      Array.from({ length: Math.min(batchSize, count - g * batchSize) }, (_, i) => g * batchSize + i),
    )
    const batch = task.batches(split, groups)
    const labels: number[] = []
    for (const g of groups.keys()) {
      if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted')
      const own = batch(g)
      const rows = (own.weights.data as Float32Array).reduce((n, w) => n + (w > 0 ? 1 : 0), 0)
      await use(own, rows, labels.length)
      labels.push(...(own.labels.data as Int32Array).subarray(0, rows))
    }
    return Int32Array.from(labels)
  }

  return {
    async features(parameters, task, split) {
      const found: Float32Array[] = []
      const labels = await visit(task, split, async ({ inputs }, rows) => {
        const z = await encode(parameters, inputs)
        found.push((z.data as Float32Array).slice(0, rows * task.width))
      })
      return { values: joined(found), labels }
    },
    async tangents(origin, change, task, split) {
      const [values, changes]: [Float32Array[], Float32Array[]] = [[], []]
      const labels = await visit(task, split, async ({ inputs }, rows) => {
        const found = await push(origin, change, inputs)
        values.push((found.value.data as Float32Array).slice(0, rows * task.width))
        changes.push((found.change.data as Float32Array).slice(0, rows * task.width))
      })
      return { values: joined(values), change: joined(changes), labels }
    },
    async read(task, { values, labels }) {
      const z = tensor(values, { shape: [labels.length, task.width] })
      const found = await judge(z, task.head, tensor(labels))
      const answers = Int32Array.from(found.answers.data as Int32Array, Number)
      let [right, sum] = [0, 0]
      for (const [i, label] of labels.entries()) {
        if (answers[i] === label) right++
        sum += found.logP.data[i] as number
      }
      return { accuracy: right / labels.length, logLikelihood: sum / labels.length, answers }
    },
    dispose() {
      for (const program of [encode, push, judge]) program.dispose()
    },
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** z₀ + Σ α_i Jτ_i: features of the tangent model at a sum of task vectors. */
export function alongTangents(
  parts: readonly { readonly alpha: number; readonly along: Tangents }[],
): Features {
  const [{ along: first }] = parts as [(typeof parts)[number]]
  const values = first.values.slice()
  for (const { alpha, along } of parts)
    for (let i = 0; i < values.length; i++) values[i]! += alpha * along.change[i]!
  return { values, labels: first.labels }
}

/** A control's or task's score: accuracy, or exp of the mean log p. */
export const scoreOf = (reading: Reading, score: 'accuracy' | 'likelihood'): number =>
  score === 'accuracy' ? reading.accuracy : Math.exp(reading.logLikelihood)
