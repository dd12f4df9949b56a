/** @file Primitives that surround elements and turn them round: pad, flip. */
import { requireSameDtype, type Spec, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { apply, scalar, type Tensor } from '../tensor.ts'
import { broadcastTo, flatIndices, stridesOf } from './broadcast.ts'
import { slice } from './pieces.ts'
import { emitExpand, normalizeAxis, pick, range, reshape } from './shape.ts'
import { defineOp } from './table.ts'

// --- pad ---

interface PadAttributes {
  readonly low: readonly number[]
  readonly high: readonly number[]
  readonly interior: readonly number[]
}

defineOp('pad', {
  shape: ([x, value], attributes) => {
    const { low, high, interior } = attributes as unknown as PadAttributes
    requireSameDtype('pad', [x!, value!])
    if ([low, high, interior].some((list) => list.length !== x!.shape.length || list.some((n) => !(n >= 0))))
      fail(
        'TL_BAD_ARGUMENT',
        `pad: expected ${x!.shape.length} non-negative amounts for ${showSpec(x!)}, got low [${low}], high [${high}], interior [${interior}]`,
      )
    return [
      {
        shape: x!.shape.map((n, i) => low[i]! + n + Math.max(0, n - 1) * interior[i]! + high[i]!),
        dtype: x!.dtype,
      },
    ]
  },
  reference: ([x, value], attributes, [spec]) => {
    const { low, interior } = attributes as unknown as PadAttributes
    const strides = stridesOf(spec!.shape)
    const offset = low.reduce((sum, n, i) => sum + n * strides[i]!, 0)
    const at = flatIndices(
      x!.shape,
      strides.map((s, i) => s * (interior[i]! + 1)),
      offset,
    )
    const out = new Float64Array(sizeOf(spec!.shape)).fill(value!.values[0]!)
    for (let i = 0; i < at.length; i++) out[at[i]!] = x!.values[i]!
    return [out]
  },
  jvp: (node, [t, tv]) => {
    const x = node.inputs[0]
    const zero = scalar(0, x!.dtype)
    return [apply('pad', [t ?? broadcastTo(zero, x!.shape), tv ?? zero], node.attributes)]
  },
  vjp: (node, [g]) => {
    if (!g) return [null, null]
    const { low, high, interior } = node.attributes as unknown as PadAttributes
    const x = node.inputs[0]!
    const inside =
      x.size === 0
        ? broadcastTo(scalar(0, x.dtype), x.shape)
        : slice(
            g,
            low,
            g.shape.map((n, i) => n - high[i]!),
            interior.map((n) => n + 1),
          )
    if (node.inputs[1]!.isConcrete) return [inside, null]
    const total = (t: Tensor): Tensor => apply('sum', [t], { axes: range(t.rank) })
    return [inside, apply('sub', [total(g), total(inside)])]
  },
  vmap: (node, [x, value], [hasX, hasValue], size) => {
    const { low, high, interior } = node.attributes as unknown as PadAttributes
    const batchedX = hasX ? x! : broadcastTo(x!, [size, ...x!.shape])
    const wide = { low: [0, ...low], high: [0, ...high], interior: [0, ...interior] }
    if (!hasValue) return [apply('pad', [batchedX, value!], wide)]
    // a different fill for each example: pad with zeros, then choose the fill where a padded mask says so
    const inside = broadcastTo(scalar(true, 'bool'), node.inputs[0]!.shape)
    const mask = apply('pad', [inside, scalar(false, 'bool')], node.attributes)
    const fill = reshape(value!, [size, ...node.outputs[0]!.shape.map(() => 1)])
    const padded = apply('pad', [batchedX, scalar(0, x!.dtype)], wide)
    return [apply('where', [broadcastTo(mask, padded.shape), padded, broadcastTo(fill, padded.shape)])]
  },
  onnx: (e, [x, value], node) => {
    const { low, high, interior } = node.attributes as unknown as PadAttributes
    const out = node.outputs[0]!
    if (node.inputs[0]!.size === 0) return [emitExpand(e, value!, out)]
    return [emitPad(e, x!, value!, node.inputs[0]!, low, high, interior)]
  },
})

/** Interior padding as: append an axis of size 1, pad it, merge, cut the tail; then ordinary padding. */
function emitPad(
  e: Emitter,
  x: string,
  value: string,
  spec: Spec,
  low: readonly number[],
  high: readonly number[],
  interior: readonly number[],
): string {
  const dtype = spec.dtype
  if (dtype === 'u32' || dtype === 'bool')
    return e.cast(
      emitPad(e, e.cast(x, 'i64'), e.cast(value, 'i64'), { ...spec, dtype: 'i64' }, low, high, interior),
      dtype,
    )
  let shape = [...spec.shape]
  let name = x
  for (const [axis, gap] of interior.entries()) {
    const n = shape[axis]!
    if (gap === 0 || n <= 1) continue
    const open = [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]
    const zero = open.map(() => 0)
    const padded = e.node('Pad', [
      e.reshape(name, open),
      e.ints([...zero, ...zero.with(axis + 1, gap)]),
      value,
    ])
    const merged = e.reshape(padded, shape.with(axis, n * (gap + 1)))
    const length = n * (gap + 1) - gap
    name = e.node('Slice', [merged, e.ints([0]), e.ints([length]), e.ints([axis])])
    shape = shape.with(axis, length)
  }
  if ([...low, ...high].every((n) => n === 0)) return name
  return e.node('Pad', [name, e.ints([...low, ...high]), value])
}

// --- flip ---

defineOp('flip', {
  linear: [0],
  shape: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  reference: ([x], { axes }) => {
    const strides = stridesOf(x!.shape)
    const flipped = axes as number[]
    const offset = flipped.reduce((sum, axis) => sum + (x!.shape[axis]! - 1) * strides[axis]!, 0)
    return [
      pick(
        x!,
        flatIndices(
          x!.shape,
          strides.map((s, i) => (flipped.includes(i) ? -s : s)),
          offset,
        ),
      ),
    ]
  },
  vjp: (node, [g]) => [g && apply('flip', [g], node.attributes)],
  vmap: (node, [x]) => [
    apply('flip', [x!], { axes: (node.attributes['axes'] as number[]).map((a) => a + 1) }),
  ],
  onnx: (e, [x], node) => {
    const axes = node.attributes['axes'] as number[]
    if (axes.length === 0) return [x!]
    const of = (value: number): string => e.ints(axes.map(() => value))
    return [e.node('Slice', [x!, of(-1), of(Number.MIN_SAFE_INTEGER), e.ints(axes), of(-1)])]
  },
})

/** Reverse the order of elements along axes. */
export const flip = (x: Tensor, axes: readonly number[]): Tensor =>
  apply('flip', [x], { axes: axes.map((a) => normalizeAxis('flip', a, x.rank)).sort((a, b) => a - b) })
