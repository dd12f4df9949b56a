/**
 * @file The same passes with logarithms in place of numbers, for the few data whose messages span more than a number holds.
 * Slower by an order of magnitude, and never out of range.
 */
import { type Grammar, parentsAt } from '../grammar.ts'
import { type Floats, probabilitiesAt } from './level.ts'

/** ln Σ exp of the first n numbers; −Infinity for none. */
function logSum(terms: Float64Array, n = terms.length): number {
  let max = -Infinity
  for (let i = 0; i < n; i++) if (terms[i]! > max) max = terms[i]!
  if (max === -Infinity) return max
  let sum = 0
  for (let i = 0; i < n; i++) sum += Math.exp(terms[i]! - max)
  return max + Math.log(sum)
}

/** ln of the production probabilities of a level, [parents·m]. */
export const logProbabilities = (grammar: Grammar, level: number): Float64Array =>
  probabilitiesAt(grammar, level)?.map(Math.log) ??
  new Float64Array(parentsAt(grammar, level) * grammar.m).fill(-Math.log(grammar.m))

/** Make the largest of each row 0, so that rounding stays that of small numbers. Returns the sum of what was taken off. */
function centre(rows: Float64Array, width: number): number {
  let sum = 0
  for (let from = 0; from < rows.length; from += width) {
    let max = -Infinity
    for (let x = from; x < from + width; x++) if (rows[x]! > max) max = rows[x]!
    sum += max
    if (max > -Infinity) for (let x = from; x < from + width; x++) rows[x]! -= max
  }
  return sum
}

/**
 * ln of the messages of one datum, levels 0 … L each [nodes, symbols] with the largest of each row 0, and ln of its evidence
 * for leaf rows divided by their largest entries.
 */
export function logsUp(
  grammar: Grammar,
  likelihood: Floats,
): { levels: Float64Array[]; logRelative: number } {
  const { L, m, s, v, classes } = grammar
  const leaves = Float64Array.from(likelihood, Math.log)
  const levels = [leaves]
  // an all-zero leaf makes the evidence impossible: its −∞ reaches the root by itself
  centre(leaves, v)
  let units = 0
  const terms = new Float64Array(m)
  for (let level = L - 1; level >= 0; level--) {
    const below = levels[0]!
    const width = parentsAt(grammar, level)
    const nodes = s ** level
    const rules = grammar.rules[level]!
    const priors = logProbabilities(grammar, level)
    const out = new Float64Array(nodes * width)
    for (let n = 0; n < nodes; n++)
      for (let y = 0; y < width; y++) {
        for (let k = 0; k < m; k++) {
          const r = y * m + k
          let term = priors[r]!
          for (let i = 0; i < s; i++) term += below[(n * s + i) * v + rules[r * s + i]!]!
          terms[k] = term
        }
        out[n * width + y] = logSum(terms)
      }
    units += centre(out, width)
    levels.unshift(out)
  }
  return { levels, logRelative: units + logSum(levels[0]!) - Math.log(classes) }
}

/** Marginals of one datum from its ln messages, levels 0 … L each [nodes, symbols]. */
export function logsMarginals(grammar: Grammar, up: readonly Float64Array[]): Float64Array[] {
  const { L, m, s, v } = grammar
  let down = new Float64Array(up[0]!.length)
  const marginals = [posterior(up[0]!, down, down.length)]
  const above = new Float64Array(s)
  for (let level = 0; level < L; level++) {
    const width = parentsAt(grammar, level)
    const below = up[level + 1]!
    const next = new Float64Array(below.length).fill(-Infinity)
    const rules = grammar.rules[level]!
    const priors = logProbabilities(grammar, level)
    for (let n = 0; n < s ** level; n++)
      for (let r = 0; r < width * m; r++) {
        const here = down[n * width + Math.floor(r / m)]! + priors[r]!
        if (here === -Infinity) continue
        // the product over the others, so that zeros of a child do not hide what its siblings say of it
        above.fill(here)
        for (let i = 0; i < s; i++) {
          const message = below[(n * s + i) * v + rules[r * s + i]!]!
          for (let j = 0; j < s; j++) if (j !== i) above[j]! += message
        }
        for (let i = 0; i < s; i++) {
          const at = (n * s + i) * v + rules[r * s + i]!
          next[at] = logAdd(next[at]!, above[i]!)
        }
      }
    centre(next, v)
    down = next
    marginals.push(posterior(below, down, v))
  }
  return marginals
}

function logAdd(a: number, b: number): number {
  const max = Math.max(a, b)
  return max === -Infinity ? max : max + Math.log1p(Math.exp(Math.min(a, b) - max))
}

/** Rows of `width` symbols: exp(up + down), normalised. */
function posterior(up: Float64Array, down: Float64Array, width: number): Float64Array {
  const out = new Float64Array(up.length)
  const terms = new Float64Array(width)
  for (let from = 0; from < up.length; from += width) {
    for (let y = 0; y < width; y++) terms[y] = up[from + y]! + down[from + y]!
    centre(terms, width)
    let sum = 0
    for (let y = 0; y < width; y++) sum += out[from + y] = Math.exp(terms[y]!)
    for (let y = 0; y < width; y++) out[from + y]! /= sum
  }
  return out
}
