/**
 * @file The loop of the upward pass for pairs as WebAssembly: sums over each symbol's rules of the product of two messages, for
 * four nodes at a time. Sums are in double precision and in the order of the rules, as in plain JavaScript: the same bits.
 */
import {
  add,
  addDoubles,
  advance,
  below,
  type Code,
  constant,
  demote,
  divideDoubles,
  encodeModule,
  functionCode,
  get,
  i32,
  type Loaded,
  load,
  load4,
  loadAt,
  loadDoubleLane,
  loadDoubleSplat,
  loadDoubleZero,
  loadSingleLane,
  loadSingleZero,
  maxDoubles,
  mul,
  multiplyDoubles,
  number,
  promote,
  repeat,
  reserve,
  set,
  splatDoubles,
  store4,
  storeDoubleLane,
  storeSingleLane,
  v128,
} from '../../base/wasm/index.ts'
import type { Floats } from './level.ts'

/** Memory beyond which the plain loop is taken. */
const mostBytes = 2 ** 28

/** Nodes combined together, and the bytes of their entries for one symbol. */
const together = 4
const quad = 32

/**
 * combine(pairs, end, rows, row, rules, rulesWide, rulesEnd, left, right, sums, out, outRow, maxima, prior): for the pairs of row
 * numbers from `pairs` to `end` (rows of `row` bytes from `rows`) four at a time: entries of their left and right messages
 * are laid side by side as doubles at `left` and `right`; `rules` are pairs of offsets into these; the sums of each symbol go
 * to `sums`, their largest to `maxima`, and their quotients to rows from `out`. `prior` has production probabilities if any.
 */
function combineCode(isSingle: boolean, weighted: boolean): number[] {
  const [pairs, end, rows, row, rules, rulesWide, rulesEnd] = [0, 1, 2, 3, 4, 5, 6]
  const [left, right, sums, out, outRow, maxima, prior] = [7, 8, 9, 10, 11, 12, 13]
  const [at, last, rule, a, b, weight] = [14, 15, 16, 17, 18, 19]
  const node = [20, 21, 22, 23] as const
  const [first, second, max, max2] = [24, 25, 26, 27]
  const size = isSingle ? 4 : 8
  /** Entries of two rows. */
  const two = (p: number, q: number): Code =>
    isSingle
      ? [...get(q), ...get(p), ...loadSingleZero, ...loadSingleLane(1), ...promote]
      : [...get(q), ...get(p), ...loadDoubleZero, ...loadDoubleLane(1)]
  const next = node.flatMap((p) => advance(p, constant(size)))
  const layOut = (side: number, lanes: number): Code => [
    ...node.flatMap((p, i) => [
      ...[...get(rows), ...get(pairs), ...loadAt(8 * i + side), ...get(row), ...mul, ...add, ...set(p)],
    ]),
    ...[...get(lanes), ...set(at), ...get(node[0]), ...get(row), ...add, ...set(last)],
    ...repeat(
      [
        ...[...get(at), ...two(node[0], node[1]), ...store4(0)],
        ...[...get(at), ...two(node[2], node[3]), ...store4(16)],
        ...next,
        ...advance(at, constant(quad)),
      ],
      [...get(node[0]), ...get(last), ...below],
    ),
  ]
  const product = (offset: number): Code => [
    ...(weighted ? [...get(weight), ...loadDoubleSplat] : []),
    ...[...get(a), ...load4(offset), ...(weighted ? multiplyDoubles : [])],
    ...[...get(b), ...load4(offset), ...multiplyDoubles],
  ]
  const accumulate = [
    ...[...get(left), ...get(rule), ...loadAt(0), ...add, ...set(a)],
    ...[...get(right), ...get(rule), ...loadAt(4), ...add, ...set(b)],
    ...[...get(first), ...product(0), ...addDoubles, ...set(first)],
    ...[...get(second), ...product(16), ...addDoubles, ...set(second)],
    ...advance(rule, constant(8)),
    ...(weighted ? advance(weight, constant(8)) : []),
  ]
  const zero = [...number(0), ...splatDoubles]
  const symbol = [
    ...[...zero, ...set(first), ...zero, ...set(second)],
    ...[...get(rule), ...get(rulesWide), ...add, ...set(last)],
    ...repeat(accumulate, [...get(rule), ...get(last), ...below]),
    ...[...get(at), ...get(first), ...store4(0), ...get(at), ...get(second), ...store4(16)],
    ...[...get(max), ...get(first), ...maxDoubles, ...set(max)],
    ...[...get(max2), ...get(second), ...maxDoubles, ...set(max2)],
    ...advance(at, constant(quad)),
  ]
  const quotients = (offset: number, by: number, p: number, q: number): Code => [
    ...[
      ...get(at),
      ...load4(offset),
      ...get(by),
      ...divideDoubles,
      ...(isSingle ? demote : []),
      ...set(first),
    ],
    ...[...get(p), ...get(first), ...(isSingle ? storeSingleLane(0) : storeDoubleLane(0))],
    ...[...get(q), ...get(first), ...(isSingle ? storeSingleLane(1) : storeDoubleLane(1))],
  ]
  /** Rows of zeros are divided by the smallest number in place of zero. */
  const notZero = (of: number): Code => [
    ...[...get(of), ...number(Number.MIN_VALUE), ...splatDoubles, ...maxDoubles, ...set(of)],
  ]
  const four = [
    ...layOut(0, left),
    ...layOut(4, right),
    ...[...zero, ...set(max), ...zero, ...set(max2)],
    ...[...get(sums), ...set(at), ...get(rules), ...set(rule), ...get(prior), ...set(weight)],
    ...repeat(symbol, [...get(rule), ...get(rulesEnd), ...below]),
    ...[...get(maxima), ...get(max), ...store4(0), ...get(maxima), ...get(max2), ...store4(16)],
    ...[...notZero(max), ...notZero(max2), ...get(sums), ...set(at)],
    ...node.flatMap((p) => [...get(out), ...set(p), ...advance(out, get(outRow))]),
    ...repeat(
      [
        ...quotients(0, max, node[0], node[1]),
        ...quotients(16, max2, node[2], node[3]),
        ...next,
        ...advance(at, constant(quad)),
      ],
      [...get(node[3]), ...get(out), ...below],
    ),
    ...advance(maxima, constant(8 * together)),
    ...advance(pairs, constant(8 * together)),
  ]
  return functionCode(
    [
      [10, i32],
      [4, v128],
    ],
    repeat(four, [...get(pairs), ...get(end), ...below]),
  )
}

