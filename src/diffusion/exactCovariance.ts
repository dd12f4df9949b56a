/**
 * @file Which leaves change together, without sampling: given the evidence, the leaves below a node depend on the rest of the
 * tree through its symbol alone, so the mean and the variance of the number of changes in every block follow from the leaves up.
 */
import { fail } from '../base/index.ts'
import { type Grammar, marginals, parentsAt, type Upward } from '../grammar/index.ts'

/** Mean and variance of a block's Σσ given the symbol at its top: [nodes, symbols]. */
interface Moments {
  readonly mean: Float64Array
  readonly variance: Float64Array
}

/** σ of the leaves [d] of one datum given their symbols: +1 when it is another, −1 when it is the same. */
function leafMoments({ d, v }: Grammar, leaves: Int32Array): Moments {
  const mean = new Float64Array(d * v).fill(1)
  for (let i = 0; i < d; i++) mean[i * v + leaves[i]!] = -1
  return { mean, variance: new Float64Array(d * v) }
}

/** One level up: a rule is drawn with weight p_r Π_i U_i(r_i), and then the children's blocks are independent. */
function momentsAbove(grammar: Grammar, up: Upward, b: number, level: number, below: Moments): Moments {
  const { m, s, v } = grammar
  const rules = grammar.rules[level]!
  const probabilities = grammar.probabilities?.[level]
  const children = up.levels[level + 1]!
  const nodes = s ** level
  const width = parentsAt(grammar, level)
  const out = { mean: new Float64Array(nodes * width), variance: new Float64Array(nodes * width) }
  for (let node = 0; node < nodes; node++) {
    const first = node * s
    for (let y = 0; y < width; y++) {
      let [total, sum, squares] = [0, 0, 0]
      for (let r = y * m; r < (y + 1) * m; r++) {
        let weight = probabilities ? probabilities[r]! : 1
        let mean = 0
        let variance = 0
        for (let i = 0; i < s; i++) {
          const symbol = rules[r * s + i]!
          const at = (first + i) * v + symbol
          weight *= children.rows[children.index[b * children.nodes + first + i]! * v + symbol]!
          mean += below.mean[at]!
          variance += below.variance[at]!
        }
        total += weight
        sum += weight * mean
        squares += weight * (variance + mean * mean)
      }
      if (total === 0) continue // no rule of y fits: the posterior of y is 0
      const mean = sum / total
      out.mean[node * width + y] = mean
      out.variance[node * width + y] = Math.max(0, squares / total - mean * mean)
    }
  }
  return out
}

/** Σ over the blocks of a level of the posterior variance of their Σσ. */
function blockVariance({ mean, variance }: Moments, posterior: Float64Array, nodes: number): number {
  const width = mean.length / nodes
  let all = 0
  for (let node = 0; node < nodes; node++) {
    let [first, second] = [0, 0]
    for (let at = node * width; at < (node + 1) * width; at++) {
      first += posterior[at]! * mean[at]!
      second += posterior[at]! * (variance[at]! + mean[at]! * mean[at]!)
    }
    all += Math.max(0, second - first * first)
  }
  return all
}

/**
 * Covariances of σ under the posterior of each datum of `up`, summed over the ordered pairs at each height: what
 * `covarianceSums` estimates from infinitely many samples. `leaves` [B, d] are the true ones. Result: B rows of L + 1
 * numbers. For channels whose noise is random these are conditional on one x_t. Throws TL_BAD_ARGUMENT for impossible
 * evidence, TL_UNSUPPORTED where messages were kept as logarithms (evidence that nearly contradicts itself).
 */
export function exactCovarianceSums(grammar: Grammar, up: Upward, leaves: Int32Array): Float64Array[] {
  const { L, d, s } = grammar
  if (leaves.length !== up.batch * d)
    fail('TL_BAD_ARGUMENT', `leaves: expected ${up.batch}·${d} symbols, got ${leaves.length}`)
  const posteriors = marginals(grammar, up)
  return Array.from({ length: up.batch }, (_, b) => {
    if (up.impossible[b])
      fail('TL_BAD_ARGUMENT', `datum ${b}: expected evidence that the grammar allows, got an impossible one`)
    if (up.logs.has(b))
      fail('TL_UNSUPPORTED', `datum ${b}: its evidence nearly contradicts itself; use samples instead`)
    let moments = leafMoments(grammar, leaves.subarray(b * d, (b + 1) * d))
    const within = new Float64Array(L + 1)
    for (let height = 0; height <= L; height++) {
      const level = L - height
      if (height > 0) moments = momentsAbove(grammar, up, b, level, moments)
      const size = moments.mean.length
      const posterior = posteriors[level]!.subarray(b * size, (b + 1) * size)
      within[height] = blockVariance(moments, posterior, s ** level)
    }
    return within.map((sum, height) => (height === 0 ? sum : sum - within[height - 1]!))
  })
}
