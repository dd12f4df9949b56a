/**
 * @file What may happen to images between convolutions without leaving the blocked layout: pointwise functions, joining and
 * cutting of whole blocks, sums over positions, and repetition of pixels. Taken when some operand is in blocks already.
 */
import { sameShape } from '../dtype.ts'
import { opRow } from '../ops/table.ts'
import type { Node, Tensor } from '../tensor.ts'
import { blockedForm, fromBlocked, isBlocked, nchwc, remember, shape4, toBlocked } from './blocked.ts'
import type { Emitter, Fused } from './emitter.ts'

type Rule = (e: Emitter, node: Node, nameOf: (t: Tensor) => string) => readonly string[] | undefined

/** A rule for processors that have the layout. */
const inBlocks =
  (rule: Rule): Fused =>
  (e, node, { names }) =>
    e.block > 0 ? rule(e, node, (t) => names.get(t)!) : undefined

const isImage = (e: Emitter, t: Tensor): boolean => t.rank === 4 && t.size > 0 && t.shape[1]! % e.block === 0

/** Elementwise functions of images of one shape and of single numbers. */
export const pointwise = inBlocks((e, node, nameOf) => {
  const out = node.outputs[0]!
  const whole = node.inputs.filter((x) => x.size > 1)
  const fits = (x: Tensor): boolean =>
    sameShape(x.shape, out.shape) && (x.dtype === 'f32' || (x.dtype === 'bool' && isBlocked(e, nameOf(x))))
  if (out.dtype !== 'f32' && out.dtype !== 'bool') return undefined
  if (!isImage(e, out) || !whole.every(fits) || !whole.some((x) => isBlocked(e, nameOf(x)))) return undefined
  const shape = shape4(out.shape)
  const blocked = node.inputs.map((x) =>
    x.size > 1 ? (blockedForm(e, nameOf(x)) ?? toBlocked(e, nameOf(x), shape)) : nameOf(x),
  )
  const [y] = opRow(node.op).onnx(e, blocked, node)
  if (out.dtype === 'f32') return [fromBlocked(e, y!, shape)]
  // the runtime moves only floats between layouts: truth values are computed in both, if both are read
  const plain = opRow(node.op).onnx(e, node.inputs.map(nameOf), node)
  remember(e, plain[0]!, y!)
  return plain
})

export const concatenateBlocks = inBlocks((e, node, nameOf) => {
  const axis = node.attributes['axis'] as number
  const out = node.outputs[0]!
  const isUsable = node.inputs.every((x) => isImage(e, x) && x.dtype === 'f32')
  if (!isUsable || axis > 1 || !node.inputs.some((x) => isBlocked(e, nameOf(x)))) return undefined
  const blocked = node.inputs.map((x) => toBlocked(e, nameOf(x), shape4(x.shape)))
  return [fromBlocked(e, e.node('Concat', blocked, { axis }), shape4(out.shape))]
})

export const splitBlocks = inBlocks((e, node, nameOf) => {
  const { axis, sizes } = node.attributes as { axis: number; sizes: number[] }
  const x = node.inputs[0]!
  const isUsable = isImage(e, x) && isBlocked(e, nameOf(x)) && x.dtype === 'f32'
  if (!isUsable || axis > 1 || !node.outputs.every((y) => isImage(e, y))) return undefined
  const blocked = toBlocked(e, nameOf(x), shape4(x.shape))
  const parts = e.nodes('Split', [blocked, e.ints(sizes)], { axis }, { outputs: sizes.length })
  return parts.map((y, i) => fromBlocked(e, y, shape4(node.outputs[i]!.shape)))
})

export const sliceBlocks = inBlocks((e, node, nameOf) => {
  const { starts, ends, strides } = node.attributes as { [key: string]: number[] }
  const x = node.inputs[0]!
  const out = node.outputs[0]!
  const isUsable = isImage(e, x) && isImage(e, out) && isBlocked(e, nameOf(x)) && x.dtype === 'f32'
  if (!isUsable || starts![1]! % e.block !== 0 || strides![1] !== 1) return undefined
  const [n, c, h, w] = shape4(x.shape)
  const inBlocks = (list: readonly number[]): number[] => list.with(1, list[1]! / e.block)
  const open = e.reshape(toBlocked(e, nameOf(x), [n, c, h, w]), [n, c / e.block, h, w, e.block])
  const cut = e.node('Slice', [
    open,
    ...[inBlocks(starts!), inBlocks(ends!), [0, 1, 2, 3], strides!].map((list) => e.ints(list)),
  ])
  return [fromBlocked(e, e.reshape(cut, [...out.shape]), shape4(out.shape))]
})

/** Sums over the positions of each channel, and over repeated pixels. */
export const sumBlocks = inBlocks((e, node, nameOf) => {
  const axes = node.attributes['axes'] as number[]
  const x = node.inputs[0]!
  const out = node.outputs[0]!
  if (x.dtype !== 'f32') return undefined
  const over = (name: string, axis: number): string =>
    e.node('ReduceSum', [name, e.ints([axis])], { keepdims: 0 })
  if (isImage(e, x) && isBlocked(e, nameOf(x)) && (`${axes}` === '2,3' || `${axes}` === '0,2,3')) {
    const [n, c, h, w] = shape4(x.shape)
    const blocked = toBlocked(e, nameOf(x), [n, c, h, w])
    const perExample = e.reshape(over(e.reshape(blocked, [(n * c) / e.block, h * w, e.block]), 1), [n, c])
    return [axes.length === 2 ? perExample : over(perExample, 0)]
  }
  // repeated pixels summed up: the adjoint of repetition
  const image = x.node.op === 'reshape' ? x.node.inputs[0]! : undefined
  const factors = image && `${axes}` === '3,5' ? factorsOf(out.shape, x.shape, image.shape) : undefined
  if (!factors || !isImage(e, image!) || !isBlocked(e, nameOf(image!))) return undefined
  const blocked = toBlocked(e, nameOf(image!), shape4(image!.shape))
  const pooled = e.node('AveragePool', [blocked], { kernel_shape: factors, strides: factors }, nchwc)
  const total = e.node('Mul', [pooled, e.scalar(factors[0]! * factors[1]!, 'f32')])
  return [fromBlocked(e, total, shape4(out.shape))]
})

