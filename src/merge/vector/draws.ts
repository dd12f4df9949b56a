/**
 * @file Which elements stay, drawn four words at a time: Threefry 2×32 (Salmon et al. 2011) on WebAssembly, with the words
 * of `random.sampleBits`, and the ranks of rows by a radix sort. It has a memory of its own, which holds one block.
 */
import { fail, foldIn, type Key } from '../../base/index.ts'
import {
  add,
  add4,
  advance,
  and,
  below,
  branchIf,
  type Code,
  constant4,
  encodeModule,
  functionCode,
  get,
  i32,
  constant as integer,
  type Loaded,
  load,
  locals,
  loop,
  mul,
  narrow8,
  or4,
  reserve,
  set,
  shiftLeft,
  shiftLeft4,
  shiftRight,
  shiftRight4,
  simd,
  splat,
  storePairAt,
  subtract,
  tee,
  unsigned,
  v128,
  when,
  xor4,
} from '../../base/wasm/index.ts'

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const
const parity = 0x1bd11bda

/** Locals x and y become the words of the blocks of counters (0, y), under keys in three locals. */
function threefry(x: number, y: number, keys: readonly [number, number, number]): Code {
  const plus = (to: number, ...terms: Code[]): Code => [
    ...get(to),
    ...terms.flatMap((term) => [...term, ...add4]),
    ...set(to),
  ]
  const round = (by: number): Code => [
    ...plus(x, get(y)),
    ...[...get(y), ...integer(by), ...shiftLeft4, ...get(y), ...integer(32 - by), ...shiftRight4, ...or4],
    ...[...get(x), ...xor4, ...set(y)],
  ]
  const group = (i: number): Code => [
    ...rotations[i % 2]!.flatMap(round),
    ...plus(x, get(keys[(i + 1) % 3]!)),
    ...plus(y, get(keys[(i + 2) % 3]!), [...integer(i + 1), ...splat]),
  ]
  return [...[...get(keys[0]), ...set(x)], ...plus(y, get(keys[1])), ...[0, 1, 2, 3, 4].flatMap(group)]
}

/** The third word of keys from the two others. */
const thirdKey = ([k0, k1, k2]: readonly [number, number, number]): Code => [
  ...[...get(k0), ...get(k1), ...xor4, ...integer(parity), ...splat, ...xor4, ...set(k2)],
]
/** The word that is drawn from a block. */
const both = (x: number, y: number): Code => [...get(x), ...get(y), ...xor4]
const load4At: Code = simd(0x00, 0, 0)
const store4At: Code = simd(0x0b, 0, 0)
const loadWord: Code = [0x28, 0, 0]
const storeWord: Code = [0x36, 0, 0]
const loadByteAt = (offset: number): Code => [0x2d, 0, ...unsigned(offset)]
const loadPair: Code = [0x29, 0, 0]

/** words(k0, k1, first, count, to): words first … first + count − 1 of a key, written in groups of four. */
function wordsCode(): Code {
  const [k0, k1, first, count, to] = [0, 1, 2, 3, 4]
  const at = 5
  const [x, y, counters] = [6, 7, 8]
  const keys = [9, 10, 11] as const
  return functionCode(
    [locals(1, i32), locals(6, v128)],
    [
      ...[...get(k0), ...splat, ...set(keys[0]), ...get(k1), ...splat, ...set(keys[1]), ...thirdKey(keys)],
      ...[...get(first), ...splat, ...constant4(0, 1, 2, 3), ...add4, ...set(counters)],
      ...loop([
        ...[...get(counters), ...set(y), ...threefry(x, y, keys)],
        ...[...get(to), ...both(x, y), ...store4At],
        ...[
          ...advance(to, integer(16)),
          ...get(counters),
          ...integer(4),
          ...splat,
          ...add4,
          ...set(counters),
        ],
        ...[...advance(at, integer(4)), ...get(at), ...get(count), ...below, ...branchIf(0)],
      ]),
    ],
  )
}

/**
 * decide(bytes, chances, step, count, kept, list): kept[i] = all bits where byte i is below ⌊256 · chance i⌋, and the places
 * where it is equal, as words, to `list`; their number is the result. `step` 16: a chance for each; 0: the same four for all.
 */
