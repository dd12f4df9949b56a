/**
 * @file Products with block-quantized weights, kept as they are: 4 or 8 bits a weight, a scale (and an offset) for each block
 * of 32 along the inputs. The runtime's kernel rounds activations to 8 bits block by block, unless the matrix is exact; the
 * definition does not.
 */
import { fromFloat64, requireFloat, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { microsoft } from '../onnx/emitter.ts'
import { type Attributes, apply, type Tensor, tensor } from '../tensor.ts'
import { add } from './elementwise.ts'
import { linear } from './linear.ts'
import { matmul } from './matmul.ts'
import { defineOp, type Row } from './table.ts'

/** Weights in a block. */
export const quantizedBlock = 32

/**
 * A matrix of N outputs and K inputs (a multiple of 32): w = scale · (q − zero) + offset, where zero is 8 (4 bits) or 128 (8
 * bits) unless blocks have their own. Make it with `quantizedMatrix`.
 */
export interface QuantizedMatrix {
  readonly bits: 4 | 8
  readonly inputs: number
  readonly outputs: number
  /** [N, K/32, 16 or 32]; with 4 bits, the low half of byte j is weight 2j of its block. */
  readonly packed: Uint8Array
  /** [N, K/32] */
  readonly scales: Float32Array
  /** [N, K/32], where blocks have their own zero: 8 bits only. They cost nothing, offsets are a product of their own. */
  readonly zeros?: Uint8Array
  /** [K/32, N], where there are offsets. */
  readonly offsets?: Float32Array
  /** Activations are not rounded: weights become f32 inside the product. 4 bits only. */
  readonly exact?: boolean
  /** Its name in the text of graphs. */
  toJSON(): string
}

let made = 0

/** A quantized matrix from its parts; sizes are checked. */
export function quantizedMatrix(parts: Omit<QuantizedMatrix, 'toJSON'>): QuantizedMatrix {
  const { bits, inputs, outputs, packed, scales, zeros, offsets, exact } = parts
  const blocks = (inputs / quantizedBlock) * outputs
  if (
    !Number.isInteger(inputs / quantizedBlock) ||
    packed.length !== blocks * quantizedBlock * (bits / 8) ||
    scales.length !== blocks ||
    (zeros && zeros.length !== blocks) ||
    (offsets && offsets.length !== blocks)
  )
    fail(
      'TL_SHAPE_MISMATCH',
      `quantizedMatrix: expected ${outputs} × ${inputs} weights (inputs a multiple of ${quantizedBlock}) as ${blocks} blocks of ${bits} bits, got ${packed.length} bytes, ${scales.length} scales${zeros ? `, ${zeros.length} zeros` : ''}${offsets ? `, ${offsets.length} offsets` : ''}`,
    )
  if (exact && bits !== 4)
    fail('TL_BAD_ARGUMENT', 'quantizedMatrix: an exact matrix has 4 bits: with 8 the runtime has no kernel')
  if (zeros && bits !== 8) fail('TL_BAD_ARGUMENT', 'quantizedMatrix: zeros of blocks with 8 bits only')
  const name = `quantized ${outputs}×${inputs}, ${bits} bits, #${made++}`
  return { ...parts, toJSON: () => name }
}

const matrixOf = (attributes: Attributes): QuantizedMatrix => attributes['matrix'] as QuantizedMatrix

/** The scaled integers as numbers, without offsets: [N, K]. */
function scaled({ bits, packed, scales, zeros }: QuantizedMatrix): Float64Array {
  const out = new Float64Array(scales.length * quantizedBlock)
  const perBlock = quantizedBlock * (bits / 8)
  for (let b = 0; b < scales.length; b++)
    for (let j = 0; j < quantizedBlock; j++) {
      const byte = packed[b * perBlock + (bits === 8 ? j : j >> 1)]!
      const q = bits === 8 ? byte - (zeros?.[b] ?? 128) : (j % 2 ? byte >> 4 : byte & 15) - 8
      out[b * quantizedBlock + j] = scales[b]! * q
    }
  return out
}

const shape: Row['shape'] = ([x], attributes) => {
  requireFloat('quantizedMatmul', x!)
  const { inputs, outputs } = matrixOf(attributes)
  if (x!.shape.length < 2 || x!.shape.at(-1) !== inputs)
    fail(
      'TL_SHAPE_MISMATCH',
      `quantizedMatmul: expected [..., ${inputs}] with at least two axes, got ${showSpec(x!)}`,
    )
  return [{ shape: x!.shape.with(-1, outputs), dtype: x!.dtype }]
}

/** The product without offsets. */
defineOp('quantizedMatmul', {
  shape,
  reference: ([x], attributes, [spec]) => {
    const matrix = matrixOf(attributes)
    const { inputs: k, outputs: n } = matrix
    const w = scaled(matrix)
    const out = new Float64Array(sizeOf(spec!.shape))
    for (let row = 0; row < out.length / n; row++)
      for (let j = 0; j < n; j++) {
        let total = 0
        for (let i = 0; i < k; i++) total += x!.values[row * k + i]! * w[j * k + i]!
        out[row * n + j] = total
      }
    return [out]
  },
  // with the weights as numbers: tangents are not rounded to 8 bits
  jvp: (node, [t]) => [t && matmul(t, dense(node.attributes, t.dtype), { transposeB: true })],
  vjp: (node, [g]) => [g && matmul(g, dense(node.attributes, g.dtype))],
  vmap: (node, inputs) => [apply('quantizedMatmul', inputs, node.attributes)],
  onnx: (e, [x], node) => {
    const matrix = matrixOf(node.attributes)
    const { bits, inputs: K, outputs: N, packed, scales, zeros, exact } = matrix
    const [input] = node.inputs
    if (e.target !== 'cpu' || input!.dtype !== 'f32')
      return [e.node('MatMul', [x!, e.constant(fromFloat64(transposed(matrix), input!.dtype), [K, N])])]
    const weights = e.bytes(packed, [N, K / quantizedBlock, quantizedBlock * (bits / 8)])
    const attributes = { K, N, bits, block_size: quantizedBlock, accuracy_level: exact ? 1 : 4 }
    const inputs = [x!, weights, e.constant(scales, [scales.length])]
    if (zeros) inputs.push(e.bytes(zeros, [N, K / quantizedBlock]))
    return [e.node('MatMulNBits', inputs, attributes, microsoft)]
  },
})

/** [N, K], as a constant. */
const dense = (attributes: Attributes, dtype: Tensor['dtype']): Tensor => {
  const matrix = matrixOf(attributes)
  return tensor(fromFloat64(scaled(matrix), dtype), { shape: [matrix.outputs, matrix.inputs] })
}

function transposed(matrix: QuantizedMatrix): Float64Array {
  const { inputs: k, outputs: n } = matrix
  const w = scaled(matrix)
  return Float64Array.from({ length: k * n }, (_, i) => w[(i % n) * k + Math.floor(i / n)]!)
}

const summing = new Map<string, Tensor>()

/** Ones where an input belongs to a block: [K, K/32]. One for each size, so that a program holds it once. */
function blockOnes(inputs: number, dtype: Tensor['dtype']): Tensor {
  const key = `${inputs} ${dtype}`
  const known = summing.get(key)
  if (known) return known
  const blocks = inputs / quantizedBlock
  const ones = new Float32Array(inputs * blocks)
  for (let k = 0; k < inputs; k++) ones[k * blocks + Math.floor(k / quantizedBlock)] = 1
  const made = tensor(ones, { shape: [inputs, blocks], dtype })
  summing.set(key, made)
  return made
}

/** Sums of consecutive blocks of 32 along the last axis, [..., K] ↦ [..., K/32]: one product beats a reshape and a reduction. */
const blockSums = (x: Tensor): Tensor => linear(x, blockOnes(x.shape.at(-1)!, x.dtype))

/** x · Wᵀ with a quantized W: x [..., K] ↦ [..., N]. Derivatives are those of the dequantized weights. */
export function quantizedMatmul(x: Tensor, matrix: QuantizedMatrix): Tensor {
  const product = apply('quantizedMatmul', [x], { matrix })
  if (!matrix.offsets) return product
  const offsets = tensor(matrix.offsets, {
    shape: [matrix.inputs / quantizedBlock, matrix.outputs],
    dtype: x.dtype,
  })
  return add(product, linear(blockSums(x), offsets))
}
