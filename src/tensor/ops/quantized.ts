/**
 * @file Products with block-quantized weights, kept as they are: 4 or 8 bits a weight, a scale (and an offset) for each block of 32
 * along the inputs. The runtime's kernel rounds activations to 8 bits block by block, unless the matrix is exact or takes them
 * in two terms; the definition does not.
 */
import { fromFloat64, requireFloat, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { microsoft } from '../onnx/emitter.ts'
import { type Attributes, apply, type Tensor, tensor } from '../tensor.ts'
import { add } from './arithmetic.ts'
import { blockSums } from './blockSums.ts'
import { linear } from './linear.ts'
import { matmul } from './matmul.ts'
import { concatenate } from './pieces.ts'
import { exactProduct } from './quantizedExact.ts'
import { productOfTerms } from './quantizedTerms.ts'
import { defineOp, type Row } from './table.ts'

/** Weights in a block. */
export const quantizedBlock = 32

/**
 * A matrix of N outputs and K inputs (a multiple of 32): w = scale · (q − zero) + offset, where zero is 8 (4 bits) or 128 (8
 * bits). B is the blocks of a row, K/32. Make it with `quantizedMatrix`.
 */
export interface QuantizedMatrix {
  readonly bits: 4 | 8
  readonly inputs: number
  readonly outputs: number
  /** [N, B, 16 or 32]; with 4 bits, the low half of byte j is weight 2j of its block. */
  readonly packed: Uint8Array
  /** [N, B] */
  readonly scales: Float32Array
  /** [K/32, N], where there are offsets. */
  readonly offsets?: Float32Array
  /**
   * Offsets as weights: rows go on with one for the sum of each block of inputs, quantized like the others, and again so many
   * times as this says, so that the later ones can make up for what the first were rounded by. There are n · K/32 columns
   * more, and B = ⌈(K + n · K/32)/32⌉. One product then does what offsets in f32 take two for.
   */
  readonly sums?: number
  /** Activations are not rounded to 8 bits. */
  readonly exact?: boolean
  /** Activations are sums of two terms that are rounded to 8 bits each: 15 bits and more. */
  readonly twoTerms?: boolean
  /** The same weights as numbers [N, K]: an exact matrix of 8 bits multiplies many rows with them, which is faster. */
  readonly dense?: Float32Array
  /** Its name in the text of graphs. */
  toJSON(): string
}

let made = 0

/** A quantized matrix from its parts; sizes are checked. */
export function quantizedMatrix(parts: Omit<QuantizedMatrix, 'toJSON'>): QuantizedMatrix {
  const { bits, inputs, outputs, packed, scales, offsets, sums = 0, exact, twoTerms, dense } = parts
  const blocks = rowBlocks(parts) * outputs
  if (
    !Number.isInteger(inputs / quantizedBlock) ||
    packed.length !== blocks * quantizedBlock * (bits / 8) ||
    scales.length !== blocks ||
    (offsets && offsets.length !== (inputs / quantizedBlock) * outputs)
  )
    fail(
      'TL_SHAPE_MISMATCH',
      `quantizedMatrix: expected ${outputs} × ${inputs} weights (inputs a multiple of ${quantizedBlock}${sums ? `, then sums ${sums} times` : ''}) as ${blocks} blocks of ${bits} bits, got ${packed.length} bytes, ${scales.length} scales${offsets ? `, ${offsets.length} offsets` : ''}`,
    )
  if (exact && bits === 8 && ((dense && dense.length !== inputs * outputs) || offsets))
    fail(
      'TL_BAD_ARGUMENT',
      `quantizedMatrix: expected no offsets in an exact matrix of 8 bits, and as dense its ${outputs} × ${inputs} numbers or nothing`,
    )
  if (exact && twoTerms)
    fail(
      'TL_BAD_ARGUMENT',
      'quantizedMatrix: expected exact or twoTerms, got both (exact activations are not rounded)',
    )
  if (offsets && sums)
    fail('TL_BAD_ARGUMENT', 'quantizedMatrix: expected offsets or sums (which are offsets too), got both')
  const name = `quantized ${outputs}×${inputs}, ${bits} bits, #${made++}`
  return { ...parts, toJSON: () => name }
}

type Extent = Pick<QuantizedMatrix, 'inputs' | 'sums'>
/** Weights in a row. */
const columnsOf = ({ inputs, sums = 0 }: Extent): number => inputs + (sums * inputs) / quantizedBlock
const rowBlocks = (matrix: Extent): number => Math.ceil(columnsOf(matrix) / quantizedBlock)

const matrixOf = (attributes: Attributes): QuantizedMatrix => attributes['matrix'] as QuantizedMatrix

/** The scaled integers as numbers, without offsets: [N, columns]. */
function scaled(matrix: QuantizedMatrix): Float64Array {
  const { bits, packed, scales, outputs } = matrix
  const [columns, perRow] = [columnsOf(matrix), rowBlocks(matrix)]
  const out = new Float64Array(outputs * columns)
  for (let r = 0, to = 0; r < outputs; r++)
    for (let c = 0; c < columns; c++, to++) {
      const at = r * perRow * quantizedBlock + c
      const byte = packed[bits === 8 ? at : at >> 1]!
      const q = bits === 8 ? byte : at % 2 ? byte >> 4 : byte & 15
      const b = r * perRow + Math.floor(c / quantizedBlock)
      out[to] = scales[b]! * (q - 2 ** (bits - 1))
    }
  return out
}

const shape: Row['shape'] = ([x], attributes) => {
  requireFloat('quantizedMatmul', x!)
  const matrix = matrixOf(attributes)
  const [columns, { outputs }] = [columnsOf(matrix), matrix]
  if (x!.shape.length < 2 || x!.shape.at(-1) !== columns)
    fail(
      'TL_SHAPE_MISMATCH',
      `quantizedMatmul: expected [..., ${columns}] with at least two axes, got ${showSpec(x!)}`,
    )
  return [{ shape: x!.shape.with(-1, outputs), dtype: x!.dtype }]
}

/** The product without offsets: x [..., columns]. */
defineOp('quantizedMatmul', {
  kernels: 'bits',
  shape,
  reference: ([x], attributes, [spec]) => {
    const matrix = matrixOf(attributes)
    const [k, n, w] = [columnsOf(matrix), matrix.outputs, scaled(matrix)]
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
  jvp: (node, [t]) => [t && matmul(t, asNumbers(node.attributes, t.dtype), { transposeB: true })],
  vjp: (node, [g]) => [g && matmul(g, asNumbers(node.attributes, g.dtype))],
  vmap: (node, inputs) => [apply('quantizedMatmul', inputs, node.attributes)],
  onnx: (e, [x], node) => {
    const matrix = matrixOf(node.attributes)
    const { bits, outputs: N, packed, scales, exact, twoTerms, dense } = matrix
    const [K, perRow, block] = [columnsOf(matrix), rowBlocks(matrix), quantizedBlock]
    const [input] = node.inputs
    const split = exact && bits === 8
    if (!e.bits.has(bits) || input!.dtype !== 'f32' || (split && input!.rank !== 2)) {
      const numbers = input!.dtype === 'f32' ? denseOf(matrix) : turned(matrix, new Float64Array(K * N))
      return [e.node('MatMul', [x!, e.constant(numbers, [K, N])])]
    }
    const constants = [e.bytes(packed, [N, perRow, block * (bits / 8)]), e.constant(scales, [scales.length])]
    const attributes = { K, N, bits, block_size: block, accuracy_level: exact && !split ? 1 : 4 }
    const product = (rows: string, wide = attributes): string =>
      e.node('MatMulNBits', [rows, ...constants], wide, microsoft)
    if (twoTerms) {
      const all = { ...attributes, K: perRow * block }
      const parts = { bits, columns: K, blocks: perRow, block, rank: input!.rank }
      return [productOfTerms(e, x!, { ...parts, product: (rows) => product(rows, all) })]
    }
    return [split ? exactProduct(e, x!, { inputs: K, outputs: N, block, dense, product }) : product(x!)]
  },
})

/** [N, columns], as a constant. */
const asNumbers = (attributes: Attributes, dtype: Tensor['dtype']): Tensor => {
  const matrix = matrixOf(attributes)
  return tensor(fromFloat64(scaled(matrix), dtype), { shape: [matrix.outputs, columnsOf(matrix)] })
}

/** Rows that are turned at once, so that neither side leaves the cache. */
const tile = 32

/** The scaled integers as numbers [columns, N]. */
function turned<A extends Float32Array | Float64Array>(matrix: QuantizedMatrix, out: A): A {
  const { bits, packed, scales, outputs } = matrix
  const [columns, perRow, zero] = [columnsOf(matrix), rowBlocks(matrix), 2 ** (bits - 1)]
  for (let r0 = 0; r0 < outputs; r0 += tile)
    for (let b = 0; b < perRow; b++)
      for (let r = r0, end = Math.min(outputs, r0 + tile); r < end; r++) {
        const [place, scale] = [r * perRow + b, scales[r * perRow + b]!]
        const count = Math.min(quantizedBlock, columns - b * quantizedBlock)
        for (let j = 0, to = b * quantizedBlock * outputs + r; j < count; j++, to += outputs) {
          const at = place * quantizedBlock + j
          const q = bits === 8 ? packed[at]! : (packed[at >> 1]! >> (4 * (at & 1))) & 15
          out[to] = scale * (q - zero)
        }
      }
  return out
}

const denseMatrices = new WeakMap<QuantizedMatrix, Float32Array>()
/** [columns, N] in f32, made once: for runtimes that would unpack the blocks at every call. */
function denseOf(matrix: QuantizedMatrix): Float32Array {
  const numbers =
    denseMatrices.get(matrix) ?? turned(matrix, new Float32Array(columnsOf(matrix) * matrix.outputs))
  denseMatrices.set(matrix, numbers)
  return numbers
}

/** x · Wᵀ with a quantized W: x [..., K] ↦ [..., N]. Derivatives are those of the dequantized weights. */
export function quantizedMatmul(x: Tensor, matrix: QuantizedMatrix): Tensor {
  const { sums = 0 } = matrix
  const input = sums ? concatenate([x, ...Array<Tensor>(sums).fill(blockSums(x, quantizedBlock))], -1) : x
  const product = apply('quantizedMatmul', [input], { matrix })
  if (!matrix.offsets) return product
  const offsets = tensor(matrix.offsets, {
    shape: [matrix.inputs / quantizedBlock, matrix.outputs],
    dtype: x.dtype,
  })
  return add(product, linear(blockSums(x, quantizedBlock), offsets))
}