function decideCode(): Code {
  const [bytes, chances, step, count, kept, list] = [0, 1, 2, 3, 4, 5]
  const [at, mask, begin] = [6, 7, 8]
  const [byte, chance, isBelow] = [9, 10, 11]
  const extendBytes = [...simd(0x89), ...simd(0xa9)]
  const each = (i: number): Code =>
    when(
      [...get(mask), ...integer(1 << i), ...and],
      [...get(list), ...get(at), ...integer(i), ...add, ...storeWord, ...advance(list, integer(4))],
    )
  return functionCode(
    [locals(3, i32), locals(3, v128)],
    [
      ...[...get(list), ...set(begin)],
      ...loop([
        ...[...get(bytes), ...get(at), ...add, ...simd(0x5c, 0, 0), ...extendBytes, ...set(byte)],
        ...[...get(chances), ...load4At, ...integer(0x43800000), ...splat, ...simd(0xe6), ...simd(0xf8)],
        ...set(chance),
        ...[...get(kept), ...get(at), ...add, ...get(byte), ...get(chance), ...simd(0x39)],
        ...[...set(isBelow), ...get(isBelow), ...get(isBelow), ...narrow8, ...set(isBelow)],
        ...[...get(isBelow), ...get(isBelow), ...simd(0x65), ...simd(0x5a, 0, 0, 0)],
        ...[...get(byte), ...get(chance), ...simd(0x37), ...simd(0xa4), ...tee(mask)],
        ...[0x04, 0x40, ...[0, 1, 2, 3].flatMap(each), 0x0b],
        ...advance(chances, get(step)),
        ...[...advance(at, integer(4)), ...get(at), ...get(count), ...below, ...branchIf(0)],
      ]),
      ...[...get(list), ...get(begin), ...subtract, ...integer(2), ...shiftRight],
    ],
  )
}

/** uniforms(k0, k1, list, count, offset, to): the first word of foldIn(key, offset + i) for every i of a list. */
function uniformsCode(): Code {
  const [k0, k1, list, count, offset, to] = [0, 1, 2, 3, 4, 5]
  const at = 6
  const [x, y] = [7, 8]
  const keys = [9, 10, 11] as const
  const own = [12, 13, 14] as const
  return functionCode(
    [locals(1, i32), locals(8, v128)],
    [
      ...[...get(k0), ...splat, ...set(keys[0]), ...get(k1), ...splat, ...set(keys[1]), ...thirdKey(keys)],
      ...loop([
        ...[...get(list), ...load4At, ...get(offset), ...splat, ...add4, ...set(y), ...threefry(x, y, keys)],
        ...[...get(x), ...set(own[0]), ...get(y), ...set(own[1]), ...thirdKey(own)],
        ...[...constant4(0, 0, 0, 0), ...set(y), ...threefry(x, y, own)],
        ...[
          ...get(to),
          ...both(x, y),
          ...store4At,
          ...advance(to, integer(16)),
          ...advance(list, integer(16)),
        ],
        ...[...advance(at, integer(4)), ...get(at), ...get(count), ...below, ...branchIf(0)],
      ]),
    ],
  )
}

/**
 * spread(values, n, stride, scratch, table, out): out[place of the r-th smallest magnitude] = table[r], of equal ones in
 * order; values are `stride` bytes apart, and so is out. A stable radix sort of pairs (bits, place) by four digits of 8 bits;
 * `scratch` has 4 KB of counts, then twice n pairs.
 */
