/** @file Encoders of pictures with frozen prototypes: heads that follow from names, mixtures, learning, and what is refused. */
import { describe, expect, it } from 'vitest'
import { drawnDataset } from '../../src/data/index.ts'
import { compile, random, type Tensor, tensor } from '../../src/tensor/index.ts'
import {
  encoderLogits,
  mixtureBatches,
  pictureEncoder,
  picturesOf,
  prototypeLogits,
  prototypes,
  trainEncoder,
} from '../../src/vision/index.ts'

const same = (a: Tensor, b: Tensor): boolean => Buffer.from(a.data.buffer).equals(Buffer.from(b.data.buffer))

describe('prototypes', () => {
  it('are unit vectors that follow from the name alone', () => {
    const [both, one] = [prototypes(['cat', 'dog'], 16), prototypes(['dog'], 16)]
    expect(both.data.subarray(16)).toEqual(one.data)
    expect(Math.hypot(...(one.data as Float32Array))).toBeCloseTo(1, 6)
    expect(prototypes(['god'], 16).data).not.toEqual(one.data)
  })

  it('give the scaled cosine, also of features of length 0', async () => {
    const heads = prototypes(['a', 'b', 'c'], 4)
    const z = tensor(Float32Array.of(...[3, -1, 2, 0.5], ...[0, 0, 0, 0]), { shape: [2, 4] })
    const logits = await compile(() => prototypeLogits(z, heads, 16))()
    for (let c = 0; c < 3; c++) {
      const row = heads.data.subarray(4 * c, 4 * c + 4) as Float32Array
      const cosine = (3 * row[0]! - row[1]! + 2 * row[2]! + 0.5 * row[3]!) / Math.hypot(3, 1, 2, 0.5)
      expect(logits.data[c]).toBeCloseTo(16 * cosine, 4)
      expect(logits.data[3 + c]).toBe(0)
    }
  })

  it('refuse names twice and heads of another size', () => {
    expect(() => prototypes(['a', 'a'], 4)).toThrow('classes: expected names that differ, got "a" twice')
    expect(() => prototypes([], 4)).toThrow('got none')
    const z = tensor(new Float32Array(8), { shape: [1, 8] })
    expect(() => prototypeLogits(z, prototypes(['a'], 4), 1)).toThrow(
      'prototypes: expected vectors of 8 numbers as the features have, got 4',
    )
  })
})

describe('mixtures', () => {
  const [figures, colours] = (['shapes', 'colours'] as const).map((name) =>
    drawnDataset(name, { key: random.key(4), train: 16, test: 8, side: 8 }),
  ) as [ReturnType<typeof drawnDataset>, ReturnType<typeof drawnDataset>]

  it('draw from their parts by share, from the key alone', () => {
    const batches = mixtureBatches(
      [
        { pictures: figures.train, classes: figures.classes.map((_, i) => i), share: 3 },
        { pictures: colours.train, classes: colours.classes.map((_, i) => 8 + i), share: 1 },
      ],
      400,
    )
    const { image, label } = batches(0, random.key(9))
    expect(same(batches(5, random.key(9)).image, image)).toBe(true)
    const share = (label.data as Int32Array).filter((l) => l < 8).length / 400
    expect(Math.abs(share - 0.75)).toBeLessThan(0.07)
    expect(image.shape).toEqual([400, 3, 8, 8])
  })

  it('move and mirror pictures, and only so far', () => {
    const part = { pictures: figures.train, classes: figures.classes.map((_, i) => i), share: 1 }
    const plain = picturesOf(figures.train).data as Float32Array
    const { image } = mixtureBatches([{ ...part, shift: 1, mirror: true }], 12)(0, random.key(2))
    const seen = (n: number): boolean => {
      const own = (image.data as Float32Array).subarray(n * 192, (n + 1) * 192)
      for (let which = 0; which < 16; which++)
        for (const mirrored of [false, true])
          for (const dy of [-1, 0, 1])
            for (const dx of [-1, 0, 1]) {
              const fits = own.every((v, at) => {
                const [c, i, j] = [Math.floor(at / 64), Math.floor(at / 8) % 8, at % 8]
                const [y, x] = [i - dy, (mirrored ? 7 - j : j) - dx]
                const isIn = y >= 0 && y < 8 && x >= 0 && x < 8
                return v === (isIn ? plain[((which * 3 + c) * 8 + y) * 8 + x] : -1)
              })
              if (fits) return true
            }
      return false
    }
    for (let n = 0; n < 12; n++) expect(seen(n)).toBe(true)
  })

  it('refuse parts that are empty or of another size', () => {
    const empty = { images: new Uint8Array(0), labels: new Uint8Array(0), count: 0 }
    expect(() => mixtureBatches([{ pictures: empty, classes: [], share: 1 }], 2)).toThrow(
      'mixture: expected parts with pictures',
    )
    const large = drawnDataset('shapes', { key: random.key(4), train: 4, test: 1, side: 16 })
    expect(() =>
      mixtureBatches(
        [figures, large].map(({ train }) => ({ pictures: train, classes: [0], share: 1 })),
        2,
      ),
    ).toThrow('mixture: expected all pictures of 8 × 8 pixels')
  })
})

it('learns colours with frozen prototypes, and answers as it did before it was kept', async () => {
  const set = drawnDataset('colours', { key: random.key(4), train: 200, test: 64, side: 16 })
  const encoder = pictureEncoder({ side: 16, patch: 8, features: 16, heads: 2, layers: 2, outputs: 16 })
  const train = (seed: number) =>
    trainEncoder(encoder, {
      ...{ parameters: encoder.init(random.key(1)), classes: set.classes, seed },
      parts: [{ pictures: set.train, classes: set.classes.map((_, i) => i), share: 1 }],
      ...{ steps: 100, batchSize: 32, learningRate: 5e-3 },
    })
  const parameters = await train(0)
  const logits = await encoderLogits(encoder, parameters, set.test, set.classes)
  let right = 0
  for (let n = 0; n < 64; n++) {
    const row = (logits.data as Float32Array).subarray(n * 8, n * 8 + 8)
    if (row.indexOf(Math.max(...row)) === set.test.labels[n]) right++
  }
  expect(right / 64).toBeGreaterThan(0.5) // chance is 1/8
  const again = await encoderLogits(encoder, await train(0), set.test, set.classes)
  expect(again.data).toEqual(logits.data)
})
