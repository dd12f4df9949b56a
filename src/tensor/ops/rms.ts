/** @file Root-mean-square normalization, alone and together with the sum before it, and the gated activation of Llama's kind. */
import { requireFloat, requireSameDtype, type Spec, sameShape, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { microsoft } from '../onnx/emitter.ts'
import { type Attributes, applyAll, type Node, type Tensor } from '../tensor.ts'
import { add, mul, rsqrt, square, sub } from './arithmetic.ts'
import { defineComposite } from './composite.ts'
import { matmul } from './matmul.ts'
import { type NormOptions, silu } from './normalize.ts'
import { split } from './pieces.ts'
import { mean, sum } from './reduce.ts'
import { reshape } from './shape.ts'
import type { Scene } from './table.ts'

const epsilonOf = (attributes: Attributes): number => attributes['epsilon'] as number
const onCpu = ({ outputs: [y] }: Node, { target }: Scene): boolean =>
  target === 'cpu' && y!.dtype === 'f32' && y!.size > 0

function requireScale(op: string, x: Spec, scale: Spec): void {
  requireFloat(op, x)
  requireSameDtype(op, [x, scale])
  const n = x.shape.at(-1)
  if (n === undefined || !sameShape(scale.shape, [n]))
    fail(
      'TL_SHAPE_MISMATCH',
      `${op}: expected a scale of shape [${n ?? 'n'}] for ${showSpec(x)}, got ${showSpec(scale)}`,
    )
}

/** Outputs: normalized and scaled, inverse root mean square (with the axis kept). */
defineComposite('rmsNorm', {
  shape: ([x, scale]) => {
    requireScale('rmsNorm', x!, scale!)
    return [
      { shape: x!.shape, dtype: x!.dtype },
      { shape: x!.shape.with(-1, 1), dtype: x!.dtype },
    ]
  },
  define: ([x, scale], attributes) => {
    const inverse = rsqrt(add(mean(square(x!), -1, { keepDims: true }), epsilonOf(attributes)))
    return [mul(mul(x!, inverse), scale!), inverse]
  },
  vjp: (node, [g, gInverse]) => {
    if (gInverse || !g) return undefined
    const [x, scale] = node.inputs as [Tensor, Tensor]
    const inverse = node.outputs[1]!
    const normalized = mul(x, inverse)
    const n = x.shape.at(-1)!
    const pulled = mul(g, normalized)
    const slope = matmul(pulled, reshape(mul(scale, 1 / n), [n, 1]))
    const dx = mul(sub(mul(g, scale), mul(normalized, slope)), inverse)
    return [dx, sum(pulled, x.shape.map((_, i) => i).slice(0, -1))]
  },
  vmap: (node, inputs, batched) => (batched[1] ? undefined : applyAll('rmsNorm', inputs, node.attributes)),
  onnx: (e, [x, scale], node) => {
    const epsilon = { float: epsilonOf(node.attributes) }
    return e.nodes(
      'SimplifiedLayerNormalization',
      [x!, scale!],
      { axis: -1, epsilon },
      { outputs: 2, isOpen: true },
    )
  },
  fuses: onCpu,
})

/** Divide the last axis by its root mean square, then scale: [..., n], [n] ↦ [..., n]. (Zhang & Sennrich 2019) */
export const rmsNorm = (x: Tensor, scale: Tensor, { epsilon = 1e-5 }: NormOptions = {}): Tensor =>
  applyAll('rmsNorm', [x, scale], { epsilon })[0]!

/** Outputs: rmsNorm(x + y), x + y. */
defineComposite('addRmsNorm', {
  shape: ([x, y, scale]) => {
    requireScale('addRmsNorm', x!, scale!)
    if (!sameShape(x!.shape, y!.shape) || x!.dtype !== y!.dtype)
      fail(
        'TL_SHAPE_MISMATCH',
        `addRmsNorm: expected two tensors of one shape and type, got ${showSpec(x!)} and ${showSpec(y!)}`,
      )
    const spec = { shape: x!.shape, dtype: x!.dtype }
    return [spec, spec]
  },
  define: ([x, y, scale], attributes) => {
    const total = add(x!, y!)
    return [rmsNorm(total, scale!, { epsilon: epsilonOf(attributes) }), total]
  },
  vmap: (node, inputs, batched) =>
    batched.every((b, i) => b === i < 2) ? applyAll('addRmsNorm', inputs, node.attributes) : undefined,
  onnx: (e, [x, y, scale], node) => {
    const attributes = { epsilon: { float: epsilonOf(node.attributes) } }
    const options = { domain: microsoft, outputs: 4, isOpen: true } as const
    const [normalized, , , total] = e.nodes(
      'SkipSimplifiedLayerNormalization',
      [x!, y!, scale!],
      attributes,
      options,
    )
    return [normalized!, total!]
  },
  // the kernel takes two or three axes
  fuses: (node, scene) => onCpu(node, scene) && (node.outputs[0]!.rank === 2 || node.outputs[0]!.rank === 3),
})

/** A residual sum and its normalization in one pass: x, y [..., n], scale [n] ↦ rmsNorm(x + y) and x + y. */
export function addRmsNorm(
  x: Tensor,
  y: Tensor,
  scale: Tensor,
  { epsilon = 1e-5 }: NormOptions = {},
): { normalized: Tensor; total: Tensor } {
  const [normalized, total] = applyAll('addRmsNorm', [x, y, scale], { epsilon })
  return { normalized: normalized!, total: total! }
}

defineComposite('swiGlu', {
  shape: ([x]) => {
    requireFloat('swiGlu', x!)
    const n = x!.shape.at(-1)
    if (n === undefined || n % 2 !== 0)
      fail('TL_SHAPE_MISMATCH', `swiGlu: expected an even last axis (gate, then value), got ${showSpec(x!)}`)
    return [{ shape: x!.shape.with(-1, n / 2), dtype: x!.dtype }]
  },
  define: ([x]) => {
    const [gate, value] = split(x!, 2, -1) as [Tensor, Tensor]
    return [mul(silu(gate), value)]
  },
  vmap: (_, inputs) => applyAll('swiGlu', inputs),
  onnx: (e, [x], node) => {
    const n = node.outputs[0]!.shape.at(-1)!
    const [gate, value] = e.nodes('Split', [x!, e.ints([n, n])], { axis: -1 }, { outputs: 2 })
    const swish = e.node('QuickGelu', [gate!], { alpha: { float: 1 } }, microsoft)
    return [e.node('Mul', [swish, value!])]
  },
  fuses: onCpu,
})

/** SwiGLU's gate: the last axis holds gate and value, [..., 2n] ↦ silu(gate) ⊙ value, [..., n]. (Shazeer 2020) */
export const swiGlu = (x: Tensor): Tensor => applyAll('swiGlu', [x])[0]!
