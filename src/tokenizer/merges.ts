/**
 * @file Byte-pair merging: of all neighbours that may merge, the pair of lowest rank, the leftmost of equals, until none
 * is left. A linked list and a heap: n log n in the length of a piece, which may be a whole text.
 */

/** Pairs that merge. All arrays are as long as the list of merges. */
export interface MergeTable {
  readonly left: Int32Array
  readonly right: Int32Array
  readonly result: Int32Array
  /** Lower merges first; equal ranks from left to right. */
  readonly rank: Int32Array
}

/** Index of the merge of (left, right), or −1. A pair that is listed twice counts where it stands last. */
function finder({ left, right }: MergeTable): (a: number, b: number) => number {
  let size = 16
  while (size < left.length * 2 + 1) size *= 2
  const slots = new Int32Array(size).fill(-1)
  const mask = size - 1
  const slotOf = (a: number, b: number): number => {
    let slot = (Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b)) >>> 0
    slot = (slot ^ (slot >>> 15)) & mask
    for (;;) {
      const index = slots[slot]!
      if (index === -1 || (left[index] === a && right[index] === b)) return slot
      slot = (slot + 1) & mask
    }
  }
  for (let i = 0; i < left.length; i++) slots[slotOf(left[i]!, right[i]!)] = i
  return (a, b) => slots[slotOf(a, b)]!
}

/** Ranks and positions share a number: up to 2²² ranks and 2³⁰ positions. */
const POSITIONS = 2 ** 30

/** A function that merges a list of token ids. It owns its working memory. */
export function merger(table: MergeTable): (ids: readonly number[]) => number[] {
  const find = finder(table)
  const { result, rank } = table
  let symbols = new Int32Array(0)
  let before = new Int32Array(0)
  let after = new Int32Array(0)
  // at most one entry for each neighbour at the beginning, and two for each merge
  let keys = new Float64Array(0)
  let merges = new Int32Array(0)
  let heap = 0

  function reserve(n: number): void {
    if (symbols.length >= n) return
    const size = Math.max(64, 2 * n)
    symbols = new Int32Array(size)
    before = new Int32Array(size)
    after = new Int32Array(size)
    keys = new Float64Array(3 * size)
    merges = new Int32Array(3 * size)
  }
  function push(position: number, merge: number): void {
    const key = rank[merge]! * POSITIONS + position
    let at = heap++
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (keys[parent]! <= key) break
      keys[at] = keys[parent]!
      merges[at] = merges[parent]!
      at = parent
    }
    keys[at] = key
    merges[at] = merge
  }
  /** Take the first entry away; it stood at 0. */
  function pop(): void {
    const key = keys[--heap]!
    const merge = merges[heap]!
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap) break
      if (child + 1 < heap && keys[child + 1]! < keys[child]!) child++
      if (keys[child]! >= key) break
      keys[at] = keys[child]!
      merges[at] = merges[child]!
      at = child
    }
    keys[at] = key
    merges[at] = merge
  }
  function offer(position: number): void {
    const right = after[position]!
    if (right === -1) return
    const merge = find(symbols[position]!, symbols[right]!)
    if (merge !== -1) push(position, merge)
  }

  return (ids) => {
    const n = ids.length
    if (n < 2) return [...ids]
    reserve(n)
    heap = 0
    for (let i = 0; i < n; i++) {
      symbols[i] = ids[i]!
      before[i] = i - 1
      after[i] = i + 1 < n ? i + 1 : -1
    }
    for (let i = 0; i < n - 1; i++) offer(i)
    while (heap > 0) {
      const position = keys[0]! % POSITIONS
      const merge = merges[0]!
      pop()
      const right = after[position]!
      // the entry may be older than its symbols
      if (symbols[position] === -1 || right === -1) continue
      const now = find(symbols[position]!, symbols[right]!)
      if (now === -1 || result[now] !== result[merge]) continue
      symbols[position] = result[merge]!
      symbols[right] = -1
      const beyond = after[right]!
      after[position] = beyond
      if (beyond !== -1) before[beyond] = position
      if (before[position] !== -1) offer(before[position]!)
      offer(position)
    }
    const merged: number[] = []
    for (let i = 0; i !== -1; i = after[i]!) merged.push(symbols[i]!)
    return merged
  }
}
