/** @file The memory of a thread's kernels: addresses that are taken and given back, and views that survive its growth. */
import { fail } from '../../base/index.ts'
import { reserve } from '../../base/wasm/index.ts'
import { type Kernel, kernels, type Pass, type Structure } from './kernel.ts'
import { tables } from './tables.ts'

/** Elements are read in groups of four, so reading may go this far beyond the end. */
const overrun = 64

/** One memory with its kernels. */
export interface Machine {
  /** An address with room for `bytes`, a multiple of 64. */
  readonly take: (bytes: number) => number
  /** Give an address back that `take` gave for as many bytes. */
  readonly give: (address: number, bytes: number) => void
  readonly bytes: (address: number, length: number) => Uint8Array<ArrayBuffer>
  readonly view: () => DataView
  /** The counts of a table, whose halves are added up. */
  readonly counts: (table: number) => Uint32Array
  readonly kernel: (pass: Pass, structure: Structure) => Kernel
}

/** Rooms come in powers of two, so that one that was given back fits the next of about its size. */
const roomOf = (bytes: number): number => Math.max(256, 2 ** Math.ceil(Math.log2(bytes + overrun)))

function makeMachine(): Machine {
  const memory = new WebAssembly.Memory({ initial: 1 })
  const free = new Map<number, number[]>()
  let end = 64
  let view = new DataView(memory.buffer)
  const kernel = kernels(memory)
  return {
    take(bytes) {
      const room = roomOf(bytes)
      const known = free.get(room)?.pop()
      if (known !== undefined) return known
      const address = end
      if (address + room > 2 ** 32 - 65536 || !reserve(memory, address + room))
        fail('TL_IO', `${bytes} bytes for a block of values do not fit into memory`)
      end += room
      return address
    },
    give(address, bytes) {
      const room = roomOf(bytes)
      const list = free.get(room)
      if (list) list.push(address)
      else free.set(room, [address])
    },
    bytes: (address, length) => new Uint8Array(memory.buffer, address, length),
    view() {
      if (view.buffer !== memory.buffer) view = new DataView(memory.buffer)
      return view
    },
    counts: tables(memory),
    kernel,
  }
}

let machine: Machine | undefined

/** The machine of this thread. */
export const threadMachine = (): Machine => (machine ??= makeMachine())
