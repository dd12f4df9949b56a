/**
 * @file The inner loops of sampling for pairs (s = 2) as WebAssembly, for groups of up to eight neighbouring nodes and all
 * samples: random words, weights of the rules of symbols that occur, choices. The same bits as the plain loops. Addresses
 * and distances are in bytes.
 */
import {
  add,
  add4,
  addDouble,
  addDoubles,
  advance,
  below,
  bitmask8,
  type Code,
  constant,
  constant4,
  divideDouble,
  encodeModule,
  f64,
  functionCode,
  get,
  i32,
  type Loaded,
  less4,
  load,
  load4,
  loadAt,
  loadDouble,
  loadPairAt,
  loadSingle,
  loadSplat,
  mul,
  multiplyDouble,
  multiplyDoubles,
  narrow8,
  notEqual,
  number,
  or4,
  pick4,
  popcount,
  repeat,
  reserve,
  set,
  shiftLeft,
  shiftLeft4,
  shiftRight4,
  splat,
  splatDoubles,
  store,
  store4,
  storeDouble,
  storePairAt,
  v128,
  xor4,
} from '../../base/wasm/index.ts'
import { barOffset } from './weigh.ts'

/** Nodes of a group, and words a sample has for them. */
export const groupNodes = 8

/**
 * words(keys, end, out, block): for the keys [samples, 2] from `keys` to `end`, words 2·block … 2·block + 7 of each sample,
 * [samples, 8]: Threefry 2×32 of four blocks at a time, shifted to 31 bits.
 */
function wordsCode(): number[] {
  const [keys, end, out, block] = [0, 1, 2, 3]
  const [blocks, k0, k1, k2, x, y] = [4, 5, 6, 7, 8, 9]
  const rotations = [13, 15, 26, 6, 17, 29, 16, 24]
  const schedule = [k0, k1, k2]
  const rounds: number[] = []
  for (let group = 0; group < 5; group++) {
    for (let i = 0; i < 4; i++) {
      const r = rotations[(group % 2) * 4 + i]!
      rounds.push(...get(x), ...get(y), ...add4, ...set(x))
      rounds.push(...get(y), ...constant(r), ...shiftLeft4, ...get(y), ...constant(32 - r), ...shiftRight4)
      rounds.push(...or4, ...get(x), ...xor4, ...set(y))
    }
    rounds.push(...get(x), ...get(schedule[(group + 1) % 3]!), ...add4, ...set(x))
    rounds.push(...get(y), ...get(schedule[(group + 2) % 3]!), ...add4)
    rounds.push(...constant(group + 1), ...splat, ...add4, ...set(y))
  }
  const sample = [
    ...[...get(keys), ...loadSplat(0), ...set(k0), ...get(keys), ...loadSplat(4), ...set(k1)],
    ...[...get(k0), ...get(k1), ...xor4, ...constant(0x1bd11bda), ...splat, ...xor4, ...set(k2)],
    ...[...get(k0), ...set(x), ...get(k1), ...get(blocks), ...add4, ...set(y)],
    ...rounds,
    ...[...get(x), ...constant(1), ...shiftRight4, ...set(x)],
    ...[...get(y), ...constant(1), ...shiftRight4, ...set(y)],
    ...[...get(out), ...get(x), ...get(y), ...pick4(0, 4, 1, 5), ...store4(0)],
    ...[...get(out), ...get(x), ...get(y), ...pick4(2, 6, 3, 7), ...store4(16)],
    ...advance(keys, constant(8)),
    ...advance(out, constant(32)),
  ]
  return functionCode(
    [[6, v128]],
    [
      ...[...get(block), ...splat, ...constant4(0, 1, 2, 3), ...add4, ...set(blocks)],
      ...repeat(sample, [...get(keys), ...get(end), ...below]),
    ],
  )
}

/**
 * weigh(above, end, step, nodes, index, rows, row, rules, rulesWide, bars, barsNode, barsWide, made, stamp, list, sums, prior):
 * for `nodes` nodes, the bars of the symbols that occur among the samples. Symbols of the first node lie at `above`, above +
 * step … `end`; `index` has its children's rows (of `row` bytes, from `rows`), `rules` pairs of offsets into them, `prior`
 * production probabilities if they are not uniform. `made` marks symbols with the node's `stamp`; `list` and `sums` are
 * scratch.
 */
