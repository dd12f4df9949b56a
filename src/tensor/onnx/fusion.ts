/** @file Sums that a kernel computes together with the product before them. */
import { isFloat, sameShape } from '../dtype.ts'
import { geometryOf } from '../ops/convGeometry.ts'
import { matmulFlags } from '../ops/matmulFlags.ts'
import { emitConv } from './convolution.ts'
import type { Fused } from './emitter.ts'

/** The first of some lowerings that applies. */
export const firstOf =
  (...rules: readonly Fused[]): Fused =>
  (e, node, around) => {
    for (const rule of rules) {
      const results = rule(e, node, around)
      if (results) return results
    }
    return undefined
  }

/** product + bias as one Gemm, when nobody else needs the bare product. */
export const gemmWithBias: Fused = (e, node, { names, uses }) => {
  if (node.outputs[0]!.rank !== 2 || !isFloat(node.outputs[0]!.dtype)) return undefined
  for (const [i, product] of node.inputs.entries()) {
    const bias = node.inputs[1 - i]!
    if (
      product.node.op !== 'matmul' ||
      !sameShape(product.shape, node.outputs[0]!.shape) ||
      uses.get(product) !== 1 ||
      bias.rank > 2 ||
      bias.rank === 0
    )
      continue
    if (product.node.inputs.some((x) => x.size === 0)) continue
    const { transposeA, transposeB, alpha } = matmulFlags(product.node.attributes)
    if (alpha !== 1 && product.dtype !== 'f32') continue
    const [a, b] = product.node.inputs.map((x) => names.get(x)!)
    return [
      e.node('Gemm', [a!, b!, names.get(bias)!], {
        transA: Number(transposeA),
        transB: Number(transposeB),
        alpha: { float: alpha },
      }),
    ]
  }
  return undefined
}

/** convolution + one number for each channel, when nobody else needs the bare convolution. */
export const convWithBias: Fused = (e, node, { names, uses }) => {
  if (node.outputs[0]!.rank !== 4) return undefined
  for (const [i, y] of node.inputs.entries()) {
    const bias = node.inputs[1 - i]!
    const channels = y.shape[1]!
    if (
      y.node.op !== 'conv' ||
      !sameShape(y.shape, node.outputs[0]!.shape) ||
      uses.get(y) !== 1 ||
      bias.size !== channels ||
      bias.shape.at(-3) !== channels ||
      y.node.inputs.some((x) => x.size === 0)
    )
      continue
    const [x, w] = y.node.inputs.map((t) => names.get(t)!)
    const flat = e.reshape(names.get(bias)!, [channels])
    return [emitConv(e, x!, w!, y.node.inputs, geometryOf(y.node.attributes), flat)]
  }
  return undefined
}
