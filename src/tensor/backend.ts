/**
 * @file What runs programs. A backend turns a graph into an executable over typed arrays; ONNX Runtime (native or in a
 * browser) and the reference interpreter are the two kinds there are.
 */
import type { Arena } from './arena.ts'
import { allocate, type Dtype, fromFloat64, type TypedArray, toFloat64 } from './dtype.ts'
import type { Graph } from './graph.ts'
import type { Sizes } from './onnx/dynamic.ts'
import type { RuntimeMemory } from './onnx/ort.ts'
import { evaluateNodes } from './reference.ts'

export interface BackendOptions {
  /** Threads for one operation; 1 when not given. */
  readonly threads?: number
}

interface OpenOptions extends BackendOptions {
  /**
   * Matrices of at least so many bytes that only products read are given to each call, where a backend can read them as they
   * are, instead of being copied into it.
   */
  readonly given?: number
  /** Where the program's constants were made: with `given`, released by `dispose`. */
  readonly arena?: Arena
}

export interface Executable {
  /** Typed arrays in the order of the graph's inputs; results go to `outputs` where given, else to new arrays. */
  run(inputs: readonly TypedArray[], outputs?: readonly TypedArray[]): Promise<TypedArray[]>
  dispose(): void
}

/** A program for every size of some axes. */
export interface OpenExecutable {
  run(
    sizes: Sizes,
    inputs: readonly TypedArray[],
    outputs?: readonly (TypedArray | undefined)[],
  ): Promise<TypedArray[]>
  /** Zeros where `run` reads and writes them without a copy, if there is such a place. */
  allocate?(dtype: Dtype, size: number): TypedArray
  dispose(): void
}

export interface Backend {
  readonly name: string
  /** Steps run their elementwise ends as kernels of our own, which round as this backend does. */
  readonly fusesUpdates?: boolean
  /** Memory that programs read and write without a copy, where the backend has its own. */
  memory?(options: BackendOptions): Promise<RuntimeMemory | undefined>
  compile(graph: Graph, options: BackendOptions): Promise<Executable>
  /**
   * One executable for every size of some axes, from the same program traced at two assignments of sizes. `inPlace`: outputs
   * that are written over inputs. Without it such programs are traced again at each size.
   */
  open?(
    graphs: readonly [Graph, Graph],
    samples: readonly [Sizes, Sizes],
    inPlace: ReadonlyMap<number, number>,
    options: OpenOptions,
  ): Promise<OpenExecutable>
}

/** The float64 interpreter: slow, exact, and independent of the runtime. */
export const referenceBackend: Backend = {
  name: 'reference',
  async compile(graph) {
    return {
      async run(inputs, outputs) {
        const values = evaluateNodes(
          graph.outputs,
          new Map(graph.inputs.map((t, i) => [t, toFloat64(inputs[i]!)])),
        )
        return values.map((v, i) => {
          const { dtype } = graph.outputs[i]!
          const result = fromFloat64(v, dtype)
          const target = outputs?.[i]
          if (!target) return result === inputs.find((x) => x === result) ? copyOf(result, dtype) : result
          ;(target as Float64Array).set(result as Float64Array)
          return target
        })
      },
      dispose() {},
    }
  },
}

const copyOf = (data: TypedArray, dtype: Parameters<typeof allocate>[0]): TypedArray => {
  const copy = allocate(dtype, data.length)
  ;(copy as Float64Array).set(data as Float64Array)
  return copy
}
