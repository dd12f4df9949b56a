/** @file Drawn pictures: the same from the same key, more begin with fewer, classes can be told apart; sets in other forms. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  chosen,
  drawnDataset,
  drawnNames,
  type ImageDataset,
  inSquares,
  ofClasses,
} from '../../src/data/index.ts'
import { random } from '../../src/tensor/index.ts'

const bytes = (x: Uint8Array): string => Buffer.from(x).toString('base64')

describe.each(drawnNames)('%s', (name) => {
  const options = { key: random.key(7), train: 24, test: 8, side: 16 } as const

  it('is the same from the same key, and more pictures begin with fewer', () => {
    const [few, many] = [drawnDataset(name, options), drawnDataset(name, { ...options, train: 30 })]
    expect(bytes(few.train.images)).toBe(bytes(many.train.images.subarray(0, few.train.images.length)))
    expect(bytes(drawnDataset(name, options).test.images)).toBe(bytes(few.test.images))
    const other = drawnDataset(name, { ...options, key: random.key(8) })
    expect(bytes(other.train.images)).not.toBe(bytes(few.train.images))
  })

  it('has all classes alike often, pictures that differ, and a mean that its pixels have', () => {
    const { train, classes, shape, mean } = drawnDataset(name, { ...options, train: 48 })
    const counts = classes.map((_, label) => train.labels.filter((one) => one === label).length)
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
    const size = shape.reduce((a, b) => a * b, 1)
    const seen = new Set(
      Array.from({ length: train.count }, (_, n) => train.images.subarray(n * size, (n + 1) * size).join()),
    )
    expect(seen.size).toBe(train.count)
    const red =
      train.images.reduce((sum, v, i) => sum + (i % 3 === 0 ? v : 0), 0) / (train.images.length / 3) / 255
    expect(mean[0]).toBeCloseTo(red, 6)
  })
})

/** Share of pictures whose nearest class mean is their own. */
function nearestMean({ train, test, classes, shape }: ImageDataset): number {
  const size = shape.reduce((a, b) => a * b, 1)
  const means = classes.map(() => new Float64Array(size))
  for (let n = 0; n < train.count; n++)
    for (let i = 0; i < size; i++) means[train.labels[n]!]![i]! += train.images[n * size + i]! / train.count
  let right = 0
  for (let n = 0; n < test.count; n++) {
    const far = means.map((mean) =>
      mean.reduce((sum, m, i) => sum + (m * classes.length - test.images[n * size + i]!) ** 2, 0),
    )
    if (far.indexOf(Math.min(...far)) === test.labels[n]) right++
  }
  return right / test.count
}

it('shows figures that even the means of classes tell apart, and rough ones less', () => {
  const given = { key: random.key(1), train: 160, test: 160, side: 16 }
  const [plain, rough] = (['plain', 'rough'] as const).map((style) =>
    nearestMean(drawnDataset('shapes', { ...given, style })),
  )
  expect(plain).toBeGreaterThan(0.25) // chance is 1/8
  expect(plain).toBeGreaterThan(rough!)
})

it('refuses what cannot be drawn, in one line', () => {
  const given = { key: random.key(0), train: 1, test: 1 }
  expect(() => drawnDataset('glyph', given)).toThrow('glyphs')
  expect(() => drawnDataset('glyphs', { ...given, train: 0 })).toThrow(
    'train: expected a whole number of at least 1, got 0',
  )
  expect(() => drawnDataset('glyphs', { ...given, side: 4 })).toThrow(
    'side: expected a whole number of at least 8, got 4',
  )
})

describe('forms of sets', () => {
  const set = drawnDataset('shapes', { key: random.key(2), train: 40, test: 20, side: 12 })

  it('keeps the pictures of some classes, numbered anew', () => {
    const own = ofClasses(set, 'round', ['ring', 'disc'])
    expect(own.classes).toEqual(['ring', 'disc'])
    const rings = [...set.train.labels.keys()].filter((n) => set.train.labels[n] === 1)
    const found = [...own.train.labels.keys()].filter((n) => own.train.labels[n] === 0)
    expect(chosen(own.train, found).images).toEqual(chosen(set.train, rings).images)
    expect(() => ofClasses(set, 'x', ['ring', 'circle'])).toThrow(
      'shapes: no class "circle", expected one of disc, ring',
    )
    const few = drawnDataset('shapes', { key: random.key(2), train: 40, test: 1, side: 12 })
    expect(() => ofClasses(few, 'x', ['ring'])).toThrow('shapes: class "ring" has no test pictures')
  })

  it('puts pictures into the middle of squares, byte for byte where they nearly fit', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 9, max: 12 }),
        fc.integer({ min: 9, max: 12 }),
        fc.constantFrom(1, 3),
        (h, w, c) => {
          const images = Uint8Array.from({ length: h * w * c }, (_, i) => 1 + (i % 255))
          const part = { images, labels: Uint8Array.of(0), count: 1 }
          const square = inSquares({ ...set, shape: [h, w, c], train: part, test: part }, 12)
          expect(square.shape).toEqual([12, 12, 3])
          const [top, left] = [Math.floor((12 - h) / 2), Math.floor((12 - w) / 2)]
          for (let i = 0; i < 12; i++)
            for (let j = 0; j < 12; j++)
              for (let k = 0; k < 3; k++) {
                const isIn = i >= top && i < top + h && j >= left && j < left + w
                const expected = isIn ? images[((i - top) * w + j - left) * c + (c === 3 ? k : 0)] : 0
                expect(square.train.images[(i * 12 + j) * 3 + k]).toBe(expected)
              }
        },
      ),
      { numRuns: 20 },
    ))

  it('resizes what does not fit', () => {
    const part = { images: new Uint8Array(40 * 40 * 3).fill(9), labels: Uint8Array.of(0), count: 1 }
    const small = inSquares({ ...set, shape: [40, 40, 3], train: part, test: part }, 12)
    expect(small.train.images).toEqual(new Uint8Array(12 * 12 * 3).fill(9))
  })
})
