/**
 * @file Reverse mode. A function is called on copies of its arguments; walking the new nodes backwards from the results to
 * the copies accumulates cotangents. The copies are fresh nodes, so nested calls can never confuse their derivatives.
 */
import { isFloat, sameShape, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { type Maybe, opRow } from '../ops/table.ts'
import { apply, onesLike, type Tensor, zerosLike } from '../tensor.ts'
import { leaves, leavesLike, mapTree, type Tree, unflatten } from '../tree.ts'
import { callProgram, nodesBetween, resultsOf } from './walk.ts'

/** Cotangents of `sources` given those of `targets`; null where no path carries a derivative. */
export function backward(
  sources: readonly Tensor[],
  targets: readonly Tensor[],
  cotangents: readonly Maybe[],
): Maybe[] {
  const total = new Map<Tensor, Tensor>()
  const accumulate = (x: Tensor, g: Maybe): void => {
    if (!g || !isFloat(x.dtype)) return
    const sum = total.get(x)
    total.set(x, sum ? apply('add', [sum, g]) : g)
  }
  for (const [i, target] of targets.entries()) accumulate(target, cotangents[i]!)
  for (const node of nodesBetween(sources, targets).reverse()) {
    const incoming = node.outputs.map((y) => total.get(y) ?? null)
    if (incoming.every((g) => g === null)) continue
    const outgoing = opRow(node.op).vjp(node, incoming)
    for (const [i, x] of node.inputs.entries()) accumulate(x, outgoing[i] ?? null)
  }
  return sources.map((x) => total.get(x) ?? null)
}

const copyTree = <A>(tree: A): A => mapTree(tree as Tree<Tensor>, (x) => apply('copy', [x])) as A

/**
 * The value of `f` and its pullback: cotangents of the result ↦ cotangents of every argument, as trees like the arguments.
 * Integer and boolean leaves get zeros of their own type.
 */
export function vjp<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  f: (...args: A) => R,
  ...args: A
): { value: R; pullback: (cotangent: R) => A } {
  const copies = copyTree(args)
  const value = callProgram('vjp', f, copies)
  const sources = leaves(copies as Tree<Tensor>)
  const targets = resultsOf('vjp', value)
  return {
    value,
    pullback: (cotangent) => {
      const incoming = leavesLike('pullback: cotangents', value as Tree<Tensor>, cotangent as Tree<Tensor>)
      for (const [i, target] of targets.entries())
        if (!incoming[i] || !sameShape(incoming[i].shape, target.shape))
          fail(
            'TL_SHAPE_MISMATCH',
            `pullback: cotangent ${i} should be like the result, ${showSpec(target)}, got ${incoming[i] ? showSpec(incoming[i]) : 'nothing'}`,
          )
      const gradients = backward(sources, targets, incoming)
      return unflatten(
        args as Tree<Tensor>,
        gradients.map((g, i) => g ?? zerosLike(sources[i]!)),
      ) as unknown as A
    },
  }
}

function requireScalar(name: string, value: unknown): Tensor {
  const [loss, ...rest] = resultsOf(name, value)
  if (!loss || rest.length || loss.size !== 1 || !isFloat(loss.dtype))
    fail(
      'TL_SHAPE_MISMATCH',
      `${name}: expected the function to return one float scalar, got ${loss ? [loss, ...rest].map(showSpec).join(', ') : 'nothing'} (reduce it: mean(x), sum(x))`,
    )
  return loss!
}

/** `f` with its gradient in the first argument (a tree): `(x, …) ↦ { value, gradient }`. */
export const valueAndGrad =
  <X extends Tree<Tensor>, A extends readonly unknown[]>(f: (x: X, ...rest: A) => Tensor) =>
  (x: X, ...rest: A): { value: Tensor; gradient: X } => {
    const { value, pullback } = vjp((leaf: X) => callProgram('grad', f, [leaf, ...rest]), x)
    return { value, gradient: pullback(onesLike(requireScalar('valueAndGrad', value)))[0] }
  }

/** As `valueAndGrad`, for a function that also returns values that are not differentiated (metrics, new state). */
export const valueAndGradWithAux =
  <X extends Tree<Tensor>, A extends readonly unknown[], U>(
    f: (x: X, ...rest: A) => { value: Tensor; aux: U },
  ) =>
  (x: X, ...rest: A): { value: Tensor; gradient: X; aux: U } => {
    let aux: U | undefined
    const { value, gradient } = valueAndGrad((leaf: X) => {
      const result = f(leaf, ...rest)
      aux = result.aux
      return result.value
    })(x)
    return { value, gradient, aux: aux! }
  }

/** The gradient of a scalar function in its first argument. */
export const grad =
  <X extends Tree<Tensor>, A extends readonly unknown[]>(f: (x: X, ...rest: A) => Tensor) =>
  (x: X, ...rest: A): X =>
    valueAndGrad(f)(x, ...rest).gradient
