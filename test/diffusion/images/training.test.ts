/** @file Training on images: the noise that is added, what is learned of it, and which images count as copies. */
import { describe, expect, it } from 'vitest'
import {
  copiedShare,
  fixedNoisyImages,
  imageLosses,
  nearestOf,
  parseScheduler,
  sampleImages,
  trainedImageDenoiser,
  trainImageDenoiser,
} from '../../../src/diffusion/index.ts'
import { denoisingMlp } from '../../../src/nn/index.ts'
import { random, type Tensor } from '../../../src/tensor/index.ts'

const shape = [1, 2, 3] as const
const size = 6
const network = { shape, ...denoisingMlp({ size, width: 32, layers: 2, time: 8 }) }
const scheduler = (prediction: string, steps = 100) =>
  parseScheduler(
    { _class_name: 'DDIMScheduler', prediction_type: prediction, num_train_timesteps: steps, beta_end: 0.2 },
    'test',
  )
/** Two images, ±1 all over. */
const pair = Float32Array.from({ length: 2 * size }, (_, i) => (i < size ? 1 : -1))

describe('images made noisy once', () => {
  it.each(['sample', 'epsilon', 'v_prediction'])('are what the forward process says, target %s', (name) => {
    const own = scheduler(name)
    const count = 4000
    const { noisy, target, t } = fixedNoisyImages(shape, own, pair, { count, before: 40, key: random.key(1) })
    expect(Math.max(...(t.data as Int32Array))).toBe(39)
    let [sum, squares] = [0, 0]
    for (let i = 0; i < count * size; i++) {
      const n = Math.floor(i / size)
      const clean = n % 2 === 0 ? 1 : -1
      const level = own.alphaBar[t.data[n] as number]!
      const noise = ((noisy.data[i] as number) - Math.sqrt(level) * clean) / Math.sqrt(1 - level)
      sum += noise
      squares += noise * noise
      const expected = {
        sample: clean,
        epsilon: noise,
        v_prediction: Math.sqrt(level) * noise - Math.sqrt(1 - level) * clean,
      }[name]!
      expect(Math.abs((target.data[i] as number) - expected)).toBeLessThan(1e-4)
    }
    // 24,000 draws: five standard errors
    expect(Math.abs(sum / (count * size))).toBeLessThan(5 / Math.sqrt(count * size))
    expect(Math.abs(squares / (count * size) - 1)).toBeLessThan(5 * Math.sqrt(2 / (count * size)))
  })
})

/** The least mean squared error of what is predicted of the pair: its posterior mean is tanh(√ᾱ/(1 − ᾱ) Σ x) in every pixel. */
function leastLoss(
  prediction: string,
  { noisy, t, count }: { noisy: Tensor; t: Tensor; count: number },
): number {
  const { alphaBar } = scheduler(prediction)
  let total = 0
  for (let n = 0; n < count; n++) {
    const level = alphaBar[t.data[n] as number]!
    const x = (noisy.data as Float32Array).subarray(n * size, (n + 1) * size)
    const mean = Math.tanh((Math.sqrt(level) / (1 - level)) * x.reduce((sum, value) => sum + value, 0))
    const error = ((n % 2 === 0 ? 1 : -1) - mean) ** 2
    // what an error of the clean image is worth in the target
    total += error * { sample: 1, epsilon: level / (1 - level), v_prediction: 1 / (1 - level) }[prediction]!
  }
  return total / count
}

describe('training', () => {
  const train = (seed: number, prediction = 'sample') => {
    const own = scheduler(prediction)
    const losses: number[] = []
    const measured = imageLosses(network)
    const fixed = fixedNoisyImages(shape, own, pair, { count: 512, key: random.key(7) })
    const least = leastLoss(prediction, { ...fixed, count: 512 })
    return trainImageDenoiser(network, own, {
      ...{ images: pair, parameters: network.init(random.key(seed)), steps: 800, batchSize: 32 },
      ...{ learningRate: 0.01, key: random.key(seed + 1), looks: [1, 800], threads: 1 },
      onLook: async (parameters) => {
        const own = await measured.of(parameters, fixed)
        losses.push(own.reduce((a, b) => a + b, 0) / own.length)
        return true
      },
    }).then(({ parameters }) => {
      measured.dispose()
      return { parameters, losses, own, least }
    })
  }

  it.each(['sample', 'epsilon', 'v_prediction'])(
    'two images are learned by heart: %s',
    async (prediction) => {
      const { parameters, losses, own, least } = await train(1, prediction)
      const left = (losses[1]! - least) / (losses[0]! - least)
      expect(left).toBeLessThan(0.25)
      expect(left).toBeGreaterThan(-0.02)
      const denoisers = trainedImageDenoiser(network, own, { batchSize: 16 })
      const generated = await sampleImages(denoisers.with(parameters), {
        ...{ key: random.key(3), count: 40, steps: 20 },
      })
      denoisers.dispose()
      // most generated images are one of the two
      const { nearest, ratio } = nearestOf(generated, pair, size)
      expect(copiedShare({ nearest, ratio })).toBeGreaterThan(0.9)
      const first = nearest.filter((place) => place === 0).length
      expect(first).toBeGreaterThan(8)
      expect(first).toBeLessThan(32)
    },
  )

  it('the same key gives the same bits', async () => {
    const [a, b] = [await train(5), await train(5)]
    expect(a.losses).toEqual(b.losses)
    expect((await train(6)).losses).not.toEqual(a.losses)
  })
})

it('a trained denoiser says what its network says, whatever is asked together', async () => {
  const own = scheduler('epsilon')
  const denoisers = trainedImageDenoiser(network, own, { batchSize: 4 })
  const denoiser = denoisers.with(network.init(random.key(2)))
  const x = random.sampleNormal(random.key(9), 7 * size)
  const all = await denoiser.predict(x, 30)
  const some = await denoiser.predict(x.slice(5 * size), 30)
  expect(Array.from(some)).toEqual(Array.from(all.slice(5 * size)))
  await expect(denoiser.predict(x, 100)).rejects.toThrow('expected a whole number from 0 to 99, got 100')
  denoisers.dispose()
})

describe('nearest images', () => {
  it('are those of all distances sorted', () => {
    const images = random.sampleNormal(random.key(1), 20 * size)
    const others = random.sampleNormal(random.key(2), 9 * size)
    const { nearest, ratio } = nearestOf(images, others, size)
    for (let n = 0; n < 20; n++) {
      const gaps = Array.from({ length: 9 }, (_, p) => ({
        p,
        gap: Math.hypot(
          ...Array.from({ length: size }, (_, i) => images[n * size + i]! - others[p * size + i]!),
        ),
      })).sort((a, b) => a.gap - b.gap)
      expect(nearest[n]).toBe(gaps[0]!.p)
      expect(ratio[n]).toBeCloseTo(gaps[0]!.gap / gaps[1]!.gap, 5)
    }
  })

  it('need two others', () => {
    expect(() => nearestOf(pair, pair.slice(0, size), size)).toThrow('at least two others')
  })
})

it('images that are no whole number of images are refused', async () => {
  const training = { parameters: network.init(random.key(1)), steps: 8, batchSize: 2, learningRate: 0.1 }
  await expect(
    trainImageDenoiser(network, scheduler('sample'), {
      ...training,
      images: new Float32Array(7),
      key: random.key(1),
    }),
  ).rejects.toThrow('expected a whole number of images [1,2,3] of 6 numbers, got 7 numbers')
})
