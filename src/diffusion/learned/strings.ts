/** @file Strings at random steps of a noise process, as programs take them: tables for evaluation, and batches that are made noisy anew. */
import { random, type Tensor, tensor } from '../../tensor/index.ts'
import { stratifiedTimes } from '../denoising.ts'
import type { NoiseProcess } from './noiseProcess.ts'
import type { NoisyStrings } from './objectives.ts'

/** Strings [count, d] of v symbols. */
export interface CleanStrings {
  readonly leaves: Int32Array
  readonly d: number
  readonly v: number
}

/** Strings [count, d] by their letters: equal ones are the same text. */
export const lettersOf = (leaves: Int32Array, d: number): string[] =>
  Array.from({ length: leaves.length / d }, (_, n) => leaves.subarray(n * d, (n + 1) * d).join())

/** Steps t = 1 … T of `count` strings, spread evenly. [count] */
const stepsOf = ({ schedule }: NoiseProcess, count: number, key: random.Key): Int32Array =>
  stratifiedTimes(schedule, count, key).map((t) => t + 1)

/** Make strings noisy in place: `clean` ↦ the rest, each string at the step of `times`. */
function fillNoisy(
  { channel, schedule, objective }: NoiseProcess,
  strings: NoisyStrings,
  v: number,
  times: Int32Array,
  key: random.Key,
): void {
  const leaves = strings.clean.data as Int32Array
  const d = leaves.length / times.length
  const levels = new Float64Array(leaves.length)
  const column = (name: 'noise' | 'before' | 'alpha' | 'weight') => strings[name].data as Float32Array
  const [noise, before, alpha, weight] = [
    column('noise'),
    column('before'),
    column('alpha'),
    column('weight'),
  ]
  for (const [b, t] of times.entries()) {
    const level = 1 - schedule.alphaBar(t)
    levels.fill(level, b * d, (b + 1) * d)
    noise[b] = level
    before[b] = 1 - schedule.alphaBar(t - 1)
    alpha[b] = schedule.alphaBar(t) / schedule.alphaBar(t - 1)
    weight[b] = objective.weight(schedule, t)
  }
  ;(strings.noisy.data as Float32Array).set(channel.corrupt(leaves, v, levels, key))
}

/** A table of `count` strings with room for what is made of them; everything but `clean` is 0. */
export function emptyStrings({ leaves, d, v }: CleanStrings, { channel }: NoiseProcess): NoisyStrings {
  const count = leaves.length / d
  const perString = (): Tensor => tensor(new Float32Array(count), { shape: [count] })
  return {
    clean: tensor(leaves, { shape: [count, d] }),
    noisy:
      channel.name === 'gaussian'
        ? tensor(new Float32Array(count * d * v), { shape: [count, d, v] })
        : tensor(new Int32Array(count * d), { shape: [count, d] }),
    ...{ noise: perString(), before: perString(), alpha: perString(), weight: perString() },
  }
}

/** A batch of training made noisy anew, by the key of its step. */
export function renoise(noising: NoiseProcess, v: number) {
  return (batch: NoisyStrings, key: random.Key): undefined => {
    const [forSteps, forNoise] = random.split(key)
    const times = stepsOf(noising, batch.noise.size, forSteps)
    fillNoisy(noising, batch, v, times, forNoise)
  }
}

/**
 * Strings made noisy once, `draws` times each, for losses that can be compared from one step of training to another; and the step
 * t of each, [count · draws].
 */
export function fixedStrings(
  noising: NoiseProcess,
  { leaves, d, v }: CleanStrings,
  draws: number,
  key: random.Key,
): { strings: NoisyStrings; times: Int32Array } {
  const repeated = new Int32Array(leaves.length * draws)
  for (let k = 0; k < draws; k++) repeated.set(leaves, k * leaves.length)
  const strings = emptyStrings({ leaves: repeated, d, v }, noising)
  const [forSteps, forOrder, forNoise] = random.split(key, 3)
  const sorted = stepsOf(noising, repeated.length / d, forSteps)
  const order = random.samplePermutation(forOrder, sorted.length)
  const times = Int32Array.from(order, (at) => sorted[at]!)
  fillNoisy(noising, strings, v, times, forNoise)
  return { strings, times }
}
