/** @file The module's memory as typed arrays, each freed once it is garbage. */
import { bytesPerElement, type Dtype, type TypedArray, viewOf } from '../../dtype.ts'
import type { RuntimeMemory } from '../ort.ts'
import type { OpenCore } from './core.ts'

/** Where arrays begin, and room after their last element: kernels of our own work on whole vectors. */
const alignment = 64

export interface Heap extends RuntimeMemory {
  /** The address of an array of this memory; undefined for others. */
  addressOf(data: ArrayBufferView): number | undefined
  /** All of the memory, as large as it is now. */
  bytes(): Uint8Array
}

export function openHeap({ core, memory }: OpenCore): Heap {
  // the buffer is another object whenever the memory has grown; older ones show the same bytes
  const buffers = new WeakSet<ArrayBufferLike>()
  let current = new Uint8Array(memory.buffer)
  buffers.add(memory.buffer)
  const bytes = (): Uint8Array => {
    if (current.buffer !== memory.buffer) {
      current = new Uint8Array(memory.buffer)
      buffers.add(memory.buffer)
    }
    return current
  }
  const garbage = new FinalizationRegistry<number>((address) => core._free(address))
  return {
    memory,
    bytes,
    addressOf: (data) => (buffers.has(data.buffer) ? data.byteOffset : undefined),
    allocate(dtype: Dtype, size: number): TypedArray | undefined {
      const length = size * bytesPerElement[dtype]
      const place = core._malloc(length + 2 * alignment)
      if (place === 0) return undefined
      const start = Math.ceil(place / alignment) * alignment
      const all = bytes()
      all.fill(0, start, start + length)
      const array = viewOf(dtype, all.buffer, start, size)
      garbage.register(array, place)
      return array
    },
  }
}
