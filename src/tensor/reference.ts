/** @file The reference interpreter: every primitive in float64 over typed arrays. Slow, simple, and the definition of each operation. */
import { fail } from '../base/index.ts'
import { showSpec, sizeOf, type TypedArray, toFloat64 } from './dtype.ts'
import { opRow } from './ops/table.ts'
import type { Node, Tensor } from './tensor.ts'
import { ancestors } from './transform/walk.ts'

/** Float64 values of `targets`, given those of some tensors. Constants are read; an input without a value is an error. */
export function evaluateNodes(
  targets: readonly Tensor[],
  known: ReadonlyMap<Tensor, Float64Array>,
): Float64Array[] {
  const values = new Map<Tensor, Float64Array>(known)
  const knownNodes = new Set([...known.keys()].map((t) => t.node))
  for (const node of ancestors(targets, (n) => !knownNodes.has(n))) {
    const results = evaluateNode(node, (x) => values.get(x)!)
    for (const [i, y] of node.outputs.entries()) values.set(y, results[i]!)
  }
  return targets.map((t) => values.get(t)!)
}

function evaluateNode(node: Node, valueAt: (x: Tensor) => Float64Array): Float64Array[] {
  if (node.op === 'constant') return [toFloat64(node.attributes['data'] as TypedArray)]
  if (node.op === 'input')
    fail('TL_NOT_CONCRETE', `reference: input ${showSpec(node.outputs[0]!)} has no value`)
  const inputs = node.inputs.map((x) => ({ shape: x.shape, dtype: x.dtype, values: valueAt(x) }))
  const results = opRow(node.op).reference(inputs, node.attributes, node.outputs)
  for (const [i, y] of node.outputs.entries())
    if (results[i]!.length !== sizeOf(y.shape))
      fail('TL_SHAPE_MISMATCH', `reference: ${node.op} gave ${results[i]!.length} values for ${showSpec(y)}`)
  return results
}
