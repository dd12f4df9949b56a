/** @file Primitives about the graph itself: copy, stopGradient, barrier, and checkpoint (rematerialization). */
import { isFloat, type Spec } from '../dtype.ts'
import { evaluateNodes } from '../reference.ts'
import { apply, applyAll, type Node, placeholder, type Tensor } from '../tensor.ts'
import { forward } from '../transform/jvp.ts'
import { backward } from '../transform/vjp.ts'
import { batch } from '../transform/vmap.ts'
import { callProgram, nodesBetween, replay, resultsOf } from '../transform/walk.ts'
import { leaves, mapTree, type Tree, unflatten } from '../tree.ts'
import { broadcastTo } from './broadcast.ts'
import { type Dense, defineOp, noDerivative } from './table.ts'

const same = ([x]: readonly Spec[]): Spec[] => [{ shape: x!.shape, dtype: x!.dtype }]
const identity = ([x]: readonly Dense[]): Float64Array[] => [x!.values]

/** A fresh name for a value: what derivatives are taken with respect to. Compilation removes it. */
defineOp('copy', {
  expand: (_, inputs) => inputs,
  shape: same,
  reference: identity,
  jvp: (_, tangents) => tangents,
  vjp: (_, cotangents) => cotangents,
  vmap: (_, inputs) => [apply('copy', inputs)],
  onnx: (_, inputs) => inputs,
})

defineOp('stopGradient', {
  expand: (_, inputs) => inputs,
  shape: same,
  reference: identity,
  jvp: noDerivative,
  vjp: noDerivative,
  vmap: (_, inputs) => [apply('stopGradient', inputs)],
  onnx: (_, inputs) => inputs,
})

/** The value itself, as a constant for every derivative. */
export const stopGradient = (x: Tensor): Tensor => apply('stopGradient', [x])

/**
 * The first operand, available only once the second is: keeps a recomputation from being merged with the original or
 * started before the backward pass reaches it. The runtime sees a one-element dependency through a sequence.
 */
defineOp('barrier', {
  isFoldable: false,
  shape: same,
  reference: identity,
  jvp: (_, [t]) => [t ?? null],
  vjp: (_, [g]) => [g ?? null, null],
  vmap: (_, [x, after], [hasX], size) => [
    apply('barrier', [hasX ? x! : broadcastTo(x!, [size, ...x!.shape]), after!]),
  ],
  onnx: (e, [x, after], node) => {
    const [first, second] = node.inputs
    if (first!.size === 0 || second!.size === 0) return [x!]
    const one = e.cast(
      e.node('Slice', [e.reshape(after!, [second!.size]), e.ints([0]), e.ints([1]), e.ints([0])]),
      first!.dtype,
    )
    const sequence = e.node('SequenceConstruct', [x!, one])
    return [e.node('SequenceAt', [sequence, e.scalar(0, 'i64')])]
  },
})

/** A function body kept whole: results as nodes over holes. */
interface Body {
  readonly holes: readonly Tensor[]
  readonly results: readonly Tensor[]
}
const bodyOf = (node: Node): Body => node.attributes['body'] as Body

/** Write the body of a checkpoint into the graph with actual inputs. */
function inline(node: Node, inputs: readonly Tensor[]): Tensor[] {
  const { holes, results } = bodyOf(node)
  const lookup = replay(
    nodesBetween(holes, results),
    new Map(holes.map((hole, i) => [hole, inputs[i]!])),
    (inner, xs) => applyAll(inner.op, xs, inner.attributes),
  )
  return results.map(lookup)
}

function makeCheckpoint(
  holes: readonly Tensor[],
  results: readonly Tensor[],
  inputs: readonly Tensor[],
): readonly Tensor[] {
  // what the body closes over becomes an input, so that derivatives flow to it
  const nodes = nodesBetween(holes, results)
  const inside = new Set([...nodes, ...holes.map((h) => h.node)])
  const outside = [...nodes.flatMap((node) => node.inputs), ...results]
  const captured = [...new Set(outside.filter((x) => !inside.has(x.node) && !x.isConcrete))]
  const extra = captured.map((x) => placeholder(x))
  const lookup = replay(nodes, new Map(captured.map((x, i) => [x, extra[i]!])), (inner, xs) =>
    applyAll(inner.op, xs, inner.attributes),
  )
  const body: Body = { holes: [...holes, ...extra], results: results.map(lookup) }
  return applyAll('checkpoint', [...inputs, ...captured], { body })
}

defineOp('checkpoint', {
  expand: inline,
  shape: (_, { body }) => (body as Body).results.map(({ shape, dtype }) => ({ shape, dtype })),
  reference: (inputs, { body }) => {
    const { holes, results } = body as Body
    return evaluateNodes(results, new Map(holes.map((hole, i) => [hole, inputs[i]!.values])))
  },
  jvp: (node, tangents) => {
    const copies = node.inputs.map((x) => apply('copy', [x]))
    return forward(copies, inline(node, copies), tangents)
  },
  vjp: (node, cotangents) => {
    const after = cotangents.find((g) => g !== null)!
    const again = node.inputs.map((x) =>
      isFloat(x.dtype) ? apply('barrier', [x, after]) : apply('copy', [x]),
    )
    return backward(again, inline(node, again), cotangents)
  },
  vmap: (node, inputs, batched, size) => {
    const { holes, results } = bodyOf(node)
    const wide = inputs.map((x) => placeholder(x))
    const mapped = holes.flatMap((hole, i) => (batched[i] ? [hole] : []))
    const shared = holes.flatMap((hole, i) => (batched[i] ? [] : [[hole, wide[i]!] as const]))
    const nodes = nodesBetween(holes, results)
    const lookup = replay(nodes, new Map(shared), (inner, xs) => applyAll(inner.op, xs, inner.attributes))
    const given = wide.filter((_, i) => batched[i])
    return makeCheckpoint(wide, batch(mapped, given, results.map(lookup), size), inputs)
  },
  onnx: () => [],
})

/** `f` whose intermediate values are not kept for the backward pass but computed again there: less memory, more time. */
export const checkpoint =
  <A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(f: (...args: A) => R) =>
  (...args: A): R => {
    const holes: Tensor[] = []
    const inner = mapTree(args as unknown as Tree<Tensor>, (x) => {
      const hole = placeholder(x)
      holes.push(hole)
      return hole
    }) as unknown as A
    const value = callProgram('checkpoint', f, inner)
    return unflatten(
      value as Tree<Tensor>,
      makeCheckpoint(holes, resultsOf('checkpoint', value), leaves(args as Tree<Tensor>)),
    ) as R
  }
