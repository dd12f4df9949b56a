/**
 * @file The inner loop of the upward pass for pairs: the sum over each symbol's rules of the product of two messages, as
 * WebAssembly. Sums are in double precision and in the order of the rules, as in plain JavaScript: the same bits.
 */
import {
  add,
  addDouble,
  advance,
  below,
  type Code,
  constant,
  encodeModule,
  f64,
  functionCode,
  get,
  i32,
  type Loaded,
  load,
  loadAt,
  loadDouble,
  loadSingle,
  maxDouble,
  multiplyDouble,
  number,
  repeat,
  reserve,
  set,
  storeDouble,
} from './assemble.ts'
import type { Floats } from './level.ts'

/** Memory beyond which the plain loop is taken. */
const mostBytes = 2 ** 27

/**
 * combine(left, right, rules, bytes of a symbol's rules, out, end): rules are pairs of byte offsets into the two messages; the
 * sums are written to out … end as doubles. Returns the largest, 0 when there is none above.
 */
function combineCode(loadEntry: Code): number[] {
  const [left, right, rules, wide, out, end, last, sum, max] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  const entry = (message: number, offset: number): Code => [
    ...[...get(message), ...get(rules), ...loadAt(offset), ...add, ...loadEntry],
  ]
  const rule = [
    ...[...get(sum), ...entry(left, 0), ...entry(right, 4), ...multiplyDouble, ...addDouble, ...set(sum)],
    ...advance(rules, constant(8)),
  ]
  const symbol = [
    ...[...number(0), ...set(sum), ...get(rules), ...get(wide), ...add, ...set(last)],
    ...repeat(rule, [...get(rules), ...get(last), ...below]),
    ...[...get(out), ...get(sum), ...storeDouble],
    ...[...get(max), ...get(sum), ...maxDouble, ...set(max)],
    ...advance(out, constant(8)),
  ]
  return functionCode(
    [
      [1, i32],
      [2, f64],
    ],
    [...repeat(symbol, [...get(out), ...get(end), ...below]), ...get(max)],
  )
}

type Combine = (left: number, right: number, rules: number, wide: number, out: number, end: number) => number

let loaded: Loaded<{ double: Combine; single: Combine }> | undefined

/** Combines rows `left` and `right` (by number), leaving the sums in `out`; returns the largest. */
export interface PairSums {
  readonly out: Float64Array
  readonly combine: (left: number, right: number) => number
}

/** The loop over rows [count, width] under a table of pairs [parents, m, 2]; undefined when there is no room for it. */
export function pairSums(rows: Floats, width: number, table: Int32Array, m: number): PairSums | undefined {
  const parameters = new Array<number>(6).fill(i32)
  loaded ??= load(
    encodeModule([
      { name: 'double', parameters, results: [f64], code: combineCode(loadDouble) },
      { name: 'single', parameters, results: [f64], code: combineCode(loadSingle) },
    ]),
  )
  const parents = table.length / (2 * m)
  const rowsAt = 8 * parents
  const rulesAt = rowsAt + 8 * Math.ceil(rows.byteLength / 8)
  const bytes = rulesAt + 4 * table.length
  if (!loaded || bytes > mostBytes || !reserve(loaded.memory, bytes)) return undefined
  const { memory, functions } = loaded
  const size = rows.BYTES_PER_ELEMENT
  const isSingle = rows instanceof Float32Array
  const own = isSingle
    ? new Float32Array(memory.buffer, rowsAt, rows.length)
    : new Float64Array(memory.buffer, rowsAt, rows.length)
  own.set(rows)
  const offsets = new Int32Array(memory.buffer, rulesAt, table.length)
  for (let i = 0; i < table.length; i++) offsets[i] = table[i]! * size
  const run = isSingle ? functions.single : functions.double
  const rowBytes = width * size
  return {
    out: new Float64Array(memory.buffer, 0, parents),
    combine: (left, right) =>
      run(rowsAt + left * rowBytes, rowsAt + right * rowBytes, rulesAt, 8 * m, 0, 8 * parents),
  }
}
