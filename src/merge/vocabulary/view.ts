/** @file Reads a table in the output's order of tokens: rows of its own, rows of others, zeros and means, range by range. */
import { type CheckpointTensor, encodeF32 } from '../../checkpoint/index.ts'
import { fromDonors, padding, type TableView } from './rows.ts'

/** Values that are read at once where rows follow each other. */
const blockValues = 1 << 18

/** A table as the rows of the output, and how to open the tables that rows are taken from. */
export function viewTable(
  view: TableView,
  table: CheckpointTensor,
  open: (model: string, tensor: string) => CheckpointTensor,
): CheckpointTensor {
  const shape = [view.rows, ...table.shape.slice(1)]
  const width = table.shape.slice(1).reduce((product, size) => product * size, 1)
  const own = new Int32Array(view.own)
  const ends = new Int32Array(view.fills, 0, view.rows + 1)
  const pairs = new Int32Array(view.fills, 4 * (view.rows + 1))

  /** The mean of a row's donors, summed in their order as mergekit does; zeros without donors. */
  const filled = (row: number): Float32Array => {
    const sum = new Float32Array(width)
    const [from, to] = [ends[row]!, ends[row + 1]!]
    for (let i = from; i < to; i++) {
      const { model, tensor } = view.donors[pairs[2 * i]!]!
      const values = open(model, tensor).f32(pairs[2 * i + 1]! * width, width)
      if (to - from === 1) return values
      for (let j = 0; j < width; j++) sum[j]! += values[j]!
    }
    if (to > from) for (let j = 0; j < width; j++) sum[j]! /= to - from
    return sum
  }

  /** Rows [first, end) but for padding, each run of own rows in one read. */
  const fillRows = (first: number, end: number, into: Float32Array): void => {
    for (let row = first; row < end; row++) {
      const source = own[row]!
      const at = (row - first) * width
      if (source === padding) continue
      if (source === fromDonors) {
        into.set(filled(row), at)
        continue
      }
      let run = 1
      while (row + run < end && own[row + run] === source + run) run++
      into.set(table.f32(source * width, run * width), at)
      row += run - 1
    }
  }

  /** The mean over all rows of tokens, for the rows that have none. */
  const mean = (): Float32Array => {
    const sums = new Float64Array(width)
    let count = 0
    const step = Math.max(1, Math.floor(blockValues / Math.max(1, width)))
    for (let first = 0; first < view.rows; first += step) {
      const end = Math.min(view.rows, first + step)
      const values = new Float32Array((end - first) * width)
      fillRows(first, end, values)
      for (let row = first; row < end; row++) {
        if (own[row] === padding) continue
        count++
        for (let j = 0; j < width; j++) sums[j]! += values[(row - first) * width + j]!
      }
    }
    return Float32Array.from(sums, (sum) => sum / Math.max(1, count))
  }

  const f32 = (start = 0, count = view.rows * width - start): Float32Array => {
    if (width === 0 || count === 0) return new Float32Array(0)
    const first = Math.floor(start / width)
    const end = Math.ceil((start + count) / width)
    const values = new Float32Array((end - first) * width)
    fillRows(first, end, values)
    if (own.subarray(first, end).includes(padding)) {
      const average = mean()
      for (let row = first; row < end; row++)
        if (own[row] === padding) values.set(average, (row - first) * width)
    }
    const offset = start - first * width
    return offset === 0 && values.length === count ? values : values.slice(offset, offset + count)
  }
  const { name, dtype } = table
  const element =
    table.byteLength /
    Math.max(
      1,
      table.shape.reduce((product, size) => product * size, 1),
    )
  return {
    name,
    dtype,
    shape,
    byteLength: view.rows * width * element,
    bytes: () => encodeF32(f32(), dtype),
    f32,
  }
}
