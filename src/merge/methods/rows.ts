/** @file Numbers that belong to the rows or columns of a tensor, as vectors: one number for each row, or for each column. */
import { type Vector, vectorOf } from '../vector/index.ts'

/** values[r] in every element of row r, rows of `length` elements. */
export const overRows = (values: Float32Array, length: number): Vector =>
  vectorOf({
    dtype: 'F32',
    values(start, count) {
      const out = new Float32Array(count)
      for (let at = 0; at < count; ) {
        const row = Math.floor((start + at) / length)
        const end = Math.min(count, (row + 1) * length - start)
        out.fill(values[row]!, at, end)
        at = end
      }
      return out
    },
  })

/** values[c] in every element of column c, as many columns as values. */
export const overColumns = (values: Float32Array): Vector =>
  vectorOf({
    dtype: 'F32',
    values: (start, count) => {
      const out = new Float32Array(count)
      for (let at = 0; at < count; ) {
        const column = (start + at) % values.length
        const part = values.subarray(column, column + count - at)
        out.set(part, at)
        at += part.length
      }
      return out
    },
  })
