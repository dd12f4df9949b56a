/** @file Preprocessing of LLaVA and Idefics3 beside Transformers on twenty pictures of odd sizes, byte by byte. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { preprocessor } from '../../src/vision/preprocess.ts'
import { tilePreprocessor } from '../../src/vision/tiles.ts'
import { waves } from '../vlm/pictures.ts'

interface Record {
  readonly shape: readonly number[]
  readonly samples: readonly number[]
  readonly sum: number
  readonly sha256: string
  readonly rows?: number
  readonly columns?: number
}
const file = fileURLToPath(new URL('../fixtures/vlm/preprocessing.json', import.meta.url))
const measured = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly sizes: readonly [number, number][]
} & { readonly [steps in 'clip' | 'square' | 'tiles' | 'whole']: readonly Record[] }

/** At most one grey level from the library's at each sample, and in the mean far less. */
function near(bytes: Uint8Array, { shape, samples, sum, sha256 }: Record): boolean {
  expect(bytes).toHaveLength(shape.reduce((a, b) => a * b, 1))
  const step = Math.max(1, Math.floor(bytes.length / 61))
  const own = samples.map((_, i) => bytes[i * step]!)
  expect(Math.max(...own.map((value, i) => Math.abs(value - samples[i]!)))).toBeLessThanOrEqual(1)
  const total = bytes.reduce((a, b) => a + b, 0)
  expect(Math.abs(total - sum) / bytes.length).toBeLessThan(0.05)
  return createHash('sha256').update(bytes).digest('hex') === sha256
}
const together = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))

describe.each(['clip', 'square'] as const)('the picture of a LLaVA tower (%s)', (name) => {
  const steps = preprocessor(
    { size: { shortest_edge: 24 }, crop_size: { height: 24, width: 24 }, do_pad: name === 'square' },
    'preprocessor_config.json',
    24,
    'clip',
  )
  it('is that of the library, whatever its size', () => {
    const same = measured.sizes.filter((size, i) =>
      near(steps.crop(waves(i, ...size)).data, measured[name][i]!),
    )
    expect(measured.sizes).toHaveLength(20)
    expect(same).toHaveLength(20)
  })
})

describe.each(['tiles', 'whole'] as const)('tiles of a picture (%s)', (name) => {
  const steps = tilePreprocessor(
    { size: { longest_edge: 64 }, max_image_size: { longest_edge: 16 } },
    'preprocessor_config.json',
    16,
    name === 'tiles',
  )
  it('are those of the library, whatever its size', () => {
    const same = measured.sizes.filter((size, i) => {
      const { rows, columns, tiles } = steps.cut(waves(i, ...size))
      const wanted = measured[name][i]!
      expect([rows, columns]).toEqual([wanted.rows, wanted.columns])
      expect(tiles).toHaveLength(wanted.shape[0]!)
      return near(together(tiles.map(({ data }) => data)), wanted)
    })
    expect(same).toHaveLength(20)
  })
})

describe('any picture', () => {
  it('becomes tiles of one size, the whole last, and numbers from −1 to 1', () => {
    const steps = tilePreprocessor(
      { size: { longest_edge: 32 }, max_image_size: { longest_edge: 8 } },
      'preprocessor_config.json',
      8,
    )
    const side = fc.integer({ min: 1, max: 70 })
    fc.assert(
      fc.property(side, side, (height, width) => {
        const { rows, columns, tiles } = steps.apply(waves(1, height, width))
        expect(tiles).toHaveLength(rows * columns + 1)
        expect(Math.max(rows, columns)).toBe(4)
        for (const tile of tiles) {
          expect(tile).toHaveLength(3 * 64)
          expect(tile.every((value) => value >= -1 && value <= 1)).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('is refused by settings that do not fit the tower', () => {
    const open = (value: object) => () => tilePreprocessor(value as never, 'p.json', 16)
    expect(open({ max_image_size: { longest_edge: 24 } })).toThrow(
      /p\.json: makes tiles of 24 × 24, but the network sees 16 × 16/,
    )
    expect(open({ max_image_size: { height: 16 } })).toThrow(/"max_image_size" is \{"height":16\}/)
    expect(open({ max_image_size: { longest_edge: 16 }, resample: 9 })).toThrow(/"resample" is 9/)
  })
})
