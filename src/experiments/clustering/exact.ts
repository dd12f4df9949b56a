/** @file What the rules alone say of the data at which signal equals noise, by transfer matrices. */
import {
  exactTupleCorrelation,
  type Grammar,
  makeGrammar,
  tupleCorrelationNoise,
  tupleJoint,
} from '../../grammar/index.ts'
import { random } from '../../tensor/index.ts'
import { grammarOf, type ThresholdJob } from './threshold.ts'

/** Joint distribution [rules, symbols] of the tuple and the context that a job counts. */
function jointOf(grammar: Grammar, context: 'leaf' | 'class') {
  const { L, d } = grammar
  return context === 'class'
    ? tupleJoint(grammar, { level: L - 1, index: 0 }, { level: 0, index: 0 })
    : tupleJoint(grammar, { level: 1, index: 0 }, { level: L, index: d - 1 })
}

/**
 * Data P at which the contrast of `measureThreshold` is 1. Frequencies of a tuple μ seen P p_μ times lie about
 * (1 − Σ p²)/(P p_μ) from P(· | μ), squared; so the mean squared distances are A/P between synonyms and S + B/P between others, and
 * P = (2A − B)/S. Null when the context says nothing of the tuple (S = 0 up to rounding).
 */
export function exactContrastThreshold(job: ThresholdJob): number | null {
  if (job.context === 'shuffled') return null
  const { grammar } = grammarOf(job)
  const { m } = grammar
  const { rows, columns, values } = jointOf(grammar, job.context)
  const mass = Array.from({ length: rows }, (_, row) =>
    values.subarray(row * columns, (row + 1) * columns).reduce((a, p) => a + p, 0),
  )
  const at = (row: number, x: number): number => values[row * columns + x]! / mass[row]!
  const noise = mass.map((p, row) => {
    let squares = 0
    for (let x = 0; x < columns; x++) squares += at(row, x) ** 2
    return p > 0 ? (1 - squares) / p : 0
  })
  const same = { noise: 0, pairs: 0 }
  const other = { noise: 0, pairs: 0 }
  let signal = 0
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < i; j++) {
      // tuples of a symbol that never stands there are not compared
      if (mass[i] === 0 || mass[j] === 0) continue
      const kind = Math.floor(i / m) === Math.floor(j / m) ? same : other
      kind.noise += noise[i]! + noise[j]!
      kind.pairs++
      if (kind === other) for (let x = 0; x < columns; x++) signal += (at(i, x) - at(j, x)) ** 2
    }
  const S = signal / other.pairs
  return S < 1e-20 ? null : (2 * (same.noise / same.pairs) - other.noise / other.pairs) / S
}

/** Trees of a shape whose exact thresholds are averaged over fresh grammars. */
export interface ExactJob {
  readonly seed: number
  readonly shape: { readonly v: number; readonly m: number; readonly s: number; readonly L: number }
  readonly grammars: number
}

/**
 * For heights ℓ = 2 … L: data at which the noise of the covariance of a leaf with a tuple of height ℓ − 1, (v² m P)^{−1/2}, equals
 * its root mean square over symbols, places and grammars.
 */
export function exactThresholds({ seed, shape: { v, m, s, L }, grammars }: ExactJob): number[] {
  const shape = { v, classes: v, m, s, L }
  const key = [0xe, v, m, s, L].reduce(random.foldIn, random.key(seed))
  const drawn = Array.from({ length: grammars }, (_, i) => makeGrammar(shape, random.foldIn(key, i)))
  return Array.from({ length: L - 1 }, (_, below) => {
    const height = below + 2
    const squares = drawn.map((grammar) => exactTupleCorrelation(grammar, height, height - 1) ** 2)
    return tupleCorrelationNoise(shape, 1) ** 2 / (squares.reduce((a, b) => a + b, 0) / grammars)
  })
}
