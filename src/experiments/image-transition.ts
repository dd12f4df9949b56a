/**
 * @file At which noise is the class of an image lost, and which layers of a classifier notice? Round trips of diffusion models of
 * images, beside a mixture of Gaussians that has classes and no hierarchy. (Sclocchi, Favero and Wyart 2025, Figs. 1–3)
 */
import { percent } from '../base/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  type Estimate,
  type Findings,
  ratio,
  shownEstimate,
} from '../lab/index.ts'
import { chartsOf, tablesOf } from './image-transition/charts.ts'
import { type Config, check, config, presets } from './image-transition/config.ts'
import {
  type Found,
  factsOf,
  gapAt,
  intervalText,
  layerName,
  partsOf,
  type SourceFacts,
  shallowAndDeep,
} from './image-transition/estimates.ts'
import { type Cell, close, measure, open, type Resource, type Row } from './image-transition/measure.ts'
import { shareRejected } from './imageTrips/overTime.ts'
import { type Prepared, prepareTrips } from './imageTrips/settings.ts'
import { mostCoordinates, type SourceName, sourceTitles } from './imageTrips/sources.ts'

/** The mixture has the covariance of whole images, so these must be small. */
const hasMixture = ({ model }: Config, prepared: Prepared | undefined): boolean =>
  model === '' || prepared === undefined || prepared.shape.reduce((a, b) => a * b, 1) <= mostCoordinates

function cellsOf(given: Config, rows: readonly Found[], prepared: Prepared | undefined): Cell[] {
  const sources: SourceName[] = [
    ...(given.model === '' ? [] : (['model'] as const)),
    ...(hasMixture(given, prepared) ? (['mixture'] as const) : []),
  ]
  const times = [...given.times].sort((a, b) => a - b)
  const trips = sources.flatMap((source) => times.map((time): Cell => ({ part: 'trips', source, time })))
  if (given.classifier !== 'cnn') return trips
  return [{ part: 'classifier' }, ...(rows.length > 0 ? trips : [])]
}

/** What is claimed of a source: of the mixture as a control, which has no hierarchy to show. */
function claimsOf({ source, layers, half, crossing }: SourceFacts, times: readonly number[]): Claim[] {
  const put = source === 'model' ? claim : control
  const [shallow, deep] = shallowAndDeep(layers)
  const name = sourceTitles[source]
  const [first, last] = [Math.min(...times), Math.max(...times)]
  const apart = `cosine of ${layerName(layers, deep)} minus that of ${layerName(layers, shallow)}`
  return [
    put(`${name}: ${apart}, at t = ${first} T`, gapAt(layers, first)).atLeast(0),
    put(`${name}: ${apart}, at t = ${last} T`, gapAt(layers, last)).atMost(0),
    put(
      `${name}: t where these layers cross, over t where half of the classes are lost`,
      ratio(crossing, half),
    ).equals(1, { share: 0.15 }),
  ]
}

/** A share of T in words. */
const shownTime = (estimate: Estimate): string =>
  Number.isFinite(estimate.value) ? `t = ${shownEstimate(estimate)} T` : 'no time that was measured'

function findings(rows: readonly Found[], given: Config): Findings {
  const parts = partsOf(rows)
  const facts = parts.sources.map((source) => factsOf(parts, source))
  const [first] = facts as [SourceFacts]
  const accuracy = parts.classifier[0]?.accuracy
  const rejected = shareRejected(first.trips)
  const sentences = facts.map(
    ({ source, half, crossing }) =>
      `${sourceTitles[source][0]!.toUpperCase()}${sourceTitles[source].slice(1)}: half of the classes are lost at ${shownTime(half)}, and the logits become less alike than the first layer at ${shownTime(crossing)}.`,
  )
  return {
    headline: `half of the classes are lost at ${shownTime(first.half)} (${sourceTitles[first.source]}); deep and shallow layers cross at ${shownTime(first.crossing)}`,
    paragraph: [
      'Images were noised up to a time t and taken back. What is left of their class, and of their features in each layer of a classifier?',
      ...sentences,
      'The mixture has one discrete latent and no hierarchy: a crossing that both show is no sign of a hierarchy.',
      ...(given.model !== '' && facts.length === 1
        ? ['Images of the model are too large for the control, the mixture of class Gaussians.']
        : []),
      `Of the round trips of ${sourceTitles[first.source]} ${percent(rejected, 1)} were rejected, for their brightness drifted.`,
    ].join(' '),
    numbers: [
      ...facts.flatMap(({ source, half, crossing }) => [
        {
          label: `half of the classes lost: ${sourceTitles[source]}`,
          value: shownTime(half),
          note: intervalText(half),
        },
        {
          label: `layers cross: ${sourceTitles[source]}`,
          value: shownTime(crossing),
          note: intervalText(crossing),
        },
      ]),
      { label: 'rejected', value: percent(rejected, 1), note: `of ${sourceTitles[first.source]}` },
      ...(accuracy === undefined
        ? []
        : [{ label: 'the classifier is right', value: percent(accuracy, 2), note: 'of test images' }]),
    ],
    claims: facts.flatMap((own) => claimsOf(own, given.times)),
    charts: chartsOf(parts, facts, given.drift),
    tables: tablesOf(facts),
    result: {
      half: first.half.value,
      halfError: first.half.error,
      crossing: first.crossing.value,
      crossingError: first.crossing.error,
      rejected,
      accuracy: accuracy ?? null,
    },
  }
}

export const imageTransition = defineStudy<Config, Cell, Row, Resource, Prepared>(import.meta.url, {
  name: 'image-transition',
  title: 'Where images lose their class',
  resultNames: {
    half: 't/T at which half of the classes are lost',
    crossing: 't/T at which layers cross',
    rejected: 'share of rejected round trips',
    accuracy: 'accuracy of the classifier',
  },
  question:
    'At which noise do round trips lose the class of an image, and which layers of a classifier notice?',
  source: 'Sclocchi, Favero and Wyart 2025, Figs. 1–3',
  config,
  presets,
  check,
  prepare: prepareTrips,
  open,
  close,
  cells: cellsOf,
  suppose: (cell) =>
    cell.part === 'classifier' ? [{ of: 'classifier' as const, accuracy: 1, images: 1 }] : [],
  replicas: ({ groups }, cell) => (cell.part === 'classifier' ? 1 : groups),
  // the same images and the same noise at every time
  keyed: () => [],
  cost: (cell, { side, epochs, trainOn, imagesPerGroup, trajectories, steps }) => {
    if (cell.part === 'classifier') return 5e-7 * side * side * epochs * trainOn
    const trips = imagesPerGroup * trajectories
    return (
      trips *
      (cell.source === 'model' ? 0.0025 * Math.max(1, cell.time * steps) : 1e-8 * 12 * side ** 4 + 0.001)
    )
  },
  label: (cell) =>
    cell.part === 'classifier' ? 'classifier' : `${sourceTitles[cell.source]} to ${cell.time} T`,
  measure,
  findings,
})
