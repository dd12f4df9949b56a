/** @file Sums of consecutive elements of the last axis: what offsets of quantized blocks multiply. */
import { requireFloat, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { type Attributes, apply, type Tensor } from '../tensor.ts'
import { defineComposite } from './composite.ts'
import { sum } from './reduce.ts'
import { reshape } from './shape.ts'

const blockOf = (attributes: Attributes): number => attributes['block'] as number

defineComposite('blockSums', {
  shape: ([x], attributes) => {
    requireFloat('blockSums', x!)
    const blocks = x!.shape.length < 2 ? Number.NaN : x!.shape.at(-1)! / blockOf(attributes)
    if (!Number.isInteger(blocks))
      fail(
        'TL_SHAPE_MISMATCH',
        `blockSums: expected at least two axes, the last a multiple of ${blockOf(attributes)}, got ${showSpec(x!)}`,
      )
    return [{ shape: x!.shape.with(-1, blocks), dtype: x!.dtype }]
  },
  define: ([x], attributes) => {
    const block = blockOf(attributes)
    return [sum(reshape(x!, [...x!.shape.slice(0, -1), x!.shape.at(-1)! / block, block]), -1)]
  },
  vmap: (node, inputs) => [apply('blockSums', inputs, node.attributes)],
  // leading axes are copied (0), so that it serves any length
  onnx: (e, [x], node) => {
    const { rank, shape } = node.outputs[0]!
    const open = e.reshape(x!, [...shape.slice(0, -1).fill(0), shape.at(-1)!, blockOf(node.attributes)])
    return [e.node('ReduceSum', [open, e.ints([rank])], { keepdims: 0 })]
  },
  fuses: ({ outputs: [y] }) => y!.size > 0,
})

/** Sums of consecutive `block` elements along the last axis of at least two: [..., K] ↦ [..., K / block]. */
export function blockSums(x: Tensor, block: number): Tensor {
  if (!(Number.isInteger(block) && block > 0))
    fail('TL_BAD_ARGUMENT', `blockSums: block: expected a positive integer, got ${block}`)
  return apply('blockSums', [x], { block })
}
