/** @file How far training is: at most ten reports a second, with speed and time left. */
import type { Counters } from './checkpoint.ts'
import type { TrainProgress } from './options.ts'

interface Scale {
  readonly total: number
  readonly batchSize: number
  readonly perEpoch: number | undefined
}

/** Milliseconds between reports. */
const interval = 100

export function progressMeter(listener: ((progress: TrainProgress) => void) | undefined, scale: Scale) {
  let [sum, count, shown] = [0, 0, Number.NaN]
  let reported = Number.NEGATIVE_INFINITY
  let start: { at: number; step: number } | undefined
  return {
    /** The loss of one more step. */
    add(loss: number): void {
      sum += loss
      count++
    },
    update(counters: Counters, now: boolean): void {
      if (!listener) return
      const time = performance.now()
      start ??= { at: time, step: counters.step }
      if (!now && time - reported < interval) return
      reported = time
      if (count) shown = sum / count
      ;[sum, count] = [0, 0]
      const seconds = (time - start.at) / 1000
      const stepsPerSecond = seconds > 0 ? (counters.step - start.step) / seconds : 0
      listener({
        step: counters.step,
        total: scale.total,
        epoch: scale.perEpoch && counters.step / scale.perEpoch,
        loss: shown,
        metrics: counters.metrics,
        examplesPerSecond: stepsPerSecond * scale.batchSize,
        secondsLeft: stepsPerSecond > 0 ? (scale.total - counters.step) / stepsPerSecond : Number.NaN,
      })
    },
  }
}