type Kernel = (...addresses: number[]) => void
type Kernels = Readonly<Record<'single' | 'double' | 'singleWeighted' | 'doubleWeighted', Kernel>>
let loaded: Loaded<Kernels> | undefined

/** The functions by precision, for uniform and other probabilities; compiled once a process. */
function kernels(bytes: number): Loaded<Kernels> | undefined {
  const kernel = (name: string, isSingle: boolean, weighted: boolean) => ({
    name,
    parameters: new Array<number>(14).fill(i32),
    results: [],
    code: combineCode(isSingle, weighted),
  })
  loaded ??= load(
    encodeModule([
      kernel('single', true, false),
      kernel('double', false, false),
      kernel('singleWeighted', true, true),
      kernel('doubleWeighted', false, true),
    ]),
  )
  return loaded && reserve(loaded.memory, bytes) ? loaded : undefined
}

/** Messages of some nodes: rows divided by their largest entries, and these. */
export interface Combined {
  readonly rows: Floats
  readonly maxima: Float64Array
}

/**
 * Messages of nodes whose children have the rows `pairs` [count, 2] of `rows` [.., width], under a table of pairs [parents, m, 2]
 * with production probabilities [parents, m] if they are not uniform. Undefined for no nodes, without room for it, or when
 * the platform lacks vectors.
 */
export function combinePairs(
  rows: Floats,
  width: number,
  pairs: Int32Array,
  table: Int32Array,
  m: number,
  probabilities: Float64Array | undefined,
): Combined | undefined {
  const count = pairs.length / 2
  const parents = table.length / (2 * m)
  const size = rows.BYTES_PER_ELEMENT
  let bytes = 0
  const place = (size: number): number => {
    const at = bytes
    bytes += 16 * Math.ceil(size / 16)
    return at
  }
  const padded = together * Math.ceil(count / together)
  const [left, right, sums] = [place(quad * width), place(quad * width), place(quad * parents)]
  const [rules, prior] = [place(table.byteLength), place(table.byteLength)]
  const [pairsAt, maximaAt] = [place(8 * padded), place(8 * padded)]
  const [rowsAt, out] = [place(rows.byteLength), place(padded * parents * size)]
  const own = count > 0 && bytes <= mostBytes ? kernels(bytes) : undefined
  if (!own) return undefined
  const { memory, functions } = own
  const { buffer } = memory
  const Numbers = rows instanceof Float32Array ? Float32Array : Float64Array
  new Numbers(buffer, rowsAt, rows.length).set(rows)
  new Int32Array(buffer, rules, table.length).set(table.map((symbol) => symbol * quad))
  if (probabilities) new Float64Array(buffer, prior, probabilities.length).set(probabilities)
  const ownPairs = new Int32Array(buffer, pairsAt, 2 * padded)
  ownPairs.set(pairs)
  // the last four: row 0 in place of what is missing
  ownPairs.fill(0, pairs.length)
  const run =
    size === 4 ? runOf(functions, 'single', probabilities) : runOf(functions, 'double', probabilities)
  const bounds = [pairsAt, pairsAt + 8 * padded, rowsAt, width * size] as const
  run(
    ...bounds,
    rules,
    8 * m,
    rules + table.byteLength,
    left,
    right,
    sums,
    out,
    parents * size,
    maximaAt,
    prior,
  )
  return {
    rows: new Numbers(buffer, out, count * parents).slice(),
    maxima: new Float64Array(buffer, maximaAt, count).slice(),
  }
}

const runOf = (functions: Kernels, precision: 'single' | 'double', probabilities: unknown): Kernel =>
  functions[probabilities ? (`${precision}Weighted` as const) : precision]
