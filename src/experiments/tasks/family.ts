/**
 * @file What a family of tasks is: one pretrained encoder, tasks with frozen heads, and a control that should not suffer. Studies of
 * task arithmetic and of scaling by depth are written against it; images and texts are families.
 */
import { fail } from '../../base/index.ts'
import type { Key, Parameters } from '../../nn/index.ts'
import type { Tensor, Tree } from '../../tensor/index.ts'

export const splits = ['train', 'validation', 'test'] as const
export type Split = (typeof splits)[number]

/** Examples as programs take them: concrete tensors. */
export interface Batch {
  /** What `features` takes: images, or streams of packed sequences with their layout. */
  readonly inputs: Tree<Tensor>
  /** Classes, i32 [rows]. */
  readonly labels: Tensor
  /** 1 for an example, 0 where the batch is filled up to its size, f32 [rows]. Examples come first. */
  readonly weights: Tensor
}

/** One task: examples in three splits, and what turns features into logits. */
export interface Task {
  readonly name: string
  readonly counts: Readonly<Record<Split, number>>
  /** Frozen. What `logits` takes: prototypes of classes, or a norm and an unembedding. */
  readonly head: Tree<Tensor>
  /** Features that the head takes. */
  readonly width: number
  /** Batches of given examples, all of one shape, that of the largest: group i ↦ its batch. */
  readonly batches: (split: Split, groups: readonly ArrayLike<number>[]) => (index: number) => Batch
}

/** What a control is judged by: the share of right answers, or exp of the mean log p of right answers (one over perplexity). */
type Score = 'accuracy' | 'likelihood'

export interface TaskFamily {
  /** What it is, for reports. */
  readonly title: string
  /** θ₀ of the encoder: what is fine-tuned, linearized and merged. */
  readonly pretrained: Parameters
  /** The encoder: traced, a pure function ↦ [rows, features]. This is what a linear regime linearizes. */
  readonly features: (parameters: Parameters, inputs: Tree<Tensor>) => Tensor
  /** The frozen rest: features [rows, features] and a task's head ↦ logits [rows, classes]. */
  readonly logits: (features: Tensor, head: Tree<Tensor>) => Tensor
  readonly tasks: readonly Task[]
  /** The task that no fine-tuning is about, and how it is judged. */
  readonly control: Task & { readonly score: Score }
  /** Parameters like θ₀ that have seen nothing. */
  readonly random: (key: Key) => Parameters
  readonly close?: () => void
}

/**
 * Refuse a family whose parts do not go together: fewer than two tasks, a task without examples, heads that do not take the
 * same features, two tasks of one name. Throws `TL_BAD_CONFIG` in one line.
 */
export function checkFamily({ tasks, control }: Pick<TaskFamily, 'tasks' | 'control'>, what: string): void {
  if (tasks.length < 2)
    fail(
      'TL_BAD_CONFIG',
      `${what}: expected at least two tasks, got ${tasks.length}: vectors of one cannot be added`,
    )
  const seen = new Set<string>()
  for (const { name, counts } of [...tasks, control]) {
    if (seen.has(name)) fail('TL_BAD_CONFIG', `${what}: two tasks are called "${name}": rename one`)
    seen.add(name)
    const empty = splits.find((split) => counts[split] < 1 && (name !== control.name || split !== 'train'))
    if (empty)
      fail('TL_BAD_CONFIG', `${what}: task "${name}" has no ${empty} examples: give it more, or leave it out`)
  }
  const [first, ...others] = [...tasks, control]
  const other = others.find(({ width }) => width !== first!.width)
  if (other)
    fail(
      'TL_BAD_CONFIG',
      `${what}: heads disagree: that of "${first!.name}" takes ${first!.width} features, that of "${other.name}" ${other.width}: all need the encoder's`,
    )
}
