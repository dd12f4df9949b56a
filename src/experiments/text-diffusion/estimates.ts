/** @file Losses and coherence lengths with their errors: over networks where there are several, else over blocks of windows. */
import { overlapLength } from '../../data/index.ts'
import { type Drawn, type Estimate, groupBy, meanAcross, overReplicas, replicasOf } from '../../lab/index.ts'
import type { Found, LossRow, OverlapRow, SampleRow, TextRow } from './measure.ts'

type LossFound = Found<LossRow>
export type OverlapFound = Found<OverlapRow>

/** Rows by what they are. */
export interface Parts {
  readonly text: Found<TextRow>
  /** The long training. */
  readonly losses: readonly LossFound[]
  readonly overlaps: readonly OverlapFound[]
  /** Trainings on P windows. */
  readonly dataLosses: readonly (LossFound & { readonly P: number })[]
  readonly dataOverlaps: readonly (OverlapFound & { readonly P: number })[]
  readonly heldOut: readonly OverlapFound[]
  readonly shuffled: readonly OverlapFound[]
  readonly samples: readonly Found<SampleRow>[]
}

export function partsOf(rows: readonly Found[]): Parts {
  const of = <R extends Found>(match: (row: Found) => boolean) => rows.filter(match) as unknown as R[]
  return {
    text: of<Found<TextRow>>((row) => row.of === 'text')[0]!,
    losses: of((row) => row.part === 'steps' && row.of === 'loss'),
    overlaps: of((row) => row.part === 'steps' && row.of === 'overlap'),
    dataLosses: of((row) => row.part === 'data' && row.of === 'loss'),
    dataOverlaps: of((row) => row.part === 'data' && row.of === 'overlap'),
    heldOut: of((row) => row.part === 'text' && !row.shuffled && row.of === 'overlap'),
    shuffled: of((row) => row.part === 'text' && row.shuffled && row.of === 'overlap'),
    samples: of((row) => row.of === 'sample'),
  }
}

/**
 * A statistic of ρ(1), ρ(2), … of one look: its mean over networks, or, of a single one, with the error of leaving out one block of
 * its windows at a time.
 */
export function ofRho(
  rows: readonly OverlapFound[],
  statistic: (rho: readonly number[]) => number,
): Estimate {
  const ordered = (own: readonly OverlapFound[]): OverlapFound[] => own.toSorted((a, b) => a.r - b.r)
  if (replicasOf(rows).length !== 1)
    return overReplicas(rows, (own) => statistic(ordered(own).map(({ rho }) => rho)))
  const own = ordered(rows)
  const blocks = own[0]!.without.length
  const without = Array.from({ length: blocks }, (_, b) => statistic(own.map((row) => row.without[b]!)))
  const mean = without.reduce((a, b) => a + b, 0) / blocks
  const squares = without.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  const error = Math.sqrt(((blocks - 1) / blocks) * squares)
  return {
    value: statistic(own.map(({ rho }) => rho)),
    error: Number.isFinite(error) ? error : null,
    n: blocks,
  }
}

/** ξ of one look. */
export const lengthOf = (rows: readonly OverlapFound[]): Estimate => ofRho(rows, overlapLength)

/** ρ(r) of one look. */
export const rhoAt = (rows: readonly OverlapFound[], r: number): Estimate =>
  ofRho(
    rows.filter((row) => row.r === r),
    ([rho]) => rho!,
  )

/** Looks at the long training, in order. */
export const looksAt = (rows: readonly OverlapFound[]): { step: number; rows: OverlapFound[] }[] =>
  groupBy(rows, 'step')
    .map(({ key, rows: own }) => ({ step: key.step, rows: own }))
    .sort((a, b) => a.step - b.step)

/** Held-out loss of one look, nats: over networks, or over windows of a single one. */
export function lossOf(rows: readonly (Drawn & Pick<LossRow, 'loss' | 'error'>)[]): Estimate {
  if (rows.length === 1) return { value: rows[0]!.loss, error: rows[0]!.error }
  return meanAcross(rows, ({ loss }) => loss)
}

/** P of the short trainings, rising, with the look of least loss of each network. */
export const bestByP = ({ dataLosses, dataOverlaps }: Parts) =>
  groupBy(dataOverlaps, 'P')
    .map(({ key: { P }, rows }) => ({
      P,
      overlaps: rows,
      best: replicasOf(dataLosses.filter((row) => row.P === P)).map((own) =>
        own.reduce((a, b) => (b.loss < a.loss ? b : a)),
      ),
    }))
    .sort((a, b) => a.P - b.P)
