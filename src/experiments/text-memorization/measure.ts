/** @file Networks trained on a few windows of a text, looked at until they write them out, and two on disjoint windows. */
import {
  fillStrings,
  fixedMasks,
  lookSteps,
  maskedDenoiser,
  maskedLosses,
  maskedTransformer,
  trainMasked,
} from '../../diffusion/index.ts'
import type { Bench } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { alikeTokens, type HalvesRow, halvesOf } from '../onset/halves.ts'
import { isOver } from '../onset/times.ts'
import { type Corpus, someWindows, spreadWindows, textFrom } from '../text-diffusion/corpus.ts'
import type { Config } from './config.ts'
import { longestMatches } from './matches.ts'

/** What is measured: how many windows are trained on. */
export interface Cell {
  readonly part: 'curve' | 'halves'
  readonly P: number
}

/** One look at one network. */
export interface CurveRow {
  readonly of: 'curve'
  readonly step: number
  /** Nats a symbol, of the windows that are trained on and of held-out ones, on fixed masks. */
  readonly trainingLoss: number
  readonly validationLoss: number
  /** Share of generated windows that are copies, less the share of held-out windows that pass as such. */
  readonly copies: number
  /** The share of held-out windows. */
  readonly passing: number
}

/** A generated window and how much of it stands in a training window. */
export interface PassageRow {
  readonly of: 'passage'
  readonly step: number
  readonly text: string
  /** The longest part in a row, and where it begins. */
  readonly length: number
  readonly from: number
}

export type Row = CurveRow | PassageRow | HalvesRow

type TextBench = Bench<Config, Corpus, unknown>

/** Passages that are kept of the last look: those with the longest matches. */
const passagesKept = 4

const mean = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length

/** Train a network on windows and look at it. Networks of one replica begin alike and generate from the same noise. */
async function curveOf(
  train: Int32Array,
  cell: Cell,
  { config, resource, signal, progress }: Pick<TextBench, 'config' | 'resource' | 'signal' | 'progress'>,
  key: random.Key,
): Promise<{ looks: CurveRow[]; generated: Int32Array[] }> {
  const keys = random.split(key, 5)
  const { window: d, match, width, heads, layers, samples, validation } = config
  const steps = config.leastSteps + config.stepsPerWindow * cell.P
  const network = maskedTransformer({ v: resource.symbols.length, d, width, heads, layers })
  const heldOut = spreadWindows(resource.heldOut, validation, d)
  // windows in turn, for as many masks
  const repeated = Int32Array.from({ length: heldOut.length }, (_, i) => train[i % train.length]!)
  const [seen, unseen] = [fixedMasks(repeated, d, keys[0]!), fixedMasks(heldOut, d, keys[1]!)]
  const shareOf = (windows: Int32Array): number => {
    const found = longestMatches(windows, train, d)
    return found.filter(({ length }) => length >= match).length / found.length
  }
  const passing = shareOf(heldOut)
  const losses = maskedLosses(network)
  const denoisers = maskedDenoiser(network, { batchSize: Math.min(256, samples) })
  const looks: CurveRow[] = []
  const generated: Int32Array[] = []
  try {
    await trainMasked(network, {
      ...{ source: { strings: train }, parameters: network.init(keys[2]!), steps, key: keys[3]! },
      ...{ batchSize: config.batchSize, learningRate: config.learningRate, weightDecay: 0 },
      ...{
        threads: 1,
        signal,
        onProgress: (share: number) => progress(share),
        looks: lookSteps(32, steps, config.looks),
      },
      onLook: async (parameters, step) => {
        const made = await fillStrings(denoisers.with(parameters), samples, {
          ...{ perStep: config.perStep, key: keys[4]!, signal },
        })
        generated.push(made)
        looks.push({
          ...{ of: 'curve', step, passing },
          trainingLoss: mean(await losses.of(parameters, seen)),
          validationLoss: mean(await losses.of(parameters, unseen)),
          copies: shareOf(made) - passing,
        })
        return !isOver(looks, 0.15)
      },
    })
    return { looks, generated }
  } finally {
    losses.dispose()
    denoisers.dispose()
  }
}

/** Do one cell. Training sets of one replica are nested. */
export async function measure(cell: Cell, bench: TextBench): Promise<Row[]> {
  const { config, key, resource, replica } = bench
  const [forWindows, forTraining] = random.split(key) as [random.Key, random.Key]
  const { window: d } = config
  const { P } = cell
  if (cell.part === 'curve') {
    const train = someWindows(resource.train, P, d, forWindows)
    const { looks, generated } = await curveOf(train, cell, bench, forTraining)
    // passages of one draw are enough
    if (replica > 0) return looks
    const { step } = looks.at(-1)!
    const last = generated.at(-1)!
    const passages = longestMatches(last, train, d)
      .map((found, i) => ({ ...found, text: textFrom(last.subarray(i * d, (i + 1) * d), resource.symbols) }))
      .sort((a, b) => b.length - a.length)
      .slice(0, passagesKept)
    return [...looks, ...passages.map((found): PassageRow => ({ of: 'passage', step, ...found }))]
  }
  const both = someWindows(resource.train, 2 * P, d, forWindows)
  return halvesOf([both.slice(0, P * d), both.slice(P * d)], {
    ...{ progress: bench.progress, size: d, alike: alikeTokens },
    async train(own, progress) {
      const { looks, generated } = await curveOf(own, cell, { ...bench, progress }, forTraining)
      return looks.map(({ step, copies }, at) => ({ step, copies, generated: generated[at]! }))
    },
  })
}
