/** @file Leaf likelihoods: checked, scaled, equal rows kept once. */
import { fail } from '../../base/index.ts'
import type { Grammar } from '../grammar.ts'
import { distinctRows } from './distinct.ts'
import { type Floats, floatsLike, type Level } from './level.ts'

/** Throws TL_SHAPE_MISMATCH unless there are batch·d·v numbers. */
function checkLength({ d, v }: Grammar, likelihood: Floats, batch: number): void {
  if (!(Number.isSafeInteger(batch) && batch >= 0))
    fail('TL_BAD_ARGUMENT', `inferUp: expected batch to be an integer ≥ 0, got ${batch}`)
  if (likelihood.length !== batch * d * v)
    fail(
      'TL_SHAPE_MISMATCH',
      `inferUp: expected ${batch}·${d}·${v} = ${batch * d * v} likelihoods for ${batch === 1 ? '1 datum' : `${batch} data`} (d = ${d} leaves of v = ${v} symbols), got ${likelihood.length}`,
    )
}

/** Throws TL_BAD_ARGUMENT for the first number of a row that cannot be a likelihood. */
function refuse({ d, v }: Grammar, likelihood: Floats, row: number, datum: number): never {
  const at = likelihood.subarray(row * v, (row + 1) * v).findIndex((x) => !(x >= 0 && x < Infinity))
  const value = likelihood[row * v + at]!
  const place = `datum ${datum + Math.floor(row / d)}, leaf ${row % d}, symbol ${at}`
  fail('TL_BAD_ARGUMENT', `likelihood: expected finite numbers ≥ 0, got ${value} at ${place}`)
}

/**
 * Rows of the leaves, each divided by its largest entry. `lossy[row]` is 1 when that made a non-zero entry too small for the
 * precision. Throws TL_SHAPE_MISMATCH for a wrong length, TL_BAD_ARGUMENT for a negative, NaN or infinite likelihood.
 */
export function leafLevel(
  grammar: Grammar,
  likelihood: Floats,
  batch: number,
  datum: number,
): { level: Level; lossy: Uint8Array } {
  checkLength(grammar, likelihood, batch)
  const { d, v } = grammar
  const nodes = batch * d
  const { index, first } = distinctRows(likelihood, nodes, v)
  const count = first.length
  const rows = floatsLike(likelihood, count * v)
  const largest = new Float64Array(count)
  const smallest = rows instanceof Float32Array ? 2 ** -126 : 2 ** -1022
  const lossy = new Uint8Array(count)
  for (let row = 0; row < count; row++) {
    const from = first[row]! * v
    let max = 0
    let sound = true
    for (let j = from; j < from + v; j++) {
      const x = likelihood[j]!
      if (!(x >= 0)) sound = false
      if (x > max) max = x
    }
    if (!sound || max === Infinity) refuse(grammar, likelihood, first[row]!, datum)
    largest[row] = max
    if (max === 0) continue
    for (let j = 0; j < v; j++) {
      const x = likelihood[from + j]!
      const scaled = x / max
      if (scaled < smallest && x > 0) lossy[row] = 1
      rows[row * v + j] = scaled
    }
  }
  const scale = Float64Array.from({ length: count }, (_, row) => Math.log(largest[row]!))
  const reach = Float64Array.from({ length: count }, (_, row) => (largest[row]! > 0 ? 1 : 0))
  return { level: { nodes: d, width: v, count, index, rows, scale, reach }, lossy }
}
