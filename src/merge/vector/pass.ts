/** @file A pass made ready: its kernel, and the frame in memory through which the kernel is told what to do and says what it found. */
import { sourceBytes } from './expression.ts'
import { type Pass, type Structure, structureOf } from './kernel.ts'
import type { Machine } from './memory.ts'
import type { Rooms } from './rooms.ts'
import { tableBytes } from './tables.ts'

/** A block of a tensor, and how many elements the longest block has. */
export interface Block {
  readonly start: number
  readonly count: number
  readonly size: number
}

export interface PreparedPass {
  /** Elements [from, from + part) of a block, all of them by default; the result to an address. */
  run(block: Block, output: number, from?: number, part?: number): void
  /** What a measure has come to; counts, and what `clear` asks for, begin again. */
  read(measure: number, clear: boolean): number
  /** Counts of 16 bits that a measure of digits has come to. */
  digits(measure: number): Uint32Array
  end(): void
}

/** Measures find the largest of nothing to be −∞. */
function clearLargest(machine: Machine, at: number): void {
  const view = machine.view()
  for (let k = 0; k < 4; k++) view.setFloat32(at + 4 * k, -Infinity, true)
}

/** Scalars in their places in a frame; the ends of masks, which depend on the block, are returned: address and place. */
function setScalars(
  machine: Machine,
  frame: number,
  structure: Structure,
): [address: number, place: number][] {
  const view = machine.view()
  const ends: [number, number][] = []
  for (const [i, { as, value }] of structure.scalars.entries()) {
    const at = frame + structure.scalarAt(i)
    if (as === 'f64') view.setFloat64(at, value, true)
    else if (as === 'f32') view.setFloat32(at, value, true)
    else if (as === 'bits') view.setInt32(at, value, true)
    else ends.push([at, value])
  }
  return ends
}

/** A table for each measure of digits, named in the frame: their addresses. */
function setTables(machine: Machine, frame: number, structure: Structure, { measures }: Pass): number[] {
  return measures.flatMap((measure, i) => {
    if (measure.kind !== 'digits') return []
    const table = machine.take(tableBytes)
    machine.bytes(table, tableBytes).fill(0)
    const view = machine.view()
    view.setInt32(frame + structure.measureAt(i), table, true)
    view.setInt32(frame + structure.measureAt(i) + 4, measure.upper ?? 0, true)
    return [table]
  })
}

/** The number that the four lanes of a measure come to. */
function readLanes(view: DataView, at: number, kind: string): number {
  if (kind === 'count') return [0, 4, 8, 12].reduce((sum, k) => sum + view.getInt32(at + k, true), 0)
  if (kind === 'largest') return Math.max(...[0, 4, 8, 12].map((k) => view.getFloat32(at + k, true)))
  const lane = (k: number): number => view.getFloat64(at + 8 * k, true)
  return lane(0) + lane(1) + (lane(2) + lane(3))
}

export function preparePass(machine: Machine, rooms: Rooms, pass: Pass): PreparedPass {
  const structure = structureOf(pass)
  const kernel = machine.kernel(pass, structure)
  const frame = machine.take(structure.bytes)
  machine.bytes(frame, structure.bytes).fill(0)
  const tables = setTables(machine, frame, structure, pass)
  const ends = setScalars(machine, frame, structure)
  const addressOf = (measure: number): number => frame + structure.measureAt(measure)
  for (const [i, { kind }] of pass.measures.entries())
    if (kind === 'largest') clearLargest(machine, addressOf(i))
  return {
    run({ start, count, size }, output, from = 0, part = count) {
      const addresses = structure.sources.map(
        (source) => rooms.bring(source, start, count, size) + from * sourceBytes[source.dtype],
      )
      const now = machine.view()
      now.setInt32(frame, part, true)
      for (const [i, address] of addresses.entries())
        now.setInt32(frame + structure.sourceAt(i), address, true)
      now.setInt32(frame + structure.outputAt, output, true)
      for (const [at, place] of ends)
        now.setInt32(at, Math.max(0, Math.min(part, place - start - from)), true)
      kernel(frame)
    },
    read(i, clear) {
      const { kind } = pass.measures[i]!
      const at = addressOf(i)
      const found = readLanes(machine.view(), at, kind)
      if (clear || kind === 'count') {
        machine.bytes(at, 32).fill(0)
        if (kind === 'largest') clearLargest(machine, at)
      }
      return found
    },
    digits: (i) => machine.counts(machine.view().getInt32(addressOf(i), true) >>> 0),
    end() {
      for (const table of tables) machine.give(table, tableBytes)
      machine.give(frame, structure.bytes)
    },
  }
}
