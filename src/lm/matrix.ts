/**
 * @file Weight matrices as programs take them: dense [inputs, outputs] in f32, or quantized blocks kept as a GGUF file stores
 * them. Matrices that share their input are put side by side, so that one product serves them all.
 */
import { fail } from '../base/index.ts'
import {
  type Arena,
  add,
  heap,
  linear,
  matmul,
  type QuantizedMatrix,
  quantizedBlock,
  quantizedMatmul,
  quantizedMatrix,
  type Tensor,
  tensor,
} from '../tensor/index.ts'
import {
  type Blocks,
  fittedBlocks,
  isFloatType,
  kept,
  numbersInto,
  type Part,
  type Rows,
  roomForSums,
  roundedBlocks,
  runsOf,
  splitOffsets,
  storedBlocks,
  sumsOf,
  widened,
} from './blocks.ts'

/** A map of the last axis: dense [K, N] or quantized, and a bias [N]. */
export interface Linear {
  readonly weight: Tensor | QuantizedMatrix
  /** Dense and stored [N, K], for inputs of two axes. */
  readonly isTurned?: boolean
  readonly bias?: Tensor
}

const isDense = (weight: Linear['weight']): weight is Tensor => !('bits' in weight)

/** x [..., K] ↦ [..., N] */
export function applyLinear({ weight, isTurned, bias }: Linear, x: Tensor): Tensor {
  const product = (w: Tensor): Tensor => (isTurned ? matmul(x, w, { transposeB: true }) : linear(x, w))
  const y = isDense(weight) ? product(weight) : quantizedMatmul(x, weight)
  return bias ? add(y, bias) : y
}

/** Outputs of a part once its rows are in their order. */
const width = ({ outputs, order }: Part): number => order?.length ?? outputs

/** Where matrices are made. */
export type Memory = Pick<Arena, 'bytes' | 'floats'>

/** Matrices side by side, as f32 [K, ΣN]. */
export function denseMatrix(parts: readonly Part[], memory: Memory = heap): Tensor {
  const [first] = parts as [Part]
  const rows = first.slots?.length ?? first.inputs
  const columns = parts.reduce((n, part) => n + width(part), 0)
  if (parts.length === 1 && first.transposed && !first.slots)
    return tensor(first.source.f32(), { shape: [rows, columns] })
  const out = memory.floats(rows * columns)
  let column = 0
  for (const part of parts) {
    place(out, columns, column, part)
    column += width(part)
  }
  return tensor(out, { shape: [rows, columns] })
}

/** Rows of the file become columns: in tiles, so that neither side leaves the cache. */
function place(out: Float32Array, columns: number, column: number, part: Part): void {
  const { source, inputs, outputs, transposed, order, slots } = part
  if (transposed) {
    const values = source.f32()
    for (let k = 0; k < inputs; k++)
      out.set(values.subarray(k * outputs, (k + 1) * outputs), k * columns + column)
    return
  }
  const depth = slots?.length ?? inputs
  const tile = 32
  for (const rows of runsOf(part)) {
    const values = rows.count === outputs ? source.f32() : source.f32(rows.from * inputs, rows.count * inputs)
    // with an order there may be more rows in the result than in the file
    const count = order?.length ?? rows.count
    const turned = new Float32Array(depth * count)
    for (let r0 = 0; r0 < count; r0 += tile)
      for (let k0 = 0; k0 < depth; k0 += tile)
        for (let r = r0, rEnd = Math.min(count, r0 + tile); r < rEnd; r++) {
          const row = order ? order[r]! : r
          if (row < 0) continue
          const start = row * inputs
          for (let k = k0, kEnd = Math.min(depth, k0 + tile); k < kEnd; k++) {
            const at = slots ? slots[k]! : k
            if (at >= 0) turned[k * count + r] = values[start + at]!
          }
        }
    for (let k = 0; k < depth; k++)
      out.set(turned.subarray(k * count, (k + 1) * count), k * columns + column + rows.from)
  }
}

/** Are these 4-bit blocks that can stay as they are stored? */
export const areSmallBlocks = (parts: readonly Part[]): boolean =>
  parts.every(
    ({ source, inputs, slots, order }) =>
      kept[source.dtype]?.bits === 4 && inputs % quantizedBlock === 0 && !slots && !order?.includes(-1),
  )

/**
 * What a product with blocks makes of its activations. `rounded`: 8 bits in each block. `fine`: f32 with weights of 4 bits, for
 * which the runtime has such a kernel, and two terms of 8 bits with weights of 8. `exact`: f32, and offsets too.
 */
