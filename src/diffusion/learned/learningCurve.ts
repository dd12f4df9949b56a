/**
 * @file What a denoising network knows of a grammar as it is trained: its losses, how much of what it generates is legal at each
 * height, and how much of it is copied. (Favero et al. 2025, arXiv 2502.12089 and 2505.16959)
 */
import { type Grammar, parse, type Trees, treeCount, validity } from '../../grammar/index.ts'
import { type Parameters, subKey } from '../../nn/index.ts'
import type { random } from '../../tensor/index.ts'
import { sampleStrings } from '../reverse.ts'
import { noiseLevels } from '../schedules.ts'
import { type DenoisingNetwork, networkDenoiser, stringLosses } from './network.ts'
import type { NoiseProcess } from './noiseProcess.ts'
import { type CleanStrings, fixedStrings, lettersOf } from './strings.ts'
import { type DenoiserTraining, trainDenoiser } from './trainDenoiser.ts'

/** One look at a network. */
export interface Look {
  readonly step: number
  /** Mean loss of the training strings and of others, nats a token, over fixed noise. */
  readonly trainingLoss: number
  readonly validationLoss: number
  /** The same by windows of t, the first steps of noise first: null where no string was at such a step. */
  readonly trainingWindows: readonly (number | null)[]
  readonly validationWindows: readonly (number | null)[]
  /** A_0 … A_L: share of legal nodes at each height of generated strings. */
  readonly validity: readonly number[]
  /** Share of generated strings that are training strings, less those that a legal string is by chance: A_L · P/P_max. */
  readonly copies: number
}

export interface LearningCurveOptions<P extends Parameters>
  extends Pick<
    DenoiserTraining<P>,
    'steps' | 'batchSize' | 'learningRate' | 'averageDecay' | 'signal' | 'threads' | 'onProgress'
  > {
  readonly train: Trees
  readonly validation: Trees
  /** Steps after which the network is looked at. */
  readonly looks: readonly number[]
  /** Strings generated at each look; they begin with the same noise every time. */
  readonly samples: number
  /** Strings, each with its own noise, over which a loss is averaged. */
  readonly losses?: number
  /** Windows of t, of equal numbers of steps, in which losses are told apart. Default 10. */
  readonly windows?: number
  /** Networks with the same key begin alike and generate from the same noise, whatever they are trained on. */
  readonly key: random.Key
  /** Called with each look, the parameters, and what was generated; training ends when it returns false. */
  readonly onLook?: (look: Look, parameters: P, generated: Int32Array) => boolean | Promise<boolean>
}

const mean = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length

/** Means of losses [n] by windows of their steps t = 1 … T. */
function byWindow(
  losses: Float32Array,
  times: Int32Array,
  { steps, windows }: { readonly steps: number; readonly windows: number },
): (number | null)[] {
  const sums = new Float64Array(windows)
  const counts = new Float64Array(windows)
  for (const [i, t] of times.entries()) {
    const window = Math.floor(((t - 1) * windows) / steps)
    sums[window]! += losses[i]!
    counts[window]!++
  }
  return Array.from(sums, (sum, i) => (counts[i]! > 0 ? sum / counts[i]! : null))
}

const stringsOf = ({ d, v, L }: Grammar, { levels }: Trees): CleanStrings => ({ leaves: levels[L]!, d, v })

/** Strings made noisy as often as it takes for about `count` of them, at most all of them once. */
function forLosses(
  noising: NoiseProcess,
  strings: CleanStrings,
  count: number,
  key: random.Key,
): ReturnType<typeof fixedStrings> {
  const have = strings.leaves.length / strings.d
  const some = Math.min(have, count)
  const own = { ...strings, leaves: strings.leaves.slice(0, some * strings.d) }
  return fixedStrings(noising, own, Math.max(1, Math.round(count / some)), key)
}

/** Train a network on strings of a grammar and look at it on the way. The same key gives the same numbers. */
export async function learningCurve<P extends Parameters>(
  grammar: Grammar,
  network: DenoisingNetwork<P>,
  noising: NoiseProcess,
  options: LearningCurveOptions<P>,
): Promise<Look[]> {
  const { train, validation, samples, losses = 2048, windows = 10, key, onLook, threads = 1 } = options
  const { d, L } = grammar
  const keys = Array.from({ length: 5 }, (_, i) => subKey(key, i) as random.Key)
  const [seen, unseen] = [stringsOf(grammar, train), stringsOf(grammar, validation)]
  const letters = new Set(lettersOf(seen.leaves, d))
  const chance = train.count / Number(treeCount(grammar))
  const levels = noiseLevels(noising.schedule, 1)
  const [ofSeen, ofUnseen] = [seen, unseen].map((strings, i) =>
    forLosses(noising, strings, losses, keys[i]!),
  ) as [ReturnType<typeof forLosses>, ReturnType<typeof forLosses>]
  const loss = stringLosses(network, noising, { threads })
  const denoisers = networkDenoiser(network, noising, { batchSize: Math.min(512, samples), threads })
  const looks: Look[] = []
  try {
    await trainDenoiser(network, noising, {
      ...options,
      strings: seen,
      parameters: network.init(keys[2]!),
      key: keys[3]!,
      threads,
      onLook: async (parameters, step) => {
        const denoiser = denoisers.with(parameters)
        const generated = await sampleStrings(denoiser, { count: samples, levels, key: keys[4]! })
        const legal = validity(parse(grammar, generated, samples))
        const copied = lettersOf(generated, d).filter((one) => letters.has(one))
        const [training, unseenLoss] = [
          await loss.of(parameters, ofSeen.strings),
          await loss.of(parameters, ofUnseen.strings),
        ]
        const parts = { steps: noising.schedule.steps, windows }
        const look: Look = {
          step,
          trainingLoss: mean(training),
          validationLoss: mean(unseenLoss),
          trainingWindows: byWindow(training, ofSeen.times, parts),
          validationWindows: byWindow(unseenLoss, ofUnseen.times, parts),
          validity: legal,
          copies: copied.length / samples - legal[L]! * chance,
        }
        looks.push(look)
        return (await onLook?.(look, parameters, generated)) ?? true
      },
    })
    return looks
  } finally {
    loss.dispose()
    denoisers.dispose()
  }
}
