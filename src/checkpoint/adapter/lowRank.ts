/**
 * @file The change of one weight as two factors: ΔW = s·B·A with s = alpha/r, or alpha/√r for rank-stabilized ones
 * (Hu et al. 2021, arXiv:2106.09685; Kalajdzievski 2023, arXiv:2312.03732). Layouts: huggingface/peft, tuners/lora/layer.py.
 */
import { fail } from '../../base/index.ts'
import { type CheckpointTensor, elements } from '../checkpoint.ts'
import { quoted } from '../header.ts'

/** Both factors of one module. */
export interface Factors {
  /** The module's name in the model that the adapter was trained on. */
  readonly module: string
  readonly a: CheckpointTensor
  readonly b: CheckpointTensor
  readonly isEmbedding: boolean
  readonly scale: number
}

/** The change of one weight, kept as its two factors. */
export interface LowRankDelta {
  /** The base model's tensor that it changes. */
  readonly name: string
  /** Shape of that tensor: `[out, in]`, `[in, out]` when transposed and for embeddings, `[out, in, …kernel]`. */
  readonly shape: readonly number[]
  readonly rank: number
  /** alpha/r or alpha/√r. */
  readonly scale: number
  /** ΔW, row-major, in `shape`; or `count` of its rows from `start`. Sums in double precision, rounded once to f32. */
  delta(start?: number, count?: number): Float32Array
}

/** Sizes of both factors, checked against each other. Throws `TL_BAD_FILE`. */
export function factorSizes(label: string, module: string, a: CheckpointTensor, b: CheckpointTensor) {
  const [rank = 0, inputs = 0, ...kernel] = a.shape
  const [outputs = 0, columns, ...ones] = b.shape
  if (a.shape.length < 2 || columns !== rank || ones.some((size) => size !== 1))
    fail(
      'TL_BAD_FILE',
      `${label}: ${quoted(module)}: A of shape [${a.shape.join(', ')}] and B of [${b.shape.join(', ')}] do not fit: expected [r, in] and [out, r]`,
    )
  return { rank, inputs, outputs, kernel }
}

/** `[rows, columns]` as `[columns, rows]`. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j]!
  return result
}

/** The change that factors make to the tensor `name`; `isTransposed`: it is stored as `[in, out]`. */
export function lowRank(label: string, factors: Factors, name: string, isTransposed: boolean): LowRankDelta {
  const { module, a, b, scale } = factors
  const { rank, inputs, outputs, kernel } = factorSizes(label, module, a, b)
  const columns = inputs * elements(kernel)
  const shape = isTransposed ? [inputs, outputs] : [outputs, inputs, ...kernel]
  if (isTransposed && kernel.length > 0)
    fail('TL_BAD_FILE', `${label}: ${quoted(module)}: fan_in_fan_out of a convolution has no meaning`)
  function delta(start = 0, count = shape[0]! - start): Float32Array {
    if (
      !(
        Number.isInteger(start) &&
        Number.isInteger(count) &&
        start >= 0 &&
        count >= 0 &&
        start + count <= shape[0]!
      )
    )
      fail('TL_BAD_ARGUMENT', `tensor ${quoted(name)}: rows [${start}, ${start + count}), it has ${shape[0]}`)
    const [factorA, factorB] = [a.f32(), b.f32()]
    // [rows, rank] times [rank, width]; transposed: (B·A)ᵀ = Aᵀ·Bᵀ
    const left = (i: number, k: number): number =>
      isTransposed ? factorA[k * inputs + i]! : factorB[i * rank + k]!
    const width = isTransposed ? outputs : columns
    const right = isTransposed ? transposed(factorB, outputs, rank) : factorA
    const result = new Float32Array(count * width)
    const row = new Float64Array(width)
    for (let i = 0; i < count; i++) {
      row.fill(0)
      for (let k = 0; k < rank; k++) {
        const factor = left(start + i, k)
        for (let j = 0; j < width; j++) row[j]! += factor * right[k * width + j]!
      }
      for (let j = 0; j < width; j++) result[i * width + j] = scale * row[j]!
    }
    return result
  }
  return { name, shape, rank, scale, delta }
}

/** Elements `[start, start + count)` of a low-rank change. */
export function deltaElements({ shape, delta }: LowRankDelta, start: number, count: number): Float32Array {
  const width = Math.max(1, elements(shape.slice(1)))
  const first = Math.floor(start / width)
  const rows = delta(first, Math.ceil((start + count) / width) - first)
  return rows.subarray(start - first * width, start - first * width + count)
}
