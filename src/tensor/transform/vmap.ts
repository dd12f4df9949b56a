/** @file Batching: a function of single examples becomes one of batches, by rewriting the nodes it makes. */
import { showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { broadcastTo } from '../ops/broadcast.ts'
import { normalizeAxis, transpose } from '../ops/shape.ts'
import { opRow } from '../ops/table.ts'
import { placeholder, type Tensor } from '../tensor.ts'
import { mapTree, type Tree, unflatten } from '../tree.ts'
import { callProgram, nodesBetween, resultsOf } from './walk.ts'

function moveAxis(x: Tensor, from: number, to: number): Tensor {
  const order = x.shape.map((_, i) => i).filter((i) => i !== from)
  return transpose(x, order.toSpliced(to, 0, from))
}

/** Rewrite the nodes between `holes` and `results` for inputs that carry a new axis 0; returns batched results. */
export function batch(
  holes: readonly Tensor[],
  given: readonly Tensor[],
  results: readonly Tensor[],
  size: number,
): Tensor[] {
  const batched = new Map<Tensor, Tensor>(holes.map((hole, i) => [hole, given[i]!]))
  for (const node of nodesBetween(holes, results)) {
    const flags = node.inputs.map((x) => batched.has(x))
    if (!flags.includes(true)) continue
    const inputs = node.inputs.map((x) => batched.get(x) ?? x)
    const outputs = opRow(node.op).vmap(node, inputs, flags, size)
    for (const [i, old] of node.outputs.entries()) batched.set(old, outputs[i]!)
  }
  return results.map((y) => batched.get(y) ?? broadcastTo(y, [size, ...y.shape]))
}

/** Axis to map for each argument (all its leaves): a number, or null for an argument shared by the whole batch. */
export type InAxes = number | readonly (number | null)[]

/**
 * Map `f` over an axis of its arguments (axis 0 unless `inAxes` says otherwise). Results carry the new axis first.
 * Nests freely with itself and with the derivatives.
 */
export function vmap<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  f: (...args: A) => R,
  inAxes: InAxes = 0,
): (...args: A) => R {
  return (...args) => {
    let size: number | undefined
    const holes: Tensor[] = []
    const given: Tensor[] = []
    const inner = args.map((arg, i) => {
      const axis = typeof inAxes === 'number' ? inAxes : inAxes[i]
      if (axis === null) return arg
      if (axis === undefined)
        fail('TL_BAD_ARGUMENT', `vmap: expected ${args.length} axes, one for each argument, got [${inAxes}]`)
      return mapTree(arg, (x) => {
        if (x.rank === 0)
          fail(
            'TL_SHAPE_MISMATCH',
            `vmap: argument ${i} has a leaf ${showSpec(x)} without axes to map (give null in inAxes to share it)`,
          )
        const a = normalizeAxis('vmap', axis!, x.rank)
        if (size !== undefined && x.shape[a] !== size)
          fail(
            'TL_SHAPE_MISMATCH',
            `vmap: mapped axes differ in size: ${size} and ${x.shape[a]} (${showSpec(x)}, axis ${axis})`,
          )
        size = x.shape[a]!
        const hole = placeholder({ shape: x.shape.toSpliced(a, 1), dtype: x.dtype })
        holes.push(hole)
        given.push(moveAxis(x, a, 0))
        return hole
      })
    }) as unknown as A
    if (size === undefined)
      fail('TL_BAD_ARGUMENT', 'vmap: expected at least one mapped argument, got only null axes')
    const value = callProgram('vmap', f, inner)
    return unflatten(value as Tree<Tensor>, batch(holes, given, resultsOf('vmap', value), size!)) as R
  }
}
