/** @file Which rows of numbers are equal: a hash table over rows in WebAssembly, sixteen bytes at a time. */
import {
  add,
  add4,
  advance,
  and,
  anyTrue,
  below,
  branchIf,
  type Code,
  constant,
  constant4,
  either,
  encodeModule,
  functionCode,
  get,
  i32,
  type Loaded,
  lane4,
  load,
  load4,
  loadAt,
  loop,
  mul,
  negative,
  or4,
  repeat,
  reserve,
  set,
  shiftLeft,
  shiftLeft4,
  shiftRight,
  store,
  store4,
  subtract,
  v128,
  when,
  xor,
  xor4,
} from '../../base/wasm/index.ts'
import { emptyTable, type Floats } from './level.ts'

/** Different rows that are looked for again; evidence that repeats has few. */
const mostKept = 1024

/** Bytes of rows that are looked at together. */
const chunkBytes = 2 ** 17

/**
 * distinct(rows, end, wide, kept, table, mask, out, count, most): give each row of `wide` bytes from `rows` to `end` a number,
 * that of an equal one among the kept, or else the next, `count`; the first `most` rows are kept. Returns the next number.
 */
function distinctCode(): number[] {
  const [rows, end, wide, kept, table, mask, out, count, most] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  const [at, other, tail, place, found] = [9, 10, 11, 12, 13]
  const mixed = 14
  // the last sixteen bytes overlap those before when `wide` is no multiple
  const eachVector = (body: Code): Code => [
    ...repeat(
      [...body, ...advance(at, constant(16)), ...advance(other, constant(16))],
      [...[...get(at), ...get(tail), ...below]],
    ),
    ...[
      ...get(other),
      ...get(tail),
      ...get(at),
      ...subtract,
      ...add,
      ...set(other),
      ...get(tail),
      ...set(at),
    ],
    ...body,
  ]
  const mix = [
    ...[...get(mixed), ...constant(5), ...shiftLeft4, ...get(mixed), ...add4],
    ...[...get(at), ...load4(0), ...add4, ...set(mixed)],
  ]
  const stir = (shift: number): Code => [
    ...[...get(place), ...get(place), ...constant(shift), ...shiftRight, ...xor],
    ...[...constant(0x9e3779b1), ...mul, ...set(place)],
  ]
  const hash = [
    ...[...constant4(0, 0, 0, 0), ...set(mixed), ...get(rows), ...set(at)],
    ...eachVector(mix),
    ...[...get(mixed), ...lane4(0)],
    ...[...get(mixed), ...lane4(1), ...constant(0x85ebca6b), ...mul, ...add],
    ...[...get(mixed), ...lane4(2), ...constant(0xc2b2ae35), ...mul, ...add],
    ...[...get(mixed), ...lane4(3), ...constant(0x27d4eb2f), ...mul, ...add, ...set(place)],
    ...[...stir(15), ...stir(13), ...get(place), ...constant(15), ...shiftRight, ...set(place)],
  ]
  const keptAt = (number: number): Code => [...get(kept), ...get(number), ...get(wide), ...mul, ...add]
  const slot = [...get(table), ...get(place), ...get(mask), ...and, ...constant(2), ...shiftLeft, ...add]
  const keep = [
    ...[...slot, ...get(count), ...store],
    ...[...get(rows), ...set(at), ...keptAt(count), ...set(other)],
    ...eachVector([...get(other), ...get(at), ...load4(0), ...store4(0)]),
  ]
  const compare = [
    ...[...constant4(0, 0, 0, 0), ...set(mixed), ...get(rows), ...set(at), ...keptAt(found), ...set(other)],
    ...eachVector([
      ...[...get(mixed), ...get(at), ...load4(0), ...get(other), ...load4(0), ...xor4, ...or4, ...set(mixed)],
    ]),
    ...advance(place, constant(1)),
    // look on: out of this branch, to the loop
    ...[...get(mixed), ...anyTrue, ...branchIf(1)],
  ]
  const probe = [
    ...[...slot, ...loadAt(0), ...set(found)],
    ...either(
      [...get(found), ...negative],
      [
        ...when([...get(count), ...get(most), ...below], keep),
        ...[...get(count), ...set(found), ...advance(count, constant(1))],
      ],
      compare,
    ),
  ]
  const row = [
    ...[...get(rows), ...get(wide), ...add, ...constant(-16), ...add, ...set(tail)],
    ...hash,
    ...loop(probe),
    ...[...get(out), ...get(found), ...store],
    ...advance(out, constant(4)),
    ...advance(rows, get(wide)),
  ]
  return functionCode(
    [
      [5, i32],
      [1, v128],
    ],
    [...repeat(row, [...get(rows), ...get(end), ...below]), ...get(count)],
  )
}

let loaded: Loaded<{ distinct: (...numbers: number[]) => number }> | undefined

/** Number rows in order of appearance, equal ones alike: the number of each and the first row that has each. */
interface Distinct {
  readonly index: Int32Array
  readonly first: Int32Array
}

/** Every row its own. */
function allDistinct(count: number): Distinct {
  const index = Int32Array.from({ length: count }, (_, n) => n)
  return { index, first: index }
}

/**
 * Rows [count, width] that are equal bit by bit. Rows that first appear after a thousand others are not recognised when they
 * come again, nor is anything without vectors or in rows of less than sixteen bytes: every row is then its own.
 */
export function distinctRows(values: Floats, count: number, width: number): Distinct {
  const wide = width * values.BYTES_PER_ELEMENT
  if (wide < 16 || count === 0) return allDistinct(count)
  loaded ??= load(
    encodeModule([
      { name: 'distinct', parameters: new Array<number>(9).fill(i32), results: [i32], code: distinctCode() },
    ]),
  )
  const chunk = Math.min(count, Math.max(1, Math.floor(chunkBytes / wide)))
  const most = Math.min(count, mostKept)
  const table = emptyTable(most)
  const kept = table.byteLength
  const rows = kept + 16 * Math.ceil((most * wide) / 16)
  const out = rows + 16 * Math.ceil((chunk * wide) / 16)
  if (!loaded || !reserve(loaded.memory, out + 4 * chunk)) return allDistinct(count)
  const { memory, functions } = loaded
  new Int32Array(memory.buffer, 0, table.length).set(table)
  const bytes = new Uint8Array(values.buffer, values.byteOffset, count * wide)
  const index = new Int32Array(count)
  let found = 0
  for (let from = 0; from < count; from += chunk) {
    const own = Math.min(chunk, count - from)
    new Uint8Array(memory.buffer, rows, own * wide).set(bytes.subarray(from * wide, (from + own) * wide))
    const end = rows + own * wide
    found = functions.distinct(rows, end, wide, kept, 0, table.length - 1, out, found, most)
    index.set(new Int32Array(memory.buffer, out, own), from)
  }
  const first = new Int32Array(found)
  let seen = 0
  for (let n = 0; n < count; n++) if (index[n] === seen) first[seen++] = n
  return { index, first }
}
