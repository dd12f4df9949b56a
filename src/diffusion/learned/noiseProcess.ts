/** @file What a network learns to undo: a noise process, its schedule, and the loss, checked to belong together. */
import { entryOf, fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import { type Channel, findChannel } from '../channels.ts'
import { makeSchedule, type Schedule } from '../schedules.ts'
import { type Objective, objectives } from './objectives.ts'

/** A noise process to learn. */
export interface NoiseProcess {
  readonly channel: Channel
  readonly schedule: Schedule
  readonly objective: Objective
}

/** Names of a noise process, with the published ones as default: uniform flips, β from 0.001 to 0.1. */
export interface NoiseProcessOptions {
  readonly channel?: string
  readonly schedule?: string
  /** T. Default 200. */
  readonly steps?: number
  /** Default the first of the channel's. */
  readonly objective?: string
}

/** ᾱ_T of a schedule that leaves nothing, up to rounding. */
const nothing = 1e-9

const defaultSchedule: Readonly<Record<string, string>> = { masking: 'linear' }

/**
 * A noise process by names. Throws TL_BAD_CONFIG where channel, schedule and objective do not fit: a channel without a way back, a
 * schedule that leaves a signal, a loss of another channel.
 */
export function makeNoiseProcess(options: NoiseProcessOptions = {}): NoiseProcess {
  const { channel: name = 'uniform', steps = 200 } = options
  const channel = findChannel(name)
  const own = Object.entries(objectives).filter(([, one]) => one.channel === name)
  if (own.length === 0)
    fail(
      'TL_BAD_CONFIG',
      `channel: "${name}" has no chain of steps that a network could reverse; use ${[...new Set(Object.values(objectives).map((one) => one.channel))].join(', ')}`,
    )
  const scheduleName = options.schedule ?? defaultSchedule[name] ?? 'linearBeta'
  const schedule = makeSchedule(scheduleName, steps)
  const left = schedule.alphaBar(steps)
  // a token that is not masked at the end tells x_0, and sampling begins without one
  if (name === 'masking' && left > nothing)
    fail(
      'TL_BAD_CONFIG',
      `schedule: "${scheduleName}" with ${steps} steps leaves ᾱ_T = ${left.toPrecision(2)} of the tokens to be seen, but sampling begins with all masked; use linear or cosine`,
    )
  const objective =
    options.objective === undefined ? own[0]![1] : entryOf('objective', objectives, options.objective)
  if (objective.channel !== name)
    fail(
      'TL_BAD_CONFIG',
      `objective: "${options.objective}" is of channel "${objective.channel}", got channel "${name}"; use ${own.map(([key]) => key).join(', ')}`,
    )
  return { channel, schedule, objective }
}

/** Draws of each step for `inputDeviation`. */
const draws = 64

/** Root mean square of p(x_t | x_0) of a token less 1/v, over symbols and steps t = 1 … T: what inputs are divided by. */
export function inputDeviation({ channel, schedule }: NoiseProcess, v: number): number {
  const levels = Float64Array.from(
    { length: schedule.steps * draws },
    (_, i) => 1 - schedule.alphaBar(1 + Math.floor(i / draws)),
  )
  const clean = new Int32Array(levels.length)
  const noisy = channel.corrupt(clean, v, levels, random.key(0))
  const each = noisy.length / levels.length
  let squares = 0
  for (let t = 0; t < schedule.steps; t++) {
    const [from, to] = [t * draws, (t + 1) * draws]
    const rows = channel.likelihood(noisy.subarray(from * each, to * each) as never, v, levels[from]!)
    for (let i = 0; i < draws; i++) {
      const row = rows.subarray(i * v, (i + 1) * v)
      const total = row.reduce((a, b) => a + b, 0)
      for (const value of row) squares += (value / total - 1 / v) ** 2
    }
  }
  return Math.sqrt(squares / (levels.length * v))
}
