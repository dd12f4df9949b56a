/** @file Sheets of images, labels, normalization. */
import fc from 'fast-check'
import { PNG } from 'pngjs'
import { describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import {
  blockMeans,
  normalizeImages,
  pixelStatistics,
  readImageSheet,
  readLabelList,
} from '../../src/data/index.ts'
import { pixels, refusal, sheet } from './helpers.ts'

const size = { height: 4, width: 2 }
const rgb = Uint8Array.from(pixels(5 * 8 * 3, 3))
const good = sheet(8, rgb)

/** The chunks of a PNG, to be put together otherwise. */
function chunks(png: Buffer): Buffer[] {
  const list: Buffer[] = []
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
    list.push(png.subarray(at, at + 12 + png.readUInt32BE(at)))
  return list
}
const assemble = (list: Buffer[]) => Buffer.concat([good.subarray(0, 8), ...list])

/** CRC-32 (ISO 3309), as PNG wants it; Node 20.0 has none of its own. */
function crc(bytes: Uint8Array): number {
  let value = ~0
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0)
  }
  return ~value >>> 0
}
function header(width: number, height: number, depth = 8, colour = 2, interlace = 0): Buffer {
  const chunk = Buffer.alloc(25)
  chunk.writeUInt32BE(13)
  chunk.write('IHDR', 4)
  chunk.writeUInt32BE(width, 8)
  chunk.writeUInt32BE(height, 12)
  chunk.set([depth, colour, 0, 0, interlace], 16)
  chunk.writeUInt32BE(crc(chunk.subarray(4, 21)), 21)
  return chunk
}
const [first, ...rest] = chunks(good) as [Buffer, ...Buffer[]]

describe('readImageSheet', () => {
  it('gives the bytes that went in, image after image', () => {
    const { images, count } = readImageSheet(good, size)
    expect(count).toBe(5)
    expect(images).toEqual(rgb)
    expect(header(8, 5).equals(first)).toBe(true) // the helper below makes true headers
  })

  const cases: [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(0), /not a PNG file/],
    ['text', Buffer.from('hello, world'), /not a PNG file/],
    ['a cut file', good.subarray(0, good.length - 20), /truncated\?/],
    ['a cut chunk header', good.subarray(0, 40), /truncated\?/],
    ['bytes after the end', Buffer.concat([good, Buffer.alloc(2)]), /2 bytes after the end of the PNG/],
    [
      'another width',
      sheet(4, rgb),
      /4 x 10 pixels, expected 8 wide and 1 to 100000 high \(a row is an image\)/,
    ],
    [
      'a gray image',
      PNG.sync.write(Object.assign(new PNG({ width: 8, height: 5 }), {}), { colorType: 0 }),
      /8-bit RGB.*colour type 0/,
    ],
    ['an endless image', assemble([header(8, 2 ** 31), ...rest]), /8 x 2147483648 pixels/],
    [
      'rows the data cannot hold',
      assemble([header(8, 99_999), ...rest]),
      /99999 rows of 8 pixels cannot come from \d+ compressed bytes/,
    ],
    ['rows the data do not hold', assemble([header(8, 900), ...rest]), /damaged PNG/],
    [
      'a second header that grows the image',
      assemble([first, header(60_000, 60_000), ...rest]),
      /exactly one IHDR/,
    ],
    ['no header', assemble(rest), /exactly one IHDR/],
    ['interlacing', assemble([header(8, 5, 8, 2, 1), ...rest]), /interlace 1/],
    [
      'a wrong checksum',
      Buffer.concat([good.subarray(0, 45), Buffer.from([good[45]! ^ 1]), good.subarray(46)]),
      /damaged PNG/,
    ],
    ['no data', assemble([first, rest.at(-1)!]), /cannot come from 0 compressed bytes/],
  ]
  for (const [what, bytes, message] of cases)
    it(`refuses ${what}`, () => {
      const refused = refusal(() => readImageSheet(bytes, size, 'sheet'))
      expect(refused.code).toBe('TL_BAD_FILE')
      expect(refused.message).toMatch(message)
    })

  it('mutated bytes, checksums repaired or not, give images or one TreelineError', () => {
    const edit = fc.record({ at: fc.nat(good.length - 1), value: fc.nat(255), cut: fc.nat(20) })
    let refused = 0
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), fc.boolean(), (edits, repair) => {
        let bytes = Buffer.from(good)
        for (const { at, value, cut } of edits) {
          if (cut === 0) bytes = bytes.subarray(0, at)
          else if (at < bytes.length) bytes[at] = value
        }
        if (repair)
          for (let at = 8; at + 12 <= bytes.length; ) {
            const length = bytes.readUInt32BE(at)
            if (length > bytes.length - at - 12) break
            bytes.writeUInt32BE(crc(bytes.subarray(at + 4, at + 8 + length)), at + 8 + length)
            at += 12 + length
          }
        try {
          const { images, count } = readImageSheet(bytes, size)
          expect(images.length).toBe(count * 24)
        } catch (error) {
          if (!(error instanceof TreelineError) || error.code !== 'TL_BAD_FILE') throw error
          expect(error.message).not.toMatch(/[\r\n]/)
          refused++
        }
      }),
      { numRuns: 3000 },
    )
    expect(refused).toBeGreaterThan(1000)
  })
})

