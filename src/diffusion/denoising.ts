/**
 * @file Diffusion of real numbers with a noise predictor: data made noisy, times spread evenly, and DDIM back to clean data. A
 * time is t = 0 … T − 1 as networks count, with the signal that is left after its step: ᾱ(t + 1) of the schedule.
 */
import { fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import type { Schedule } from './schedules.ts'

/** ᾱ of the time that networks call t: after one step at t = 0. */
export const signalAt = ({ alphaBar }: Schedule, t: number): number => alphaBar(t + 1)

/**
 * √ᾱ x₀ + √(1 − ᾱ) ε of every datum at its own time (Ho et al. 2020, eq. 4).
 *
 * @param clean Data one after another, [n, size].
 * @param noise ε, standard normal, of the same length.
 * @param times t of every datum, [n].
 */
export function addNoise(
  schedule: Schedule,
  clean: ArrayLike<number>,
  noise: ArrayLike<number>,
  times: ArrayLike<number>,
): Float32Array {
  const size = clean.length / times.length
  if (!Number.isInteger(size) || noise.length !== clean.length)
    fail(
      'TL_BAD_ARGUMENT',
      `addNoise: expected as much noise as data, a multiple of ${times.length} times, got ${noise.length} and ${clean.length}`,
    )
  const x = new Float32Array(clean.length)
  for (let i = 0; i < times.length; i++) {
    const signal = signalAt(schedule, times[i]!)
    const [ofData, ofNoise] = [Math.sqrt(signal), Math.sqrt(1 - signal)]
    for (let j = i * size; j < (i + 1) * size; j++) x[j] = ofData * clean[j]! + ofNoise * noise[j]!
  }
  return x
}

/** A time for each of `count` data, one uniform in each n-th part of the range: the mean over them has little noise. [count] */
export function stratifiedTimes({ steps }: Schedule, count: number, key: random.Key): Int32Array {
  const within = random.sampleUniform(key, count)
  return Int32Array.from(within, (u, i) => Math.min(steps - 1, Math.floor(((i + u) / count) * steps)))
}

/** `count` evenly spaced times for sampling, rising to the last one, T − 1. */
export const samplingTimes = ({ steps }: Schedule, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.round(((i + 1) * steps) / count) - 1)

/** How `sampleDdim` goes. */
export interface DdimOptions {
  /** Rising times, see `samplingTimes`; the chain begins with the last one. */
  readonly times: readonly number[]
  /** The estimate of the clean datum is held in [−clip, clip]. Default 1; infinite for data without bounds. */
  readonly clip?: number
}

/**
 * Data drawn by DDIM with η = 0 (Song et al. 2021, eq. 12): no noise but that of the beginning.
 *
 * @param predict The noise in data at a time; both of the length of `noise`.
 * @param noise x at the last time, standard normal.
 */
export async function sampleDdim(
  schedule: Schedule,
  predict: (x: Float32Array, t: number) => ArrayLike<number> | Promise<ArrayLike<number>>,
  noise: ArrayLike<number>,
  { times, clip = 1 }: DdimOptions,
): Promise<Float32Array> {
  const x = Float32Array.from(noise)
  for (const [i, t] of [...times.entries()].reverse()) {
    const predicted = await predict(x.slice(), t)
    const now = signalAt(schedule, t)
    const next = i === 0 ? 1 : signalAt(schedule, times[i - 1]!)
    for (let j = 0; j < x.length; j++) {
      const estimate = (x[j]! - Math.sqrt(1 - now) * predicted[j]!) / Math.sqrt(now)
      const clean = Math.max(-clip, Math.min(clip, estimate))
      const rest = (x[j]! - Math.sqrt(now) * clean) / Math.sqrt(1 - now)
      x[j] = Math.sqrt(next) * clean + Math.sqrt(1 - next) * rest
    }
  }
  return x
}
