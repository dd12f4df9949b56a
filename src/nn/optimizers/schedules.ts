/** @file Learning rates over time, as plain functions on the host. Step 0 is the first update. */
import { fail } from '../../base/index.ts'

/** The learning rate of a step (from 0), given how many steps there will be in all. */
export type Schedule = (step: number, total: number) => number

/** The same rate throughout. */
export const constant =
  (rate: number): Schedule =>
  () =>
    rate

export interface CosineOptions {
  readonly peak: number
  /** Rate at the end. Default 0. */
  readonly final?: number
  /** Steps of linear rise to the peak: step t has rate peak (t + 1) / warmup. Default 0. */
  readonly warmup?: number
  /** Step at which `final` is reached. Default the total. */
  readonly steps?: number
}

/** Linear warm-up, then final + (peak − final) (1 + cos π u) / 2 with u the share of the steps after it. (Loshchilov & Hutter 2017) */
export const cosine =
  ({ peak, final = 0, warmup = 0, steps }: CosineOptions): Schedule =>
  (step, total) => {
    if (step < warmup) return (peak * (step + 1)) / warmup
    const share = Math.min(1, (step - warmup) / Math.max(1, (steps ?? total) - warmup))
    return final + ((peak - final) * (1 + Math.cos(Math.PI * share))) / 2
  }

/** Linear rise over the first `steps` steps into any schedule. */
export const warmUp =
  (steps: number, then: Schedule): Schedule =>
  (step, total) =>
    step < steps ? (then(step, total) * (step + 1)) / steps : then(step, total)

export interface StepDecayOptions {
  readonly initial: number
  /** Multiplied on at each drop. Default 0.1. */
  readonly factor?: number
  /** Drop every so many steps… */
  readonly every?: number
  /** …or at these steps. */
  readonly at?: readonly number[]
}

/** Piecewise constant: multiplied by `factor` every `every` steps, or at the steps `at`. */
export function stepDecay({ initial, factor = 0.1, every, at }: StepDecayOptions): Schedule {
  if ((every === undefined) === (at === undefined) || (every !== undefined && !(every >= 1)))
    fail('TL_BAD_ARGUMENT', 'stepDecay: expected either every (>= 1) or at (a list of steps)')
  const drops = (step: number): number =>
    every === undefined ? at!.filter((drop) => step >= drop).length : Math.floor(step / every)
  return (step) => initial * factor ** drops(step)
}