function spreadCode(): Code {
  const [values, n, stride, scratch, table, out] = [0, 1, 2, 3, 4, 5]
  const [i, from, to, address, digit, total, counts, other, here] = [6, 7, 8, 9, 10, 11, 12, 13, 14]
  const bumped = (by: Code): Code => [
    ...[...get(address), ...get(address), ...loadWord, ...by, ...add, ...storeWord],
  ]
  const next = (limit: Code): Code => [
    ...[...advance(i, integer(1)), ...get(i), ...limit, ...below, ...branchIf(0)],
  ]
  const restart: Code = [...integer(0), ...set(i)]
  const countOne = (pass: number): Code => [
    ...[...get(from), ...loadByteAt(pass), ...integer(2), ...shiftLeft, ...get(scratch), ...add],
    ...[...integer(1024 * pass), ...add, ...set(address), ...bumped(integer(1))],
  ]
  const pairs: Code = [...get(scratch), ...integer(4096), ...add]
  return functionCode(
    [locals(9, i32)],
    [
      // clear the counts
      ...[...get(scratch), ...integer(0), ...integer(4096), 0xfc, 0x0b, 0],
      // pairs, and counts of all digits
      ...[...pairs, ...set(from), ...restart, ...get(values), ...set(here)],
      ...loop([
        ...[...get(from), ...get(here), ...loadWord, ...integer(0x7fffffff), ...and, ...storeWord],
        ...[...get(from), ...get(i), 0x36, 0, 4],
        ...[0, 1, 2, 3].flatMap(countOne),
        ...[...advance(from, integer(8)), ...advance(here, get(stride)), ...next(get(n))],
      ]),
      ...[...pairs, ...set(from), ...pairs, ...get(n), ...integer(8), ...mul, ...add, ...set(to)],
      // by digit
      ...[...integer(0), ...set(digit)],
      ...loop([
        ...[...get(scratch), ...get(digit), ...integer(10), ...shiftLeft, ...add, ...set(counts)],
        // places of the first of each digit
        ...[...restart, ...integer(0), ...set(total)],
        ...loop([
          ...[...get(i), ...integer(2), ...shiftLeft, ...get(counts), ...add, ...set(address)],
          ...[...get(address), ...loadWord, ...set(here), ...get(address), ...get(total), ...storeWord],
          ...[...advance(total, get(here)), ...next(integer(256))],
        ]),
        ...[...restart, ...get(from), ...set(other)],
        ...loop([
          ...[...get(other), ...get(digit), ...add, ...loadByteAt(0), ...integer(2), ...shiftLeft],
          ...[...get(counts), ...add, ...tee(address), ...loadWord, ...set(here)],
          ...[...get(address), ...get(here), ...integer(1), ...add, ...storeWord],
          ...[...get(here), ...integer(3), ...shiftLeft, ...get(to), ...add],
          ...[...get(other), ...loadPair, ...storePairAt(0)],
          ...[...advance(other, integer(8)), ...next(get(n))],
        ]),
        ...[...get(from), ...get(to), ...set(from), ...set(to)],
        ...[...advance(digit, integer(1)), ...get(digit), ...integer(4), ...below, ...branchIf(0)],
      ]),
      // four passes end where they began
      ...[...restart],
      ...loop([
        ...[...get(from), 0x28, 0, 4, ...get(stride), ...mul, ...get(out), ...add],
        ...[...get(table), ...get(i), ...integer(2), ...shiftLeft, ...add, ...loadWord, ...storeWord],
        ...[...advance(from, integer(8)), ...next(get(n))],
      ]),
    ],
  )
}

interface Functions {
  readonly words: (k0: number, k1: number, first: number, count: number, to: number) => void
  readonly decide: (
    bytes: number,
    chances: number,
    step: number,
    count: number,
    kept: number,
    list: number,
  ) => number
  readonly uniforms: (k0: number, k1: number, list: number, count: number, offset: number, to: number) => void
  readonly spread: (
    values: number,
    n: number,
    stride: number,
    scratch: number,
    table: number,
    out: number,
  ) => void
}

const codes = { words: wordsCode, decide: decideCode, uniforms: uniformsCode, spread: spreadCode }
const arity = { words: 5, decide: 6, uniforms: 6, spread: 6 }

let loaded: Loaded<Functions> | undefined

/** The functions of this thread, and addresses (multiples of 64) of rooms with these many bytes in their memory. */
function machine(...rooms: readonly number[]): { functions: Functions; buffer: ArrayBuffer; at: number[] } {
  loaded ??= load<Functions>(
    encodeModule(
      (Object.keys(codes) as (keyof Functions)[]).map((name) => ({
        name,
        parameters: new Array<number>(arity[name]).fill(i32),
        results: name === 'decide' ? [i32] : [],
        code: codes[name](),
      })),
    ),
  )
  let end = 64
  const at = rooms.map((bytes) => {
    const address = end
    end += 64 * Math.ceil(bytes / 64 + 1)
    return address
  })
  if (!loaded || end > 2 ** 32 - 65536 || !reserve(loaded.memory, end))
    return fail('TL_IO', `${end} bytes for a block of random numbers do not fit into memory`)
  return { functions: loaded.functions, buffer: loaded.memory.buffer, at }
}

