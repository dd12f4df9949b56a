/** @file Rules as the authors' code draws them, so that a seed of a paper means the same grammar here. */
import { checkShape, type Grammar, parentsAt, type Shape, writeTuple } from './grammar.ts'
import { pythonRandom } from './pythonRandom.ts'

/**
 * The grammar that `sample_rules` of github.com/fracagnetta/random-hierarchy-model and of AntonioScl/minimal_diffusion_rhm draws with a
 * seed: for each level, the root's first, `random.sample` of all tuples in lexicographic order, cut into blocks of m. The rules are
 * theirs in their order. (Not those of pcsl-epfl/hierarchy-learning, which shuffles all tuples and gives rules only to symbols that
 * occur.) Throws TL_BAD_CONFIG for sizes that cannot be.
 */
export function authorsGrammar(shape: Shape, seed: number): Grammar {
  checkShape(shape)
  const { v, classes, m, s, L } = shape
  const random = pythonRandom(seed)
  const rules = Array.from({ length: L }, (_, level) => {
    const tuples = random.sample(v ** s, parentsAt(shape, level) * m)
    const table = new Int32Array(tuples.length * s)
    for (const [i, tuple] of tuples.entries()) writeTuple(tuple, v, s, table, i * s)
    return table
  })
  return { v, classes, m, s, L, d: s ** L, rules }
}
