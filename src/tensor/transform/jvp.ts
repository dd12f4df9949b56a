/** @file Forward mode: push tangents through the nodes a function makes; and linearize, the same with the tangent left open. */
import { isFloat, sameShape, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { type Maybe, opRow } from '../ops/table.ts'
import { apply, applyAll, placeholder, Tensor, zerosLike } from '../tensor.ts'
import { leaves, leavesLike, mapTree, type Tree, unflatten } from '../tree.ts'
import { callProgram, nodesBetween, replay, resultsOf } from './walk.ts'

/** Tangents of `targets` given those of `sources`. */
export function forward(
  sources: readonly Tensor[],
  targets: readonly Tensor[],
  tangents: readonly Maybe[],
): Maybe[] {
  const tangentOf = new Map<Tensor, Maybe>(sources.map((x, i) => [x, tangents[i]!]))
  for (const node of nodesBetween(sources, targets)) {
    const incoming = node.inputs.map((x) => tangentOf.get(x) ?? null)
    if (incoming.every((t) => t === null)) continue
    const outgoing = opRow(node.op).jvp(node, incoming)
    for (const [i, y] of node.outputs.entries())
      tangentOf.set(y, isFloat(y.dtype) ? (outgoing[i] ?? null) : null)
  }
  return targets.map((y) => tangentOf.get(y) ?? null)
}

const copyTree = <A>(tree: A): A => mapTree(tree as Tree<Tensor>, (x) => apply('copy', [x])) as A

function checkTangents(primals: readonly Tensor[], tangents: readonly Tensor[]): void {
  for (const [i, x] of primals.entries())
    if (
      !tangents[i] ||
      !sameShape(tangents[i].shape, x.shape) ||
      (isFloat(x.dtype) && tangents[i].dtype !== x.dtype)
    )
      fail(
        'TL_SHAPE_MISMATCH',
        `jvp: tangent ${i} should be like its argument, ${showSpec(x)}, got ${tangents[i] ? showSpec(tangents[i]) : 'nothing'}`,
      )
}

/** The value of `f` at `args` and its directional derivative along `tangents` (trees like the arguments). */
export function jvp<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  f: (...args: A) => R,
  args: A,
  tangents: A,
): { value: R; tangents: R } {
  for (const [name, list] of Object.entries({ args, tangents }))
    if (!Array.isArray(list))
      fail(
        'TL_BAD_ARGUMENT',
        `jvp: ${name}: expected a list with one entry for each argument of the function, got ${list instanceof Tensor ? showSpec(list) : typeof list} (jvp(f, [x], [dx]))`,
      )
  const copies = copyTree(args)
  const value = callProgram('jvp', f, copies)
  const sources = leaves(copies as Tree<Tensor>)
  const directions = leavesLike('jvp: tangents', args as Tree<Tensor>, tangents as Tree<Tensor>)
  checkTangents(sources, directions)
  const targets = resultsOf('jvp', value)
  const pushed = forward(
    sources,
    targets,
    directions.map((t, i) => (isFloat(sources[i]!.dtype) ? t : null)),
  )
  return {
    value,
    tangents: unflatten(
      value as Tree<Tensor>,
      pushed.map((t, i) => t ?? zerosLike(targets[i]!)),
    ) as R,
  }
}

/**
 * The value of `f` at `args` and its derivative there as a linear function of the tangents. The values at `args` are
 * computed once, however often the linear function is applied.
 */
export function linearize<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  f: (...args: A) => R,
  ...args: A
): { value: R; pushforward: (...tangents: A) => R } {
  const open = mapTree(args as unknown as Tree<Tensor>, (x) => placeholder(x)) as unknown as A
  const { value, tangents } = jvp(f, args, open)
  const holes = leaves(open as Tree<Tensor>)
  const results = leaves(tangents as Tree<Tensor>)
  const nodes = nodesBetween(holes, results)
  return {
    value,
    pushforward: (...directions) => {
      const given = leavesLike('pushforward: tangents', args as Tree<Tensor>, directions as Tree<Tensor>)
      checkTangents(holes, given)
      const lookup = replay(nodes, new Map(holes.map((hole, i) => [hole, given[i]!])), (node, inputs) =>
        applyAll(node.op, inputs, node.attributes),
      )
      return unflatten(value as Tree<Tensor>, results.map(lookup)) as R
    },
  }
}
