/** @file Where a function multiplies by matrices among its parameters: what goes in, and the derivatives in what comes out. */
import { apply, applyAll, type Node, type Tensor, zerosLike } from '../tensor.ts'
import { entries, mapTree, type Tree } from '../tree.ts'
import { backward } from './vjp.ts'
import { callProgram, nodesBetween, replay, resultsOf } from './walk.ts'

/** One product of activations with a matrix W that is a parameter. */
interface ParameterProduct {
  /** Dotted name of W. */
  readonly name: string
  /** W is [outputs, inputs], as dense layers have it; else [inputs, outputs]. */
  readonly isTurned: boolean
  /** What is multiplied, [..., inputs]. */
  readonly input: Tensor
}

/** The matrix of a product x · W or x · Wᵀ of rows, if it is one of `names`. */
function matrixOf(
  node: Node,
  names: ReadonlyMap<Tensor, string>,
): { name: string; isTurned: boolean } | undefined {
  if (node.op !== 'matmul' && node.op !== 'linear') return undefined
  const {
    transposeA,
    transposeB,
    alpha = 1,
  } = node.attributes as {
    transposeA?: boolean
    transposeB?: boolean
    alpha?: number
  }
  const name = names.get(node.inputs[1]!)
  return name === undefined || transposeA || alpha !== 1 ? undefined : { name, isTurned: transposeB ?? false }
}

/**
 * The value of `f`, its products with parameters in the order in which they are made, and the map from cotangents of the value
 * (one tensor) to cotangents of each product, [..., outputs]. A matrix that is used twice has two products.
 */
export function parameterProducts<P extends Tree<Tensor>>(
  f: (parameters: P) => Tensor,
  parameters: P,
): {
  value: Tensor
  products: readonly ParameterProduct[]
  pullback: (cotangent: Tensor) => Tensor[]
} {
  const copies = mapTree(parameters as Tree<Tensor>, (x) => apply('copy', [x])) as P
  const value = callProgram('parameterProducts', f, [copies])
  const targets = resultsOf('parameterProducts', value)
  const names = new Map(entries(copies as Tree<Tensor>).map(([name, t]) => [t, name]))
  const products: ParameterProduct[] = []
  // nothing is added to each product, and derivatives are taken in that
  const probes: Tensor[] = []
  const lookup = replay(nodesBetween([...names.keys()], targets), new Map(), (node, inputs) => {
    const outputs = applyAll(node.op, inputs, node.attributes)
    const found = matrixOf(node, names)
    if (!found) return outputs
    const probe = apply('copy', [zerosLike(outputs[0]!)])
    products.push({ ...found, input: inputs[0]! })
    probes.push(probe)
    return [apply('add', [outputs[0]!, probe])]
  })
  const result = lookup(value)
  return {
    value: result,
    products,
    pullback: (cotangent) =>
      backward(probes, [result], [cotangent]).map((g, i) => g ?? zerosLike(probes[i]!)),
  }
}
