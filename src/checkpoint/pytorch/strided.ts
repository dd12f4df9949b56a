/** @file Row-major bytes of a view with any strides: transposed, sliced, expanded, aliased. */

/** Sizes and strides in elements; the first element lies at `offset` of its storage. */
type Layout = { offset: number; shape: readonly number[]; strides: readonly number[] }

/** Do the elements lie one behind another in row-major order? */
function isContiguous({ shape, strides }: Layout): boolean {
  let expected = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false
    expected *= shape[axis]!
  }
  return true
}

/** Index in the storage of the last element that a view reaches. The view has elements. */
export const lastIndex = ({ offset, shape, strides }: Layout): number =>
  shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset)

/**
 * Elements `[start, end)` of the flattened view, `width` bytes each. `read(begin, end)` gives bytes of the storage; it is
 * asked once, for the span that these elements lie in.
 */
export function gather(
  layout: Layout,
  width: number,
  start: number,
  end: number,
  read: (begin: number, end: number) => Uint8Array,
): Uint8Array {
  if (start === end) return new Uint8Array(0)
  if (isContiguous(layout)) {
    const { offset } = layout
    return read((offset + start) * width, (offset + end) * width)
  }
  let low = Number.POSITIVE_INFINITY
  let high = 0
  eachRun(layout, start, end, (index, count, stride) => {
    low = Math.min(low, index)
    high = Math.max(high, index + (count - 1) * stride)
  })
  const span = read(low * width, (high + 1) * width)
  const out = new Uint8Array((end - start) * width)
  let to = 0
  eachRun(layout, start, end, (index, count, stride) => {
    let from = (index - low) * width
    for (let i = 0; i < count; i++, from += stride * width)
      for (let byte = 0; byte < width; byte++) out[to++] = span[from + byte]!
  })
  return out
}

/** Visit the elements in row-major order as runs along the last axis: first index in the storage, length, stride. */
function eachRun(
  { offset, shape, strides }: Layout,
  start: number,
  end: number,
  visit: (index: number, count: number, stride: number) => void,
): void {
  const last = shape.length - 1
  const place = new Array<number>(shape.length).fill(0)
  let index = offset
  for (let axis = last, rest = start; axis >= 0; axis--) {
    place[axis] = rest % shape[axis]!
    rest = Math.floor(rest / shape[axis]!)
    index += place[axis]! * strides[axis]!
  }
  for (let at = start; at < end; ) {
    const count = Math.min(shape[last]! - place[last]!, end - at)
    visit(index, count, strides[last]!)
    at += count
    // back to the beginning of the row, then carry into the axes before it
    index -= place[last]! * strides[last]!
    place[last] = 0
    for (let axis = last - 1; axis >= 0; axis--) {
      index += strides[axis]!
      if (++place[axis]! < shape[axis]!) break
      index -= shape[axis]! * strides[axis]!
      place[axis] = 0
    }
  }
}
