/**
 * @file Sums of images times a number for each channel, plus a number for each channel: one pass for each image, as the
 * runtime's convolution with one 1×1 kernel for each channel (in blocks) or its batch normalization (plain). Normalizations
 * of images and their gradients have this form.
 */
import { sameShape } from '../dtype.ts'
import type { Node, Tensor } from '../tensor.ts'
import { fromBlocked, isBlocked, nchwc, type Shape4, shape4, toBlocked } from './blocked.ts'
import type { Fused, Surroundings } from './emitter.ts'

/** factor · image · scale, with one scale for each example and channel. */
interface Term {
  readonly image: Tensor
  readonly factor: number
  readonly scale?: Tensor
}
interface Terms {
  readonly images: Term[]
  /** One number for each example and channel. */
  readonly shifts: { readonly shift: Tensor; readonly factor: number }[]
}

/** [N, C, 1, 1], [1, C, 1, 1] or [C, 1, 1] beside images [N, C, H, W]. */
function isPerChannel(t: Tensor, [n, c]: Shape4): boolean {
  const shape = [...new Array<number>(Math.max(0, 4 - t.rank)).fill(1), ...t.shape]
  return (
    t.size > 1 &&
    shape.length === 4 &&
    (shape[0] === n || shape[0] === 1) &&
    shape[1] === c &&
    shape[2] === 1 &&
    shape[3] === 1
  )
}

/** Take a value apart as far as nobody else reads its parts; undefined where it is not of this form. */
function collect(root: Node, uses: Surroundings['uses']): Terms | undefined {
  const shape = shape4(root.outputs[0]!.shape)
  const terms: Terms = { images: [], shifts: [] }
  const isImage = (t: Tensor): boolean => sameShape(t.shape, shape)
  const visit = (t: Tensor, factor: number, isOpen: boolean): boolean => {
    if (!isImage(t)) {
      if (!isPerChannel(t, shape)) return false
      terms.shifts.push({ shift: t, factor })
      return true
    }
    const [a, b] = t.node.inputs as [Tensor, Tensor]
    if (isOpen)
      switch (t.node.op) {
        case 'add':
          if (a === b) return visit(a, 2 * factor, uses.get(a) === 2)
          return visit(a, factor, uses.get(a) === 1) && visit(b, factor, uses.get(b) === 1)
        case 'sub':
          return visit(a, factor, uses.get(a) === 1) && visit(b, -factor, uses.get(b) === 1)
        case 'mul': {
          const [image, scale] = isImage(a) ? [a, b] : [b, a]
          if (!isImage(scale) && isPerChannel(scale, shape)) {
            terms.images.push({ image, factor, scale })
            return true
          }
        }
      }
    terms.images.push({ image: t, factor })
    return true
  }
  return visit(root.outputs[0]!, 1, true) ? terms : undefined
}

/** A sum, difference or product over images that has this form. */
export const channelwise: Fused = (e, node, { names, uses }) => {
  const out = node.outputs[0]!
  if (out.rank !== 4 || out.dtype !== 'f32') return undefined
  const shape = shape4(out.shape)
  const [n, c, h, w] = shape
  if (h * w === 1 || out.size === 0 || e.target !== 'cpu') return undefined
  const terms = collect(node, uses)
  if (!terms || (terms.shifts.length === 0 && terms.images.every(({ scale }) => !scale))) return undefined
  const nameOf = (t: Tensor): string => names.get(t)!

  const times = (name: string, factor: number): string =>
    factor === 1 ? name : e.node('Mul', [name, e.scalar(factor, 'f32')])
  /** [N, C] */
  const spread = (t: Tensor, factor: number): string => {
    const perExample = t.rank === 4 && t.shape[0] === n
    const flat = times(e.reshape(nameOf(t), [perExample ? n : 1, c]), factor)
    return perExample ? flat : e.node('Expand', [flat, e.ints([n, c])])
  }
  const shifts = terms.shifts.map(({ shift, factor }) => spread(shift, factor))
  const shift =
    shifts.length === 0
      ? undefined
      : e.reshape(
          shifts.reduce((a, b) => e.node('Add', [a, b])),
          [n * c],
        )
  // scaled images first: the first carries the shift, the others are added on the way
  const images = terms.images.toSorted((a, b) => Number(Boolean(b.scale)) - Number(Boolean(a.scale)))
  const scaleOf = ({ scale, factor }: Term): string =>
    scale ? spread(scale, factor) : e.node('Expand', [e.scalar(factor, 'f32'), e.ints([n * c])])

  if (e.block > 0 && c % e.block === 0 && images.some(({ image }) => isBlocked(e, nameOf(image)))) {
    const flat = [1, n * c, h, w]
    const [first, ...rest] = images
    const blocked = ({ image }: Term): string => e.reshape(toBlocked(e, nameOf(image), shape), flat)
    const pass = (term: Term, others: readonly string[]): string =>
      e.node(
        'Conv',
        [blocked(term), e.reshape(scaleOf(term), [n * c, 1, 1, 1]), ...others],
        { kernel_shape: [1, 1], group: n * c },
        nchwc,
      )
    let sum = pass(first!, shift ? [shift] : [])
    for (const term of rest)
      sum =
        term.scale || Math.abs(term.factor) !== 1
          ? pass(term, ['', sum])
          : e.node(term.factor === 1 ? 'Add' : 'Sub', [sum, blocked(term)])
    return [fromBlocked(e, e.reshape(sum, [...shape]), shape)]
  }

  const [only, second] = images
  if (!only?.scale || !shift || second) return undefined
  const constant = (value: number): string => e.node('Expand', [e.scalar(value, 'f32'), e.ints([n * c])])
  const y = e.node(
    'BatchNormalization',
    [
      e.reshape(nameOf(only.image), [1, n * c, h * w]),
      e.reshape(scaleOf(only), [n * c]),
      shift,
      constant(0),
      constant(1),
    ],
    { epsilon: { float: 0 } },
  )
  return [e.reshape(y, [...shape])]
}
