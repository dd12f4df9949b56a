/**
 * @file The runtime's own image layout, [N, C/b, H, W, b] with b = 8 or 16 channels innermost, in which its convolutions run
 * about twice as fast. A program holds plain and blocked forms of an image side by side: each is made when first asked for,
 * and whatever nobody reads is pruned, so that neighbours which both want blocks exchange blocks.
 *
 * Kernels are [O/b, I/b, kh, kw, b of I, b of O]; from fewer than b plain input channels [O/b, I, kh, kw, b of O].
 */
import type { Emitter } from './emitter.ts'

export const nchwc = 'com.microsoft.nchwc'

/** [N, C, H, W] or [O, I, kh, kw]. */
export type Shape4 = readonly [number, number, number, number]
export const shape4 = (shape: readonly number[]): Shape4 => shape as unknown as Shape4

/** The next multiple of the block. */
export const whole = (e: Emitter, channels: number): number => Math.ceil(channels / e.block) * e.block

/** Blocked forms of plain values, by name, for each program. Surplus channels of the last block hold zeros. */
const forms = new WeakMap<Emitter, Map<string, string>>()
const formsOf = (e: Emitter): Map<string, string> => {
  const known = forms.get(e) ?? new Map<string, string>()
  forms.set(e, known)
  return known
}

/** Whether an image is at hand in blocks. */
export const isBlocked = (e: Emitter, name: string): boolean => formsOf(e).has(name)
export const blockedForm = (e: Emitter, name: string): string | undefined => formsOf(e).get(name)
/** State the blocked form of a plain value. */
export const remember = (e: Emitter, name: string, blocked: string): void => {
  formsOf(e).set(name, blocked)
}

/** The blocked form of a plain image. */
export function toBlocked(e: Emitter, name: string, shape: Shape4): string {
  const known = formsOf(e).get(name)
  if (known) return known
  const blocked = e.node('ReorderInput', [padChannels(e, name, shape)], {}, nchwc)
  formsOf(e).set(name, blocked)
  return blocked
}

/** The plain form of a blocked image; it is remembered where it came from. */
export function fromBlocked(e: Emitter, blocked: string, shape: Shape4): string {
  const name = e.node('ReorderOutput', [blocked], { channels: shape[1] }, nchwc)
  formsOf(e).set(name, blocked)
  return name
}

/** Zeros after the last element of some axes. */
export function padEnd(e: Emitter, name: string, shape: readonly number[], to: readonly number[]): string {
  const extra = to.map((n, i) => n - shape[i]!)
  return extra.every((n) => n === 0) ? name : e.node('Pad', [name, e.ints([...to.map(() => 0), ...extra])])
}
const padChannels = (e: Emitter, name: string, [n, c, h, w]: Shape4): string =>
  padEnd(e, name, [n, c, h, w], [n, whole(e, c), h, w])

/** [A, b, L] → [A, L, b]: what the runtime's reordering does, which is faster than its Transpose. */
const blockLast = (e: Emitter, name: string, outer: number, length: number): string =>
  e.node('ReorderInput', [e.reshape(name, [outer, e.block, length, 1])], {}, nchwc)
/** [A, L, b] → [A, b, L] */
export const blockFirst = (e: Emitter, name: string, outer: number, length: number): string =>
  e.node('ReorderOutput', [e.reshape(name, [outer, e.block, length, 1])], { channels: e.block }, nchwc)

/** Values of a kernel [O, I, kh, kw] as [O/b, I/c, kh, kw, c of I, b of O], with zeros for surplus channels. */
function blockedValues(values: Float32Array, [o, i, kh, kw]: Shape4, c: number, b: number): Float32Array {
  const taps = kh * kw
  const [outer, inner] = [Math.ceil(o / b), Math.ceil(i / c)]
  const out = new Float32Array(outer * b * inner * c * taps)
  for (let output = 0; output < o; output++)
    for (let input = 0; input < i; input++) {
      const group = Math.floor(output / b) * inner + Math.floor(input / c)
      let to = (group * taps * c + (input % c)) * b + (output % b)
      const from = (output * i + input) * taps
      for (let tap = 0; tap < taps; tap++, to += c * b) out[to] = values[from + tap]!
    }
  return out
}