function weighCode(loadEntry: Code, weighted: boolean): number[] {
  const [above, end, step, nodes, index, rows, row, rules, rulesWide] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  const [bars, barsNode, barsWide, made, stamp, list, sums, prior] = [9, 10, 11, 12, 13, 14, 15, 16]
  const [y, at, listed, left, right, rule, last, bar, weight, first] = [
    17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
  ]
  const [sum, unit] = [27, 28]
  // every symbol is written to the list; only a new one moves its end, so that there is no branch to guess
  const collect = [
    ...[...get(at), ...loadAt(0), ...set(y)],
    ...[...get(listed), ...get(y), ...store],
    ...[...get(made), ...get(y), ...constant(2), ...shiftLeft, ...add, ...set(y)],
    ...advance(listed, [...get(y), ...loadAt(0), ...get(stamp), ...notEqual, ...constant(2), ...shiftLeft]),
    ...[...get(y), ...get(stamp), ...store],
    ...advance(at, get(step)),
  ]
  const entry = (message: number, offset: number): Code => [
    ...[...get(message), ...get(rule), ...loadAt(offset), ...add, ...loadEntry],
  ]
  const product = weighted
    ? [
        ...[...get(weight), ...loadDouble, ...entry(left, 0), ...multiplyDouble],
        ...[...entry(right, 4), ...multiplyDouble],
      ]
    : [...entry(left, 0), ...entry(right, 4), ...multiplyDouble]
  const accumulate = [
    ...[...get(sum), ...product, ...addDouble, ...set(sum), ...get(at), ...get(sum), ...storeDouble],
    ...advance(at, constant(8)),
    ...advance(rule, constant(8)),
    ...(weighted ? advance(weight, constant(8)) : []),
  ]
  const pad = [...get(at), ...get(sum), ...storeDouble, ...advance(at, constant(8))]
  const two = (offset: number): Code => [
    ...[...get(at), ...load4(offset), ...get(unit), ...multiplyDoubles],
    ...[...number(barOffset), ...splatDoubles, ...addDoubles],
  ]
  const four = [
    ...[...get(bar), ...two(0), ...two(16), ...pick4(0, 2, 4, 6), ...store4(0)],
    ...advance(at, constant(32)),
    ...advance(bar, constant(16)),
  ]
  const symbol = [
    ...[...get(list), ...loadAt(0), ...set(y)],
    ...[...get(rules), ...get(y), ...get(rulesWide), ...mul, ...add, ...set(rule)],
    ...(weighted ? [...get(prior), ...get(y), ...get(rulesWide), ...mul, ...add, ...set(weight)] : []),
    ...[...get(rule), ...get(rulesWide), ...add, ...set(last)],
    ...[...get(sums), ...set(at), ...number(0), ...set(sum)],
    ...repeat(accumulate, [...get(rule), ...get(last), ...below]),
    // places in excess hold the total, whose bar no word exceeds
    ...repeat(pad, [
      ...get(at),
      ...get(sums),
      ...get(barsWide),
      ...constant(1),
      ...shiftLeft,
      ...add,
      ...below,
    ]),
    ...[...number(2 ** 31), ...get(sum), ...divideDouble, ...splatDoubles, ...set(unit)],
    ...[...get(sums), ...set(at), ...get(bars), ...get(y), ...get(barsWide), ...mul, ...add, ...set(bar)],
    ...[...get(bar), ...get(barsWide), ...add, ...set(last)],
    ...repeat(four, [...get(bar), ...get(last), ...below]),
    ...advance(list, constant(4)),
  ]
  const rowOf = (offset: number): Code => [
    ...[...get(rows), ...get(index), ...loadAt(offset), ...get(row), ...mul, ...add],
  ]
  const node = [
    ...[...get(above), ...set(at), ...get(list), ...set(listed), ...get(list), ...set(first)],
    ...repeat(collect, [...get(at), ...get(end), ...below]),
    ...[...rowOf(0), ...set(left), ...rowOf(4), ...set(right)],
    ...repeat(symbol, [...get(list), ...get(listed), ...below]),
    ...[...get(first), ...set(list)],
    ...advance(above, constant(4)),
    ...advance(end, constant(4)),
    ...advance(index, constant(8)),
    ...advance(bars, get(barsNode)),
    ...advance(stamp, constant(1)),
    ...advance(nodes, constant(-1)),
  ]
  return functionCode(
    [
      [10, i32],
      [1, f64],
      [1, v128],
    ],
    repeat(node, get(nodes)),
  )
}

