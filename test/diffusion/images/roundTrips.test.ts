/** @file Chains of images against the law of Gaussian data, and what keys of trajectories promise. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  imageDenoiser,
  imageRoundTrips,
  openImageDenoiser,
  parseScheduler,
  sampleImages,
  stepsFrom,
} from '../../../src/diffusion/index.ts'
import { gather, mul, random, tensor } from '../../../src/tensor/index.ts'

const deviation = 0.7
const scheduler = parseScheduler({ _class_name: 'DDPMScheduler', clip_sample: false }, 'test')

/** The exact denoiser of images of one pixel that is N(0, deviation²): E(ε | x) = √(1 − ᾱ) x / (ᾱ σ² + 1 − ᾱ). */
const gaussian = imageDenoiser(
  {
    shape: [1, 1, 1],
    firstTime: 0,
    apply: (x, t) => {
      const factor = Float32Array.from(
        scheduler.alphaBar,
        (a) => Math.sqrt(1 - a) / (a * deviation ** 2 + 1 - a),
      )
      return mul(x, gather(tensor(factor), t, 0))
    },
  },
  scheduler,
  { batchSize: 4000 },
)

const moments = (x: Float32Array, y: Float32Array = x): number =>
  x.reduce((sum, value, i) => sum + value * y[i]!, 0) / x.length

describe('chains of Gaussian data', () => {
  const count = 4000

  it.each([
    { sampler: { kind: 'ddpm' } as const, steps: 200 },
    { sampler: { kind: 'ddim' } as const, steps: 50 },
    { sampler: { kind: 'ddim', eta: 1 } as const, steps: 200 },
  ])('$sampler draws from the data', async ({ sampler, steps }) => {
    const drawn = await sampleImages(gaussian, { key: random.key(1), count, steps, sampler })
    // the standard error of a variance is √(2 / n), 2.2 %
    expect(moments(drawn) / deviation ** 2).toBeGreaterThan(0.9)
    expect(moments(drawn) / deviation ** 2).toBeLessThan(1.1)
  })

  it.each([150, 300, 600])('a round trip from %i keeps what the posterior does', async (time) => {
    const clean = random.sampleNormal(random.key(2), count).map((value) => value * deviation)
    const back = await imageRoundTrips(gaussian, clean, { time, stride: 5, key: random.key(3) })
    const alpha = scheduler.alphaBar[time]!
    // E x₀ x̂₀ / σ² for a draw from p(x₀ | x_t)
    const kept = (alpha * deviation ** 2) / (alpha * deviation ** 2 + 1 - alpha)
    expect(Math.abs(moments(clean, back) / deviation ** 2 - kept)).toBeLessThan(0.06)
    expect(Math.abs(moments(back) / deviation ** 2 - 1)).toBeLessThan(0.1)
  })

  it('a trajectory is the same alone, later, or among others', async () => {
    const clean = Float32Array.of(0.3, -0.2, 0.9)
    const trip = { time: 40, stride: 8, samples: 2, key: random.key(4) }
    const all = await imageRoundTrips(gaussian, clean, trip)
    const last = await imageRoundTrips(gaussian, clean.slice(2), { ...trip, first: 4 })
    expect([...all.slice(4)]).toEqual([...last])
    expect(new Set(all).size).toBe(6)
    const whole = await sampleImages(gaussian, { key: random.key(5), count: 5, steps: 4 })
    const rest = await sampleImages(gaussian, { key: random.key(5), count: 2, first: 3, steps: 4 })
    expect([...whole.slice(3)]).toEqual([...rest])
  })

  it('steps of a round trip end at the clean image', () => {
    expect(stepsFrom(scheduler, 7, 3)).toEqual([
      { t: 7, next: 4 },
      { t: 4, next: 1 },
      { t: 1, next: -1 },
    ])
    expect(stepsFrom(scheduler, 2).map(({ next }) => next)).toEqual([1, 0, -1])
  })

  it('ends at a signal', async () => {
    const signal = AbortSignal.abort()
    await expect(
      sampleImages(gaussian, { key: random.key(1), count: 1, steps: 5, signal }),
    ).rejects.toMatchObject({ code: 'TL_INTERRUPTED' })
  })
})

const folder = join(
  process.env['TREELINE_TEST_MODELS'] ?? new URL('../../../../shared/models', import.meta.url).pathname,
  'ddpm-mnist',
)

describe('a small DDPM', () => {
  it.skipIf(!existsSync(folder))('draws digits: a dark ground and a bright stroke', async () => {
    const denoiser = await openImageDenoiser(folder, { batchSize: 4, threads: 2 })
    expect(denoiser.shape).toEqual([1, 28, 28])
    expect(denoiser.steps).toBe(1000)
    const images = await sampleImages(denoiser, {
      key: random.key(6),
      count: 4,
      steps: 20,
      sampler: { kind: 'ddim' },
    })
    for (const value of images) expect(Math.abs(value)).toBeLessThanOrEqual(1.1)
    // a digit covers some of the middle
    const bright = [...images].filter((value) => value > 0.5).length / images.length
    expect(bright).toBeGreaterThan(0.02)
    expect(bright).toBeLessThan(0.5)
    denoiser.dispose()
  })
})
