/** @file Blocks of sources in the kernels' memory: each source has one place, which holds one block at a time. */
import { type Source, sourceBytes } from './expression.ts'
import type { Machine } from './memory.ts'

export interface Rooms {
  /** Bring `count` elements of a source, from `start` on, into memory, in a place for at least `size`: its address. */
  bring(source: Source, start: number, count: number, size: number): number
  close(): void
}

/** A source's place in memory, and the block that it holds. */
interface Room {
  readonly address: number
  readonly bytes: number
  readonly elements: number
  start: number
  count: number
}

export function openRooms(machine: Machine): Rooms {
  const rooms = new Map<Source, Room>()

  function roomOf(source: Source, elements: number): Room {
    const known = rooms.get(source)
    if (known && known.elements >= elements) return known
    if (known) machine.give(known.address, known.bytes)
    const bytes = elements * sourceBytes[source.dtype]
    const room = { address: machine.take(bytes), bytes, elements, start: -1, count: 0 }
    rooms.set(source, room)
    return room
  }

  return {
    bring(source, start, count, size) {
      const room = roomOf(source, Math.max(count, size))
      if (room.start === start && room.count >= count) return room.address
      room.start = -1
      const bytes = count * sourceBytes[source.dtype]
      if (source.fill) source.fill(start, count, machine.bytes(room.address, bytes))
      else {
        // memory may grow meanwhile, so the view is made afterwards
        const { buffer, byteOffset } = source.values!(start, count)
        machine.bytes(room.address, bytes).set(new Uint8Array(buffer, byteOffset, bytes))
      }
      room.start = start
      room.count = count
      return room.address
    },
    close() {
      for (const { address, bytes } of rooms.values()) machine.give(address, bytes)
      rooms.clear()
    },
  }
}