/** Elements drawn from one key. */
const drawn = 2 ** 16

/**
 * Elements start … start + count − 1 of a draw under a key: not 0 for those that stay, each with its probability (one for
 * all, below 1, or one for each); valid until the next. A byte of randomness decides 255 times of 256; only where it equals
 * the first byte of the probability are more bits drawn, so the probabilities are exact to 2⁻³¹. Byte i of block b of 65,536
 * is that of `random.sampleBits` under foldIn(key, b); the closer look is the uniform number of foldIn(foldIn(key, 2³¹ + b), i).
 */
export function drawKept(
  key: Key,
  chances: number | Float32Array,
  start: number,
  count: number,
): Uint8Array<ArrayBuffer> {
  const most = Math.min(count, drawn)
  const isOne = typeof chances === 'number'
  const { functions, buffer, at } = machine(64 + most, 4 * (isOne ? 4 : count), count, 4 * most, 4 * most)
  const [room, chancesAt, keptAt, list, uniformsAt] = at as [number, number, number, number, number]
  const first = isOne ? Math.floor(chances * 256) : 0
  // whole 256ths are decided by the byte alone
  const isExact = isOne && chances * 256 === first
  if (isOne) new Float32Array(buffer, chancesAt, 4).fill(first / 256)
  else new Float32Array(buffer, chancesAt, count).set(chances.subarray(0, count))
  const kept = new Uint8Array(buffer, keptAt, count)
  for (let from = start; from < start + count; ) {
    const block = Math.floor(from / drawn)
    const offset = from - block * drawn
    const part = Math.min(drawn - offset, start + count - from)
    const skipped = offset % 4
    const [k0, k1] = foldIn(key, block)
    functions.words(k0, k1, (offset - skipped) / 4, Math.ceil((part + skipped) / 4), room)
    const bytesAt = room + skipped
    const place = from - start
    const own = isOne ? chancesAt : chancesAt + 4 * place
    const close = functions.decide(bytesAt, own, isOne ? 0 : 16, part, keptAt + place, list)
    if (close > 0 && !isExact) {
      const [c0, c1] = foldIn(key, 2 ** 31 + block)
      functions.uniforms(c0, c1, list, close, offset, uniformsAt)
      const bytes = new Uint8Array(buffer, bytesAt, part)
      const places = new Uint32Array(buffer, list, close)
      const words = new Uint32Array(buffer, uniformsAt, close)
      for (const [j, i] of places.entries()) {
        // what stands beyond the end was looked at as well
        if (i >= part) break
        const rest = (isOne ? chances : chances[place + i]!) * 256 - bytes[i]!
        if (rest > 0 && (words[j]! >>> 9) * 2 ** -23 < rest) kept[place + i] = 1
      }
    }
    from += part
  }
  return kept
}

/**
 * table[rank] for every value: its rank 0 … n − 1 among the magnitudes of its row, of equal ones the first lower. Rows of n
 * values lie along axis 1 of [rows, n, inner].
 */
export function byRank(
  values: Float32Array,
  [rows, n, inner]: readonly [number, number, number],
  table: Float32Array,
): Float32Array {
  const size = 4 * values.length
  const { functions, buffer, at } = machine(size, 4 * n, 4096 + 16 * n, size)
  const [valuesAt, tableAt, scratch, out] = at as [number, number, number, number]
  new Float32Array(buffer, valuesAt, values.length).set(values)
  new Float32Array(buffer, tableAt, n).set(table)
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < inner; i++) {
      const begin = 4 * (row * n * inner + i)
      functions.spread(valuesAt + begin, n, 4 * inner, scratch, tableAt, out + begin)
    }
  return new Float32Array(buffer, out, values.length).slice()
}
