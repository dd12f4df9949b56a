/**
 * @file How far tuples of different symbols stand apart in their contexts, against tuples of the same: signal over noise,
 * without any formula for either; and what the rules say it is at P data.
 */
import type { Grammar } from '../grammar.ts'
import { nodeMarginal, type PairTable, tupleJoint } from '../theory/transfer.ts'

/** What a tuple is seen with. */
export type TupleContext =
  /** The last leaf; the tuple stands under the first child of the root, two levels down: the root is their LCA, ℓ = L. */
  | 'leaf'
  /** The last leaf of the datum before: nothing can be learned (control). */
  | 'shuffled'
  /** The class; the tuple is the first one of leaves. */
  | 'class'

/** The level of the symbols that a tuple is made of: two below the root, or the leaves. */
export const tupleLevel = ({ L }: Grammar, context: TupleContext): number => (context === 'class' ? L : 2)

/** Rows seen at least once: which, and P(symbol | row) − P(symbol) [n, symbols], from counts [rows, symbols]. */
export function contextFrequencies(
  counts: Float64Array,
  symbols: number,
): { rows: number[]; vectors: Float64Array } {
  const whole = new Float64Array(symbols)
  for (let i = 0; i < counts.length; i++) whole[i % symbols]! += counts[i]!
  const total = whole.reduce((a, b) => a + b, 0)
  const rows: number[] = []
  const vectors: number[] = []
  for (let row = 0; row < counts.length / symbols; row++) {
    const own = counts.subarray(row * symbols, (row + 1) * symbols)
    const sum = own.reduce((a, b) => a + b, 0)
    if (sum === 0) continue
    rows.push(row)
    for (let x = 0; x < symbols; x++) vectors.push(own[x]! / sum - whole[x]! / total)
  }
  return { rows, vectors: Float64Array.from(vectors) }
}

const squaredDistance = (vectors: Float64Array, dim: number, i: number, j: number): number => {
  let distance = 0
  for (let x = 0; x < dim; x++) distance += (vectors[i * dim + x]! - vectors[j * dim + x]!) ** 2
  return distance
}

/**
 * Mean squared distance of vectors [n, dim] between rows of different parents over that between rows of the same, minus 1. Null
 * while there are no two rows of either kind, or those of the same parent do not differ.
 */
export function contrastOf(vectors: Float64Array, dim: number, parents: readonly number[]): number | null {
  const sums = { same: 0, other: 0 }
  const pairs = { same: 0, other: 0 }
  for (let i = 0; i < parents.length; i++)
    for (let j = 0; j < i; j++) {
      const kind = parents[i] === parents[j] ? 'same' : 'other'
      sums[kind] += squaredDistance(vectors, dim, i, j)
      pairs[kind]++
    }
  if (pairs.same === 0 || pairs.other === 0 || sums.same === 0) return null
  return sums.other / pairs.other / (sums.same / pairs.same) - 1
}

/**
 * E[1/N; N ≥ 1], N binomial of P trials with probability p: ∫_q^1 (u^P − q^P)/(u − q) du = Σ_{j=1}^P (q^{P−j} − q^P)/j, q = 1 − p.
 * Above 1/(P p) where N is small but seldom 0.
 */
export function meanInverse(P: number, p: number): number {
  const q = 1 - p
  const never = q ** P
  let [sum, power] = [0, 1]
  // powers beyond are too small to count
  for (let j = P; j >= 1 && power > 1e-18; j--) {
    sum += (power - never) / j
    power *= q
  }
  return sum
}

/** Joint distribution [rules, symbols] of a tuple and its context. */
function jointOf(grammar: Grammar, context: TupleContext): PairTable {
  const { L, d } = grammar
  if (context === 'class') return tupleJoint(grammar, { level: L - 1, index: 0 }, { level: 0, index: 0 })
  const leaf = { level: L, index: d - 1 }
  const joint = tupleJoint(grammar, { level: 1, index: 0 }, leaf)
  if (context === 'leaf') return joint
  const { rows, columns, values } = joint
  const other = nodeMarginal(grammar, leaf)
  const mass = massOf(joint)
  return {
    rows,
    columns,
    values: values.map((_, at) => mass[Math.floor(at / columns)]! * other[at % columns]!),
  }
}

const massOf = ({ rows, columns, values }: PairTable): number[] =>
  Array.from({ length: rows }, (_, row) =>
    values.subarray(row * columns, (row + 1) * columns).reduce((sum, p) => sum + p, 0),
  )

/**
 * What `contrastOf` comes to at P data, from the rules of one grammar. The frequencies of a tuple μ that is seen N times lie
 * (1 − Σ P(x | μ)²)/N from P(· | μ), squared, and N is binomial: tuples seen once or never count, for at the threshold of small
 * grammars a tuple is seen a few times only (N ≈ P/(v m)). A pair is compared when both are seen, which is taken to happen
 * independently. Expectations of the two mean distances are divided. Returns a function of P. Cost once (v m)² v; each P (v m)².
 */
export function expectedContrast(grammar: Grammar, context: TupleContext): (P: number) => number {
  const { m } = grammar
  const joint = jointOf(grammar, context)
  const { columns, values } = joint
  const all = massOf(joint)
  // tuples of a symbol that never stands there are not compared
  const there = [...all.keys()].filter((row) => all[row]! > 0)
  const mass = there.map((row) => all[row]!)
  const given = Float64Array.from(
    there.flatMap((row, i) =>
      [...values.subarray(row * columns, (row + 1) * columns)].map((p) => p / mass[i]!),
    ),
  )
  const spread = mass.map((_, i) => {
    const own = given.subarray(i * columns, (i + 1) * columns)
    return 1 - own.reduce((sum, p) => sum + p * p, 0)
  })
  const pairs = there.flatMap((row, i) =>
    there.slice(0, i).map((other, j) => {
      const same = Math.floor(row / m) === Math.floor(other / m)
      return { i, j, same, signal: same ? 0 : squaredDistance(given, columns, i, j) }
    }),
  )
  return (P) => {
    const inverses = new Map<number, number>()
    for (const p of mass) if (!inverses.has(p)) inverses.set(p, meanInverse(P, p))
    const seen = mass.map((p) => 1 - (1 - p) ** P)
    const noise = mass.map((p, i) => spread[i]! * inverses.get(p)!)
    const sums = { same: 0, other: 0 }
    const weights = { same: 0, other: 0 }
    for (const { i, j, same, signal } of pairs) {
      const kind = same ? 'same' : 'other'
      const both = seen[i]! * seen[j]!
      sums[kind] += signal * both + noise[i]! * seen[j]! + noise[j]! * seen[i]!
      weights[kind] += both
    }
    return sums.other / weights.other / (sums.same / weights.same) - 1
  }
}
