/** @file What a single tuple tells of the class, exactly and as estimated from P strings: signal and sampling noise. */
import { type Grammar, parentsAt, type Trees } from './grammar.ts'

/**
 * Probability of each symbol at each position of `level`, given the class: [classes, s^level, v]. One level at a time: a node
 * takes symbol x at place i of a tuple with the share of its parent's rules that have x there.
 */
export function symbolsGivenClass(grammar: Grammar, level: number): Float64Array {
  const { v, classes, m, s, rules } = grammar
  let known = new Float64Array(classes * classes)
  for (let c = 0; c < classes; c++) known[c * classes + c] = 1
  for (let k = 0; k < level; k++) {
    const parents = parentsAt(grammar, k)
    const nodes = classes * s ** k
    const next = new Float64Array(nodes * s * v)
    for (let node = 0; node < nodes; node++)
      for (let parent = 0; parent < parents; parent++) {
        const weight = known[node * parents + parent]! / m
        if (weight === 0) continue
        for (let r = 0; r < m; r++)
          for (let i = 0; i < s; i++)
            next[(node * s + i) * v + rules[k]![(parent * m + r) * s + i]!]! += weight
      }
    known = next
  }
  return known
}

/**
 * Relative variance of f_j(α | μ) = P(class α | tuple μ of leaves at patch j) over tuples, classes and patches: the mean of
 * (n_c f − 1)². Tuples of one symbol have the same f. Mean over grammars v / m^(L−1) to leading order.
 */
export function meanTupleClassSignal(grammar: Grammar): number {
  const { classes, v, L, s } = grammar
  const f = classGivenSymbol(grammar)
  const patches = s ** (L - 1)
  let sum = 0
  let count = 0
  for (let at = 0; at < patches * v; at++) {
    if (Number.isNaN(f[at * classes]!)) continue
    count++
    for (let c = 0; c < classes; c++) sum += (classes * f[at * classes + c]! - 1) ** 2
  }
  return sum / (count * classes)
}

/** f_j(α | y) for the symbol y above patch j, [patches, v, classes]; NaN for a symbol that never occurs there. */
function classGivenSymbol(grammar: Grammar): Float64Array {
  const { classes, v, L, s } = grammar
  const patches = s ** (L - 1)
  const given = symbolsGivenClass(grammar, L - 1)
  const f = new Float64Array(patches * v * classes)
  for (let at = 0; at < patches * v; at++) {
    let total = 0
    for (let c = 0; c < classes; c++) total += given[c * patches * v + at]!
    for (let c = 0; c < classes; c++) f[at * classes + c] = given[c * patches * v + at]! / total
  }
  return f
}

/**
 * Relative sampling noise of the same frequencies in the first `count` trees: the mean of n_c² (f̂ − f)² over classes and the
 * tuples that occur, by patch. To leading order v m n_c / P.
 */
export function countedTupleClassNoise(grammar: Grammar, trees: Trees, count: number): number {
  const { classes, v, L, s } = grammar
  const patches = s ** (L - 1)
  const f = classGivenSymbol(grammar)
  const above = trees.levels[L - 1]!
  const leaves = trees.levels[L]!
  const tuples = v ** s
  let sum = 0
  let used = 0
  const seen = new Float64Array(tuples * classes)
  const parent = new Int32Array(tuples)
  for (let patch = 0; patch < patches; patch++) {
    seen.fill(0)
    for (let i = 0; i < count; i++) {
      const node = i * patches + patch
      let tuple = 0
      for (let k = 0; k < s; k++) tuple = tuple * v + leaves[node * s + k]!
      parent[tuple] = above[node]!
      seen[tuple * classes + trees.levels[0]![i]!]!++
    }
    for (let tuple = 0; tuple < tuples; tuple++) {
      const row = seen.subarray(tuple * classes, (tuple + 1) * classes)
      const total = row.reduce((a, b) => a + b, 0)
      if (total === 0) continue
      used++
      const exact = (patch * v + parent[tuple]!) * classes
      for (let c = 0; c < classes; c++) sum += (classes * (row[c]! / total - f[exact + c]!)) ** 2
    }
  }
  return sum / (used * classes)
}
