/**
 * @file The inner loops of sampling for pairs (s = 2) as WebAssembly, four words at a time and a rule chosen by eight
 * comparisons at once. Same bits as the plain ones. (WebAssembly core specification 2.0)
 */
import type { Grammar } from '../grammar.ts'
import {
  add,
  advance,
  below,
  type Code,
  constant,
  encodeModule,
  functionCode,
  get,
  i32,
  type Loaded,
  load,
  loadAt,
  mul,
  repeat,
  reserve,
  set,
  unsigned,
  v128,
} from './assemble.ts'
import type { Drawing } from './draw.ts'
import { placesFor } from './weigh.ts'

/** Memory beyond which plain loops are taken. */
const mostBytes = 2 ** 26

const popcount: Code = [0x69]
const store: Code = [0x36, 2, 0]
const simd = (code: number, ...more: number[]): Code => [0xfd, ...unsigned(code), ...more]
const load4 = (offset: number): Code => simd(0x00, 2, offset)
const store4: Code = simd(0x0b, 2, 0)
const loadSplat: Code = simd(0x09, 2, 0)
const splat = simd(0x11)
const add4 = simd(0xae)
const shiftLeft4 = simd(0xab)
const shiftRight4 = simd(0xad)
const or4 = simd(0x50)
const xor4 = simd(0x51)
const less4 = simd(0x39)
const narrow8 = simd(0x85)
const bitmask8 = simd(0x84)

const code = (integers: number, vectors: number, body: Code): number[] =>
  functionCode(
    [
      [integers, i32],
      [vectors, v128],
    ],
    body,
  )

/** words(keys0, keys1, out, stride in bytes, block): Threefry 2×32 of four samples at a time, shifted to 31 bits. */
function wordsCode(): number[] {
  const [keys0, keys1, out, stride, block, end] = [0, 1, 2, 3, 4, 5]
  const [k0, k1, k2, x, y] = [6, 7, 8, 9, 10]
  const rotations = [13, 15, 26, 6, 17, 29, 16, 24]
  const keys = [k0, k1, k2]
  const rounds: number[] = []
  for (let group = 0; group < 5; group++) {
    for (let i = 0; i < 4; i++) {
      const r = rotations[(group % 2) * 4 + i]!
      rounds.push(...get(x), ...get(y), ...add4, ...set(x))
      rounds.push(...get(y), ...constant(r), ...shiftLeft4, ...get(y), ...constant(32 - r), ...shiftRight4)
      rounds.push(...or4, ...get(x), ...xor4, ...set(y))
    }
    rounds.push(...get(x), ...get(keys[(group + 1) % 3]!), ...add4, ...set(x))
    rounds.push(...get(y), ...get(keys[(group + 2) % 3]!), ...add4)
    rounds.push(...constant(group + 1), ...splat, ...add4, ...set(y))
  }
  const body = [
    ...[...get(keys0), ...load4(0), ...set(k0), ...get(keys1), ...load4(0), ...set(k1)],
    ...[...get(k0), ...get(k1), ...xor4, ...constant(0x1bd11bda), ...splat, ...xor4, ...set(k2)],
    ...[...get(k0), ...set(x), ...get(k1), ...get(block), ...splat, ...add4, ...set(y)],
    ...rounds,
    ...[...get(out), ...get(x), ...constant(1), ...shiftRight4, ...store4],
    ...[...get(out), ...get(stride), ...add, ...get(y), ...constant(1), ...shiftRight4, ...store4],
    ...advance(keys0, constant(16)),
    ...advance(keys1, constant(16)),
    ...advance(out, constant(16)),
  ]
  const start = [...get(out), ...get(stride), ...add, ...set(end)]
  return code(1, 5, [...start, ...repeat(body, [...get(out), ...get(end), ...below])])
}

/**
 * draw(above, words, bars, bytes of a symbol's bars, rules, m, below, bytes of a node's samples): for each sample the number
 * of bars below its word is its rule; the rule's pair goes to the two nodes below.
 */
