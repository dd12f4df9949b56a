/** @file Size of a tensor's values, a piece at a time. */
import { finish, type Steps } from '../base/index.ts'
import { type CheckpointTensor, elements } from './checkpoint.ts'

/** Of the finite values: L1 and L2 norm, largest magnitude, mean (null when there are none); and how many are not finite. */
export interface TensorNorms {
  readonly l1: number
  readonly l2: number
  readonly max: number
  readonly mean: number | null
  readonly notFinite: number
}

/** Elements in memory at a time. */
const PIECE = 1 << 20

/** Sums over values: of magnitudes, squares, values, and the largest magnitude. */
interface Sums {
  l1: number
  squares: number
  sum: number
  max: number
}

/** Two chains of additions side by side, as each must wait for the one before it. */
function addAll(values: Float32Array, into: Sums): void {
  let [l1, other, squares, otherSquares, sum, otherSum, max] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
  const even = values.length & ~1
  for (let i = 0; i < even; i += 2) {
    const value = values[i]!
    const next = values[i + 1]!
    const magnitude = Math.abs(value)
    const nextMagnitude = Math.abs(next)
    l1 += magnitude
    other += nextMagnitude
    squares += value * value
    otherSquares += next * next
    sum += value
    otherSum += next
    if (magnitude > max) max = magnitude
    if (nextMagnitude > max) max = nextMagnitude
  }
  if (even < values.length) {
    const value = values[even]!
    l1 += Math.abs(value)
    squares += value * value
    sum += value
    max = Math.max(max, Math.abs(value))
  }
  into.l1 += l1 + other
  into.squares += squares + otherSquares
  into.sum += sum + otherSum
  into.max = Math.max(into.max, max)
}

/** Norms in double precision. Throws `TL_UNSUPPORTED` for a dtype without number values. */
export const tensorNorms = (tensor: CheckpointTensor): TensorNorms => finish(tensorNormsSteps(tensor))

/** The same in steps. */
export function* tensorNormsSteps(tensor: CheckpointTensor): Steps<TensorNorms> {
  const total = elements(tensor.shape)
  let sums: Sums = { l1: 0, squares: 0, sum: 0, max: 0 }
  let notFinite = 0
  for (let start = 0; start < total; start += PIECE) {
    const values = tensor.f32(start, Math.min(PIECE, total - start))
    yield
    const before = { ...sums }
    addAll(values, sums)
    // squares of f32 cannot overflow here: the sum is finite if and only if all values are
    if (Number.isFinite(sums.squares)) continue
    const finite = values.filter(Number.isFinite)
    notFinite += values.length - finite.length
    sums = before
    addAll(finite, sums)
  }
  const counted = total - notFinite
  const { l1, squares, sum, max } = sums
  return { l1, l2: Math.sqrt(squares), max, mean: counted === 0 ? null : sum / counted, notFinite }
}
