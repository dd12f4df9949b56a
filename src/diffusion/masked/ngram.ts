/**
 * @file Masks filled exactly under an n-gram model of a text: a denoiser with a memory of n − 1 symbols and no more. What a network
 * does beyond it, it does by structure that no such model has. Inference is that of a chain: forward over contexts, then symbols drawn
 * from the last to the first.
 */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import { drawFrom } from '../channels.ts'

/** p(symbol | the n − 1 before), with shorter contexts at the beginning of a string. */
export interface NgramModel {
  readonly v: number
  readonly n: number
  /** Of contexts of k = 0 … n − 1 symbols: [v^k, v], the newest symbol of a context its lowest digit. */
  readonly tables: readonly Float64Array[]
}

/** Most numbers of a table. */
const mostEntries = 2 ** 24

/**
 * Count a text. A context is mixed with the one that is shorter by a symbol as T(c)/(T(c) + N(c)), N the times it was seen and T the
 * kinds of symbols after it (Witten and Bell 1991, method C), so that every string is possible. Throws TL_BAD_ARGUMENT where v^n is
 * too many.
 */
export function ngramModel(ids: ArrayLike<number>, v: number, n: number): NgramModel {
  if (!(Number.isSafeInteger(n) && n >= 1 && v ** n <= mostEntries))
    fail(
      'TL_BAD_ARGUMENT',
      `n: expected a whole number from 1 on with v^n at most ${mostEntries}, got ${n} for ${v} symbols`,
    )
  const tables: Float64Array[] = []
  for (let k = 0; k < n; k++) {
    const table = new Float64Array(v ** (k + 1))
    let number = 0
    for (let i = 0; i < ids.length; i++) {
      number = (number * v + ids[i]!) % table.length
      if (i >= k) table[number]!++
    }
    const shorter = tables[k - 1]
    for (let c = 0; c < table.length; c += v) {
      let [total, kinds] = [0, 0]
      for (let x = 0; x < v; x++) {
        total += table[c + x]!
        if (table[c + x]! > 0) kinds++
      }
      // a context that was never seen says what the shorter one says; of single symbols every one is as good as another
      const [times, share] = total > 0 ? [1 / (total + kinds), kinds / (total + kinds)] : [0, 1]
      for (let x = 0; x < v; x++) {
        const below = shorter ? shorter[(c + x) % shorter.length]! : 1 / v
        table[c + x] = table[c + x]! * times + share * below
      }
    }
    tables.push(table)
  }
  return { v, n, tables }
}

/** Forward messages of one string: p(context | what is shown so far), and which contexts can be. */
interface Messages {
  /** Of each position 0 … d: [v^K], K = max(1, n − 1). */
  readonly alpha: Float64Array[]
  readonly active: Int32Array[]
  readonly counts: Int32Array
  readonly stamp: Int32Array
  epoch: number
}

/** Room for strings of d symbols, used for one after the other. */
function roomFor({ v, n }: NgramModel, d: number): Messages {
  const size = v ** Math.max(1, n - 1)
  const rows = <T>(make: () => T): T[] => Array.from({ length: d + 1 }, make)
  return {
    alpha: rows(() => new Float64Array(size)),
    active: rows(() => new Int32Array(size)),
    ...{ counts: new Int32Array(d + 1), stamp: new Int32Array(size), epoch: 0 },
  }
}

/** Go through a string; ln p of what it shows. */
function forward({ v, n, tables }: NgramModel, string: Int32Array, room: Messages): number {
  const { alpha, active, counts, stamp } = room
  alpha[0]![0] = 1
  active[0]![0] = 0
  counts[0] = 1
  let evidence = 0
  for (let i = 0; i < string.length; i++) {
    const [from, to, list, next] = [alpha[i]!, alpha[i + 1]!, active[i]!, active[i + 1]!]
    const table = tables[Math.min(i, n - 1)]!
    const shown = string[i]!
    const [low, high] = shown < 0 ? [0, v] : [shown, shown + 1]
    const epoch = ++room.epoch
    let [found, total] = [0, 0]
    for (let at = 0; at < counts[i]!; at++) {
      const context = list[at]!
      const weight = from[context]!
      // a context of one symbol is kept where the table needs none
      const row = (context * v) % table.length
      const base = (context * v) % to.length
      for (let x = low; x < high; x++) {
        const p = weight * table[row + x]!
        const place = base + x
        if (stamp[place] !== epoch) {
          stamp[place] = epoch
          next[found++] = place
          to[place] = p
        } else to[place]! += p
        total += p
      }
    }
    counts[i + 1] = found
    for (let at = 0; at < found; at++) to[next[at]!]! /= total
    evidence += Math.log(total)
  }
  return evidence
}

/** Draw the masks of a string, in place, from the last symbol to the first. `units` [d + 1] in [0, 1). */
function backward(
  { v, n, tables }: NgramModel,
  string: Int32Array,
  room: Messages,
  units: Float32Array,
): void {
  const { alpha, active, counts } = room
  const d = string.length
  const size = alpha[0]!.length
  const order = Math.max(1, n - 1)
  // the last context first: it has the last symbols
  const weights = Float64Array.from({ length: counts[d]! }, (_, at) => alpha[d]![active[d]![at]!]!)
  let context = active[d]![drawFrom(weights, 0, weights.length, units[d]!)]!
  for (let i = d - 1; i >= 0; i--) {
    string[i] = context % v
    const rest = Math.floor(context / v)
    if (i < order) {
      // everything before is in the context
      context = rest
      continue
    }
    const oldest = i - order
    const step = size / v
    const table = tables[n - 1]!
    const options = new Float64Array(v)
    const shown = string[oldest]!
    for (let y = shown < 0 ? 0 : shown; y < (shown < 0 ? v : shown + 1); y++) {
      const before = y * step + rest
      options[y] = alpha[i]![before]! * table[((before * v) % table.length) + string[i]!]!
    }
    const y = shown < 0 ? drawFrom(options, 0, v, units[oldest]!) : shown
    context = y * step + rest
  }
}

const stringsOf = (tokens: Int32Array, d: number): Int32Array[] => {
  if (tokens.length % d !== 0)
    fail('TL_BAD_ARGUMENT', `tokens: expected a multiple of d = ${d} symbols, got ${tokens.length}`)
  return Array.from({ length: tokens.length / d }, (_, b) => tokens.slice(b * d, (b + 1) * d))
}

/** ln p of strings [B, d], masks (−1) summed over. [B], nats */
export function ngramLogProbability(model: NgramModel, tokens: Int32Array, d: number): Float64Array {
  const room = roomFor(model, d)
  return Float64Array.from(stringsOf(tokens, d), (string) => forward(model, string, room))
}

/** Fill the masks (−1) of strings [B, d]: exact draws of all of them together, given what is shown. */
export function ngramFill(model: NgramModel, tokens: Int32Array, d: number, key: random.Key): Int32Array {
  const room = roomFor(model, d)
  const strings = stringsOf(tokens, d)
  const units = random.sampleUniform(key, strings.length * (d + 1))
  const out = tokens.slice()
  for (const [b, string] of strings.entries()) {
    forward(model, string, room)
    backward(model, string, room, units.subarray(b * (d + 1), (b + 1) * (d + 1)))
    out.set(string, b * d)
  }
  return out
}
