/** @file A sampler for pairs over fast loops: what lies where in their memory, and which groups of nodes they visit. */
import type { Grammar } from '../grammar.ts'
import { choose, type Sampler } from './draw.ts'
import { type DrawKernels, drawKernels, groupNodes } from './drawCode.ts'
import { type Level, probabilitiesAt } from './level.ts'
import type { Upward } from './up.ts'
import { placesFor, rootBars } from './weigh.ts'

/** Memory beyond which the plain loops are taken. */
const mostBytes = 2 ** 28

/** The rows of a level that some data use: first and last + 1. */
function rowsUsed({ index, nodes }: Level, from: number, to: number): [number, number] {
  let low = Infinity
  let high = 0
  for (let n = from * nodes; n < to * nodes; n++) {
    low = Math.min(low, index[n]!)
    high = Math.max(high, index[n]! + 1)
  }
  return [low, high]
}

/** Addresses of what belongs to one level. */
interface Place {
  readonly symbols: number
  /** Pairs of symbols, and of offsets into rows, by rule. */
  readonly rules: number
  readonly offsets: number
  readonly prior: number
  /** Messages of the nodes below: row 0 would be at `rows`; rows of the nodes of the first datum are at `index`. */
  readonly rows: number
  readonly index: number
}

/**
 * Draws samples of data from … to − 1 whose messages are not kept as logarithms. Undefined when the grammar has no pairs, when
 * too much memory is needed, or when the platform lacks vectors. Another call ends the use of the one before.
 */
export function pairSampler(
  grammar: Grammar,
  up: Upward,
  from: number,
  to: number,
  samples: number,
): Sampler | undefined {
  const { v, classes, m, s, L, rules } = grammar
  if (s !== 2 || samples === 0) return undefined
  let bytes = 0
  const place = (size: number): number => {
    const at = bytes
    bytes += 16 * Math.ceil(size / 16)
    return at
  }
  const size = up.levels[0]!.rows.BYTES_PER_ELEMENT
  const symbols = Math.max(classes, v)
  const barsWide = 4 * placesFor(m)
  const barsNode = symbols * barsWide
  const used = up.levels.map((level) => rowsUsed(level, from, to))
  const [keys, words] = [place(8 * samples), place(4 * groupNodes * samples)]
  const [made, list] = [place(4 * symbols), place(4 * samples + 4)]
  const [sums, bars] = [place(2 * barsWide + 8), place(groupNodes * barsNode)]
  const places = Array.from({ length: L + 1 }, (_, level): Place => {
    const own = place(4 * samples * 2 ** level)
    if (level === L) return { symbols: own, rules: 0, offsets: 0, prior: 0, rows: 0, index: 0 }
    const table = rules[level]!.byteLength
    const [low, high] = used[level + 1]!
    return {
      symbols: own,
      rules: place(table),
      offsets: place(table),
      prior: grammar.probabilities ? place(table) : 0,
      rows: place((high - low) * v * size) - low * v * size,
      index: place(4 * (to - from) * 2 ** (level + 1)),
    }
  })
  const loaded = bytes <= mostBytes ? drawKernels(bytes) : undefined
  if (!loaded) return undefined
  const { buffer } = loaded.memory
  for (let level = 0; level < L; level++) {
    const here = places[level]!
    const table = rules[level]!
    new Int32Array(buffer, here.rules, table.length).set(table)
    new Int32Array(buffer, here.offsets, table.length).set(table.map((symbol) => symbol * size))
    const probabilities = probabilitiesAt(grammar, level)
    if (probabilities) new Float64Array(buffer, here.prior, probabilities.length).set(probabilities)
    const { rows, index, nodes } = up.levels[level + 1]!
    const [low, high] = used[level + 1]!
    const own = rows.subarray(low * v, high * v)
    const Floats = rows instanceof Float32Array ? Float32Array : Float64Array
    new Floats(buffer, here.rows + low * v * size, own.length).set(own)
    const ownIndex = index.subarray(from * nodes, to * nodes)
    new Int32Array(buffer, here.index, ownIndex.length).set(ownIndex)
  }
  const { functions } = loaded
  const row = v * size
  const weigh = functions[weighName(size, grammar.probabilities !== undefined)]
  const ownKeys = new Int32Array(buffer, keys, 2 * samples)
  const ownMade = new Int32Array(buffer, made, symbols)
  const ownWords = new Int32Array(buffer, words, groupNodes * samples)
  const levels = places.map((here, level) => new Int32Array(buffer, here.symbols, samples * 2 ** level))
  const drawGroup = (b: number, level: number, node: number, wordsAt: number): void => {
    const here = places[level]!
    const nodes = 2 ** level
    const group = Math.min(nodes, groupNodes)
    const step = 4 * nodes
    const above = here.symbols + 4 * node
    const end = above + step * samples
    const index = here.index + 8 * ((b - from) * nodes + node)
    const { rows, offsets, prior } = here
    // word 1 + n belongs to the n-th node from the top: a number no other node of the datum has
    const stamp = nodes + node
    // named one by one: spread arguments would cost as much as the call
    weigh(
      above,
      end,
      step,
      group,
      index,
      rows,
      row,
      offsets,
      8 * m,
      bars,
      barsNode,
      barsWide,
      made,
      stamp,
      list,
      sums,
      prior,
    )
    const below = places[level + 1]!.symbols + 8 * node
    const draw = m <= 8 && group === groupNodes ? functions.drawFew : functions.draw
    draw(above, end, step, 4 * group, wordsAt, bars, barsNode, barsWide, here.rules, m, below)
  }
  return {
    levels,
    draw: (b, sampleKeys) => {
      ownKeys.set(sampleKeys)
      ownMade.fill(0)
      const fill = (block: number): void => functions.words(keys, keys + 8 * samples, words, block)
      fill(0)
      const root = rootBars(grammar, up, b)
      for (let t = 0; t < samples; t++)
        levels[0]![t] = choose(root, 0, root.length, ownWords[groupNodes * t]!)
      for (let level = 0; level < L; level++) {
        const nodes = 2 ** level
        // the first eight words are those of the root and of levels 0 … 2
        if (nodes < groupNodes) drawGroup(b, level, 0, words + 4 * nodes)
        else
          for (let node = 0; node < nodes; node += groupNodes) {
            fill((nodes + node) / 2)
            drawGroup(b, level, node, words)
          }
      }
    },
  }
}

/** Which of the functions weighs messages of `size` bytes. */
const weighName = (size: number, weighted: boolean): keyof DrawKernels => {
  if (size === 4) return weighted ? 'singleWeighted' : 'single'
  return weighted ? 'doubleWeighted' : 'double'
}
