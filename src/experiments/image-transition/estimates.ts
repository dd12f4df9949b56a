/** @file Curves of round trips over t: class kept, similarity of layers, where they cross, where half of the classes are lost. */
import {
  distinct,
  type Estimate,
  fallsTo,
  intervalOf,
  jackknife,
  type Measured,
  mean,
  meeting,
} from '../../lab/index.ts'
import { curveOf } from '../imageTrips/overTime.ts'
import type { PictureRow } from '../imageTrips/pictures.ts'
import type { SourceName } from '../imageTrips/sources.ts'
import type { Cell, ClassifierRow, LayerRow, Row, TripsRow } from './measure.ts'

type At = Extract<Cell, { readonly part: 'trips' }>
export type Found = Measured<Cell, Row>
type TripsFound = Measured<At, TripsRow>
type LayerFound = Measured<At, LayerRow>

/** Rows by what they are. */
export interface Parts {
  readonly classifier: readonly Measured<Cell, ClassifierRow>[]
  readonly trips: readonly TripsFound[]
  readonly layers: readonly LayerFound[]
  readonly pictures: readonly Measured<At, PictureRow>[]
  /** The user's model first. */
  readonly sources: readonly SourceName[]
}

export function partsOf(rows: readonly Found[]): Parts {
  const of = (kind: Row['of']) => rows.filter((row) => row.of === kind) as unknown
  const trips = of('trips') as TripsFound[]
  return {
    classifier: of('classifier') as Measured<Cell, ClassifierRow>[],
    trips,
    layers: of('layer') as LayerFound[],
    pictures: of('picture') as Measured<At, PictureRow>[],
    sources: distinct(trips, 'source'),
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

/** Share of round trips with their brightness in which the class is kept. */
export const shareKept = (rows: readonly TripsFound[]): number =>
  sum(rows.map(({ kept }) => kept)) / sum(rows.map(({ good }) => good))

export const meanCosine = (rows: readonly LayerFound[]): number => mean(rows.map(({ cosine }) => cosine))

/** The layers that are compared: the first of the classifier, and its logits. (Sclocchi et al. 2025, Fig. 2) */
export function shallowAndDeep(layers: readonly LayerFound[]): readonly [shallow: number, deep: number] {
  const depths = distinct(layers, 'depth').sort((a, b) => a - b)
  return [Math.min(1, depths.at(-1)!), depths.at(-1)!]
}

export const layerName = (layers: readonly LayerFound[], depth: number): string =>
  layers.find((row) => row.depth === depth)?.layer ?? ''

/** Deep cosine minus shallow cosine at a time. */
export const gapAt = (layers: readonly LayerFound[], time: number): Estimate => {
  const [shallow, deep] = shallowAndDeep(layers)
  const at = layers.filter((row) => row.time === time)
  return jackknife(
    at,
    (own) =>
      meanCosine(own.filter(({ depth }) => depth === deep)) -
      meanCosine(own.filter(({ depth }) => depth === shallow)),
  )
}

/** Where the deep curve falls below the shallow one. */
const crossingOf = (layers: readonly LayerFound[]): Estimate => {
  const [shallow, deep] = shallowAndDeep(layers)
  return jackknife(layers, (own) => {
    const curve = (depth: number) =>
      curveOf(
        own.filter((row) => row.depth === depth),
        meanCosine,
      )
    const [a, b] = [curve(deep), curve(shallow)]
    return a.x.length > 0 && a.x.length === b.x.length ? meeting(a, b) : Number.NaN
  })
}

/** Where half of the classes are kept. */
const halfOf = (trips: readonly TripsFound[]): Estimate =>
  jackknife(trips, (own) => fallsTo(curveOf(own, shareKept), 0.5))

/** What is known of one source. */
export interface SourceFacts {
  readonly source: SourceName
  readonly trips: readonly TripsFound[]
  readonly layers: readonly LayerFound[]
  readonly half: Estimate
  readonly crossing: Estimate
}

export function factsOf({ trips, layers }: Parts, source: SourceName): SourceFacts {
  const [own, seen] = [
    trips.filter((row) => row.source === source),
    layers.filter((row) => row.source === source),
  ]
  return { source, trips: own, layers: seen, half: halfOf(own), crossing: crossingOf(seen) }
}

/** `.46 to .49`, the 95 % interval of an estimate. */
export function intervalText(estimate: Estimate): string {
  const [low, high] = intervalOf(estimate)
  return Number.isFinite(low) && Number.isFinite(high)
    ? `95 %: ${low.toFixed(2)} to ${high.toFixed(2)}`
    : 'no interval'
}
