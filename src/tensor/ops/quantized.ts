/**
 * @file Products with block-quantized weights, kept as they are: 4 or 8 bits a weight, a scale (a zero, an offset) for each block
 * along the inputs. The runtime's kernel rounds activations to 8 bits block by block, unless the matrix is exact; the
 * definition does not.
 */
import { fromFloat64, requireFloat, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { microsoft } from '../onnx/emitter.ts'
import { type Attributes, apply, type Tensor, tensor } from '../tensor.ts'
import { add } from './elementwise.ts'
import { linear } from './linear.ts'
import { matmul } from './matmul.ts'
import { exactProduct } from './quantizedExact.ts'
import { defineOp, type Row } from './table.ts'

/** Weights in a block, unless a matrix says otherwise. */
export const quantizedBlock = 32

/**
 * A matrix of N outputs and K inputs (a multiple of its block b): w = scale · (q − zero) + offset, where zero is 8 (4 bits) or
 * 128 (8 bits) unless blocks have their own. Make it with `quantizedMatrix`.
 */
export interface QuantizedMatrix {
  readonly bits: 4 | 8
  readonly inputs: number
  readonly outputs: number
  /** Weights in a block: 32 (default), 64, 128 or 256. Longer blocks are fewer bytes of scales to read. */
  readonly block?: number
  /** [N, K/b, b/2 or b]; with 4 bits, the low half of byte j is weight 2j of its block. */
  readonly packed: Uint8Array
  /** [N, K/b] */
  readonly scales: Float32Array
  /** [N, K/b], where blocks have their own zero. They cost nothing, offsets are a product of their own. */
  readonly zeros?: Uint8Array
  /** [K/b, N], where there are offsets: blocks of 32. */
  readonly offsets?: Float32Array
  /** Activations are not rounded to 8 bits. */
  readonly exact?: boolean
  /** The same weights as numbers [N, K]: an exact matrix of 8 bits multiplies many rows with them. */
  readonly dense?: Float32Array
  /** Its name in the text of graphs. */
  toJSON(): string
}

let made = 0

/** A quantized matrix from its parts; sizes are checked. */
export function quantizedMatrix(parts: Omit<QuantizedMatrix, 'toJSON'>): QuantizedMatrix {
  const { bits, inputs, outputs, packed, scales, zeros, offsets, exact, dense } = parts
  const block = blockOf(parts)
  const blocks = (inputs / block) * outputs
  if (![32, 64, 128, 256].includes(block))
    fail('TL_BAD_ARGUMENT', `quantizedMatrix: block: expected 32, 64, 128 or 256, got ${block}`)
  if (
    !Number.isInteger(inputs / block) ||
    packed.length !== blocks * block * (bits / 8) ||
    scales.length !== blocks ||
    (zeros && zeros.length !== blocks) ||
    (offsets && offsets.length !== blocks)
  )
    fail(
      'TL_SHAPE_MISMATCH',
      `quantizedMatrix: expected ${outputs} × ${inputs} weights (inputs a multiple of ${block}) as ${blocks} blocks of ${bits} bits, got ${packed.length} bytes, ${scales.length} scales${zeros ? `, ${zeros.length} zeros` : ''}${offsets ? `, ${offsets.length} offsets` : ''}`,
    )
  if (exact && bits === 8 && (dense?.length !== inputs * outputs || offsets))
    fail(
      'TL_BAD_ARGUMENT',
      `quantizedMatrix: an exact matrix of 8 bits needs its ${outputs} × ${inputs} numbers as dense, and has no offsets`,
    )
  if (offsets && block !== quantizedBlock)
    fail('TL_BAD_ARGUMENT', `quantizedMatrix: offsets of blocks of ${quantizedBlock} only, got ${block}`)
  if (zeros && exact) fail('TL_BAD_ARGUMENT', 'quantizedMatrix: an exact matrix has no zeros')
  const name = `quantized ${outputs}×${inputs}, ${bits} bits, #${made++}`
  return { ...parts, toJSON: () => name }
}

const blockOf = ({ block = quantizedBlock }: Pick<QuantizedMatrix, 'block'>): number => block

const matrixOf = (attributes: Attributes): QuantizedMatrix => attributes['matrix'] as QuantizedMatrix

/** The scaled integers as numbers, without offsets: [N, K]. */
function scaled(matrix: QuantizedMatrix): Float64Array {
  const { bits, packed, scales, zeros } = matrix
  const block = blockOf(matrix)
  const out = new Float64Array(scales.length * block)
  const perBlock = block * (bits / 8)
  for (let b = 0; b < scales.length; b++)
    for (let j = 0; j < block; j++) {
      const byte = packed[b * perBlock + (bits === 8 ? j : j >> 1)]!
      const q = bits === 8 ? byte : j % 2 ? byte >> 4 : byte & 15
      out[b * block + j] = scales[b]! * (q - (zeros?.[b] ?? 2 ** (bits - 1)))
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
  jvp: (node, [t]) => [t && matmul(t, asNumbers(node.attributes, t.dtype), { transposeB: true })],
  vjp: (node, [g]) => [g && matmul(g, asNumbers(node.attributes, g.dtype))],
  vmap: (node, inputs) => [apply('quantizedMatmul', inputs, node.attributes)],
  onnx: (e, [x], node) => {
    const matrix = matrixOf(node.attributes)
    const { bits, inputs: K, outputs: N, packed, scales, zeros, exact, dense } = matrix
    const [input] = node.inputs
    const split = exact && bits === 8 ? dense : undefined
    if (e.target !== 'cpu' || input!.dtype !== 'f32' || (split && input!.rank !== 2))
      return [e.node('MatMul', [x!, e.constant(fromFloat64(transposed(matrix), input!.dtype), [K, N])])]
    const block = blockOf(matrix)
    const constants = [
      e.bytes(packed, [N, K / block, block * (bits / 8)]),
      e.constant(scales, [scales.length]),
    ]
    if (zeros)
      constants.push(
        e.bytes(...(bits === 8 ? ([zeros, [N, K / block]] as const) : inPairs(zeros, N, K / block))),
      )
    const attributes = { K, N, bits, block_size: block, accuracy_level: exact && !split ? 1 : 4 }
    const product = (rows: string): string =>
      e.node('MatMulNBits', [rows, ...constants], attributes, microsoft)
    return [
      split ? exactProduct(e, x!, { inputs: K, outputs: N, block, dense: split, product }) : product(x!),
    ]
  },
})

/** Numbers of 4 bits, two in a byte, each row beginning with a byte of its own. */
function inPairs(values: Uint8Array, rows: number, columns: number): [Uint8Array, [number, number]] {
  const width = Math.ceil(columns / 2)
  const out = new Uint8Array(rows * width)
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++)
      out[r * width + (c >> 1)]! |= values[r * columns + c]! << (c % 2 ? 4 : 0)
  return [out, [rows, width]]
}

/** [N, K], as a constant. */
const asNumbers = (attributes: Attributes, dtype: Tensor['dtype']): Tensor => {
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
