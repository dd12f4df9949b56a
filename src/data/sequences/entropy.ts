/**
 * @file The entropy of the next symbol given the n before it, from above: the loss on held-out text of an interpolated back-off
 * model, whose only freedom, how far each order is trusted, is chosen on further text. No predictor that sees n symbols can lose
 * less than the entropy on average; a model of finite data loses more.
 */

/** Counts of one order: each (context, next) once, in the order of its number. */
interface Counted {
  /** context · v + next, rising. */
  readonly keys: Float64Array
  readonly counts: Uint32Array
  /** Of each distinct context, in the same order: where its keys begin; one more at the end. */
  readonly starts: Uint32Array
  readonly contexts: Float64Array
}

/** Largest whole number of symbols whose (context, next) fits a float64. */
export const mostContext = (v: number): number => Math.floor(53 / Math.log2(v)) - 1

/** Numbers of every (context of n, next) of a piece of text, appended to `out`. */
function addKeys(ids: Uint16Array, v: number, n: number, out: Float64Array, from: number): number {
  let at = from
  const top = v ** n
  let number = 0
  for (let i = 0; i < ids.length; i++) {
    // (oldest · v^n + … + next): drop what is older than n before appending
    number = (number % top) * v + ids[i]!
    if (i >= n) out[at++] = number
  }
  return at
}

function countOrder(pieces: readonly Uint16Array[], v: number, n: number): Counted {
  const all = new Float64Array(pieces.reduce((sum, piece) => sum + Math.max(0, piece.length - n), 0))
  let filled = 0
  for (const piece of pieces) filled = addKeys(piece, v, n, all, filled)
  all.sort()
  let distinct = 0
  for (let i = 0; i < all.length; i++) if (i === 0 || all[i] !== all[i - 1]) distinct++
  const keys = new Float64Array(distinct)
  const counts = new Uint32Array(distinct)
  let at = -1
  for (let i = 0; i < all.length; i++) {
    if (i === 0 || all[i] !== all[i - 1]) keys[++at] = all[i]!
    counts[at]!++
  }
  const starts: number[] = []
  const contexts: number[] = []
  for (let i = 0; i < distinct; i++) {
    const context = Math.floor(keys[i]! / v)
    if (contexts.at(-1) === context) continue
    contexts.push(context)
    starts.push(i)
  }
  starts.push(distinct)
  return { keys, counts, starts: Uint32Array.from(starts), contexts: Float64Array.from(contexts) }
}

/** Where a value is in a rising list, −1 where it is not. */
function find(values: Float64Array, value: number, from: number, to: number): number {
  let [low, high] = [from, to]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (values[middle]! < value) low = middle + 1
    else high = middle
  }
  return low < to && values[low] === value ? low : -1
}

/** What an order says of each next symbol of a text: times the context was seen, kinds after it, times the symbol was. */
interface Seen {
  readonly total: Float64Array
  readonly kinds: Float64Array
  readonly times: Float64Array
}

/** Of every position of the pieces; a position with fewer than n symbols before it has seen nothing. */
function lookUp(
  { keys, counts, starts, contexts }: Counted,
  pieces: readonly Uint16Array[],
  v: number,
  n: number,
): Seen {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const seen = {
    total: new Float64Array(length),
    kinds: new Float64Array(length),
    times: new Float64Array(length),
  }
  const totals = Float64Array.from(contexts, (_, c) => {
    let sum = 0
    for (let i = starts[c]!; i < starts[c + 1]!; i++) sum += counts[i]!
    return sum
  })
  let at = 0
  for (const piece of pieces) {
    const own = new Float64Array(Math.max(0, piece.length - n))
    addKeys(piece, v, n, own, 0)
    for (let i = 0; i < piece.length; i++, at++) {
      if (i < n) continue
      const key = own[i - n]!
      const context = find(contexts, Math.floor(key / v), 0, contexts.length)
      if (context < 0) continue
      const [first, last] = [starts[context]!, starts[context + 1]!]
      seen.total[at] = totals[context]!
      seen.kinds[at] = last - first
      const found = find(keys, key, first, last)
      if (found >= 0) seen.times[at] = counts[found]!
    }
  }
  return seen
}

/** Share of the shorter context in what is said; 1 leaves the longer one out. */
const shares = [0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]

/** Contexts that were seen about as often, with about as many kinds of symbols after them, have one share. */
const bucketOf = (total: number, kinds: number): number =>
  32 * Math.floor(Math.log2(total)) + Math.floor(Math.log2(kinds))
const buckets = 32 * 32

const mixed = (times: number, total: number, shorter: number, share: number): number =>
  (1 - share) * (times / total) + share * shorter

/** The share of each bucket with which a text is least surprising. (Jelinek and Mercer 1980) */
function bestShares({ total, kinds, times }: Seen, shorter: Float64Array): Float64Array {
  const losses = shares.map(() => new Float64Array(buckets))
  for (let i = 0; i < shorter.length; i++) {
    if (total[i] === 0) continue
    const bucket = bucketOf(total[i]!, kinds[i]!)
    for (const [s, share] of shares.entries())
      losses[s]![bucket]! -= Math.log(mixed(times[i]!, total[i]!, shorter[i]!, share))
  }
  return Float64Array.from({ length: buckets }, (_, bucket) => {
    const own = losses.map((loss) => loss[bucket]!)
    // a bucket that the text never meets adds nothing
    return own.every((loss) => loss === 0) ? 1 : shares[own.indexOf(Math.min(...own))]!
  })
}

const extend = ({ total, kinds, times }: Seen, shorter: Float64Array, chosen: Float64Array): Float64Array =>
  shorter.map((p, i) =>
    total[i] === 0 ? p : mixed(times[i]!, total[i]!, p, chosen[bucketOf(total[i]!, kinds[i]!)]!),
  )

const meanLoss = (p: Float64Array): number => p.reduce((sum, q) => sum - Math.log(q), 0) / p.length

/** Pieces of text for the three uses; no piece is in two of them. */
export interface Split {
  readonly train: readonly Uint16Array[]
  /** Says how far each order is to be trusted. */
  readonly validation: readonly Uint16Array[]
  readonly test: readonly Uint16Array[]
}

/**
 * Loss in nats of every test piece [n][piece] for contexts n = 0 … most: a mean over the symbols of the piece, those of its
 * beginning with as many before them as there are. Bounds the entropy from above on average.
 */
export function backOffLosses(split: Split, v: number, most: number): number[][] {
  const length = (pieces: readonly Uint16Array[]): number =>
    pieces.reduce((sum, piece) => sum + piece.length, 0)
  let onValidation: Float64Array = new Float64Array(length(split.validation)).fill(1 / v)
  let onTest: Float64Array = new Float64Array(length(split.test)).fill(1 / v)
  return Array.from({ length: most + 1 }, (_, n) => {
    const counted = countOrder(split.train, v, n)
    const seen = lookUp(counted, split.validation, v, n)
    const chosen = bestShares(seen, onValidation)
    onValidation = extend(seen, onValidation, chosen)
    onTest = extend(lookUp(counted, split.test, v, n), onTest, chosen)
    let at = 0
    return split.test.map((piece) => {
      const own = onTest.subarray(at, at + piece.length)
      at += piece.length
      return meanLoss(own)
    })
  })
}
