/**
 * @file Kronecker factors of the Gauss–Newton matrix: a pair for each matrix of a network, in place of the square of its size. (Martens and Grosse 2015; with shared weights Eschenhagen et al. 2023, "expand")
 */
import { fail } from '../../base/index.ts'
import {
  add,
  arange,
  broadcastTo,
  entries,
  fromEntries,
  matmul,
  mul,
  oneHot,
  parameterProducts,
  reshape,
  sum,
  type Tensor,
  vmap,
} from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'

export interface KroneckerOptions {
  /**
   * Directions of the outputs [directions, features] in place of all axes: where outputs are many, a few random ones v with mean
   * Σ v vᵀ = 1, such as signs over the root of their number. Then G is an unbiased estimate.
   */
  readonly directions?: Tensor
}

const rowsOf = (x: Tensor): Tensor => reshape(x, [x.size / x.shape.at(-1)!, x.shape.at(-1)!])

/** xᵀ x · scale of rows. */
const momentOf = (x: Tensor, scale: number): Tensor => mul(matmul(x, x, { transposeA: true }), scale)

/**
 * Factors of Jᵀ J, the mean over the examples of a network's outputs [examples, features], as a tree like the parameters: for each
 * matrix W `left` and `right`, so that ‖J Δ‖² is about ⟨left Δ right, Δ⟩. One is A, the mean of a aᵀ over the rows a that W multiplies;
 * the other is G, Σ g gᵀ over these rows and all outputs, over the number of examples. Exact for every matrix of a linear network,
 * and for one example where the matrix multiplies one row. Biases and scales have no factors. A traced function. Throws
 * `TL_BAD_ARGUMENT` for a matrix that is used twice, and where there is none.
 */
export function kroneckerFactors<P extends Parameters>(
  apply: (parameters: P) => Tensor,
  parameters: P,
  options: KroneckerOptions = {},
): Parameters {
  const { value, products, pullback } = parameterProducts(apply, parameters)
  const [examples, features] = value.shape as [number, number]
  if (products.length === 0)
    fail('TL_BAD_ARGUMENT', 'kroneckerFactors: no parameter is multiplied as a matrix: expected dense layers')
  const twice = products.find(({ name }, i) => products.findIndex((other) => other.name === name) !== i)
  if (twice)
    fail(
      'TL_BAD_ARGUMENT',
      `kroneckerFactors: matrix "${twice.name}" is used twice: one pair of factors cannot say both`,
    )
  // one direction in turn, the same for all examples
  const basis = options.directions ?? oneHot(arange(features), features, value.dtype)
  const back = vmap((output: Tensor) => pullback(broadcastTo(output, [examples, features])))(basis)
  return fromEntries(
    products.flatMap(({ name, input, isTurned }, i): [string, Tensor][] => {
      const a = rowsOf(input)
      const [forInput, forOutput] = [momentOf(a, 1 / a.shape[0]!), momentOf(rowsOf(back[i]!), 1 / examples)]
      const [left, right] = isTurned ? [forOutput, forInput] : [forInput, forOutput]
      return [
        [`${name}.left`, left],
        [`${name}.right`, right],
      ]
    }),
  )
}

/**
 * Σ ⟨left Δ right, Δ⟩ over the matrices that have factors: about the mean over examples of ‖J Δ‖² for a change of the parameters, as
 * if matrices did not act together. A traced scalar: as a penalty it keeps outputs where they are. (Martens and Grosse 2015)
 */
export function kroneckerQuadratic(factors: Parameters, change: Parameters): Tensor {
  const changes = new Map(entries(change))
  const all = new Map(entries(factors))
  const terms = [...all.keys()]
    .filter((name) => name.endsWith('.left'))
    .map((name) => {
      const matrix = name.slice(0, -'.left'.length)
      const delta =
        changes.get(matrix) ??
        fail('TL_BAD_ARGUMENT', `kroneckerQuadratic: the change has no matrix "${matrix}"`)
      const moved = matmul(matmul(all.get(name)!, delta), all.get(`${matrix}.right`)!)
      return sum(mul(moved, delta))
    })
  return terms.reduce((total, term) => add(total, term))
}