type Activations = 'rounded' | 'fine' | 'exact'

/**
 * Matrices side by side in blocks: Q4_0, Q4_1 and Q8_0 as stored; weights in floats rounded to `bits`, other block formats to 8.
 * Where any of them has 8 bits, all do. Offsets (of Q4_1, of floats in 4 bits) are rounded (`splitOffsets`), fourteen times as
 * finely where activations are `fine`; an `exact` matrix keeps them, and has only 4-bit blocks.
 */
export function blockMatrix(
  parts: readonly Part[],
  bits: 4 | 8,
  activations: Activations = 'rounded',
  memory: Memory = heap,
): QuantizedMatrix {
  const { inputs } = parts[0]!
  if (inputs % quantizedBlock !== 0)
    fail(
      'TL_UNSUPPORTED',
      `tensor "${parts[0]!.source.name}": ${inputs} inputs are no multiple of ${quantizedBlock}, so its weights cannot be quantized in blocks: load with precision "f32"`,
    )
  const perRow = inputs / quantizedBlock
  const formats = parts.map(({ source }) => kept[source.dtype])
  const isWide = parts.some(
    ({ source }, p) => (formats[p]?.bits ?? (isFloatType(source.dtype) ? bits : 8)) === 8,
  )
  const wide = isWide ? 8 : 4
  const [exact, again] = [activations === 'exact', activations === 'fine' ? 2 : 1]
  const hasOffsets = !exact && formats.some((format) => format?.hasOffset || (!format && !isWide))
  const [sums, room] = hasOffsets ? [sumsOf(perRow, again), roomForSums(perRow, again)] : [0, 0]
  const outputs = parts.reduce((n, part) => n + part.outputs, 0)
  const [bytes, stride] = [(quantizedBlock * wide) / 8, perRow + room]
  const packed = memory.bytes(outputs * stride * bytes)
  const scales = memory.floats(outputs * stride)
  const offsets =
    exact && formats.some((format) => format?.hasOffset) ? memory.floats(perRow * outputs) : undefined
  let row = 0
  for (const [p, part] of parts.entries()) {
    const format = formats[p]
    // made aside, some rows at a time, and copied
    for (const rows of runsOf(part)) {
      const blocks = blocksOf(part, rows)
      packed.set(blocks.packed, row * stride * bytes)
      scales.set(blocks.scales, row * stride)
      if (offsets && blocks.offsets)
        for (let b = 0; b < perRow; b++)
          for (let r = 0, to = b * outputs + row; r < rows.count; r++)
            offsets[to + r] = blocks.offsets[r * perRow + b]!
      row += rows.count
    }

    function blocksOf(own: Part, rows: Rows): Blocks {
      if (!format && isWide) return roundedBlocks(own, room, rows)
      const stored = format ? storedBlocks(own, format, room, rows) : fittedBlocks(own, room, rows)
      const blocks = exact || !stored.offsets ? stored : splitOffsets(stored, perRow, again)
      return blocks.bits < wide ? widened(blocks) : blocks
    }
  }
  return quantizedMatrix({
    ...{ bits: wide, inputs, outputs, packed, scales, sums },
    ...(activations !== 'rounded' && (isWide ? { twoTerms: true } : { exact: true })),
    ...(offsets && { offsets }),
  })
}

/** A matrix as the file has it, f32 [N, K]. */
export function turnedMatrix(part: Part, memory: Memory = heap): Linear {
  const { inputs, outputs } = part
  const numbers = numbersInto(memory.floats(inputs * outputs), part)
  return { weight: tensor(numbers, { shape: [outputs, inputs] }), isTurned: true }
}

/** Most numbers of a head that is dense beside its blocks: 268 MB. */
const mostBeside = 2 ** 26

/**
 * The head of a model that is run exactly. Blocks of 8 bits stay packed (Q8_0): a token reads a third of the bytes. Up to `most`
 * numbers are dense besides, for many rows. Anything else is dense, as the file stores it, [N, K].
 */
export function exactHead(part: Part, memory: Memory = heap, most = mostBeside): Linear {
  const { source, inputs, outputs } = part
  const format = kept[source.dtype]
  if (format?.bits !== 8 || inputs % quantizedBlock !== 0) return turnedMatrix(part, memory)
  const dense = inputs * outputs <= most ? numbersInto(memory.floats(inputs * outputs), part) : undefined
  const { packed, scales } = blockMatrix([part], 8, 'rounded', memory)
  const matrix = { bits: 8 as const, inputs, outputs, packed, scales, exact: true }
  return { weight: quantizedMatrix({ ...matrix, ...(dense && { dense }) }) }
}
