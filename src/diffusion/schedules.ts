/** @file Noise schedules: how much of the signal is left at step t, as one table. */
import { entryOf, fail } from '../base/index.ts'

/** A schedule of T steps. */
export interface Schedule {
  readonly name: ScheduleName
  /** T, the number of steps. */
  readonly steps: number
  /** ᾱ at t = 0 … T: 1 at t = 0, falling. The noise level of `channels` is 1 − ᾱ. Throws TL_BAD_ARGUMENT outside. */
  readonly alphaBar: (t: number) => number
}

/** Names of the rows of `schedules`. */
export type ScheduleName = 'linearBeta' | 'ddpm' | 'cosine' | 'linear'

/**
 * ᾱ_t = Π (1 − β_i), β linear from `first` to `last` at the reference number of steps, and scaled so that ᾱ(t/T) keeps
 * its shape at another.
 */
function fromBetas(steps: number, first: number, last: number, reference: number): (t: number) => number {
  const table = new Float64Array(steps + 1)
  table[0] = 1
  for (let t = 1; t <= steps; t++) {
    const share = steps === 1 ? 1 : (t - 1) / (steps - 1)
    const beta = ((first + (last - first) * share) * reference) / steps
    table[t] = table[t - 1]! * (1 - Math.min(0.999, beta))
  }
  return (t) => table[t]!
}

/** cos²((t/T + s)/(1 + s) · π/2) with the offset s that keeps the first steps from being too small. */
const squaredCosine = (share: number, offset = 0.008): number =>
  Math.cos(((share + offset) / (1 + offset)) * (Math.PI / 2)) ** 2

/** The table of schedules; a new one is a row here. */
export const schedules: Readonly<Record<ScheduleName, (steps: number) => (t: number) => number>> = {
  /** β from 0.001 to 0.1 over 200 steps (Favero et al. 2025, diffusion on grammars). */
  linearBeta: (steps) => fromBetas(steps, 0.001, 0.1, 200),
  /** β from 1e-4 to 0.02 over 1000 steps (Ho et al. 2020). */
  ddpm: (steps) => fromBetas(steps, 1e-4, 0.02, 1000),
  /** (Nichol & Dhariwal 2021, Eq. 17). */
  cosine: (steps) => (t) => squaredCosine(t / steps) / squaredCosine(0),
  /** ᾱ = 1 − t/T: a masked share that grows evenly (Shi et al. 2024). */
  linear: (steps) => (t) => 1 - t / steps,
}

/** A schedule by name. Throws TL_BAD_ARGUMENT for an unknown name or a number of steps that is no whole number ≥ 1. */
export function makeSchedule(name: string, steps: number): Schedule {
  const make = entryOf('schedule', schedules, name)
  if (!(Number.isSafeInteger(steps) && steps >= 1 && steps <= 1e6))
    fail('TL_BAD_ARGUMENT', `steps: expected a whole number between 1 and 10^6, got ${steps}`)
  const known = name as ScheduleName
  const alphaBar = make(steps)
  return {
    name: known,
    steps,
    alphaBar(t) {
      if (!(Number.isInteger(t) && t >= 0 && t <= steps))
        fail('TL_BAD_ARGUMENT', `alphaBar: expected a step between 0 and ${steps}, got ${t}`)
      return alphaBar(t)
    },
  }
}

/** Noise levels 1 − ᾱ of the steps T … 0 below `noise`, beginning with `noise` itself and ending with 0: a way back. */
export function noiseLevels({ steps, alphaBar }: Schedule, noise: number): number[] {
  const below = Array.from({ length: steps + 1 }, (_, i) => 1 - alphaBar(steps - i))
  return [noise, ...below.filter((level) => level < noise && level > 0), 0]
}