/**
 * draw(above, end, step, nodes, words, bars, barsNode, barsWide, rules, m, out): for every sample and each of `nodes` nodes (in
 * bytes of symbols), the number of bars below the word is the rule; its pair goes to the two nodes below, from `out`. With
 * `few` a symbol has eight bars (m is at most eight) and there are eight nodes, without inner loops.
 */
function drawCode(few: boolean): number[] {
  const [above, end, step, nodes, words, bars, barsNode, barsWide, rules, m, out] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ]
  const [at, k, offset, nodeBars, bar, last, word] = [11, 12, 13, 14, 15, 16, 17]
  const compare = (from: number): Code => [...get(bar), ...load4(from), ...get(word), ...less4]
  const count = [
    ...[...compare(0), ...compare(16), ...narrow8, ...bitmask8, ...popcount],
    ...[...get(k), ...add, ...set(k)],
  ]
  const countAll = [
    ...[...get(bar), ...get(barsWide), ...add, ...set(last)],
    ...repeat([...count, ...advance(bar, constant(32))], [...get(bar), ...get(last), ...below]),
  ]
  const choice = [
    ...[...set(k), ...get(nodeBars), ...get(k)],
    ...(few ? [...constant(5), ...shiftLeft] : [...get(barsWide), ...mul]),
    ...[...add, ...set(bar), ...get(k), ...get(m), ...mul, ...set(k), ...(few ? count : countAll)],
  ]
  const pair = [...get(rules), ...get(k), ...constant(3), ...shiftLeft, ...add, ...loadPairAt(0)]
  const node = [
    ...[...get(words), ...get(offset), ...add, ...loadSplat(0), ...set(word)],
    ...[...get(above), ...get(offset), ...add, ...loadAt(0), ...choice],
    ...[...get(at), ...pair, ...storePairAt(0)],
    ...advance(at, constant(8)),
    ...advance(nodeBars, get(barsNode)),
    ...advance(offset, constant(4)),
  ]
  const nodeAt = (i: number): Code => [
    ...[...get(words), ...loadSplat(4 * i), ...set(word), ...get(above), ...loadAt(4 * i), ...choice],
    ...[...get(out), ...pair, ...storePairAt(8 * i)],
    ...advance(nodeBars, get(barsNode)),
  ]
  const all = few
    ? Array.from({ length: groupNodes }, (_, i) => nodeAt(i)).flat()
    : [
        ...[...get(out), ...set(at), ...constant(0), ...set(offset)],
        ...repeat(node, [...get(offset), ...get(nodes), ...below]),
      ]
  const sample = [
    ...[...get(bars), ...set(nodeBars), ...all],
    ...advance(above, get(step)),
    ...advance(words, constant(4 * groupNodes)),
    ...advance(out, [...get(step), ...constant(1), ...shiftLeft]),
  ]
  return functionCode(
    [
      [6, i32],
      [1, v128],
    ],
    repeat(sample, [...get(above), ...get(end), ...below]),
  )
}

type Kernel = (...addresses: number[]) => void

/** Functions of one module; `weigh` by precision, for uniform and other probabilities. */
export interface DrawKernels {
  readonly words: Kernel
  readonly draw: Kernel
  readonly drawFew: Kernel
  readonly single: Kernel
  readonly double: Kernel
  readonly singleWeighted: Kernel
  readonly doubleWeighted: Kernel
}

const ints = (count: number): number[] => new Array<number>(count).fill(i32)
let kernels: Loaded<DrawKernels> | undefined

/** The functions over a memory of at least this size, compiled once a process; undefined without vectors or memory. */
export function drawKernels(bytes: number): Loaded<DrawKernels> | undefined {
  const weigh = (name: string, loadEntry: Code, weighted: boolean) => ({
    name,
    parameters: ints(17),
    results: [],
    code: weighCode(loadEntry, weighted),
  })
  kernels ??= load<DrawKernels>(
    encodeModule([
      { name: 'words', parameters: ints(4), results: [], code: wordsCode() },
      { name: 'draw', parameters: ints(11), results: [], code: drawCode(false) },
      { name: 'drawFew', parameters: ints(11), results: [], code: drawCode(true) },
      weigh('single', loadSingle, false),
      weigh('double', loadDouble, false),
      weigh('singleWeighted', loadSingle, true),
      weigh('doubleWeighted', loadDouble, true),
    ]),
  )
  return kernels && reserve(kernels.memory, bytes) ? kernels : undefined
}
