/** @file Matrix product with transposition flags, and general contraction (einsum) on top of it. */

import { isFloat, requireSameDtype, type Spec, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { microsoft } from '../onnx/emitter.ts'
import { type Attributes, apply, requireTensor, type Tensor } from '../tensor.ts'
import { broadcastShapes, broadcastTo } from './broadcast.ts'
import { add } from './elementwise.ts'
import { sum } from './reduce.ts'
import { normalizeAxis, reshape, transpose } from './shape.ts'
import { defineOp } from './table.ts'

interface Flags {
  readonly transposeA: boolean
  readonly transposeB: boolean
  /** Factor on the product; the runtime applies it for nothing. */
  readonly alpha: number
}
/** Flags of a product; absent ones are false and 1. */
export const matmulFlags = (attributes: Attributes): Flags => ({
  transposeA: false,
  transposeB: false,
  alpha: 1,
  ...attributes,
})

/** α op(A) · op(B) over equal leading axes, where op transposes the last two axes when its flag is set. */
const product = (a: Tensor, b: Tensor, transposeA = false, transposeB = false, alpha = 1): Tensor =>
  apply('matmul', [a, b], { transposeA, transposeB, alpha })

function dimensions(
  [a, b]: readonly Spec[],
  { transposeA, transposeB }: Flags,
): { batch: number[]; m: number; k: number; kB: number; n: number } {
  const [sa, sb] = [a!.shape, b!.shape]
  const r = sa.length
  const [m, k] = transposeA ? [sa[r - 1]!, sa[r - 2]!] : [sa[r - 2]!, sa[r - 1]!]
  const [kB, n] = transposeB ? [sb[r - 1]!, sb[r - 2]!] : [sb[r - 2]!, sb[r - 1]!]
  return { batch: sa.slice(0, -2), m, k, kB, n }
}

defineOp('matmul', {
  shape: (inputs, attributes) => {
    const [a, b] = inputs
    const dtype = requireSameDtype('matmul', inputs)
    if (dtype === 'bool')
      fail(
        'TL_DTYPE_MISMATCH',
        `matmul: expected numbers, got ${inputs.map(showSpec).join(' and ')} (cast them: cast(x, 'f32'))`,
      )
    if (a!.shape.length < 2 || a!.shape.length !== b!.shape.length)
      fail(
        'TL_SHAPE_MISMATCH',
        `matmul: expected two tensors of one rank ≥ 2, got ${showSpec(a!)} and ${showSpec(b!)}`,
      )
    const { batch, m, k, kB, n } = dimensions(inputs, matmulFlags(attributes))
    if (k !== kB || batch.some((size, i) => size !== b!.shape[i]))
      fail(
        'TL_SHAPE_MISMATCH',
        `matmul: ${showSpec(a!)} · ${showSpec(b!)}: inner sizes ${k} and ${kB} and leading axes must be equal`,
      )
    return [{ shape: [...batch, m, n], dtype }]
  },
  reference: (inputs, attributes, [spec]) => {
    const flags = matmulFlags(attributes)
    const { transposeA, transposeB, alpha } = flags
    const { m, k, n } = dimensions(inputs, flags)
    const [a, b] = inputs
    const out = new Float64Array(spec!.shape.reduce((x, y) => x * y, 1))
    const batches = m * n === 0 ? 0 : out.length / (m * n)
    for (let t = 0; t < batches; t++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let total = 0
          for (let p = 0; p < k; p++)
            total +=
              a!.values[t * m * k + (transposeA ? p * m + i : i * k + p)]! *
              b!.values[t * k * n + (transposeB ? j * k + p : p * n + j)]!
          out[(t * m + i) * n + j] = alpha * total
        }
    return [out]
  },
  jvp: (node, [ta, tb]) => {
    const [a, b] = node.inputs
    const left = ta && apply('matmul', [ta, b!], node.attributes)
    const right = tb && apply('matmul', [a!, tb], node.attributes)
    return [left && right ? add(left, right) : (left ?? right ?? null)]
  },
  vjp: (node, [g]) => {
    if (!g) return [null, null]
    const [a, b] = node.inputs as [Tensor, Tensor]
    const { transposeA: ta, transposeB: tb, alpha } = matmulFlags(node.attributes)
    return [
      ta ? product(b, g, tb, true, alpha) : product(g, b, false, !tb, alpha),
      tb ? product(g, a, true, ta, alpha) : product(a, g, !ta, false, alpha),
    ]
  },
  vmap: (node, [a, b], [hasA, hasB], size) => {
    const { transposeA } = matmulFlags(node.attributes)
    if (hasA && !hasB && b!.rank === 2 && !transposeA) {
      const [, m, k] = a!.shape as [number, number, number]
      return [
        reshape(apply('matmul', [reshape(a!, [size * m, k]), b!], node.attributes), [
          size,
          ...node.outputs[0]!.shape,
        ]),
      ]
    }
    const wide = (x: Tensor, has: boolean): Tensor => (has ? x : broadcastTo(x, [size, ...x.shape]))
    return [apply('matmul', [wide(a!, hasA!), wide(b!, hasB!)], node.attributes)]
  },
  onnx: (e, [a, b], node) => {
    const { transposeA, transposeB, alpha } = matmulFlags(node.attributes)
    const [x] = node.inputs as [Tensor, Tensor]
    const isPlain = !transposeA && !transposeB && alpha === 1
    const flags = { transA: Number(transposeA), transB: Number(transposeB), alpha: { float: alpha } }
    if (isFloat(x.dtype) && !isPlain && x.rank === 2 && (x.dtype === 'f32' || alpha === 1))
      return [e.node('Gemm', [a!, b!], flags)]
    if (x.dtype === 'f32' && !isPlain && e.target === 'cpu')
      return [e.node('FusedMatMul', [a!, b!], flags, microsoft)]
    const swap = x.shape.map((_, i) => i)
    ;[swap[x.rank - 1], swap[x.rank - 2]] = [x.rank - 2, x.rank - 1]
    const straight = (name: string, flag: boolean): string =>
      flag ? e.node('Transpose', [name], { perm: swap }) : name
    const y = e.node('MatMul', [straight(a!, transposeA), straight(b!, transposeB)])
    return [alpha === 1 ? y : e.node('Mul', [y, e.scalar(alpha, x.dtype)])]
  },
})

export interface MatmulOptions {
  /** Use the transpose of the last two axes of the first (second) operand; free of cost. */
  readonly transposeA?: boolean
  readonly transposeB?: boolean
}

/**
 * Matrix product over the last two axes, leading axes broadcast. Vectors are treated as in NumPy. A stack of matrices
 * times one matrix is a single large product.
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false }: MatmulOptions = {},
): Tensor {
  requireTensor('matmul', a, b)
  if (a.rank === 0 || b.rank === 0)
    fail(
      'TL_SHAPE_MISMATCH',
      `matmul: expected at least one axis, got ${showSpec(a)} and ${showSpec(b)} (use mul for scalars)`,
    )
  if (a.rank === 1) {
    const y = matmul(reshape(a, [1, a.size]), b, { transposeB })
    return reshape(y, y.shape.toSpliced(-2, 1))
  }
  if (b.rank === 1) {
    const y = matmul(a, reshape(b, [b.size, 1]), { transposeA })
    return reshape(y, y.shape.slice(0, -1))
  }
  if (b.rank === 2 && a.rank > 2 && !transposeA) {
    const k = a.shape.at(-1)!
    const rows = a.shape.slice(0, -1)
    const y = product(reshape(a, [rows.reduce((x, n) => x * n, 1), k]), b, false, transposeB)
    return reshape(y, [...rows, y.shape[1]!])
  }
  const batch = broadcastShapes('matmul', [
    { shape: a.shape.slice(0, -2), dtype: a.dtype },
    { shape: b.shape.slice(0, -2), dtype: b.dtype },
  ])
  const wide = (x: Tensor): Tensor => broadcastTo(x, [...batch, ...x.shape.slice(-2)])
  return product(wide(a), wide(b), transposeA, transposeB)
}

/** Inner product of two vectors. */
export const dot = (a: Tensor, b: Tensor): Tensor => sum(apply('mul', [a, b]))

/**
 * Contraction in Einstein's notation: `einsum('bhqd,bhkd->bhqk', q, k)`. Letters absent from the result are summed over;
 * without `->` they are those that appear twice. One or more operands, contracted from left to right.
 */
export function einsum(formula: string, ...tensors: Tensor[]): Tensor {
  const [left, right] = formula.replaceAll(' ', '').split('->')
  const labels = left!.split(',').map((word) => [...word])
  const letters = labels.flat()
  if (labels.length !== tensors.length || letters.some((c) => !/[A-Za-z]/.test(c)))
    fail(
      'TL_BAD_ARGUMENT',
      `einsum: expected one group of letters for each of ${tensors.length} tensors, got "${formula}"`,
    )
  const target =
    right === undefined
      ? [...new Set(letters)].filter((c) => letters.indexOf(c) === letters.lastIndexOf(c)).sort()
      : [...right]
  if (target.some((c, i) => !letters.includes(c) || target.indexOf(c) !== i))
    fail(
      'TL_BAD_ARGUMENT',
      `einsum: the result "${target.join('')}" must name letters of "${left}" once each`,
    )
  const size = new Map<string, number>()
  for (const [i, word] of labels.entries()) {
    if (word.length !== tensors[i]!.rank)
      fail(
        'TL_SHAPE_MISMATCH',
        `einsum: "${word.join('')}" names ${word.length} axes, the tensor is ${showSpec(tensors[i]!)}`,
      )
    for (const [axis, c] of word.entries()) {
      const n = tensors[i]!.shape[axis]!
      if (size.has(c) && size.get(c) !== n)
        fail('TL_SHAPE_MISMATCH', `einsum: axis "${c}" has sizes ${size.get(c)} and ${n} in "${formula}"`)
      size.set(c, n)
    }
  }
  let [value, word] = diagonal(tensors[0]!, labels[0]!)
  for (let i = 1; i < tensors.length; i++) {
    const later = new Set([...labels.slice(i + 1).flat(), ...target])
    ;[value, word] = contract(value, word, ...diagonal(tensors[i]!, labels[i]!), later, size)
  }
  const extra = word.flatMap((c, axis) => (target.includes(c) ? [] : [axis]))
  value = sum(value, extra)
  word = word.filter((c) => target.includes(c))
  return transpose(
    value,
    target.map((c) => word.indexOf(c)),
  )
}

/** Repeated letters in one operand select the diagonal: multiply by the identity and sum. */
function diagonal(x: Tensor, word: string[]): [Tensor, string[]] {
  const second = word.findIndex((c, i) => word.indexOf(c) !== i)
  if (second < 0) return [x, word]
  const first = word.indexOf(word[second]!)
  const n = x.shape[first]!
  const position = (axis: number): Tensor =>
    reshape(
      apply('iota', [], { shape: [n], axis: 0, dtype: 'i32' }),
      x.shape.map((_, i) => (i === axis ? n : 1)),
    )
  const mask = apply('cast', [apply('equal', [position(first), position(second)])], { dtype: x.dtype })
  return diagonal(sum(apply('mul', [x, mask]), second), word.toSpliced(second, 1))
}

/** Contract two operands into one: shared letters that are needed later become batch axes, the others are summed. */
function contract(
  a: Tensor,
  wa: string[],
  b: Tensor,
  wb: string[],
  later: ReadonlySet<string>,
  size: ReadonlyMap<string, number>,
): [Tensor, string[]] {
  const alone = (x: Tensor, word: string[], other: string[]): [Tensor, string[]] => {
    const drop = word.flatMap((c, axis) => (later.has(c) || other.includes(c) ? [] : [axis]))
    return [sum(x, drop), word.filter((_, axis) => !drop.includes(axis))]
  }
  const [x, wx] = alone(a, wa, wb)
  const [y, wy] = alone(b, wb, wa)
  const batch = wx.filter((c) => wy.includes(c) && later.has(c))
  const inner = wx.filter((c) => wy.includes(c) && !later.has(c))
  const free = (word: string[]): string[] => word.filter((c) => !batch.includes(c) && !inner.includes(c))
  const [fx, fy] = [free(wx), free(wy)]
  const total = (word: string[]): number => word.reduce((n, c) => n * size.get(c)!, 1)
  const arrange = (t: Tensor, word: string[], order: string[][]): Tensor =>
    reshape(
      transpose(
        t,
        order.flat().map((c) => word.indexOf(c)),
      ),
      [...batch.map((c) => size.get(c)!), ...order.slice(1).map(total)],
    )
  const z = matmul(arrange(x, wx, [batch, fx, inner]), arrange(y, wy, [batch, inner, fy]))
  const word = [...batch, ...fx, ...fy]
  return [
    reshape(
      z,
      word.map((c) => size.get(c)!),
    ),
    word,
  ]
}

/** Matrix transpose of the last two axes. */
export const matrixTranspose = (x: Tensor): Tensor => {
  const p = x.shape.map((_, i) => i)
  const last = normalizeAxis('matrixTranspose', -1, x.rank)
  ;[p[last], p[last - 1]] = [last - 1, last]
  return transpose(x, p)
}
