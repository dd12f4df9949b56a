/** @file Pictures as Pillow reads and resizes them (test/fixtures/make_pictures.py), and files that are hostile or damaged. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readSafetensors } from '../../src/checkpoint/index.ts'
import { decodePicture, fitPicture, type ResizeFilter, resizePicture } from '../../src/data/index.ts'
import { withChannels } from '../../src/data/pictures/picture.ts'
import { refusal } from './helpers.ts'

const { tensors } = readSafetensors(new URL('../fixtures/pictures.safetensors', import.meta.url).pathname)
const file = (name: string): Uint8Array => (tensors.get(`file/${name}`)!.data as Uint8Array).slice()
const names = (prefix: string): string[] =>
  [...tensors.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
const arrayOf = (name: string) => {
  const { shape, data } = tensors.get(name)!
  const [height, width, channels = 1] = shape as [number, number, number?]
  return { height, width, channels: channels as 1 | 3, data: data as Uint8Array }
}
const differences = (a: Uint8Array, b: Uint8Array): number[] => {
  expect(a.length).toBe(b.length)
  return Array.from(a, (value, i) => Math.abs(value - b[i]!))
}

describe('decoding', () => {
  const read = names('pixels/')
  it.each(read.filter((name) => name.endsWith('.png')))('%s is what Pillow reads', (name) => {
    const expected = arrayOf(`pixels/${name}`)
    expect(decodePicture(file(name), name)).toEqual(expected)
  })

  // decoders may round the transform of a block as they like
  const whole = read.filter((name) => name.endsWith('.jpg') && !name.startsWith('subsampled'))
  it.each(whole)('%s is what Pillow reads, up to rounding', (name) => {
    const { data, ...size } = decodePicture(file(name), name)
    const { data: expected, ...expectedSize } = arrayOf(`pixels/${name}`)
    expect(size).toEqual(expectedSize)
    expect(Math.max(...differences(data, expected))).toBeLessThanOrEqual(3)
  })

  it('colours of fewer pixels are repeated, where Pillow interpolates; brightness is the same', () => {
    const grey = withChannels(decodePicture(file('subsampled.jpg')), 1)
    const expected = withChannels(arrayOf('pixels/subsampled.jpg'), 1)
    const apart = differences(grey.data, expected.data)
    expect(apart.reduce((sum, d) => sum + d, 0) / apart.length).toBeLessThan(1)
  })

  it('makes grey of colour, and back', () => {
    const { data, ...size } = withChannels(arrayOf('source/colour'), 1)
    expect(size).toEqual({ height: 23, width: 17, channels: 1 })
    expect(data).toEqual(tensors.get('grey')!.data)
    const grey = decodePicture(file('grey.png'))
    const colour = decodePicture(file('grey.png'), 'grey', { channels: 3 })
    expect(withChannels(colour, 1)).toEqual(grey)
  })

  it('shows transparent pixels before a background', () => {
    const plain = decodePicture(file('rgba.png')).data
    const seen = decodePicture(file('rgba.png'), 'rgba', { background: [255, 0, 10] }).data
    const alpha = tensors.get('alpha')!.data as Uint8Array
    for (const [i, value] of seen.entries()) {
      const share = alpha[Math.floor(i / 3)]! / 255
      const expected = plain[i]! * share + [255, 0, 10][i % 3]! * (1 - share)
      expect(Math.abs(value - expected)).toBeLessThanOrEqual(0.5 + 1e-9)
    }
  })
})

describe('resizing', () => {
  it.each(names('resized/'))('%s is within a grey level of Pillow', (name) => {
    const [source, filter, size] = name.split('/') as [string, ResizeFilter, string]
    const [height, width] = size.split('x').map(Number) as [number, number]
    const resized = resizePicture(arrayOf(`source/${source}`), [height, width], filter)
    const expected = arrayOf(`resized/${name}`)
    expect({ ...resized, data: undefined }).toEqual({ ...expected, data: undefined })
    expect(Math.max(...differences(resized.data, expected.data))).toBeLessThanOrEqual(1)
  })

  it('cuts to the middle, or stretches', () => {
    // three bars of 10 pixels: the middle is the second
    const data = Uint8Array.from({ length: 10 * 30 }, (_, i) => 100 * Math.floor((i % 30) / 10))
    const bars = { height: 10, width: 30, channels: 1 as const, data }
    expect(new Set(fitPicture(bars, [5, 5]).data)).toEqual(new Set([100]))
    const stretched = fitPicture(bars, [3, 3], { fit: 'stretch', filter: 'box' })
    expect([...stretched.data.subarray(0, 3)]).toEqual([0, 100, 200])
  })

  it('refuses sizes and filters that are none', () => {
    const picture = arrayOf('source/pixel')
    expect(refusal(() => resizePicture(picture, [0, 3])).message).toMatch(/0 × 3/)
    expect(refusal(() => resizePicture(picture, [50_000, 50_000])).message).toMatch(/50000 × 50000/)
    const line = { height: 1, width: 30_000, channels: 1 as const, data: new Uint8Array(30_000).fill(5) }
    expect(fitPicture(line, [2, 2]).data).toEqual(Uint8Array.of(5, 5, 5, 5))
    expect(refusal(() => resizePicture(picture, [3, 3], 'lanczos3' as never)).message).toMatch(/lanczos/)
  })
})

const png = (): Uint8Array => file('rgb.png')
const withHeader = (width: number, height: number): Uint8Array => {
  const bytes = png()
  const view = new DataView(bytes.buffer)
  view.setUint32(16, width)
  view.setUint32(20, height)
  return bytes
}

describe('hostile files', () => {
  it.each([
    [
      'a PNG of 50,000 × 50,000',
      () => withHeader(50_000, 50_000),
      /50000 × 50000 pixels, expected at most 32.0 million/,
    ],
    ['a PNG of no width', () => withHeader(0, 5), /0 × 5/],
    ['a PNG larger than its data', () => withHeader(5000, 5000), /cannot come from/],
    ['a truncated PNG', () => png().subarray(0, 100), /truncated/],
    ['16 bits', () => file('deep.png'), /16 bits a channel.*not supported/],
    ['CMYK', () => file('cmyk.jpg'), /CMYK.*RGB/],
    ['an empty file', () => new Uint8Array(0), /empty/],
    ['a GIF', () => file('picture.gif'), /a GIF: expected a PNG or a JPEG/],
    ['a WebP', () => file('picture.webp'), /WebP/],
    ['a TIFF', () => file('picture.tiff'), /TIFF/],
    ['a BMP', () => file('picture.bmp'), /BMP/],
    ['a text', () => Buffer.from('hello'), /no picture that is known/],
    ['a truncated JPEG', () => file('baseline.jpg').subarray(0, 500), /truncated/],
    ['a JPEG without its last bytes', () => file('baseline.jpg').subarray(0, -2), /truncated/],
    ['a truncated progressive JPEG', () => file('progressive.jpg').subarray(0, -40), /truncated/],
  ])('%s', (_, bytes, pattern) => {
    const { code, message } = refusal(() => decodePicture(bytes(), 'x'))
    expect(code).toMatch(/^TL_(BAD_FILE|UNSUPPORTED)$/)
    expect(message).toMatch(pattern)
  })

  it('a JPEG of 50,000 × 50,000', () => {
    const bytes = file('baseline.jpg')
    const at = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0)
    new DataView(bytes.buffer).setUint32(at + 5, (50_000 << 16) | 50_000)
    expect(refusal(() => decodePicture(bytes, 'x')).message).toMatch(/50000 × 50000 pixels/)
  })

  it('takes limits', () => {
    expect(refusal(() => decodePicture(png(), 'x', { maxPixels: 98 })).message).toMatch(/11 × 9/)
    expect(decodePicture(png(), 'x', { maxPixels: 99 }).width).toBe(11)
  })

  it.each([
    'baseline.jpg',
    'progressive.jpg',
    'restarts.jpg',
    'palette-transparent.png',
    'interlaced.png',
    'orientation.png',
  ])('damage of %s is read or refused in one line', (name) => {
    const whole = file(name)
    const change = fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.nat(whole.length), (changes, end) => {
        const bytes = whole.slice(0, end < whole.length / 8 ? end * 8 : whole.length)
        for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value
        let picture: ReturnType<typeof decodePicture> | undefined
        try {
          picture = decodePicture(bytes, 'x', { maxPixels: 100_000 })
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^TL_(BAD_FILE|UNSUPPORTED)$/)
          expect((error as Error).message).not.toMatch(/[\r\n]/)
        }
        if (picture) expect(picture.data.length).toBe(picture.height * picture.width * picture.channels)
      }),
      { numRuns: 60 },
    )
  })
})
