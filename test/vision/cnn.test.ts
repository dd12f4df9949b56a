/** @file The small network: folding against the network that was trained, learning, interruptions; similarity by hand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { evaluate, random, type Tensor, tensor } from '../../src/tensor/index.ts'
import {
  answersOf,
  channelScale,
  classifierOf,
  cnn,
  cosines,
  openCnn,
  saveCnn,
  trainCnn,
} from '../../src/vision/index.ts'
import { inColourAt } from '../../src/vision/openMobileNet.ts'

const folder = mkdtempSync(join(tmpdir(), 'treeline-cnn-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const image = [1, 8, 8] as const
const shape = { image, classes: 2, channels: [4, 6], hidden: 8 }

/** A bright bar in the upper or in the lower half, at a random place, under noise. */
function bars(seed: number, count: number) {
  const images = random.sampleNormal(random.key(seed), count * 64).map((x) => 0.3 * x - 0.5)
  const labels = random.sampleIntegers(random.key(seed + 1), count, 2)
  const place = random.sampleIntegers(random.key(seed + 2), count, 3)
  for (let n = 0; n < count; n++)
    for (let x = 0; x < 8; x++) images[n * 64 + (4 * labels[n]! + place[n]!) * 8 + x]! += 1.2
  return { images, labels }
}

const [training, test] = [bars(1, 600), bars(5, 200)]
const given = { ...shape, train: training, test, epochs: 3, batchSize: 20 }

describe('training', () => {
  it('learns, keeps what it has learned, and answers the same from its file', async () => {
    const trained = await trainCnn(given)
    expect(trained.accuracy).toBeGreaterThan(0.95)
    const path = join(folder, 'cnn.safetensors')
    saveCnn(path, trained)
    const [one, other] = [await classifierOf(shape, trained.parameters), await openCnn(path, shape)]
    const [found, again] = [await one.activations(test.images), await other.activations(test.images)]
    expect(again).toEqual(found)
    expect(one.layers).toEqual([
      { name: 'conv 1', shape: [4, 8, 8] },
      { name: 'conv 2', shape: [6, 4, 4] },
      { name: 'hidden', shape: [8] },
      { name: 'logits', shape: [2] },
    ])
    const right = answersOf(found.at(-1)!, 2).filter((own, i) => own === test.labels[i]).length
    expect(right / 200).toBe(trained.accuracy)
    one.dispose()
    other.dispose()
    await expect(openCnn(path, { ...shape, hidden: 9 })).rejects.toThrow('hidden')
  })

  it('goes on where it was interrupted, with the same bits', async () => {
    const whole = await trainCnn(given)
    const state = join(folder, 'state.safetensors')
    const cut = new AbortController()
    const interrupted = trainCnn({
      ...given,
      state,
      signal: cut.signal,
      onProgress: () => cut.abort(),
    })
    await expect(interrupted).rejects.toThrow()
    const resumed = await trainCnn({ ...given, state })
    expect(resumed.parameters.readout.weight.data).toEqual(whole.parameters.readout.weight.data)
    expect(resumed.accuracy).toBe(whole.accuracy)
  })

  it('refuses labels without images', async () => {
    const train = { images: new Float32Array(64), labels: [0, 1] }
    await expect(trainCnn({ ...given, train })).rejects.toThrow(
      'train: expected images [1,8,8] and a label for each, got 64 numbers and 2 labels',
    )
  })
})

it('normalization folds into the convolutions', async () => {
  const network = cnn(shape)
  const parameters = network.init(random.key(3))
  const x = tensor(test.images, { shape: [200, ...image] })
  const numbers = async (list: Tensor[]) =>
    (await evaluate(list)).map(({ data }) => Array.from(data as Float32Array))
  const moments = (await numbers(network.moments(parameters, x))).map((both) => ({
    mean: both.slice(0, both.length / 2),
    variance: both.slice(both.length / 2),
  }))
  const folded = network.activations(network.fold(parameters, moments), x).at(-1)!
  const [a, b] = await numbers([network.train(parameters, x), folded])
  for (const [i, value] of a!.entries()) expect(b![i]).toBeCloseTo(value, 4)
})

describe('similarity', () => {
  const layer = { name: 'layer', shape: [2, 2] }

  it('is the cosine of activations standardized by channel', () => {
    const values = Float32Array.of(1, 3, 10, 10, 5, 7, 10, 10)
    const scale = channelScale(values, layer)
    expect(Array.from(scale.mean)).toEqual([4, 10])
    expect(Array.from(scale.inverse)).toEqual([1 / Math.sqrt(5), 0])
    const [same, other] = cosines(values.subarray(0, 4), values, layer, scale)
    expect(same).toBeCloseTo(1, 12)
    // (−3, −1)·(1, 3) over √10 √10
    expect(other).toBeCloseTo(-0.6, 12)
  })

  it('has no value where a layer says nothing', () => {
    const values = Float32Array.of(1, 1, 1, 1)
    expect(cosines(values, values, layer, channelScale(values, layer))[0]).toBeNaN()
  })
})

it('grey images are shown in three channels, resized', () => {
  const grey = Float32Array.of(-1, 1, 1, -1)
  const seen = inColourAt(grey, [1, 2, 2], 2)
  expect(Array.from(seen)).toEqual([...grey, ...grey, ...grey])
  const larger = inColourAt(grey, [1, 2, 2], 4)
  expect(larger).toHaveLength(48)
  expect([larger[0], larger[3], larger[12], larger[15]]).toEqual([-1, 1, 1, -1])
})
