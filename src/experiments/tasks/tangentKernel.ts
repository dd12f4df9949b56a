/** @file The tangent kernel of an encoder along one direction of its features, without holding a gradient for each example. */
import { fail } from '../../base/index.ts'
import { linearize, type Parameters } from '../../nn/index.ts'
import {
  type Compiled,
  compile,
  matmul,
  mul,
  reshape,
  sum,
  type Tensor,
  type Tree,
  tensor,
  vjp,
} from '../../tensor/index.ts'
import type { Batch, Split, Task, TaskFamily } from './family.ts'

/** Examples of a task: the first `count` from `from` on of a split. */
export interface Examples {
  readonly task: Task
  readonly split: Split
  readonly from: number
  readonly count: number
}

const listOf = ({ from, count }: Examples): number[] => Array.from({ length: count }, (_, i) => from + i)

/**
 * k(x, x′) = ⟨∇⟨v, f(x)⟩, ∇⟨v, f(x′)⟩⟩ of all examples against all, [n, n]: a reverse pass for each example, then forward passes of
 * all along its gradient. Every example has one row. (Jacot et al. 2018; v is a fixed direction of the features [width])
 */
export async function tangentKernel(
  { features }: Pick<TaskFamily, 'features'>,
  parameters: Parameters,
  examples: readonly Examples[],
  direction: Float32Array,
  { threads = 1, signal }: { readonly threads?: number; readonly signal?: AbortSignal } = {},
): Promise<Float64Array> {
  const v = tensor(direction)
  const along = (z: Tensor): Tensor => reshape(matmul(z, reshape(v, [direction.length, 1])), [z.shape[0]!])
  const gradient = compile(
    (p: Parameters, inputs: Tree<Tensor>, weights: Tensor) => {
      const { value, pullback } = vjp((own: Parameters) => sum(mul(along(features(own, inputs)), weights)), p)
      return pullback(value.mul(0).add(1))[0]
    },
    { name: 'gradient', threads },
  ) as Compiled<[Parameters, Tree<Tensor>, Tensor], Parameters>
  const push = compile(
    (p: Parameters, change: Parameters, inputs: Tree<Tensor>) =>
      along(linearize({ apply: features }, p).parts(change, inputs).change),
    { name: 'kernel', threads },
  ) as Compiled<[Parameters, Parameters, Tree<Tensor>], Tensor>
  const n = examples.reduce((total, { count }) => total + count, 0)
  const out = new Float64Array(n * n)
  const whole = examples.map((own) => own.task.batches(own.split, [listOf(own)])(0))
  const single = examples.flatMap((own): Batch[] => {
    const batch = own.task.batches(
      own.split,
      listOf(own).map((i) => [i]),
    )
    return Array.from({ length: own.count }, (_, i) => batch(i))
  })
  try {
    for (const [i, { inputs, weights }] of single.entries()) {
      if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted')
      const change = await gradient(parameters, inputs, weights)
      let at = i * n
      for (const [g, { count }] of examples.entries()) {
        const column = await push(parameters, change, whole[g]!.inputs)
        for (let j = 0; j < count; j++) out[at++] = column.data[j] as number
      }
    }
  } finally {
    gradient.dispose()
    push.dispose()
  }
  return out
}
