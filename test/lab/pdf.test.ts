/** @file Figures as PDF: one page as large as the figure, words as text, shapes as paths, the rest as pixels. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fontFile } from '../../src/lab/figures/index.ts'
import { textWidth } from '../../src/lab/figures/letters.ts'
import { barChart, encodePng, pngDataUri, posterSvg } from '../../src/lab/index.ts'
import { svgToPdf } from '../../src/lab/pdf/index.ts'
import { faceOf } from '../../src/lab/pdf/trueType.ts'
import { readPdf, streamOf } from './pdfText.ts'

const svgOf = (inside: string, more = ''): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100" viewBox="0 0 200 100" ${more}>${inside}</svg>`
const read = (inside: string, more = '') => readPdf(svgToPdf(svgOf(inside, more)))
const text = { name: 'x', title: 'A <title> & P*', caption: 'What m^L shows.' }

describe('a poster', () => {
  const figure = barChart({ ...text, xLabel: 'n', bars: [{ label: 'a', value: 1 }] })
  const svg = posterSvg(figure, 'toy · steps 20')

  it('is one page of its size, with its title, and the same bytes twice', () => {
    const [, width, height] = svg.match(/width="(\d+)" height="(\d+)"/)!.map(Number)
    const pdf = readPdf(svgToPdf(svg))
    expect(pdf.pages).toBe(1)
    // 96 pixels are an inch, and so are 72 points
    expect(pdf.mediaBox).toEqual([0, 0, (width! * 72) / 96, (height! * 72) / 96])
    expect(pdf.title).toBe('A <title> & P*')
    expect(svgToPdf(svg)).toEqual(svgToPdf(svg))
  })

  it('has its words as text, variables in italics', () => {
    const pdf = readPdf(svgToPdf(svg))
    expect(pdf.text.join('')).toContain('A <title> & P*')
    expect(pdf.text.join('')).toContain('What mL shows.')
    expect(pdf.text).toEqual(expect.arrayContaining(['m', 'L', 'toy · steps 20']))
    expect(pdf.content).toMatch(/\/Inter-SemiBoldItalic 17 Tf/)
    expect(pdf.content).toMatch(/\/Inter-Italic 12 Tf/)
  })
})

describe('text', () => {
  it('ends, or has its middle, where its anchor is; parts go on where the last one ends', () => {
    const places = (anchor: string): number[] =>
      [
        ...read(
          `<text x="100" y="20" font-size="20" text-anchor="${anchor}">ab <tspan dy="-0.5em" font-size="0.5em">c</tspan></text>`,
        ).content.matchAll(/1 0 0 -1 (\S+) (\S+) Tm/g),
      ].flatMap(([, x, y]) => [Number(x), Number(y)])
    const [first, second] = [textWidth('ab ', 20), textWidth('c', 10)]
    for (const [anchor, part] of [
      ['start', 0],
      ['middle', 0.5],
      ['end', 1],
    ] as const) {
      const from = 100 - part * (first + second)
      const [x, y, nextX, nextY] = places(anchor)
      expect(x).toBeCloseTo(from, 2)
      expect(nextX).toBeCloseTo(from + first, 2)
      expect([y, nextY]).toEqual([20, 15])
    }
  })

  it('with a rim below its letters is read once', () => {
    const rim = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
    const { text: words, content } = read(`<text ${rim}>once</text>`)
    expect(words).toEqual(['once'])
    expect([...content.matchAll(/BT (\d) Tr/g)].map(([, mode]) => mode)).toEqual(['1', '0'])
  })

  it('has its marks above its letters, and goes on after the letter', () => {
    const { text: words, content } = read('<text font-size="10">x̂N̄x</text>')
    expect(words.join('')).toBe('x̂N̄x')
    const places = [...content.matchAll(/1 0 0 -1 (\S+) (\S+) Tm/g)].map((place) =>
      place.slice(1).map(Number),
    )
    const [, hat, , bar, last] = places as [number[], number[], number[], number[], number[]]
    expect(last[0]).toBeCloseTo(textWidth('xN', 10), 2)
    // a capital is taller than an x
    expect([hat[1], last[1]]).toEqual([0, 0])
    expect(bar[1]).toBeLessThan(-1)
  })

  it('leaves out what Inter lacks', () => {
    expect(read('<text>a漢b</text>').text).toEqual(['ab'])
  })
})

describe('shapes', () => {
  it('are paths with their paint, in groups that move them', () => {
    const { content } = read(
      '<g transform="translate(3,4)" fill="#ff0000" stroke="#00f" style="stroke-width:2px">' +
        '<path d="M1,2h3v4l-1-1L0,0ZM.5-.5" fill-opacity="0.5"/><line x1="1" x2="2" stroke-dasharray="5 4"/></g>',
    )
    expect(content).toContain('1 0 0 1 3 4 cm')
    expect(content).toContain('1 0 0 rg')
    expect(content).toContain('0 0 1 RG 2 w 0 J 0 j 4 M [] 0 d')
    expect(content).toContain('1 2 m\n4 2 l\n4 6 l\n3 5 l\n0 0 l\nh\n0.5 -0.5 m\nB')
    expect(content).toMatch(/\[5 4\] 0 d\n1 0 m\n2 0 l\nS/)
  })

  it('are cut where a clip path cuts them', () => {
    const { content } = read(
      '<clipPath id="c"><rect x="1" y="2" width="3" height="4"/></clipPath><circle r="9" clip-path="url(#c)"/>',
    )
    expect(content).toMatch(/q\n1 2 3 4 re\nW n\n[\s\S]*\nf\nQ/)
  })

  it('of a size in per cent, or inside a document that is scaled', () => {
    expect(read('<rect width="100%" height="50%"/>').content).toContain('0 0 200 50 re')
    const inner =
      '<svg x="5" y="6" width="20" height="20" viewBox="0 0 10 10"><rect width="10" height="10"/></svg>'
    expect(read(inner).content).toContain('2 0 0 2 5 6 cm\n')
  })
})

describe('pictures', () => {
  it('keep every pixel', () => {
    const pixels = [1, 2, 3, 200, 100, 50]
    const image = { width: 1, height: 2, channels: 3, pixels } as const
    const { objects } = read(`<image width="1" height="2" href="${pngDataUri(encodePng(image))}"/>`)
    const images = [...objects.values()].filter((body) => body.includes('/Subtype /Image'))
    expect(images.map((body) => [...streamOf(body)])).toEqual([pixels])
  })

  it.each([
    ['a gradient', '<linearGradient id="g"/><rect width="9" height="9" fill="url(#g)"/>'],
    ['an arc', '<path d="M0,0A5,5,0,0,1,9,9"/>'],
    ['a style sheet', '<style>text{fill:red}</style><text>a</text>'],
    ['a filter', '<g filter="url(#f)"><text>a</text></g>'],
    ['a colour by a name', '<rect width="9" height="9" fill="rebeccapurple"/>'],
  ])('stand for %s, on a page of the same size', (_, inside) => {
    const pdf = read(inside)
    expect(pdf.mediaBox).toEqual([0, 0, 150, 75])
    expect(pdf.text).toEqual([])
    expect([...pdf.objects.values()].some((body) => body.includes('/Width 400 /Height 200'))).toBe(true)
  })
})

describe('a face', () => {
  const outlines = (font: Buffer) => {
    const tables = new Map<string, Buffer>()
    for (let i = 0; i < font.readUInt16BE(4); i++) {
      const at = 12 + 16 * i
      const from = font.readUInt32BE(at + 8)
      tables.set(font.toString('latin1', at, at + 4), font.subarray(from, from + font.readUInt32BE(at + 12)))
    }
    const [loca, glyf] = [tables.get('loca')!, tables.get('glyf')!]
    const isLong = tables.get('head')!.readInt16BE(50) === 1
    const start = (glyph: number): number =>
      isLong ? loca.readUInt32BE(4 * glyph) : 2 * loca.readUInt16BE(2 * glyph)
    return (glyph: number): Buffer => glyf.subarray(start(glyph), start(glyph + 1))
  }

  it('is as wide as the table says that figures are laid out with', () => {
    const face = faceOf('Inter-Regular')
    for (let code = 32; code < 127; code++) {
      const letter = String.fromCharCode(code)
      // a letter alone is a variable: its width is the same in the table
      expect([letter, face.advance(face.glyphOf(code))]).toEqual([
        letter,
        Math.round(textWidth(letter, 1000)),
      ])
    }
  })

  it.each(['Inter-SemiBold', 'Inter-Italic', 'Inter-SemiBoldItalic'] as const)(
    '%s has the characters of Inter-Regular',
    (name) => {
      const [regular, face] = [faceOf('Inter-Regular'), faceOf(name)]
      const codes = Array.from({ length: 0xffff }, (_, code) => code)
      const held = codes.filter((code) => regular.glyphOf(code) > 0)
      expect(held.length).toBeGreaterThan(500)
      expect(codes.filter((code) => face.glyphOf(code) > 0)).toEqual(held)
    },
  )

  it('in part holds the outlines that were asked for, with their parts, and no others', () => {
    const face = faceOf('Inter-Regular')
    const whole = outlines(readFileSync(fontFile('Inter-Regular')))
    const [plain, composite] = ['s', 'é'].map((letter) => face.glyphOf(letter.codePointAt(0)!)) as [
      ...[number, number],
    ]
    expect(whole(composite).readInt16BE(0)).toBe(-1)
    const parts = [whole(composite).readUInt16BE(12)]
    const some = outlines(Buffer.from(face.subset([plain, composite])))
    for (const glyph of [0, plain, composite, ...parts]) expect(some(glyph)).toEqual(whole(glyph))
    expect(some(face.glyphOf('t'.codePointAt(0)!))).toHaveLength(0)
  })
})
