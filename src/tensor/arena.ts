/**
 * @file Arrays that end together: what a program is made of, given back to the system the moment the runtime has it. Arrays of
 * the heap would lie about until they are collected, and would leave holes between the runtime's own.
 */

export interface Arena {
  /** Zeros. */
  bytes(size: number): Uint8Array
  /** Zeros. */
  floats(size: number): Float32Array
  /** Every array has length 0 from now on, and its memory is the system's. */
  release(): void
}

/**
 * Bytes that are asked of the system at once, at least and at most; what is larger has a piece of its own. Untouched pages take no
 * memory until the piece shrinks: then its engine writes zeros over all of it, so a small program gets small pieces.
 */
const [smallest, largest] = [1 << 20, 1 << 26]
/** Every array begins at a multiple of it. */
const alignment = 64

/** `ArrayBuffer` as ECMAScript 2024 has it: one that can shrink gives its pages back at once. */
type Shrinking = ArrayBuffer & { resize?(size: number): void }
const make = (size: number): Shrinking =>
  new (ArrayBuffer as unknown as new (size: number, options: { maxByteLength: number }) => Shrinking)(size, {
    maxByteLength: size,
  })

/** `expected`: about how many bytes will be taken in all, where that is known. */
export function openArena(expected = largest): Arena {
  const piece = Math.max(smallest, Math.min(largest, expected))
  const pieces: Shrinking[] = []
  let at = 0
  /** Where so many bytes are free: a buffer and an offset. */
  function take(size: number): [Shrinking, number] {
    const last = pieces.at(-1)
    const begin = Math.ceil(at / alignment) * alignment
    if (last && begin + size <= last.byteLength) {
      at = begin + size
      return [last, begin]
    }
    const own = make(Math.max(size, piece))
    // what has a piece of its own leaves the last one open
    if (last && size >= piece) pieces.splice(-1, 0, own)
    else {
      pieces.push(own)
      at = size
    }
    return [own, 0]
  }
  return {
    bytes: (size) => new Uint8Array(...take(size), size),
    floats: (size) => new Float32Array(...take(4 * size), size),
    release() {
      for (const one of pieces) one.resize?.(0)
      pieces.length = 0
      at = 0
    },
  }
}

/** Arrays that are collected when nobody has them. */
export const heap: Pick<Arena, 'bytes' | 'floats'> = {
  bytes: (size) => new Uint8Array(size),
  floats: (size) => new Float32Array(size),
}
