/** @file Susceptibility, correlations and their range, with errors over passages. */
import { jackknife } from '../../diffusion/index.ts'
import { type Estimate, groupBy } from '../../lab/index.ts'
import { lossOf } from '../text-diffusion/estimates.ts'
import type { Found, LossRow, PassageRow, TripRow } from './measure.ts'

type TripFound = Found<TripRow>

/** What filled the masks, and of which passages. */
export interface Source {
  readonly name: string
  readonly trips: readonly TripFound[]
  /** Characters of a passage. */
  readonly d: number
  /** Of held-out text, nats a character; absent of shuffled text. */
  readonly loss?: Estimate
  /** Of an n-gram. */
  readonly n?: number
}

/** The network, its control, and the n-grams. */
export interface Sources {
  readonly network: Source
  readonly shuffled: Source | undefined
  readonly ngrams: readonly (Source & { readonly n: number; readonly loss: Estimate })[]
  readonly passages: readonly Found<PassageRow>[]
}

export function sourcesOf(rows: readonly Found[]): Sources {
  const isTrip = (row: Found): row is TripFound => row.of === 'trips'
  const isLoss = (row: Found): row is Found<LossRow> => row.of === 'loss'
  const own = rows.filter(({ source }) => source === 'network')
  const losses = own.filter(isLoss)
  const { d } = losses[0]!
  const ofKind = (kind: TripRow['kind']): TripFound[] => own.filter(isTrip).filter((row) => row.kind === kind)
  const shuffled = ofKind('shuffled')
  const counted = rows.filter(
    (row): row is Extract<Found, { readonly source: 'ngram' }> => row.source === 'ngram',
  )
  return {
    network: { name: 'network', trips: ofKind('text'), d, loss: lossOf(losses) },
    shuffled: shuffled.length > 0 ? { name: 'network, shuffled text', trips: shuffled, d } : undefined,
    ngrams: groupBy(counted, 'n')
      .map(({ key: { n }, rows: some }) => ({
        ...{ name: `${n}-gram`, n, d },
        trips: (some as Found[]).filter(isTrip),
        loss: lossOf((some as Found[]).filter(isLoss)),
      }))
      .sort((a, b) => a.n - b.n),
    passages: rows.filter(
      (row): row is Found<PassageRow> => row.of === 'passage' && row.source === 'network',
    ),
  }
}

/** Shares of masks, rising. */
export const sharesOf = ({ trips }: Source): number[] =>
  [...new Set(trips.map(({ t }) => t))].sort((a, b) => a - b)

/** A statistic of the sums of all passages at one t: [all, r = 0, 1, …], leaving one passage out at a time. */
function over({ trips }: Source, t: number, statistic: (sums: Float64Array) => number): Estimate {
  const rows = trips.filter((row) => row.t === t)
  return {
    ...jackknife(
      rows.map(({ all, byDistance }) => [all, ...byDistance]),
      statistic,
    ),
    n: rows.length,
  }
}

/** χ(t) = Σ_ij C_ij / Σ_i C_ii. */
export const susceptibilityAt = (source: Source, t: number): Estimate =>
  over(source, t, ([all, own]) => all! / own!)

const relative = (sums: Float64Array, r: number, d: number): number =>
  r === 0 ? 1 : sums[1 + r]! / (2 * (d - r)) / (sums[1]! / d)

/** C(r)/C(0) at one t. */
export const correlationAt = (source: Source, t: number, r: number): Estimate =>
  over(source, t, (sums) => relative(sums, r, source.d))

/** Distances that are kept. */
export const distancesOf = ({ trips }: Source): number[] =>
  Array.from({ length: trips[0]!.byDistance.length - 1 }, (_, i) => i + 1)

/** The farthest distance up to which every C(r) is two standard errors above 0. */
export function rangeAt(source: Source, t: number): number {
  const far = distancesOf(source).findIndex((r) => {
    const { value, error } = correlationAt(source, t, r)
    return !(value > 2 * (error ?? Number.POSITIVE_INFINITY))
  })
  return far < 0 ? distancesOf(source).length : far
}

/** Mean distance of the characters that change with another, Σ r C / Σ C over the distances up to the range. NaN where there is none. */
export function lengthAt(source: Source, t: number): Estimate {
  const range = rangeAt(source, t)
  return over(source, t, (sums) => {
    let [first, all] = [0, 0]
    for (let r = 1; r <= range; r++) {
      first += r * relative(sums, r, source.d)
      all += relative(sums, r, source.d)
    }
    return first / all
  })
}

/** The share of masks nearest to the one where texts of short memory have their maximum. */
export const usualShare = (shares: readonly number[]): number =>
  shares.reduce((best, t) => (Math.abs(t - 0.6) < Math.abs(best - 0.6) ? t : best))

/** Where χ is largest. */
export const largestOf = (source: Source): { readonly t: number; readonly chi: Estimate } =>
  sharesOf(source)
    .map((t) => ({ t, chi: susceptibilityAt(source, t) }))
    .reduce((best, own) => (own.chi.value > best.chi.value ? own : best))

/**
 * Largest χ before the last t, less χ at the last: below 0 where χ rises to the end. Both are of the same passages, so each is left out of
 * both. NaN with a single t.
 */
export function innerExcess(source: Source): Estimate {
  const [last, ...others] = sharesOf(source).reverse() as [number, ...number[]]
  if (others.length === 0) return { value: Number.NaN, error: null }
  const inner = { ...source, trips: source.trips.filter(({ t }) => t !== last) }
  const tripsAt = (t: number) => source.trips.filter((row) => row.t === t)
  const [before, after] = [tripsAt(largestOf(inner).t), tripsAt(last)]
  return {
    ...jackknife(
      before.map(({ all, byDistance }, i) => [all, byDistance[0]!, after[i]!.all, after[i]!.byDistance[0]!]),
      ([all, own, allAfter, ownAfter]) => all! / own! - allAfter! / ownAfter!,
    ),
    n: before.length,
  }
}

/** The longest n-gram that predicts held-out text worse than the network: the rung that the network stands on. */
export const rungOf = ({ network, ngrams }: Sources): Sources['ngrams'][number] | undefined =>
  ngrams.filter(({ loss }) => loss.value > network.loss!.value).at(-1)
