/** @file Passes over the vectors of one tensor, block by block: measures, values for a visitor, and the written result. */
import { keep, type NumberType, sourceBytes, type Vector } from './expression.ts'
import type { Measure } from './kernel.ts'
import { type Machine, threadMachine } from './memory.ts'
import { type Block, type PreparedPass, preparePass } from './pass.ts'
import { openRooms, type Rooms } from './rooms.ts'

/** Elements of a block: those of a few inputs stay in the processor's cache. Changing it changes no result. */
export const blockElements = 2 ** 16

/** The vectors of one tensor, and the memory for a block of each. */
export interface Session {
  readonly length: number
  /** From now on blocks hold whole runs of this many elements (a longer run makes a longer block). */
  readonly align: (run: number) => void
  /** Numbers over the whole vector, all in one pass. `digits` are for `counts`. */
  readonly measure: (...measures: Measure[]) => number[]
  /** Numbers of every run of `row` elements, all in one pass: one list for each measure. */
  readonly measureRows: (row: number, ...measures: Measure[]) => Float64Array[]
  /** Counts of 16 bits of elements, all in one pass. */
  readonly counts: (...measures: Measure[]) => Uint32Array[]
  /** Values of every block in turn, valid until the next; false ends it. */
  readonly visit: (
    vectors: readonly Vector[],
    each: (values: Float32Array[], start: number) => unknown,
    start?: number,
    count?: number,
  ) => void
  /** The place in the flat tensor of the element of a mask that has `index` others before it; n if there is none. */
  readonly placeOf: (mask: Vector, index: number) => number
  /** Encoded values of every block in turn, and measures of each block alone. */
  readonly write: (
    output: { readonly vector: Vector; readonly dtype: NumberType },
    measures: readonly Measure[],
    each: (bytes: Uint8Array, start: number, count: number, numbers: number[]) => void,
  ) => void
  readonly close: () => void
}

/** A tensor that is gone through in blocks of `size` elements. */
interface Walk {
  readonly machine: Machine
  readonly rooms: Rooms
  readonly length: number
  size: number
}

/** Every block in turn, from element `from` on; false ends it. */
function eachBlock(walk: Walk, visit: (block: Block) => unknown, from = 0, total = walk.length): void {
  const { size } = walk
  for (let start = from; start < from + total; start += size)
    if (visit({ start, count: Math.min(size, from + total - start), size }) === false) return
}

/** Measures over the blocks, and what they have come to. */
function measuring<T>(walk: Walk, measures: readonly Measure[], use: (pass: PreparedPass) => T): T {
  const pass = preparePass(walk.machine, walk.rooms, { measures })
  const found = use(pass)
  pass.end()
  return found
}

const measure = (walk: Walk, measures: readonly Measure[]): number[] =>
  measuring(walk, measures, (pass) => {
    const counts = measures.map(() => 0)
    eachBlock(walk, (block) => {
      pass.run(block, 0)
      for (const [i, { kind }] of measures.entries()) if (kind === 'count') counts[i]! += pass.read(i, true)
    })
    return measures.map(({ kind }, i) => (kind === 'count' ? counts[i]! : pass.read(i, false)))
  })

const measureRows = (walk: Walk, row: number, measures: readonly Measure[]): Float64Array[] =>
  measuring(walk, measures, (pass) => {
    const found = measures.map(() => new Float64Array(walk.length / row))
    eachBlock(walk, (block) => {
      for (let from = 0; from < block.count; from += row) {
        pass.run(block, 0, from, row)
        for (const [i, numbers] of found.entries()) numbers[(block.start + from) / row] = pass.read(i, true)
      }
    })
    return found
  })

function visit(
  walk: Walk,
  vectors: readonly Vector[],
  each: (values: Float32Array[], start: number) => unknown,
  from?: number,
  total?: number,
): void {
  const { machine, rooms, size } = walk
  const passes = vectors.map((vector) =>
    preparePass(machine, rooms, { measures: [], output: { vector, dtype: 'F32' } }),
  )
  const bytes = 4 * size
  const outputs = passes.map(() => machine.take(bytes))
  eachBlock(
    walk,
    (block) => {
      for (const [i, pass] of passes.entries()) pass.run(block, outputs[i]!)
      const values = outputs.map((address) => {
        const { buffer } = machine.bytes(address, 4 * block.count)
        return new Float32Array(buffer, address, block.count)
      })
      return each(values, block.start)
    },
    from,
    total,
  )
  for (const address of outputs) machine.give(address, bytes)
  for (const pass of passes) pass.end()
}

const placeOf = (walk: Walk, mask: Vector, index: number): number =>
  measuring(walk, [{ kind: 'count', of: mask }], (pass) => {
    let left = index
    let place = walk.length
    eachBlock(walk, (block) => {
      pass.run(block, 0)
      const here = pass.read(0, true)
      if (here <= left) {
        left -= here
        return true
      }
      const find = ([ones]: Float32Array[]): void => {
        for (let i = 0; i < block.count; i++) if (ones![i] !== 0 && left-- === 0) place = block.start + i
      }
      visit(walk, [keep(1, mask)], find, block.start, block.count)
      return false
    })
    return place
  })

function write(walk: Walk, ...[output, measures, each]: Parameters<Session['write']>): void {
  const { machine, rooms, size } = walk
  const pass = preparePass(machine, rooms, { measures, output })
  const width = sourceBytes[output.dtype]
  const bytes = width * size
  const address = machine.take(bytes)
  eachBlock(walk, (block) => {
    pass.run(block, address)
    const numbers = measures.map((_, i) => pass.read(i, true))
    each(machine.bytes(address, width * block.count), block.start, block.count, numbers)
  })
  machine.give(address, bytes)
  pass.end()
}

/** Open the vectors of a tensor of `length` elements. */
export function openSession(length: number, block = blockElements): Session {
  const machine = threadMachine()
  const walk: Walk = { machine, rooms: openRooms(machine), length, size: Math.min(length, block) }
  return {
    length,
    align(run) {
      const wanted = run <= 0 || length === 0 ? walk.size : Math.max(1, Math.floor(block / run)) * run
      walk.size = Math.min(length, wanted)
    },
    measure: (...measures) => measure(walk, measures),
    measureRows: (row, ...measures) => measureRows(walk, row, measures),
    counts: (...measures) =>
      measuring(walk, measures, (pass) => {
        eachBlock(walk, (block) => pass.run(block, 0))
        return measures.map((_, i) => pass.digits(i))
      }),
    visit: (vectors, each, start, count) => visit(walk, vectors, each, start, count),
    placeOf: (mask, index) => placeOf(walk, mask, index),
    write: (output, measures, each) => write(walk, output, measures, each),
    close: walk.rooms.close,
  }
}