function drawCode(): number[] {
  const [above, words, bars, wide, rules, m, out, stride, end, y, k, bar, last] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
  ]
  const word = 13
  const compare = (offset: number): Code => [...get(bar), ...load4(offset), ...get(word), ...less4]
  const count = [
    ...[...compare(0), ...compare(16), ...narrow8, ...bitmask8, ...popcount],
    ...[...get(k), ...add, ...set(k)],
    ...advance(bar, constant(32)),
  ]
  const body = [
    ...[...get(above), ...loadAt(0), ...set(y), ...get(words), ...loadSplat, ...set(word)],
    ...[...get(bars), ...get(y), ...get(wide), ...mul, ...add, ...set(bar)],
    ...[...get(bar), ...get(wide), ...add, ...set(last)],
    ...[...get(y), ...get(m), ...mul, ...set(k)],
    ...repeat(count, [...get(bar), ...get(last), ...below]),
    ...[...get(rules), ...get(k), ...constant(8), ...mul, ...add, ...set(k)],
    ...[...get(out), ...get(k), ...loadAt(0), ...store],
    ...[...get(out), ...get(stride), ...add, ...get(k), ...loadAt(4), ...store],
    ...advance(above, constant(4)),
    ...advance(words, constant(4)),
    ...advance(out, constant(4)),
  ]
  const start = [...get(above), ...get(stride), ...add, ...set(end)]
  return code(5, 1, [...start, ...repeat(body, [...get(above), ...get(end), ...below])])
}

interface Kernels {
  readonly words: (keys0: number, keys1: number, out: number, stride: number, block: number) => void
  readonly draw: (...addresses: number[]) => void
}

const ints = (count: number): number[] => new Array<number>(count).fill(i32)
let kernels: Loaded<Kernels> | undefined
/** Compiled once a process. */
function loadKernels(bytes: number): Loaded<Kernels> | undefined {
  kernels ??= load<Kernels>(
    encodeModule([
      { name: 'words', parameters: ints(5), results: [], code: wordsCode() },
      { name: 'draw', parameters: ints(8), results: [], code: drawCode() },
    ]),
  )
  return kernels && reserve(kernels.memory, bytes) ? kernels : undefined
}

/** The loops for pairs; undefined when the grammar has no pairs, needs too much memory, or the platform lacks vectors. */
export function simdDrawing(grammar: Grammar, samples: number): Drawing | undefined {
  const { v, classes, m, s, d, L, rules } = grammar
  if (s !== 2 || samples === 0) return undefined
  let bytes = 0
  const place = (ints: number): number => {
    const at = bytes
    bytes += 16 * Math.ceil(ints / 4)
    return at
  }
  const stride = 4 * Math.ceil(samples / 4)
  const places = placesFor(m)
  const symbolsAt = [place(d * samples), place((d / 2) * samples)] as const
  const barsAt = place(Math.max(classes, v) * places)
  const [keys0, keys1, wordsAt] = [place(stride), place(stride), place(2 * stride)]
  const rulesAt = Array.from({ length: L }, (_, level) => place(rules[level]!.length))
  if (bytes > mostBytes) return undefined
  const loaded = loadKernels(bytes)
  if (!loaded) return undefined
  const { words, draw } = loaded.functions
  const { buffer } = loaded.memory
  const view = (at: number, length: number): Int32Array => new Int32Array(buffer, at, length)
  for (let level = 0; level < L; level++) view(rulesAt[level]!, rules[level]!.length).set(rules[level]!)
  const ownKeys = [view(keys0, stride), view(keys1, stride)] as const
  return {
    bars: view(barsAt, Math.max(classes, v) * places).fill(2 ** 31 - 1),
    symbols: [view(symbolsAt[0], d * samples), view(symbolsAt[1], (d / 2) * samples)],
    words: view(wordsAt, 2 * stride),
    stride,
    setKeys: (keys) => {
      for (let t = 0; t < samples; t++) {
        ownKeys[0][t] = keys[2 * t]!
        ownKeys[1][t] = keys[2 * t + 1]!
      }
    },
    fill: (block) => words(keys0, keys1, wordsAt, 4 * stride, block),
    draw: (level, turn, node, half) =>
      draw(
        symbolsAt[turn]! + 4 * node * samples,
        wordsAt + 4 * half * stride,
        barsAt,
        4 * places,
        rulesAt[level]!,
        m,
        symbolsAt[1 - turn]! + 8 * node * samples,
        4 * samples,
      ),
  }
}
