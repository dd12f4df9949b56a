/** @file A map of the last axis by a matrix, whatever the axes before it: unlike `matmul` it never flattens, so that it serves any length. */
import { isFloat, requireSameDtype, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { apply, type Tensor } from '../tensor.ts'
import { defineComposite } from './composite.ts'
import { matmul } from './matmul.ts'

defineComposite('linear', {
  shape: ([x, w]) => {
    const dtype = requireSameDtype('linear', [x!, w!])
    if (!isFloat(dtype) || w!.shape.length !== 2 || x!.shape.length < 2 || x!.shape.at(-1) !== w!.shape[0])
      fail(
        'TL_SHAPE_MISMATCH',
        `linear: expected floats [..., K] with at least two axes and [K, N], got ${showSpec(x!)} and ${showSpec(w!)}`,
      )
    return [{ shape: x!.shape.with(-1, w!.shape[1]!), dtype }]
  },
  define: ([x, w]) => [matmul(x!, w!)],
  vmap: (_, [x, w], batched) => (batched[1] ? undefined : [apply('linear', [x!, w!])]),
  onnx: (e, [x, w]) => [e.node('MatMul', [x!, w!])],
  fuses: (node) => node.outputs[0]!.size > 0 && node.inputs.every(({ size }) => size > 0),
})

/** x · W over the last axis: x [..., K], W [K, N] ↦ [..., N]. */
export const linear = (x: Tensor, w: Tensor): Tensor => apply('linear', [x, w])
