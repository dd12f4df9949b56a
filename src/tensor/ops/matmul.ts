/** @file Matrix product with transposition flags. */
import { isFloat, requireSameDtype, type Spec, sameShape, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { microsoft } from '../onnx/emitter.ts'
import { apply, type Node, requireTensor, type Tensor } from '../tensor.ts'
import { broadcastShapes, broadcastTo } from './broadcast.ts'
import { constantOf } from './constants.ts'
import { type MatmulFlags, matmulFlags } from './matmulFlags.ts'
import { sum } from './reduce.ts'
import { normalizeAxis, reshape, transpose } from './shape.ts'
import { defineOp, traitsOf } from './table.ts'

/** α op(A) · op(B) over equal leading axes, where op transposes the last two axes when its flag is set. */
const product = (a: Tensor, b: Tensor, transposeA = false, transposeB = false, alpha = 1): Tensor =>
  apply('matmul', [a, b], { transposeA, transposeB, alpha })

function dimensions(
  [a, b]: readonly Spec[],
  { transposeA, transposeB }: MatmulFlags,
): { batch: number[]; m: number; k: number; kB: number; n: number } {
  const [sa, sb] = [a!.shape, b!.shape]
  const r = sa.length
  const [m, k] = transposeA ? [sa[r - 1]!, sa[r - 2]!] : [sa[r - 2]!, sa[r - 1]!]
  const [kB, n] = transposeB ? [sb[r - 1]!, sb[r - 2]!] : [sb[r - 2]!, sb[r - 1]!]
  return { batch: sa.slice(0, -2), m, k, kB, n }
}

/** x = by · y for a constant factor, through whatever only moves elements. */
function scaleOf(x: Tensor): { x: Tensor; by: number } | undefined {
  if (x.dtype !== 'f32') return undefined
  const { op, inputs, attributes } = x.node
  if (op === 'mul') {
    const by = constantOf(inputs[1]!)
    return by !== undefined && sameShape(inputs[0]!.shape, x.shape) ? { x: inputs[0]!, by } : undefined
  }
  const inner = traitsOf(op).elements === 'moved' ? scaleOf(inputs[0]!) : undefined
  return inner && { x: apply(op, [inner.x], attributes), by: inner.by }
}

/** The untransposed operand when x only swaps the last two axes. */
function swapsLastAxes({ node: { op, inputs, attributes } }: Tensor): Tensor | undefined {
  if (op !== 'transpose') return undefined
  const p = attributes['permutation'] as number[]
  const r = p.length
  return p.every((axis, i) => axis === (i === r - 1 ? r - 2 : i === r - 2 ? r - 1 : i))
    ? inputs[0]
    : undefined
}

/** Transpositions of operands become flags, a factor on an operand one on the product; both cost nothing there. */
function simplify([a, b]: readonly Tensor[], { attributes }: Node): Tensor | undefined {
  const flags = matmulFlags(attributes)
  const [ta, tb] = [swapsLastAxes(a!), swapsLastAxes(b!)]
  if (ta || tb)
    return apply('matmul', [ta ?? a!, tb ?? b!], {
      ...flags,
      transposeA: flags.transposeA !== Boolean(ta),
      transposeB: flags.transposeB !== Boolean(tb),
    })
  const left = scaleOf(a!)
  if (left) return apply('matmul', [left.x, b!], { ...flags, alpha: flags.alpha * left.by })
  const right = scaleOf(b!)
  return right && apply('matmul', [a!, right.x], { ...flags, alpha: flags.alpha * right.by })
}

defineOp('matmul', {
  linear: [0, 1],
  simplify,
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

/** Matrix transpose of the last two axes. */
export const matrixTranspose = (x: Tensor): Tensor => {
  const p = x.shape.map((_, i) => i)
  const last = normalizeAxis('matrixTranspose', -1, x.rank)
  ;[p[last], p[last - 1]] = [last - 1, last]
  return transpose(x, p)
}