export const maxPoolBlocks = inBlocks((e, node, nameOf) => {
  const x = node.inputs[0]!
  if (!isImage(e, x) || !isBlocked(e, nameOf(x))) return undefined
  const { kernel, stride, dilation, padding } = node.attributes as { [key: string]: number[] } & {
    padding: number[][]
  }
  const [rows, columns] = padding
  const attributes = {
    ...{ kernel_shape: kernel!, strides: stride!, dilations: dilation! },
    pads: [rows![0]!, columns![0]!, rows![1]!, columns![1]!],
  }
  const y = e.node('MaxPool', [toBlocked(e, nameOf(x), shape4(x.shape))], attributes, nchwc)
  const [, places] = opRow(node.op).onnx(e, node.inputs.map(nameOf), node)
  return [fromBlocked(e, y, shape4(node.outputs[0]!.shape)), places!]
})

/** [N, C, H, W], [N, C, H, f, W, g] and [N, C, H f, W g] ↦ [f, g] */
function factorsOf(
  [n, c, h, w]: readonly number[],
  open: readonly number[],
  [, , height, width]: readonly number[],
): [number, number] | undefined {
  const [f, g] = [open[3]!, open[5]!]
  const isRepetition =
    sameShape(open, [n!, c!, h!, f, w!, g]) && height === h! * f && width === w! * g && f * g > 1
  return isRepetition ? [f, g] : undefined
}

/** Images of one shape between each other: joined in axis 5, then in axis 3 of [N, C, H, 1, W, 1]. */
export const interleaved = inBlocks((e, node, nameOf) => {
  const open = node.inputs[0]!
  const out = node.outputs[0]!
  if (open.rank !== 6 || !isImage(e, out) || out.dtype !== 'f32') return undefined
  const [n, c, h, f, w, g] = open.shape as [number, number, number, number, number, number]
  if (!factorsOf([n, c, h, w], open.shape, out.shape)) return undefined
  const partsOf = (t: Tensor, axis: number, count: number): readonly Tensor[] => {
    if (count === 1) return [t]
    return t.node.op === 'concatenate' && t.node.attributes['axis'] === axis ? t.node.inputs : []
  }
  const rows = partsOf(open, 3, f).map((row) => partsOf(row, 5, g))
  const images = rows.map((row) => row.map((x) => (x.node.op === 'reshape' ? x.node.inputs[0]! : x)))
  const isWhole = images.length === f && images.every((row) => row.length === g)
  const shape = [n, c, h, w] as const
  if (!isWhole || !images.flat().every((x) => sameShape(x.shape, shape))) return undefined
  if (!images.flat().some((x) => isBlocked(e, nameOf(x)))) return undefined
  const lines = images.map((row) => {
    const parts = row.map((x) =>
      e.reshape(toBlocked(e, nameOf(x), shape), [(n * c * h) / e.block, w, e.block]),
    )
    return e.reshape(g === 1 ? parts[0]! : e.node('Concat', parts, { axis: 2 }), [
      (n * c * h) / e.block,
      w * g * e.block,
    ])
  })
  const joined = f === 1 ? lines[0]! : e.node('Concat', lines, { axis: 1 })
  return [fromBlocked(e, e.reshape(joined, [...out.shape]), shape4(out.shape))]
})

/** Each pixel repeated f × g times, as users write it: [N, C, H, 1, W, 1] → [N, C, H, f, W, g] → [N, C, H f, W g]. */
export const repeated: Fused = (e, node, { names }) => {
  const broadcast = node.inputs[0]!
  if (e.target !== 'cpu' || broadcast.node.op !== 'broadcastTo') return undefined
  if (broadcast.rank !== 6 || broadcast.dtype !== 'f32') return undefined
  const open = broadcast.node.inputs[0]!
  const out = node.outputs[0]!
  if (open.rank !== 6 || open.shape[3] !== 1 || open.shape[5] !== 1 || out.rank !== 4) return undefined
  const shape = [open.shape[0]!, open.shape[1]!, open.shape[2]!, open.shape[4]!] as const
  const factors = factorsOf(shape, broadcast.shape, out.shape)
  if (!factors || out.shape[0] !== shape[0] || out.shape[1] !== shape[1]) return undefined
  const source = open.node.op === 'reshape' ? open.node.inputs[0]! : open
  const name = names.get(source)!
  if (e.block > 0 && isImage(e, out) && isBlocked(e, name) && sameShape(source.shape, shape)) {
    const attributes = { scales: [1, 1, ...factors], mode: 'nearest' }
    const y = e.node('Upsample', [toBlocked(e, name, shape)], attributes, nchwc)
    return [fromBlocked(e, y, shape4(out.shape))]
  }
  const scales = e.constant(Float32Array.of(1, 1, ...factors), [4])
  return [
    e.node('Resize', [e.reshape(name, [...shape]), '', scales], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    }),
  ]
}
