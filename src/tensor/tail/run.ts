/** @file A tail at work: one memory that holds state, gradients and scalars, and the kernels that run over it after the head. */
import { mostPages, pageBytes } from '../../base/wasm/index.ts'
import { bytesPerElement, type TypedArray, viewOf } from '../dtype.ts'
import type { RuntimeMemory } from '../onnx/ort.ts'
import type { Tensor } from '../tensor.ts'
import type { TailPlan } from './partition.ts'
import { compileKernels, hasSimd } from './wasm.ts'

/** Room for whole vectors after the last element, so that kernels never read beyond their own memory. */
const alignment = 64
const padded = (bytes: number): number => Math.ceil(bytes / alignment) * alignment

export interface Tail {
  /** Two sets of state, each with an array for every leaf. */
  readonly state: readonly (readonly TypedArray[])[]
  /** Where the head leaves what the kernels read. */
  readonly boundary: readonly TypedArray[]
  /** Make the new state of the other set from set `from`, the program's inputs (state left out) and the boundary. */
  run(from: number, inputs: readonly TypedArray[]): void
}

interface Room {
  readonly memory: WebAssembly.Memory
  readonly arrays: readonly TypedArray[]
}

/** Arrays side by side in a memory of their own; undefined beyond 4 GiB. */
function ownRoom(tensors: readonly Tensor[]): Room | undefined {
  const bytesOf = (t: Tensor): number => padded(bytesPerElement[t.dtype] * t.size)
  const pages = Math.ceil(tensors.reduce((n, t) => n + bytesOf(t), 0) / pageBytes) + 1
  if (pages > mostPages) return undefined
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
  let next = 0
  const arrays = tensors.map((t) => {
    const view = viewOf(t.dtype, memory.buffer, next, t.size)
    next += bytesOf(t)
    return view
  })
  return { memory, arrays }
}

/** Arrays in the runtime's memory, where the head needs no copy of them; undefined when it is full. */
function runtimeRoom(tensors: readonly Tensor[], { memory, allocate }: RuntimeMemory): Room | undefined {
  const arrays = tensors.map(({ dtype, size }) => allocate(dtype, size))
  return arrays.every((array) => array !== undefined) ? { memory, arrays } : undefined
}

/**
 * Allocate and compile. `state` are the state's leaves as graph inputs, which come first among `inputs`. Undefined where the
 * engine has no SIMD or the memory would exceed 4 GiB: the caller keeps the whole graph in the runtime then.
 */
export function openTail(
  plan: TailPlan,
  inputs: readonly Tensor[],
  stateCount: number,
  runtimeMemory?: RuntimeMemory,
): Tail | undefined {
  if (!hasSimd()) return undefined
  const state = inputs.slice(0, stateCount)
  const wanted = [...state, ...state, ...plan.boundary]
  const room = (runtimeMemory && runtimeRoom(wanted, runtimeMemory)) ?? ownRoom(wanted)
  if (!room) return undefined
  const { memory, arrays } = room
  const sets = [arrays.slice(0, stateCount), arrays.slice(stateCount, 2 * stateCount)]
  const boundary = arrays.slice(2 * stateCount)
  const functions = compileKernels(plan.kernels, memory)
  const inputIndex = new Map(inputs.map((t, i) => [t, i]))
  const boundaryIndex = new Map(plan.boundary.map((t, i) => [t, i]))
  // vectors must be state or come from the head: other inputs lie outside the memory
  for (const t of plan.kernels.flatMap((k) => k.vectors))
    if (inputIndex.get(t)! >= stateCount) return undefined

  const calls = [0, 1].map((from) =>
    plan.kernels.map((kernel, k) => {
      const source = (t: Tensor): TypedArray => {
        const i = boundaryIndex.get(t)
        return i === undefined ? sets[from]![inputIndex.get(t)!]! : boundary[i]!
      }
      const addresses = [
        ...kernel.vectors.map((t) => source(t).byteOffset),
        ...kernel.results.map((r) => sets[1 - from]![r.outputs[0]!]!.byteOffset),
      ]
      const extra = kernel.results.flatMap((r) =>
        r.outputs.slice(1).map((i) => [sets[1 - from]![r.outputs[0]!]!, sets[1 - from]![i]!] as const),
      )
      const scalars = kernel.scalars.map((t) => {
        const i = inputIndex.get(t)
        if (i === undefined) return { fixed: boundary[boundaryIndex.get(t)!]!, input: -1 }
        return i < stateCount
          ? { fixed: sets[from]![i]!, input: -1 }
          : { fixed: undefined, input: i - stateCount }
      })
      return { run: functions[k]!, addresses, bytes: Math.ceil(kernel.size / 4) * 16, scalars, extra }
    }),
  )
  return {
    state: sets,
    boundary,
    run(from, inputsNow) {
      for (const { run, addresses, bytes, scalars, extra } of calls[from]!) {
        run(
          ...addresses,
          bytes,
          ...scalars.map(({ fixed, input }) => Number((fixed ?? inputsNow[input]!)[0])),
        )
        for (const [source, target] of extra) (target as Float32Array).set(source as Float32Array)
      }
    },
  }
}
