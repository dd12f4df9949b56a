/**
 * @file Products whose activations are sums of two terms of 8 bits. The runtime's kernel rounds each block of an activation to 8
 * bits; what the rounding leaves over becomes a second row, which the kernel rounds in steps 254 times as small at least. Both
 * rows take one pass over the weights. The kernel itself says what it rounds to: a product of each block with the identity.
 * A kernel that does not round (WebAssembly) leaves nothing over, and the result is as right.
 */
import { type Emitter, microsoft } from '../onnx/emitter.ts'

interface TermsParts {
  readonly bits: 4 | 8
  /** Weights of a row that are multiplied, and of all its blocks. */
  readonly columns: number
  readonly blocks: number
  readonly block: number
  /** Axes of x. */
  readonly rank: number
  /** The kernel: rows [..., blocks · block] ↦ [..., N]. */
  readonly product: (rows: string) => string
}

/** x [..., columns] ↦ x · Wᵀ [..., N] as two rows for each. Leading axes are copied, so that it serves any length. */
export function productOfTerms(e: Emitter, x: string, parts: TermsParts): string {
  const { bits, columns, blocks, block, rank, product } = parts
  const leading = Array<number>(rank - 1).fill(0)
  const missing = blocks * block - columns
  const padded = missing
    ? e.node('Pad', [x, e.ints([...Array<number>(2 * rank - 1).fill(0), missing]), e.scalar(0, 'f32')])
    : x
  const open = e.reshape(padded, [...leading, blocks, block])
  const rounded = e.node(
    'MatMulNBits',
    [open, ...identity(e, block, bits)],
    { K: block, N: block, bits, block_size: block, accuracy_level: 4 },
    microsoft,
  )
  const both = e.node('Concat', [open, e.node('Sub', [open, rounded])], { axis: rank - 1 })
  const sums = product(e.reshape(both, [...leading, 2, blocks * block]))
  return e.node('ReduceSum', [sums, e.ints([rank - 1])], { keepdims: 0 })
}

/** The identity of a block's size as a quantized matrix: one about zero, with scale 1. */
function identity(e: Emitter, block: number, bits: 4 | 8): [string, string] {
  const perByte = 8 / bits
  const packed = new Uint8Array((block * block) / perByte).fill(bits === 8 ? 128 : 0x88)
  for (let i = 0; i < block; i++)
    packed[(i * block + i - (i % perByte)) / perByte]! += i % perByte === 1 ? 16 : 1
  return [e.bytes(packed, [block, 1, block / perByte]), e.constant(new Float32Array(block).fill(1), [block])]
}