/** A kernel [O, I, kh, kw] for `blockedConv`, from plain images when `isFew`, one kernel for each channel when I = 1. */
export function blockedKernel(e: Emitter, w: string, shape: Shape4, isFew: boolean): string {
  const [o, i, kh, kw] = shape
  const b = e.block
  const [outputs, inputs] = [whole(e, o), isFew ? i : whole(e, i)]
  const values = e.valuesOf(w)
  // a kernel that never changes is laid out once, not at each call
  if (values instanceof Float32Array)
    return e.constant(blockedValues(values, shape, isFew ? 1 : b, b), [outputs, inputs, kh, kw])
  const padded = padEnd(e, w, shape, [outputs, inputs, kh, kw])
  const lanes = blockLast(e, padded, outputs / b, inputs * kh * kw)
  if (isFew) return e.reshape(lanes, [outputs, inputs, kh, kw])
  const open = e.reshape(lanes, [outputs / b, inputs / b, b, kh * kw, b])
  return e.reshape(e.node('Transpose', [open], { perm: [0, 1, 3, 2, 4] }), [outputs, inputs, kh, kw])
}

/**
 * The kernel of the adjoint convolution, from O to I channels: w [O, I, kh, kw] with the two channel axes exchanged. The
 * result picks rows and columns of it, in the order given, for `blockedConv`.
 */
export function adjointKernel(
  e: Emitter,
  w: string,
  shape: Shape4,
  isFew: boolean,
): (rows: readonly number[], columns: readonly number[]) => string {
  const [o, i, kh, kw] = shape
  const b = e.block
  const [outputs, inputs] = [isFew ? o : whole(e, o), whole(e, i)]
  const lanes = e.node('ReorderInput', [padEnd(e, w, shape, [outputs, inputs, kh, kw])], {}, nchwc)
  const open = isFew
    ? e.node('Transpose', [e.reshape(lanes, [outputs, inputs / b, kh * kw * b])], { perm: [1, 0, 2] })
    : e.node('Transpose', [e.reshape(lanes, [outputs / b, b, inputs / b, kh * kw, b])], {
        perm: [2, 0, 3, 1, 4],
      })
  const [outer, inner] = isFew ? [(inputs / b) * outputs, b] : [(inputs * outputs) / (b * b), b * b]
  const taps = e.reshape(open, [outer, kh * kw, inner])
  return (rows, columns) => {
    const places = rows.flatMap((r) => columns.map((c) => r * kw + c))
    const picked = e.node('Gather', [taps, e.ints(places)], { axis: 1 })
    return e.reshape(picked, [inputs, outputs, rows.length, columns.length])
  }
}

interface BlockedConv {
  readonly kernel: readonly number[]
  readonly stride?: readonly number[]
  readonly dilation?: readonly number[]
  /** top, left, bottom, right */
  readonly pads?: readonly number[]
  readonly groups?: number
  /** One number for each output channel. */
  readonly bias?: { readonly name: string; readonly size: number } | undefined
}

/** The runtime's blocked convolution. Operands are blocked (or a plain image of few channels), and so is the result. */
export function blockedConv(
  e: Emitter,
  x: string,
  w: string,
  { kernel, stride = [1, 1], dilation = [1, 1], pads = [0, 0, 0, 0], groups = 1, bias }: BlockedConv,
): string {
  const attributes = {
    kernel_shape: kernel,
    strides: stride,
    dilations: dilation,
    pads,
    group: groups,
  }
  const inputs = bias ? [x, w, padEnd(e, bias.name, [bias.size], [whole(e, bias.size)])] : [x, w]
  return e.node('Conv', inputs, attributes, nchwc)
}