describe('readLabelList', () => {
  const read = (text: string, count = 3) =>
    readLabelList(Buffer.from(text), { count, classes: 10 }, 'labels.json')
  it('reads a list of class indices', () => {
    expect(read('[6,9,9]')).toEqual(Uint8Array.from([6, 9, 9]))
    expect(read(' [\n  0,\n  1 , 2\n]\n')).toEqual(Uint8Array.from([0, 1, 2]))
    expect(read('[]', 0)).toEqual(new Uint8Array(0))
  })
  it('refuses anything else', () => {
    for (const [text, message] of [
      ['[1,2]', /2 labels for 3 images/],
      ['[1,2,10]', /label 2 is 10, expected 0 to 9/],
      ['[1,2,-1]', /JSON list of whole numbers/],
      ['[1,2,3', /JSON list of whole numbers/],
      ['[1,2,1.5]', /JSON list of whole numbers/],
      ['[[[[[[', /JSON list of whole numbers/],
      ['[1,2,01]', /JSON list of whole numbers/],
      ['[1,2,]', /JSON list of whole numbers/],
      ['[,]', /JSON list of whole numbers/],
      ['[1 2,3]', /JSON list of whole numbers/],
      ['[]', /0 labels for 3 images/],
      ['{"a":1}', /JSON list of whole numbers/],
      [`[1,2,${' '.repeat(200)}3]`, /207 bytes for 3 labels, expected at most 112/],
    ] as const)
      expect(refusal(() => read(text))).toMatchObject({
        code: 'TL_BAD_FILE',
        message: expect.stringMatching(message),
      })
  })
})

describe('normalizeImages', () => {
  it('is (byte / 255 − mean) / std, channels first', () => {
    fc.assert(
      fc.property(
        fc.nat(3),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (n, h, w, c) => {
          const images = Uint8Array.from(pixels(n * h * w * c, h + w))
          const mean = [0.1, 0.5, 0.9].slice(0, c)
          const std = [0.3, 0.2, 0.5].slice(0, c)
          const out = normalizeImages(images, { shape: [h, w, c], mean, std })
          expect(out.length).toBe(images.length)
          for (let i = 0; i < n; i++)
            for (let k = 0; k < c; k++)
              for (let y = 0; y < h; y++)
                for (let x = 0; x < w; x++) {
                  const byte = images[((i * h + y) * w + x) * c + k]!
                  expect(out[((i * c + k) * h + y) * w + x]).toBe(
                    Math.fround((byte / 255 - mean[k]!) / std[k]!),
                  )
                }
        },
      ),
      { numRuns: 60 },
    )
  })
  it('refuses what does not fit', () => {
    const images = new Uint8Array(12)
    const check = (shape: [number, number, number], mean: number[], std: number[]) =>
      refusal(() => normalizeImages(images, { shape, mean, std })).message
    expect(check([5, 1, 1], [0], [1])).toMatch(/12 bytes are not a whole number of 5 x 1 x 1 images/)
    expect(check([0, 1, 1], [0], [1])).toMatch(/whole number/)
    expect(check([2, 2, 3], [0], [1])).toMatch(/expected 3 values each/)
    expect(check([2, 2, 1], [0], [0])).toMatch(/positive deviations/)
    expect(check([2, 2, 1], [Number.NaN], [1])).toMatch(/finite means/)
  })
  it('with the statistics of the same pixels gives mean 0 and deviation 1', () => {
    const images = Uint8Array.from(pixels(20 * 5 * 5 * 3, 9))
    const { mean, std } = pixelStatistics(images, 3)
    const out = normalizeImages(images, { shape: [5, 5, 3], mean, std })
    for (let k = 0; k < 3; k++) {
      const values = [...out].filter((_, index) => Math.floor(index / 25) % 3 === k)
      const average = values.reduce((a, b) => a + b) / values.length
      const variance = values.reduce((a, b) => a + (b - average) ** 2, 0) / values.length
      expect(average).toBeCloseTo(0, 6)
      expect(variance).toBeCloseTo(1, 6)
    }
    expect(refusal(() => pixelStatistics(images, 7)).code).toBe('TL_BAD_ARGUMENT')
    expect(refusal(() => pixelStatistics(new Uint8Array(0), 1)).code).toBe('TL_BAD_ARGUMENT')
  })
})

describe('blockMeans', () => {
  it('takes the mean of every block of every channel', () => {
    const two = [0, 2, 1, 1, 4, 6, 1, 1, 8, 8, 0, 0, 8, 8, 0, 0]
    expect(Array.from(blockMeans(two, [1, 4, 4], 2))).toEqual([3, 1, 8, 0])
    expect(Array.from(blockMeans([...two, ...two.map((x) => -x)], [2, 4, 4], 4))).toEqual([3, -3])
  })

  it('refuses what is not whole images in whole blocks', () => {
    expect(refusal(() => blockMeans(new Float32Array(16), [1, 4, 4], 3)).message).toContain('blocks of 3')
    expect(refusal(() => blockMeans(new Float32Array(16), [3, 4, 4], 2)).message).toContain('16 numbers')
  })
})
