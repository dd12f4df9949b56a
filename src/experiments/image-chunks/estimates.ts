/** @file χ and C(r) of changes on a grid, and where χ has its peak. */
import { gridDistances, type PatchGrid, susceptibility } from '../../diffusion/index.ts'
import { type Curve, distinct, type Estimate, jackknife, type Measured, peakOf } from '../../lab/index.ts'
import { curveOf } from '../imageTrips/overTime.ts'
import type { PictureRow } from '../imageTrips/pictures.ts'
import type { SourceName } from '../imageTrips/sources.ts'
import type { Cell, ChunkRow, Measure, Row } from './measure.ts'

export type Found = Measured<Cell, Row>
export type ChunkFound = Measured<Cell, ChunkRow>
export type PicturesFound = Measured<Cell, PictureRow>

export const chunksOf = (rows: readonly Found[]): ChunkFound[] =>
  rows.filter((row): row is ChunkFound => row.of === 'chunks')
export const picturesOf = (rows: readonly Found[]): PicturesFound[] =>
  rows.filter((row): row is PicturesFound => row.of === 'picture')

/** Sums over the rows, distance by distance. */
function total(rows: readonly ChunkFound[]): Float64Array {
  const out = new Float64Array(rows[0]?.sums.length ?? 0)
  for (const { sums } of rows) for (const [at, sum] of sums.entries()) out[at]! += sum
  return out
}

/** χ of some rows of one time; NaN where nothing changed. */
export const chiOf = (rows: readonly ChunkFound[]): number => {
  const sums = total(rows)
  return sums[0]! > 0 ? susceptibility(sums) : Number.NaN
}

/** C(r)/C(0) at each distance of the grid, from rows of one time. */
export function correlationsAt(
  rows: readonly ChunkFound[],
  grid: PatchGrid,
): { r: number; value: Estimate }[] {
  const { distances, pairs } = gridDistances(grid)
  return distances.map((r, at) => ({
    r,
    value: jackknife(rows, (own) => {
      const sums = total(own)
      return sums[at]! / pairs[at]! / (sums[0]! / pairs[0]!)
    }),
  }))
}

/** χ over t/T. */
const chiCurve = (rows: readonly ChunkFound[]): Curve => curveOf(rows, chiOf)

const at = (rows: readonly ChunkFound[], time: number): number =>
  chiOf(rows.filter((row) => row.time === time))

/** What is known of one source by one measure. */
export interface ChunkFacts {
  readonly source: SourceName
  readonly measure: Measure
  readonly rows: readonly ChunkFound[]
  /** t/T of the largest χ that was measured. */
  readonly top: number
  readonly last: number
  /** t/T of the top of the parabola through it. */
  readonly peak: Estimate
  readonly height: Estimate
  /** Largest χ at the times before the last over χ at the last; below 1 where χ rises to the end. */
  readonly overLast: Estimate
  /** Largest χ at the times after the first over χ at the first. */
  readonly overFirst: Estimate
}

/** Largest χ at the other times over χ at one. That time is not among them: its χ over itself would be 1 without an error. */
function largestOver(rows: readonly ChunkFound[], time: number): Estimate {
  const others = chiCurve(rows.filter((row) => row.time !== time))
  const top = others.x[others.y.indexOf(Math.max(...others.y))] ?? Number.NaN
  return jackknife(rows, (own) => at(own, top) / at(own, time))
}

export function factsOf(all: readonly ChunkFound[], source: SourceName, measure: Measure): ChunkFacts {
  const rows = all.filter((row) => row.source === source && row.measure === measure)
  const { x, y } = chiCurve(rows)
  const top = x[y.indexOf(Math.max(...y))] ?? Number.NaN
  const [first, last] = [x[0] ?? Number.NaN, x.at(-1) ?? Number.NaN]
  return {
    ...{ source, measure, rows, top, last },
    peak: jackknife(rows, (own) => peakOf(chiCurve(own)).at),
    height: jackknife(rows, (own) => at(own, top)),
    overLast: largestOver(rows, last),
    overFirst: largestOver(rows, first),
  }
}

/** Mean of χ − 1 over the times: 0 for independent patches. */
export const awayFromOne = (rows: readonly ChunkFound[]): Estimate =>
  jackknife(rows, (own) => {
    const { y } = chiCurve(own)
    return y.reduce((sum, chi) => sum + chi - 1, 0) / y.length
  })

/** χ of one source over that of another at a time. */
export function ratioAt(a: ChunkFacts, b: ChunkFacts, time: number): number {
  return at(a.rows, time) / at(b.rows, time)
}

export const sourcesOf = (rows: readonly ChunkFound[]): SourceName[] => distinct(rows, 'source')
