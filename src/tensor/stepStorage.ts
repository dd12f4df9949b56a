/** @file Where the state of a step lives: two sets of buffers that take turns, and what the runtime is given to compute. */

import { allocate, type Dtype, type Spec, type TypedArray } from './dtype.ts'
import type { Graph } from './graph.ts'
import type { RuntimeMemory } from './onnx/ort.ts'
import { simplify } from './simplify.ts'
import { openTail, splitTail } from './tail/index.ts'

/** Where a leaf lives: which flat buffer, from which element. */
interface Place {
  readonly dtype: Dtype
  readonly offset: number
  readonly size: number
}

/** Leaves one after the other in a buffer for each element type. */
export interface StateLayout {
  readonly places: readonly Place[]
  /** Elements of each buffer. */
  readonly totals: ReadonlyMap<Dtype, number>
  readonly dtypes: readonly Dtype[]
}

/** The layout of some leaves. */
export function layoutOf(list: readonly (Spec & { readonly size: number })[]): StateLayout {
  const totals = new Map<Dtype, number>()
  const places = list.map(({ dtype, size }) => {
    const offset = totals.get(dtype) ?? 0
    totals.set(dtype, offset + size)
    return { dtype, offset, size }
  })
  return { places, totals, dtypes: [...totals.keys()] }
}

/** Memory of a step. `side` is 0 or 1: the buffers that hold the state now, or those that receive the next one. */
interface Storage {
  /** What the runtime computes. */
  readonly graph: Graph
  /** A view of each leaf, by side. */
  readonly views: readonly (readonly TypedArray[])[]
  /** What the graph is given as state, by side. */
  readonly arrays: readonly (readonly TypedArray[])[]
  /** Where the runtime writes: the next state, the outputs, and what the kernels after it need. */
  readonly targets: (side: number, outputs: readonly TypedArray[]) => readonly TypedArray[]
  /** What is left to do after the runtime. */
  readonly finish: (side: number, inputs: readonly TypedArray[]) => void
}

/** What views are views of: the runtime's memory is freed with the array that it was given for. */
const owners = new WeakMap<TypedArray, TypedArray>()

/** The elementwise end of a step in a kernel of its own, where there is one worth it. */
function openFused(whole: Graph, count: number, memory: RuntimeMemory | undefined): Storage | undefined {
  const simplified = simplify(whole, 'cpu')
  const plan = splitTail(simplified, count)
  const tail = plan && openTail(plan, simplified.inputs, count, memory)
  if (!tail) return undefined
  const kept = plan.kept.filter((i) => i < count)
  return {
    graph: plan.head,
    views: tail.state,
    arrays: tail.state,
    targets: (side, outputs) => [...kept.map((i) => tail.state[side]![i]!), ...outputs, ...tail.boundary],
    finish: tail.run,
  }
}

/**
 * Memory for two sets of state; the first `count` inputs and outputs of the graph are state. With `fuses` the elementwise end of
 * the step leaves the graph.
 */
export function openStorage(
  whole: Graph,
  count: number,
  { layout: { places, totals, dtypes }, isFlat }: { readonly layout: StateLayout; readonly isFlat: boolean },
  fuses: boolean,
  memory: RuntimeMemory | undefined,
): Storage {
  const fused = fuses ? openFused(whole, count, memory) : undefined
  if (fused) return fused
  const make = (dtype: Dtype, size: number): TypedArray =>
    memory?.allocate(dtype, size) ?? allocate(dtype, size)
  const buffers = [0, 1].map(() => new Map(dtypes.map((dtype) => [dtype, make(dtype, totals.get(dtype)!)])))
  const views = buffers.map((set) =>
    places.map(({ dtype, offset, size }) => {
      const view = set.get(dtype)!.subarray(offset, offset + size) as TypedArray
      owners.set(view, set.get(dtype)!)
      return view
    }),
  )
  const arrays = isFlat ? buffers.map((set) => dtypes.map((dtype) => set.get(dtype)!)) : views
  return {
    ...{ graph: whole, views, arrays, finish: () => undefined },
    targets: (side, outputs) => [...arrays[side]!, ...outputs],
  }
}
