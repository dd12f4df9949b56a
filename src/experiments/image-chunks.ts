/**
 * @file Which parts of an image change together? Changes on a grid of patches after round trips, beside controls with exact
 * posteriors: a Gaussian field, a mixture with classes and no hierarchy, shuffled pixels. (Sclocchi et al. 2025b, section 5)
 */
import { fail, percent } from '../base/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  distinct,
  type Findings,
  type Preparing,
  shownEstimate,
} from '../lab/index.ts'
import { chartsOf, tablesOf } from './image-chunks/charts.ts'
import { type Config, config, presets } from './image-chunks/config.ts'
import {
  awayFromOne,
  type ChunkFacts,
  chunksOf,
  type Found,
  factsOf,
  picturesOf,
  sourcesOf,
} from './image-chunks/estimates.ts'
import { type Cell, gridOf, measure, open, type Resource, type Row } from './image-chunks/measure.ts'
import { shareRejected } from './imageTrips/overTime.ts'
import { type Prepared, prepareTrips } from './imageTrips/settings.ts'
import { type SourceName, sourceTitles } from './imageTrips/sources.ts'

const cellsOf = ({ model, controls, times }: Config): Cell[] => {
  const sources: SourceName[] = [...(model === '' ? [] : (['model'] as const)), ...new Set(controls)]
  return sources.flatMap((source) => [...times].sort((a, b) => a - b).map((time) => ({ source, time })))
}

/** How much larger than at an end χ must be elsewhere to count as an interior peak, and how little to count as none. */
const peakMargin = 1.02
const noPeak = 1.1

function claimsOf(facts: ChunkFacts): Claim[] {
  const { source, rows, overLast, overFirst } = facts
  const name = sourceTitles[source]
  if (source === 'shuffled')
    return [control(`${name}: χ − 1, mean over the times`, awayFromOne(rows)).vanishes({ below: 0.05 })]
  if (source === 'field')
    return [
      control(`${name}: largest χ before the last time over χ at it: no interior peak`, overLast).atMost(
        noPeak,
      ),
    ]
  const put = source === 'model' ? claim : control
  return [
    put(`${name}: largest χ after the first time over χ at it`, overFirst).atLeast(peakMargin),
    put(`${name}: largest χ before the last time over χ at it: an interior peak`, overLast).atLeast(
      peakMargin,
    ),
  ]
}

function findings(rows: readonly Found[], given: Config): Findings {
  const chunks = chunksOf(rows)
  const sources = sourcesOf(chunks)
  const [distances, flips] = (['distances', 'flips'] as const).map((what) =>
    sources.map((source) => factsOf(chunks, source, what)),
  ) as [ChunkFacts[], ChunkFacts[]]
  const first = distances[0]!
  const model = distances.find(({ source }) => source === 'model')
  const rejected = model ? shareRejected(model.rows) : 0
  const [down, across] = first.rows[0]!.grid
  return {
    headline: `χ of ${sourceTitles[first.source]} is largest, ${shownEstimate(first.height)}, at t = ${shownEstimate(first.peak)} T`,
    paragraph: [
      'Images were noised up to a time t and taken back, several times each. Which patches change together? χ counts them: 1 where each patch changes on its own.',
      ...distances.map(
        ({ source, height, top, overLast }) =>
          `${sourceTitles[source][0]!.toUpperCase()}${sourceTitles[source].slice(1)}: χ is largest, ${shownEstimate(height)}, at t = ${top} T. Its largest value before the last time is ${shownEstimate(overLast)} times that at the last time.`,
      ),
      'Controls have exact posteriors. The mixture has one discrete latent and no hierarchy: a peak that it shows, too, is a sign of a latent that is lost, not of a hierarchy.',
      ...(model
        ? [
            `Of the round trips of the model ${percent(rejected, 1)} were rejected, for their brightness drifted.`,
          ]
        : []),
    ].join(' '),
    numbers: distances.map(({ source, height, peak }) => ({
      label: `largest χ: ${sourceTitles[source]}`,
      value: shownEstimate(height),
      note: `at ${shownEstimate(peak)} T`,
    })),
    claims: distances.flatMap(claimsOf),
    charts: chartsOf(distances, flips, picturesOf(rows), { rows: down, columns: across }),
    tables: tablesOf(distances, flips),
    result: {
      peak: first.peak.value,
      peakError: first.peak.error,
      height: first.height.value,
      heightError: first.height.error,
      overLast: first.overLast.value,
      overLastError: first.overLast.error,
      rejected,
      times: distinct(chunks, 'time').length,
      trajectories: given.trajectories,
    },
  }
}

/** Throws TL_BAD_CONFIG for what no schema refuses. */
function check({ model, controls, side, patch }: Config): void {
  if (model === '' && controls.length === 0)
    fail('TL_BAD_CONFIG', 'config: expected a model, or at least one of controls, got neither')
  if (model === '' && side % patch !== 0)
    fail('TL_BAD_CONFIG', `config.patch: expected a divisor of the side, ${side} pixels, got ${patch}`)
}

/** Patches must fill the images of the model, too: said before anything is measured. */
async function prepare(config: Config, telling: Preparing): Promise<Prepared> {
  const prepared = await prepareTrips(config, telling)
  gridOf(prepared, config)
  return prepared
}

export const imageChunks = defineStudy<Config, Cell, Row, Resource, Prepared>(import.meta.url, {
  name: 'image-chunks',
  title: 'Which parts of an image change together',
  resultNames: {
    peak: 't/T at which χ is largest',
    height: 'largest χ',
    overLast: 'largest χ before the last time over that at it',
    rejected: 'share of rejected round trips',
  },
  question:
    'Which patches of an image change together in round trips, and does that show more than a lost class?',
  source: 'Sclocchi, Favero, Levi and Wyart 2025, section 5',
  config,
  presets,
  check,
  prepare,
  open,
  close: ({ dispose }) => dispose(),
  cells: cellsOf,
  replicas: ({ groups }) => groups,
  // the same images and the same noise at every time
  keyed: () => [],
  cost: ({ source, time }, { side, imagesPerGroup, trajectories, steps }) => {
    const trips = imagesPerGroup * trajectories
    if (source === 'model') return 0.0025 * trips * Math.max(1, time * steps)
    return trips * (source === 'mixture' ? 1.2e-8 * side ** 4 : 1e-6 * side ** 2)
  },
  label: ({ source, time }) => `${sourceTitles[source]} to ${time} T`,
  measure,
  findings,
})
