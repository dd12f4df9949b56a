/** @file Running test jobs on both backends: many small functions in one program, results compared as plain numbers. */
import { fromFloat64, isFloat, type Spec } from '../../src/tensor/dtype.ts'
import { trace } from '../../src/tensor/graph.ts'
import { compile } from '../../src/tensor/index.ts'
import { evaluateNodes } from '../../src/tensor/reference.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { toTensor, type Value } from './draw.ts'

export interface Job {
  readonly label: string
  readonly inputs: readonly Value[]
  readonly fn: (...inputs: Tensor[]) => readonly Tensor[]
}

/** A function traced once on the reference, to be evaluated at many points in float64. */
export function onReference(
  fn: (...inputs: Tensor[]) => readonly Tensor[],
  specs: readonly Spec[],
): { specs: readonly Tensor[]; at: (...values: (readonly number[] | Float64Array)[]) => Value[] } {
  const { graph } = trace(fn as (...inputs: Tensor[]) => Tensor[], specs, 'reference')
  return {
    specs: graph.outputs,
    at: (...values) =>
      evaluateNodes(
        graph.outputs,
        new Map(graph.inputs.map((hole, i) => [hole, Float64Array.from(values[i]!)])),
      ).map((v, i) => ({ shape: graph.outputs[i]!.shape, dtype: graph.outputs[i]!.dtype, values: [...v] })),
  }
}

export const referenceOf = ({ fn, inputs }: Job): Value[] =>
  onReference(fn, inputs).at(...inputs.map((x) => x.values))

const asValue = (t: Tensor): Value => ({
  shape: t.shape,
  dtype: t.dtype,
  values: Array.from(t.data as Float64Array, Number),
})

/** All jobs in one program on ONNX Runtime. When it does not compile, the jobs that are to blame are named. */
export async function onRuntime(jobs: readonly Job[]): Promise<Value[][]> {
  const program = compile((...args: (readonly Tensor[])[]) => jobs.map((job, i) => job.fn(...args[i]!)), {
    name: jobs[0]?.label ?? 'jobs',
  })
  try {
    const results = await program(...jobs.map((job) => job.inputs.map(toTensor)))
    return results.map((list) => list.map(asValue))
  } catch (error) {
    if (jobs.length === 1) throw error
    const guilty: string[] = []
    for (const job of jobs) {
      await onRuntime([job]).catch((e: Error) => guilty.push(`${job.label}: ${e.message}`))
      if (guilty.length === 5) break
    }
    throw guilty.length ? new Error(guilty.join('\n')) : error
  } finally {
    program.dispose()
  }
}

/** The differences between two results, relative to the size of what was expected (at least 1); integers exactly. */
export function differences(
  label: string,
  got: readonly Value[],
  want: readonly Value[],
  tolerance: number,
): string[] {
  if (got.length !== want.length) return [`${label}: ${got.length} results, expected ${want.length}`]
  return got.flatMap((g, i) => {
    const w = want[i]!
    if (g.dtype !== w.dtype || g.shape.join() !== w.shape.join())
      return [`${label}: result ${i} is ${g.dtype}[${g.shape}], expected ${w.dtype}[${w.shape}]`]
    return numbersDiffer(`${label}: result ${i}`, g.values, w.values, isFloat(w.dtype) ? tolerance : 0)
  })
}

export function numbersDiffer(
  label: string,
  got: readonly number[],
  want: readonly number[],
  tolerance: number,
  floor = 1,
): string[] {
  if (got.length !== want.length) return [`${label}: ${got.length} values, expected ${want.length}`]
  const scale = want.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), floor)
  const wrong = want.findIndex((w, i) => {
    const g = got[i]!
    if (Number.isNaN(w) || Number.isNaN(g)) return Number.isNaN(w) !== Number.isNaN(g)
    return w !== g && !(Math.abs(w - g) <= tolerance * scale)
  })
  return wrong < 0
    ? []
    : [
        `${label}: element ${wrong} is ${got[wrong]}, expected ${want[wrong]} (tolerance ${tolerance} of ${scale})`,
      ]
}

/** As an f32 program sees them: float values rounded to f32. */
export const rounded = (x: Value): Value => ({
  ...x,
  values: Array.from(fromFloat64(x.values, x.dtype) as Float64Array, Number),
})
