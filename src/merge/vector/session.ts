/** @file Passes over the vectors of one tensor, block by block: measures, values for a visitor, and the written result. */
import { keep, type NumberType, type Source, sourceBytes, type Vector } from './expression.ts'
import { type Measure, type Pass, type Structure, structureOf } from './kernel.ts'
import { type Machine, threadMachine } from './memory.ts'
import { tableBytes } from './tables.ts'

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

/** A source's place in memory, and the block that it holds. */
interface Room {
  readonly address: number
  readonly bytes: number
  readonly elements: number
  start: number
  count: number
}

const addressBytes = (elements: number, dtype: Source['dtype']): number => elements * sourceBytes[dtype]

/** Open the vectors of a tensor of `length` elements. */
export function openSession(length: number, block = blockElements): Session {
  const machine: Machine = threadMachine()
  const rooms = new Map<Source, Room>()
  let size = Math.min(length, block)

  function roomOf(source: Source, elements: number): Room {
    const known = rooms.get(source)
    if (known && known.elements >= elements) return known
    if (known) machine.give(known.address, known.bytes)
    const bytes = addressBytes(elements, source.dtype)
    const room = { address: machine.take(bytes), bytes, elements, start: -1, count: 0 }
    rooms.set(source, room)
    return room
  }

  /** Bring a block of a source into memory. */
  function bring(source: Source, start: number, count: number): number {
    const room = roomOf(source, Math.max(count, size))
    if (room.start !== start || room.count < count) {
      room.start = -1
      const length = addressBytes(count, source.dtype)
      if (source.fill) source.fill(start, count, machine.bytes(room.address, length))
      else {
        // memory may grow meanwhile, so the view is made afterwards
        const { buffer, byteOffset } = source.values!(start, count)
        machine.bytes(room.address, length).set(new Uint8Array(buffer, byteOffset, length))
      }
      room.start = start
      room.count = count
    }
    return room.address
  }

  interface Prepared {
    readonly structure: Structure
    /** Elements [from, from + part) of the block of `count` elements at `start`, the result to an address. */
    readonly run: (start: number, count: number, output: number, from?: number, part?: number) => void
    readonly frame: number
    readonly end: () => void
  }

  /** A frame for a pass, with its numbers in it. */
  function prepare(pass: Pass): Prepared {
    const structure = structureOf(pass)
    const kernel = machine.kernel(pass, structure)
    const frame = machine.take(structure.bytes)
    machine.bytes(frame, structure.bytes).fill(0)
    const tables = pass.measures.flatMap((measure, i) => {
      if (measure.kind !== 'digits') return []
      const table = machine.take(tableBytes)
      machine.bytes(table, tableBytes).fill(0)
      const view = machine.view()
      view.setInt32(frame + structure.measureAt(i), table, true)
      view.setInt32(frame + structure.measureAt(i) + 4, measure.upper ?? 0, true)
      return [table]
    })
    const view = machine.view()
    const places: [number, number][] = []
    for (const [i, { as, value }] of structure.scalars.entries()) {
      const at = frame + structure.scalarAt(i)
      if (as === 'f64') view.setFloat64(at, value, true)
      else if (as === 'f32') view.setFloat32(at, value, true)
      else if (as === 'bits') view.setInt32(at, value, true)
      else places.push([at, value])
    }
    for (const [i, measure] of pass.measures.entries())
      if (measure.kind === 'largest') clearLargest(frame, structure, i)
    return {
      structure,
      frame,
      run(start, count, output, from = 0, part = count) {
        const addresses = structure.sources.map(
          (source) => bring(source, start, count) + from * sourceBytes[source.dtype],
        )
        const now = machine.view()
        now.setInt32(frame, part, true)
        for (const [i, address] of addresses.entries())
          now.setInt32(frame + structure.sourceAt(i), address, true)
        now.setInt32(frame + structure.outputAt, output, true)
        for (const [at, place] of places)
          now.setInt32(at, Math.max(0, Math.min(part, place - start - from)), true)
        kernel(frame)
      },
      end() {
        for (const table of tables) machine.give(table, tableBytes)
        machine.give(frame, structure.bytes)
      },
    }
  }

  function clearLargest(frame: number, structure: Structure, i: number): void {
    const view = machine.view()
    for (let k = 0; k < 4; k++) view.setFloat32(frame + structure.measureAt(i) + 4 * k, -Infinity, true)
  }

  /** What a measure has come to; counts are of one block and are cleared. */
  function read({ frame, structure }: Prepared, { kind }: Measure, i: number, clear: boolean): number {
    const view = machine.view()
    const at = frame + structure.measureAt(i)
    let found: number
    if (kind === 'count') {
      found = 0
      for (let k = 0; k < 4; k++) found += view.getInt32(at + 4 * k, true)
    } else if (kind === 'largest') {
      found = Math.max(...[0, 4, 8, 12].map((k) => view.getFloat32(at + k, true)))
    } else {
      const lane = (k: number): number => view.getFloat64(at + 8 * k, true)
      found = lane(0) + lane(1) + (lane(2) + lane(3))
    }
    if (clear || kind === 'count') {
      machine.bytes(at, 32).fill(0)
      if (kind === 'largest') clearLargest(frame, structure, i)
    }
    return found
  }

  function eachBlock(visit: (start: number, count: number) => unknown, from = 0, total = length): void {
    for (let start = from; start < from + total; start += size)
      if (visit(start, Math.min(size, from + total - start)) === false) return
  }

  const visit: Session['visit'] = (vectors, each, from, total) => {
    const passes = vectors.map((vector) => prepare({ measures: [], output: { vector, dtype: 'F32' } }))
    const bytes = 4 * size
    const outputs = passes.map(() => machine.take(bytes))
    eachBlock(
      (start, count) => {
        for (const [i, pass] of passes.entries()) pass.run(start, count, outputs[i]!)
        const values = outputs.map((address) => {
          const { buffer } = machine.bytes(address, 4 * count)
          return new Float32Array(buffer, address, count)
        })
        return each(values, start)
      },
      from,
      total,
    )
    for (const address of outputs) machine.give(address, bytes)
    for (const pass of passes) pass.end()
  }

  return {
    length,
    align(run) {
      const wanted = run <= 0 || length === 0 ? size : Math.max(1, Math.floor(block / run)) * run
      size = Math.min(length, wanted)
    },
    measure(...measures) {
      const prepared = prepare({ measures })
      const counts = measures.map(() => 0)
      eachBlock((start, count) => {
        prepared.run(start, count, 0)
        for (const [i, measure] of measures.entries())
          if (measure.kind === 'count') counts[i]! += read(prepared, measure, i, true)
      })
      const found = measures.map((measure, i) =>
        measure.kind === 'count' ? counts[i]! : read(prepared, measure, i, false),
      )
      prepared.end()
      return found
    },
    measureRows(row, ...measures) {
      const prepared = prepare({ measures })
      const found = measures.map(() => new Float64Array(length / row))
      eachBlock((start, count) => {
        for (let from = 0; from < count; from += row) {
          prepared.run(start, count, 0, from, row)
          for (const [i, measure] of measures.entries())
            found[i]![(start + from) / row] = read(prepared, measure, i, true)
        }
      })
      prepared.end()
      return found
    },
    counts(...measures) {
      const prepared = prepare({ measures })
      eachBlock((start, count) => prepared.run(start, count, 0))
      const found = measures.map((_, i) => {
        const at = machine.view().getInt32(prepared.frame + prepared.structure.measureAt(i), true) >>> 0
        return machine.counts(at)
      })
      prepared.end()
      return found
    },
    visit,
    placeOf(mask, index) {
      const measures: Measure[] = [{ kind: 'count', of: mask }]
      const prepared = prepare({ measures })
      let left = index
      let place = length
      eachBlock((start, count) => {
        prepared.run(start, count, 0)
        const here = read(prepared, measures[0]!, 0, true)
        if (here <= left) {
          left -= here
          return true
        }
        visit(
          [keep(1, mask)],
          ([ones]) => {
            for (let i = 0; i < count; i++) if (ones![i] !== 0 && left-- === 0) place = start + i
          },
          start,
          count,
        )
        return false
      })
      prepared.end()
      return place
    },
    write(output, measures, each) {
      const prepared = prepare({ measures, output })
      const width = sourceBytes[output.dtype]
      const bytes = width * size
      const address = machine.take(bytes)
      eachBlock((start, count) => {
        prepared.run(start, count, address)
        const numbers = measures.map((measure, i) => read(prepared, measure, i, true))
        each(machine.bytes(address, width * count), start, count, numbers)
      })
      machine.give(address, bytes)
      prepared.end()
    },
    close() {
      for (const { address, bytes } of rooms.values()) machine.give(address, bytes)
      rooms.clear()
    },
  }
}
