/** @file Running a function over all examples of a table in batches of one size; the last is padded, not dropped. */
import { fail } from '../../base/index.ts'
import {
  allocate,
  type Compiled,
  type CompileOptions,
  compile,
  entries,
  leaves,
  mapTree,
  showSpec,
  sizeOf,
  type Tensor,
  type TypedArray,
  tensor,
  unflatten,
} from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'
import { copyRows, tableSize } from './batches.ts'
import type { Batch } from './options.ts'

export interface InBatchesOptions extends CompileOptions {
  /** Default 256, or all examples when they are fewer. */
  readonly batchSize?: number
  readonly onBatch?: (done: number, total: number) => void
}

type Results = Readonly<Record<string, Tensor>>

/** A function over whole tables, compiled once and used again and again. */
export interface TableFunction<P extends Parameters, B extends Batch> {
  /** Results for all examples, [N, ...] each. */
  all(parameters: P, data: B): Promise<Results>
  /** Means over the examples of results [batch]. */
  means(parameters: P, data: B): Promise<Record<string, number>>
  dispose(): void
}

/** Compile `fn`, whose results all carry the batch as first axis, for tables of any length. */
export function overTable<P extends Parameters, B extends Batch>(
  fn: (parameters: P, batch: B) => Results,
  { batchSize = 256, onBatch, ...options }: InBatchesOptions = {},
): TableFunction<P, B> {
  const program = compile(fn as (p: P, b: B) => Record<string, Tensor>, {
    name: 'evaluation',
    ...options,
  }) as Compiled<[P, B], Record<string, Tensor>>
  /** The batches' arrays, kept from one evaluation to the next. */
  let kept: { rows: number; batch: B; list: Tensor[] } | undefined

  async function visit(
    parameters: P,
    data: B,
    use: (results: [string, Tensor][], start: number, count: number) => void,
  ): Promise<number> {
    const n = tableSize(data)
    const rows = Math.min(batchSize, n)
    const list = leaves(data as Batch)
    if (kept?.rows !== rows || kept.list.some((t, i) => t.size / rows !== list[i]!.size / n)) {
      const tensors = list.map(({ shape, dtype }) => {
        const whole = [rows, ...shape.slice(1)]
        return tensor(allocate(dtype, sizeOf(whole)), { shape: whole })
      })
      kept = { rows, batch: unflatten(data as Batch, tensors) as B, list: tensors }
    }
    const wanted = new Uint32Array(rows)
    for (let start = 0; start < n; start += rows) {
      const count = Math.min(rows, n - start)
      // a ragged end is filled up with its last example; the results of the copies are not used
      for (let i = 0; i < rows; i++) wanted[i] = Math.min(start + i, n - 1)
      for (const [i, t] of list.entries()) copyRows(t.data, kept.list[i]!.data, wanted, t.size / n)
      const results = entries((await program(parameters, kept.batch)) as Batch)
      for (const [name, t] of results)
        if (t.shape[0] !== rows)
          fail(
            'TL_SHAPE_MISMATCH',
            `evaluation: "${name}" should have a value for each of ${rows} examples, got ${showSpec(t)}`,
          )
      use(results, start, count)
      onBatch?.(start + count, n)
    }
    return n
  }

  return {
    async all(parameters, data) {
      const whole: Record<string, Tensor> = {}
      const n = tableSize(data)
      await visit(parameters, data, (results, start, count) => {
        for (const [name, t] of results) {
          const shape = [n, ...t.shape.slice(1)]
          whole[name] ??= tensor(allocate(t.dtype, sizeOf(shape)), { shape })
          const size = sizeOf(shape.slice(1))
          ;(whole[name].data as Float32Array).set(
            t.data.subarray(0, count * size) as Float32Array,
            start * size,
          )
        }
      })
      return whole
    },
    async means(parameters, data) {
      const sums: Record<string, number> = {}
      const n = await visit(parameters, data, (results, _, count) => {
        for (const [name, t] of results) {
          if (t.rank !== 1)
            fail(
              'TL_SHAPE_MISMATCH',
              `evaluation: "${name}" should be one number for each example, got ${showSpec(t)}`,
            )
          let sum = sums[name] ?? 0
          for (let i = 0; i < count; i++) sum += Number((t.data as TypedArray)[i])
          sums[name] = sum
        }
      })
      return mapTree(sums, (sum) => (sum as number) / n) as Record<string, number>
    },
    dispose: () => program.dispose(),
  }
}

/** `fn` over all examples of a table: results [N, ...] by name. Compiles, runs, forgets. */
export async function applyInBatches<P extends Parameters, B extends Batch>(
  fn: (parameters: P, batch: B) => Results,
  parameters: P,
  data: B,
  options: InBatchesOptions = {},
): Promise<Results> {
  const table = overTable(fn, options)
  try {
    return await table.all(parameters, data)
  } finally {
    table.dispose()
  }
}

/** Means over all examples of a table of measures [batch] by name. */
export async function evaluateMeans<P extends Parameters, B extends Batch>(
  measure: (parameters: P, batch: B) => Results,
  parameters: P,
  data: B,
  options: InBatchesOptions = {},
): Promise<Record<string, number>> {
  const table = overTable(measure, options)
  try {
    return await table.means(parameters, data)
  } finally {
    table.dispose()
  }
}
