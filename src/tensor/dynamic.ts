/** @file Programs for every size of some axes: one session, weights held once, no compilation for each length. */
import { fail } from '../base/index.ts'
import type { Arena } from './arena.ts'
import type { OpenExecutable } from './backend.ts'
import type { CompileOptions } from './compile.ts'
import { backendOf } from './defaultBackend.ts'
import { allocate, type Dtype, type Spec, type TypedArray } from './dtype.ts'
import { type Graph, trace } from './graph.ts'
import type { Sizes } from './onnx/dynamic.ts'
import type { Tensor } from './tensor.ts'
import type { Tree } from './tree.ts'

export type { Sizes } from './onnx/dynamic.ts'

export interface DynamicOptions extends CompileOptions {
  /**
   * Two assignments of sizes at which the function is traced. All sizes of both should differ from each other and from the
   * program's own, so that it is plain which axis is meant.
   */
  readonly samples: readonly [Sizes, Sizes]
  /** Outputs (by place) that are written over inputs (by place): only caches of `cachedAttention`. */
  readonly inPlace?: ReadonlyMap<number, number>
  /**
   * Where constants of the function were made: released once the backend has them (with `given`, by `dispose`), also where it
   * refuses the program.
   */
  readonly arena?: Arena
  /**
   * Matrices of at least so many bytes are read where they are at each call, not copied and packed by the runtime: opening takes
   * a fifth of the memory and no time, running a product with few rows about as long. The last bits are others.
   */
  readonly given?: number
}

export interface DynamicProgram {
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  /**
   * Run at some sizes: typed arrays in the order of the inputs; results go to `outputs` where given. An array that is given
   * as input and as output must be declared in `inPlace`.
   */
  run(
    sizes: Sizes,
    inputs: readonly TypedArray[],
    outputs?: readonly (TypedArray | undefined)[],
  ): Promise<TypedArray[]>
  /** Zeros where `run` reads and writes them without a copy: for caches. A view made from the array must not outlive it. */
  allocate(dtype: Dtype, size: number): TypedArray
  dispose(): void
}

/**
 * Compile a function of tensors whose specs depend on named sizes, for all sizes at once. What it computes must depend on them
 * through shapes only: a constant or an attribute that does is refused (`TL_UNSUPPORTED`) with the operation's name.
 */
export async function compileDynamic<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  fn: (...args: A) => R,
  specsAt: (sizes: Sizes) => readonly Tree<Spec>[],
  options: DynamicOptions,
): Promise<DynamicProgram> {
  const { samples, inPlace = new Map<number, number>() } = options
  const name = options.name ?? (fn.name || 'program')
  const backend = backendOf(options.backend)
  const traceAt = (sizes: Sizes): Graph => trace(fn, specsAt(sizes), name).graph
  const { inputNames, outputNames } = traceAt(samples[0])
  const traced = new Map<string, Graph>()
  const { open } = backend
  if (!open) {
    const run: DynamicProgram['run'] = async (sizes, inputs, outputs) => {
      const key = JSON.stringify(sizes)
      const graph = traced.get(key) ?? traceAt(sizes)
      traced.set(key, graph)
      const executable = await backend.compile(graph, options)
      const results = await executable.run(inputs)
      executable.dispose()
      return results.map((data, i) => {
        const target = outputs?.[i]
        if (!target) return data
        ;(target as Float64Array).set(data as Float64Array)
        return target
      })
    }
    return { inputNames, outputNames, run, allocate, dispose: () => traced.clear() }
  }
  let isKept = false
  try {
    const executable = await open([traceAt(samples[0]), traceAt(samples[1])], samples, inPlace, options)
    isKept = options.given !== undefined
    return guarded(name, executable, { inputNames, outputNames, inPlace })
  } finally {
    if (!isKept) options.arena?.release()
  }
}

/** Of the program only names are kept: what it closes over, its weights, is the runtime's now. */
function guarded(
  name: string,
  executable: OpenExecutable,
  {
    inputNames,
    outputNames,
    inPlace,
  }: Pick<DynamicProgram, 'inputNames' | 'outputNames'> & { inPlace: ReadonlyMap<number, number> },
): DynamicProgram {
  return {
    inputNames,
    outputNames,
    run: (sizes, inputs, outputs) => {
      // by place; -1 where an array is given twice, which no output may be written over
      const places = new Map<TypedArray, number>()
      for (const [i, given] of inputs.entries()) places.set(given, places.has(given) ? -1 : i)
      for (const [o, target] of (outputs ?? []).entries()) {
        const place = target && places.get(target)
        if (place !== undefined && inPlace.get(o) !== place)
          fail(
            'TL_BAD_ARGUMENT',
            `${name}: output ${outputNames[o]} may not be written over input ${inputNames[inputs.indexOf(target!)]}`,
          )
      }
      return executable.run(sizes, inputs, outputs)
    },
    allocate: executable.allocate ?? allocate,
    dispose: executable.dispose,
  }
}
