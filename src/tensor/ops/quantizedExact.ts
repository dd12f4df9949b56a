/**
 * @file Exact products of a few rows with weights of 8 bits. The runtime has such a kernel only for activations that are rounded
 * to 8 bits, so each row becomes three: rounded, what is left rounded again, and what is left of that. Each is a number of 8
 * bits in its block, so the kernel's own rounding changes nothing, and what the third loses is a part in 254³ of a block's
 * largest: less than f32 itself. A product of one row is bound by the bytes of its weights, which are read once for all three.
 */
import type { Emitter } from '../onnx/emitter.ts'

/** Most rows that are split; a dense product of more is faster, for its arithmetic no longer waits for bytes. */
const fewRows = 3

interface SplitParts {
  readonly inputs: number
  readonly outputs: number
  readonly block: number
  /** [N, K]; without them all rows are split. */
  readonly dense: Float32Array | undefined
  /** The kernel: rows [R, K] ↦ [R, N]. */
  readonly product: (rows: string) => string
}

/** x [R, K] ↦ x · Wᵀ [R, N] as three rows each, or with the dense weights where R is large. */
export function exactProduct(e: Emitter, x: string, parts: SplitParts): string {
  const { inputs: K, outputs: N, dense } = parts
  if (!dense) return inThreeRows(e, x, parts)
  const [rows] = e.nodes('Shape', [x], { start: 0, end: 1 })
  const isFew = e.node('LessOrEqual', [rows!, e.ints([fewRows])])
  const weights = e.constant(dense, [N, K])
  return e.choose(
    isFew,
    () => inThreeRows(e, x, parts),
    () => e.node('Gemm', [x, weights], { transB: 1 }),
  )
}

function inThreeRows(e: Emitter, x: string, { inputs: K, outputs: N, block, product }: SplitParts): string {
  const [step, least] = [e.scalar(1 / 127, 'f32'), e.scalar(1e-30, 'f32')]
  /** Each block rounded to whole multiples of a 127th of its largest number, and what is left. */
  const rounded = (values: string): [string, string] => {
    const largest = e.node('ReduceMax', [e.node('Abs', [values]), e.ints([2])], { keepdims: 1 })
    const scale = e.node('Max', [e.node('Mul', [largest, step]), least])
    const whole = e.node('Round', [e.node('Div', [values, scale])])
    const near = e.node('Mul', [whole, scale])
    return [near, e.node('Sub', [values, near])]
  }
  const [first, rest] = rounded(e.reshape(x, [-1, K / block, block]))
  const [second, third] = rounded(rest)
  const all = e.reshape(e.node('Concat', [first, second, third], { axis: 0 }), [-1, K])
  const sums = e.reshape(product(all), [3, -1, N])
  return e.node('ReduceSum', [sums, e.ints([0])], { keepdims: 0 })
}
