/** @file Noise and DDIM against the exact noise predictors of a point and of a normal distribution. */
import { describe, expect, test } from 'vitest'
import {
  addNoise,
  makeSchedule,
  sampleDdim,
  samplingTimes,
  signalAt,
  stratifiedTimes,
} from '../../src/diffusion/index.ts'
import { random } from '../../src/tensor/index.ts'

const ddpm = makeSchedule('ddpm', 1000)

test('times are one in each part of the range; the signal is that after the step', () => {
  const times = stratifiedTimes(ddpm, 50, random.key(4))
  expect([...times].every((t, i) => t >= 20 * i && t < 20 * (i + 1))).toBe(true)
  expect(samplingTimes(ddpm, 4)).toEqual([249, 499, 749, 999])
  expect(signalAt(ddpm, 0)).toBeCloseTo(1 - 1e-4, 12)
  expect(signalAt(ddpm, 1)).toBeCloseTo((1 - 1e-4) * (1 - 1e-4 - 0.0199 / 999), 12)
})

test('noise of every datum is that of its time', () => {
  const x = addNoise(ddpm, [1, -1, 0.5, 2], [0.25, 1, -2, 0], [0, 999])
  const [first, last] = [signalAt(ddpm, 0), signalAt(ddpm, 999)]
  const expected = [
    Math.sqrt(first) + 0.25 * Math.sqrt(1 - first),
    -Math.sqrt(first) + Math.sqrt(1 - first),
    0.5 * Math.sqrt(last) - 2 * Math.sqrt(1 - last),
    2 * Math.sqrt(last),
  ]
  for (const [i, value] of expected.entries()) expect(x[i]).toBeCloseTo(value, 6)
  expect(() => addNoise(ddpm, [1, 2, 3], [0, 0, 0], [0, 1])).toThrow(/multiple of 2 times, got 3 and 3/)
  expect(() => addNoise(ddpm, [1, 2], [0], [0])).toThrow(/as much noise as data/)
})

/** The noise that is expected in x at t when data are normal with this mean and spread. */
const exactNoise = (mean: number, spread: number) => (x: Float32Array, t: number) => {
  const signal = signalAt(ddpm, t)
  const variance = signal * spread ** 2 + 1 - signal
  return x.map((value) => (Math.sqrt(1 - signal) * (value - Math.sqrt(signal) * mean)) / variance)
}

describe('DDIM', () => {
  const noise = random.sampleNormal(random.key(1), 64)

  test('gives a point back in any number of steps', async () => {
    for (const count of [1, 3, 20]) {
      const times = samplingTimes(ddpm, count)
      for (const value of await sampleDdim(ddpm, exactNoise(0.3, 0), noise, { times }))
        expect(value).toBeCloseTo(0.3, 4)
      // held within its bounds
      for (const value of await sampleDdim(ddpm, exactNoise(3, 0), noise, { times })) expect(value).toBe(1)
    }
  })

  test('carries noise to the normal distribution of the data, the better the more steps', async () => {
    const [mean, spread] = [0.5, 2]
    const last = signalAt(ddpm, 999)
    // the flow keeps how many spreads a value lies from the mean
    const exact = noise.map(
      (x) => mean + (spread * (x - Math.sqrt(last) * mean)) / Math.sqrt(last * spread ** 2 + 1 - last),
    )
    const furthest = async (count: number): Promise<number> => {
      const options = { times: samplingTimes(ddpm, count), clip: Number.POSITIVE_INFINITY }
      const drawn = await sampleDdim(ddpm, exactNoise(mean, spread), noise, options)
      return Math.max(...drawn.map((value, i) => Math.abs(value - exact[i]!)))
    }
    const [coarse, fine] = [await furthest(50), await furthest(1000)]
    expect(fine).toBeLessThan(0.03)
    expect(fine).toBeLessThan(coarse / 4)
  })
})
