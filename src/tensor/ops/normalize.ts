/**
 * @file Softmax, normalizations, activations and losses: composites with fused lowerings and derivatives written by hand
 * where that saves passes over memory.
 */
import { isInteger, requireFloat, type Spec, sameShape, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { pointwise } from '../onnx/blocked-neighbours.ts'
import { type Emitter, microsoft } from '../onnx/emitter.ts'
import { type Attributes, apply, applyAll, type Tensor } from '../tensor.ts'
import { takeAlong } from './along.ts'
import { add, div, erf, exp, log, mul, rsqrt, sigmoid, square, sub, tanh } from './arithmetic.ts'
import { defineComposite } from './composite.ts'
import { stopGradient } from './control.ts'
import { less, where } from './logic.ts'
import { matmul } from './matmul.ts'
import { max, mean, sum } from './reduce.ts'
import { normalizeAxis, reshape, swapAxes } from './shape.ts'
import type { Row, Scene } from './table.ts'

const sameAsFirst =
  (name: string): Row['shape'] =>
  ([x]) => {
    requireFloat(name, x!)
    if (x!.shape.length === 0)
      fail('TL_SHAPE_MISMATCH', `${name}: expected at least one axis, got ${showSpec(x!)}`)
    return [{ shape: x!.shape, dtype: x!.dtype }]
  }
/** Operations on the last axis do not see a new axis in front. */
const batchOfLast =
  (name: string): Row['vmap'] =>
  (node, inputs) => [apply(name, inputs, node.attributes)]

// --- softmax and log-softmax over the last axis ---

const shifted = (x: Tensor): Tensor => sub(x, stopGradient(max(x, -1, { keepDims: true })))

defineComposite('softmax', {
  shape: sameAsFirst('softmax'),
  define: ([x]) => {
    if (x!.size === 0) return [x!]
    const e = exp(shifted(x!))
    return [div(e, sum(e, -1, { keepDims: true }))]
  },
  jvp: (node, [t]) => [t && softmaxTangent(node.outputs[0]!, t)],
  vjp: (node, [g]) => [g && softmaxTangent(node.outputs[0]!, g)],
  vmap: batchOfLast('softmax'),
  onnx: (e, [x]) => [e.node('Softmax', [x!], { axis: -1 })],
})
/** The Jacobian of softmax, which is symmetric: y ⊙ (t − ⟨y, t⟩). */
function softmaxTangent(y: Tensor, t: Tensor): Tensor {
  const weighted = mul(y, t)
  return sub(weighted, mul(y, sum(weighted, -1, { keepDims: true })))
}

defineComposite('logSoftmax', {
  shape: sameAsFirst('logSoftmax'),
  define: ([x]) => {
    if (x!.size === 0) return [x!]
    const z = shifted(x!)
    return [sub(z, log(sum(exp(z), -1, { keepDims: true })))]
  },
  jvp: (node, [t]) => {
    const y = node.outputs[0]!
    return [t && sub(t, sum(mul(exp(y), t), -1, { keepDims: true }))]
  },
  vjp: (node, [g]) => {
    const y = node.outputs[0]!
    return [g && sub(g, mul(exp(y), sum(g, -1, { keepDims: true })))]
  },
  vmap: batchOfLast('logSoftmax'),
  onnx: (e, [x]) => [e.node('LogSoftmax', [x!], { axis: -1 })],
})

const onLastAxis = (op: string, x: Tensor, axis: number): Tensor => {
  const a = normalizeAxis(op, axis, x.rank)
  return a === x.rank - 1 ? apply(op, [x]) : swapAxes(apply(op, [swapAxes(x, a, -1)]), a, -1)
}
/** exp x / Σ exp x along an axis, computed stably. */
export const softmax = (x: Tensor, axis = -1): Tensor => onLastAxis('softmax', x, axis)
/** log softmax, computed stably. */
export const logSoftmax = (x: Tensor, axis = -1): Tensor => onLastAxis('logSoftmax', x, axis)
/** log Σ exp x along an axis, computed stably; −∞ everywhere gives −∞. */
export function logSumExp(x: Tensor, axis = -1, { keepDims = false }: { keepDims?: boolean } = {}): Tensor {
  const top = stopGradient(max(x, axis, { keepDims: true }))
  const finite = where(less(apply('abs', [top]), Number.POSITIVE_INFINITY), top, 0)
  const y = add(log(sum(exp(sub(x, finite)), axis, { keepDims: true })), finite)
  return keepDims ? y : reshape(y, y.shape.toSpliced(normalizeAxis('logSumExp', axis, x.rank), 1))
}

// --- layer and RMS normalization over the last axis ---

const epsilonOf = (attributes: Attributes): number => attributes['epsilon'] as number

/** Outputs: normalized and scaled, mean, inverse deviation (the last two with the axis kept). */
defineComposite('layerNorm', {
  shape: ([x, scale, bias]) => {
    requireFloat('layerNorm', x!)
    const n = x!.shape.at(-1)
    if (n === undefined || ![scale!, bias!].every((p) => sameShape(p.shape, [n])))
      fail(
        'TL_SHAPE_MISMATCH',
        `layerNorm: expected scale and bias of shape [${n}] for ${showSpec(x!)}, got ${showSpec(scale!)} and ${showSpec(bias!)}`,
      )
    const statistic: Spec = { shape: x!.shape.with(-1, 1), dtype: x!.dtype }
    return [{ shape: x!.shape, dtype: x!.dtype }, statistic, statistic]
  },
  define: ([x, scale, bias], attributes) => {
    const centre = mean(x!, -1, { keepDims: true })
    const centred = sub(x!, centre)
    const inverse = rsqrt(add(mean(square(centred), -1, { keepDims: true }), epsilonOf(attributes)))
    return [add(mul(mul(centred, inverse), scale!), bias!), centre, inverse]
  },
  vjp: (node, [g, gMean, gInverse]) => {
    if (gMean || gInverse || !g) return undefined
    const [x, scale] = node.inputs as [Tensor, Tensor]
    const [, centre, inverse] = node.outputs as [Tensor, Tensor, Tensor]
    const normalized = mul(sub(x, centre), inverse)
    const rows = x.shape.map((_, i) => i).slice(0, -1)
    const n = x.shape.at(-1)!
    const pulled = mul(g, normalized)
    // row means of g·scale and g·scale·normalized as products with a vector: no pass over memory is written
    const column = reshape(mul(scale, 1 / n), [n, 1])
    const slope = matmul(pulled, column)
    const shift = matmul(g, column)
    const dx = mul(sub(sub(mul(g, scale), mul(normalized, slope)), shift), inverse)
    return [dx, sum(pulled, rows), sum(g, rows)]
  },
  vmap: (node, inputs, batched) =>
    batched[1] || batched[2] ? undefined : applyAll('layerNorm', inputs, node.attributes),
  onnx: (e, [x, scale, bias], node) => {
    const epsilon = { float: epsilonOf(node.attributes) }
    return e.nodes(
      'LayerNormalization',
      [x!, scale!, bias!],
      { axis: -1, epsilon },
      { outputs: 3, isOpen: true },
    )
  },
  fuses: (node) => node.outputs[0]!.dtype === 'f32' && node.outputs[0]!.size > 0,
})

export interface NormOptions {
  /** Added to the variance (or mean square) under the root. */
  readonly epsilon?: number
}

/** Normalize the last axis to mean 0 and variance 1, then scale and shift: [..., n], [n], [n] ↦ [..., n]. (Ba et al. 2016) */
export const layerNorm = (
  x: Tensor,
  scale: Tensor,
  bias: Tensor,
  { epsilon = 1e-5 }: NormOptions = {},
): Tensor => applyAll('layerNorm', [x, scale, bias], { epsilon })[0]!

// --- activations ---

const root2 = Math.SQRT2
/** Twice the standard normal distribution function. */
const onePlusErf = (x: Tensor): Tensor => add(erf(mul(x, 1 / root2)), 1)

/** h / exp h²: far out it divides by ∞, which is the right limit; its slope is written so that it has that limit too. */
const bellSlope = (h: Tensor, t: Tensor): Tensor =>
  mul(t, mul(sub(1, mul(square(h), 2)), exp(apply('neg', [square(h)]))))
defineComposite('bell', {
  isElementwise: true,
  define: ([h]) => [div(h!, exp(square(h!)))],
  jvp: (node, [t]) => [t && bellSlope(node.inputs[0]!, t)],
  vjp: (node, [g]) => [g && bellSlope(node.inputs[0]!, g)],
  vmap: (_, inputs) => [apply('bell', inputs)],
})

/**
 * t · (Φ(x) + x φ(x)) = t/2 · (1 + erf h + 2/√π · h / exp h²) with h = x/√2: the erf is shared with the forward pass, and
 * dividing by exp h² saves a negation.
 */
function geluSlope(x: Tensor, t: Tensor): Tensor {
  const h = mul(x, 1 / root2)
  const tail = mul(apply('bell', [h]), 2 / Math.sqrt(Math.PI))
  return mul(mul(t, 0.5), add(onePlusErf(x), tail))
}
/** Whether the graph also holds erf(c · x), as the derivative of GELU does. */
const sharesErf = (x: Tensor, { readers }: Scene): boolean =>
  readers(x).some(
    ({ op, inputs, outputs: [h] }) =>
      op === 'mul' && inputs[0] === x && readers(h!).some((node) => node.op === 'erf'),
  )

defineComposite('gelu', {
  isElementwise: true,
  fused: pointwise,
  shape: ([x]) => {
    requireFloat('gelu', x!)
    return [{ shape: x!.shape, dtype: x!.dtype }]
  },
  define: ([x]) => [mul(mul(x!, onePlusErf(x!)), 0.5)],
  jvp: (node, [t]) => [t && geluSlope(node.inputs[0]!, t)],
  vjp: (node, [g]) => [g && geluSlope(node.inputs[0]!, g)],
  vmap: (_, inputs) => [apply('gelu', inputs)],
  onnx: (e: Emitter, [x]) => [
    e.target === 'cpu' ? e.node('Gelu', [x!], {}, microsoft) : e.node('Gelu', [x!]),
  ],
  // where a derivative needs the same erf, the definition shares it and beats the fused kernel
  fuses: ({ inputs: [x], outputs: [y] }, scene) => y!.dtype === 'f32' && !sharesErf(x!, scene),
})

/** x Φ(x); `approximate: 'tanh'` gives the older form with tanh. (Hendrycks & Gimpel 2016) */
export function gelu(x: Tensor, { approximate = 'none' }: { approximate?: 'none' | 'tanh' } = {}): Tensor {
  if (approximate === 'none') return apply('gelu', [x])
  const inner = mul(add(x, mul(mul(square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))
  return mul(mul(x, 0.5), add(tanh(inner), 1))
}

/** d(xσ) = σ + y(1 − σ) = y + σ(1 − y), from the two values the forward pass has. */
const siluSlope = (x: Tensor, y: Tensor, t: Tensor): Tensor => mul(t, add(y, mul(sigmoid(x), sub(1, y))))

defineComposite('silu', {
  isElementwise: true,
  shape: ([x]) => {
    requireFloat('silu', x!)
    return [{ shape: x!.shape, dtype: x!.dtype }]
  },
  define: ([x]) => [mul(x!, sigmoid(x!))],
  jvp: (node, [t]) => [t && siluSlope(node.inputs[0]!, node.outputs[0]!, t)],
  vjp: (node, [g]) => [g && siluSlope(node.inputs[0]!, node.outputs[0]!, g)],
  vmap: (_, inputs) => [apply('silu', inputs)],
})

/** x σ(x), also called swish. */
export const silu = (x: Tensor): Tensor => apply('silu', [x])

defineComposite('softplus', {
  isElementwise: true,
  shape: ([x]) => {
    requireFloat('softplus', x!)
    return [{ shape: x!.shape, dtype: x!.dtype }]
  },
  define: ([x]) => [add(apply('relu', [x!]), log(add(exp(apply('neg', [apply('abs', [x!])])), 1)))],
  // the kinks of the two terms cancel, in every derivative: it is a sigmoid
  jvp: (node, [t]) => [t && mul(t, sigmoid(node.inputs[0]!))],
  vjp: (node, [g]) => [g && mul(g, sigmoid(node.inputs[0]!))],
  vmap: (_, inputs) => [apply('softplus', inputs)],
})

/** log(1 + eˣ), computed stably. */
export const softplus = (x: Tensor): Tensor => apply('softplus', [x])

// --- cross-entropy ---

/**
 * Negative log-likelihood of integer labels under softmax(logits), one value for each example: logits [..., C], labels
 * [...] ↦ [...].
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  if (!isInteger(labels.dtype) || !sameShape(labels.shape, logits.shape.slice(0, -1)))
    fail(
      'TL_SHAPE_MISMATCH',
      `crossEntropy: expected integer labels of shape [${logits.shape.slice(0, -1)}] for logits ${showSpec(logits)}, got ${showSpec(labels)}`,
    )
  const picked = takeAlong(logSoftmax(logits), reshape(labels, [...labels.shape, 1]), -1)
  return reshape(apply('neg', [picked]), labels.shape)
}

/** Cross-entropy with a distribution over classes as target: logits [..., C], targets [..., C] ↦ [...]. */
export const softCrossEntropy = (logits: Tensor, targets: Tensor): Tensor =>
  apply('neg', [sum(mul(logSoftmax(logits), targets), -1)])
