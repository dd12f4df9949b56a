/** @file Networks trained on strings of a grammar, and which of its levels they have learned. */
import {
  coherence,
  coherenceLength,
  type DenoisingNetwork,
  hiddenLayers,
  type Look,
  learningCurve,
  lookSteps,
  makeNoiseProcess,
  type NoiseProcess,
  treeUnetFor,
} from '../../diffusion/index.ts'
import {
  exchangeSynonyms,
  type Grammar,
  makeGrammar,
  sampleTrees,
  sliceTrees,
  type Trees,
  trainTest,
} from '../../grammar/index.ts'
import type { Bench } from '../../lab/index.ts'
import { sensitivity, type TreeUnetParameters } from '../../nn/index.ts'
import { random } from '../../tensor/index.ts'
import type { Config } from './config.ts'
import { type TripRow, tripLooks, tripsOf } from './trips.ts'

/** What is measured: a grammar's sizes, its strings, and how many of them. */
export interface Cell {
  /** Early stopping at each P; one long training; controls. */
  readonly part: 'data' | 'time' | 'control'
  readonly rules: 'random' | 'uncorrelated'
  /** Shuffled: the halves of a string are of different strings, so that nothing is left of the root's rule. */
  readonly strings: 'whole' | 'shuffled'
  readonly v: number
  readonly m: number
  readonly s: number
  readonly L: number
  readonly P: number
}

/** A network, at the least validation loss or at a step of the long training. */
export interface LookRow {
  readonly of: 'best' | 'look'
  readonly step: number
  readonly validationLoss: number
  readonly trainingLoss: number
  readonly copies: number
  /** A_1 … A_L of what is generated. */
  readonly validity: readonly number[]
  /** Tokens over which it hangs together. */
  readonly coherence: number
}

/** S of a hidden layer (1 … L up from the leaves) for synonyms of a height; null where the layer answers the same to everything. */
export interface SensitivityRow {
  readonly of: 'sensitivity'
  readonly step: number
  readonly layer: number
  readonly height: number
  readonly value: number | null
}

export type Row = LookRow | SensitivityRow | TripRow

type Sizes = Pick<Cell, 'v' | 'm' | 's' | 'L'>
export const fullShape = ({ v, m, s, L }: Sizes) => ({ v, classes: v, m, s, L })

/** Halves of strings put together anew: every part of a root's rule is one of another string. */
function shuffled({ d, s, L }: Grammar, trees: Trees): Trees {
  const leaves = trees.levels[L]!.slice()
  const part = d / s
  for (let n = 0; n < trees.count; n++)
    for (let k = 0; k < s; k++) {
      const from = ((n + k) % trees.count) * d + k * part
      leaves.set(trees.levels[L]!.subarray(from, from + part), n * d + k * part)
    }
  return { ...trees, levels: [...trees.levels.slice(0, L), leaves] }
}

/** Steps after which a network of a part is looked at. */
export function looksOf({ part }: Pick<Cell, 'part'>, { mostSteps, time, looks }: Config): number[] {
  const steps = part === 'time' ? time.steps : mostSteps
  return lookSteps(Math.min(64, steps), steps, looks)
}

/** The least validation loss is behind: training has gone on for half as long again, and the loss is above it. */
function hasTurned(looks: readonly Look[]): boolean {
  const best = looks.reduce((a, b) => (b.validationLoss < a.validationLoss ? b : a))
  const last = looks.at(-1)!
  return last.step > 1.6 * best.step && last.validationLoss > 1.01 * best.validationLoss
}

/** Strings whose synonyms are exchanged. */
const probes = 128

async function layersOf(
  network: DenoisingNetwork<TreeUnetParameters>,
  noising: NoiseProcess,
  parameters: TreeUnetParameters,
  grammar: Grammar,
  strings: Trees,
  key: random.Key,
  step: number,
): Promise<SensitivityRow[]> {
  const { L } = grammar
  const hidden = hiddenLayers(network, noising, strings.count)
  try {
    const of = (trees: Trees) => hidden.of(parameters, trees.levels[L]!)
    const before = await of(strings)
    const rows: SensitivityRow[] = []
    for (let height = 1; height < L; height++) {
      const after = await of(exchangeSynonyms(grammar, strings, height, random.foldIn(key, height)))
      for (let layer = 1; layer <= L; layer++) {
        const value = sensitivity(before[layer - 1]!, after[layer - 1]!, strings.count)
        rows.push({ of: 'sensitivity', step, layer, height, value: Number.isFinite(value) ? value : null })
      }
    }
    return rows
  } finally {
    hidden.dispose()
  }
}

/** The grammar of a replica of a cell. */
export const grammarOf = (cell: Cell, key: random.Key): Grammar =>
  makeGrammar(fullShape(cell), random.split(key, 5)[0]!, { rules: cell.rules })

/** Do one cell. Training sets of one grammar are nested; networks of one replica begin alike. */
export async function measure(cell: Cell, bench: Bench<Config, void>): Promise<Row[]> {
  const { config, key, signal, progress } = bench
  const [, forData, forTraining, forProbes, forTurns] = random.split(key, 5) as [
    ...[random.Key, random.Key, random.Key, random.Key, random.Key],
  ]
  const grammar = grammarOf(cell, key)
  const { d, v, s, L } = grammar
  const { train, test } = trainTest(grammar, forData, cell.P, config.validation)
  const kept = (trees: Trees): Trees => (cell.strings === 'shuffled' ? shuffled(grammar, trees) : trees)
  const noising = makeNoiseProcess({ steps: config.diffusionSteps })
  const network = treeUnetFor(grammar, { width: config.width })
  const isLong = cell.part === 'time'
  const steps = isLong ? config.time.steps : config.mostSteps
  const reference = sampleTrees(grammar, random.foldIn(forData, 1), 2 * config.validation).levels[L]!
  const atTrips = isLong ? tripLooks(looksOf(cell, config), config.time.turnLooks) : []
  const trips = isLong
    ? tripsOf(grammar, network, noising, config.time, random.foldIn(forTurns, 1))
    : undefined
  const rows: Row[] = trips?.exact() ?? []
  const looks: Look[] = []
  let best: LookRow | undefined
  try {
    await learningCurve(grammar, network, noising, {
      ...{
        train: kept(train),
        validation: kept(test),
        steps,
        key: forTraining,
        signal,
        onProgress: progress,
      },
      ...{
        batchSize: config.batchSize,
        learningRate: config.learningRate,
        samples: config.samples,
        threads: 1,
      },
      looks: looksOf(cell, config),
      onLook: async (look, parameters, generated) => {
        looks.push(look)
        const { step, validationLoss, trainingLoss, copies, validity } = look
        const row = {
          ...{ step, validationLoss, trainingLoss, copies, validity: validity.slice(1) },
          coherence: coherenceLength(coherence(generated, reference, { d, v, s }), s),
        }
        if (!best || validationLoss < best.validationLoss) best = { of: 'best', ...row }
        if (!isLong) return !hasTurned(looks)
        rows.push({ of: 'look', ...row })
        const probed = sliceTrees(test, 0, Math.min(probes, test.count))
        rows.push(...(await layersOf(network, noising, parameters, grammar, probed, forProbes, step)))
        if (trips && atTrips.includes(step)) rows.push(...(await trips.byNetwork(parameters, step)))
        return true
      },
    })
  } finally {
    trips?.dispose()
  }
  return isLong ? rows : [best!]
}
