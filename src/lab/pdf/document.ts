/** @file A PDF file of one page: objects, streams, fonts, images. (ISO 32000-1) */
import { deflateSync } from 'node:zlib'
import { PNG } from 'pngjs'
import type { Drawing } from './page.ts'
import { num } from './path.ts'
import type { Face } from './trueType.ts'

/** Objects of a file in the making, by their numbers from 1 on. */
class Objects {
  readonly #bodies: Buffer[] = []

  get size(): number {
    return this.#bodies.length
  }

  /** Add an object. Its reference. */
  add(body: string | Buffer): string {
    this.#bodies.push(Buffer.from(body))
    return `${this.#bodies.length} 0 R`
  }

  /** Add a compressed stream. */
  stream(content: string | Uint8Array, entries = ''): string {
    const bytes = deflateSync(content, { level: 9 })
    const head = `<< ${entries} /Filter /FlateDecode /Length ${bytes.length} >>\nstream\n`
    return this.add(Buffer.concat([Buffer.from(head), bytes, Buffer.from('\nendstream')]))
  }

  /** The file, of the references of its catalogue and of what is said about it. */
  file(root: string, info: string): Buffer {
    const parts = [Buffer.from('%PDF-1.5\n%\xe2\xe3\xcf\xd3\n', 'latin1')]
    let length = parts[0]!.length
    const places: number[] = []
    for (const [i, body] of this.#bodies.entries()) {
      const part = Buffer.concat([Buffer.from(`${i + 1} 0 obj\n`), body, Buffer.from('\nendobj\n')])
      places.push(length)
      parts.push(part)
      length += part.length
    }
    const lines = places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`).join('')
    const size = places.length + 1
    parts.push(
      Buffer.from(
        `xref\n0 ${size}\n0000000000 65535 f \n${lines}trailer\n<< /Size ${size} /Root ${root} /Info ${info} >>\n` +
          `startxref\n${length}\n%%EOF\n`,
      ),
    )
    return Buffer.concat(parts)
  }
}

const utf16 = (text: string): string => Buffer.from(text, 'utf16le').swap16().toString('hex')

/** At most so many characters may be listed together. */
const mostListed = 100

/** Which text each glyph stands for: what is copied from the page. */
function characterMap(glyphs: ReadonlyMap<number, string>): string {
  const lines = [...glyphs].map(
    ([glyph, text]) => `<${glyph.toString(16).padStart(4, '0')}> <${utf16(text)}>\n`,
  )
  const lists: string[] = []
  for (let at = 0; at < lines.length; at += mostListed) {
    const some = lines.slice(at, at + mostListed)
    lists.push(`${some.length} beginbfchar\n${some.join('')}endbfchar\n`)
  }
  return (
    '/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n' +
    '/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n' +
    '/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n' +
    `1 begincodespacerange <0000> <ffff> endcodespacerange\n${lists.join('')}` +
    'endcmap CMapName currentdict /CMap defineresource pop end end'
  )
}

/** Embed what is used of a face. */
function addFace(objects: Objects, face: Face, glyphs: ReadonlyMap<number, string>): string {
  const used = [...glyphs.keys()].toSorted((a, b) => a - b)
  const bytes = face.subset(used)
  const file = objects.stream(bytes, `/Length1 ${bytes.length}`)
  // a tag of six letters says that this is part of a face
  const name = `TREELI+${face.name}`
  const slant = face.name.endsWith('Italic') ? { angle: -9.4, flags: 68 } : { angle: 0, flags: 4 }
  const descriptor = objects.add(
    `<< /Type /FontDescriptor /FontName /${name} /Flags ${slant.flags} /FontBBox [${face.box.join(' ')}] ` +
      `/ItalicAngle ${slant.angle} /Ascent ${face.ascent} /Descent ${face.descent} /CapHeight 727 /StemV 80 /FontFile2 ${file} >>`,
  )
  const widths = used.map((glyph) => `${glyph} [${face.advance(glyph)}]`).join(' ')
  const descendant = objects.add(
    `<< /Type /Font /Subtype /CIDFontType2 /BaseFont /${name} /CIDToGIDMap /Identity /W [${widths}] ` +
      `/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor ${descriptor} >>`,
  )
  return objects.add(
    `<< /Type /Font /Subtype /Type0 /BaseFont /${name} /Encoding /Identity-H ` +
      `/DescendantFonts [${descendant}] /ToUnicode ${objects.stream(characterMap(glyphs))} >>`,
  )
}

/** Embed the pixels of a PNG, and apart from them what shows through. */
function addImage(objects: Objects, file: Buffer): string {
  const { width, height, data } = PNG.sync.read(file)
  const head = `/Type /XObject /Subtype /Image /Width ${width} /Height ${height} /BitsPerComponent 8`
  const [colours, alpha] = [Buffer.alloc(3 * width * height), Buffer.alloc(width * height)]
  for (let i = 0; i < width * height; i++) {
    data.copy(colours, 3 * i, 4 * i, 4 * i + 3)
    alpha[i] = data[4 * i + 3]!
  }
  const mask = alpha.every((value) => value === 255)
    ? ''
    : ` /SMask ${objects.stream(alpha, `${head} /ColorSpace /DeviceGray`)}`
  return objects.stream(colours, `${head} /ColorSpace /DeviceRGB${mask}`)
}

/** PDF knows points, 72 in an inch; SVG pixels, 96. */
const points = 0.75

/** The file of a drawing of so many pixels. It holds no date: the same drawing gives the same bytes. */
export function pdfFile(drawing: Drawing, width: number, height: number, title: string): Uint8Array {
  const objects = new Objects()
  const fonts = [...drawing.faces].filter(([, glyphs]) => glyphs.size > 0)
  const resources = [
    ['Font', fonts.map(([face, glyphs]) => `/${face.name} ${addFace(objects, face, glyphs)}`)],
    [
      'ExtGState',
      drawing.opacities.map((pair, i) => {
        const [fill, stroke] = pair.split(' ')
        return `/G${i} << /ca ${fill} /CA ${stroke} >>`
      }),
    ],
    ['XObject', drawing.images.map((image, i) => `/I${i} ${addImage(objects, image)}`)],
  ] as const
  const [w, h] = [num(points * width), num(points * height)]
  const content = objects.stream([`${points} 0 0 -${points} 0 ${h} cm`, ...drawing.out].join('\n'))
  const entries = resources.map(([name, list]) => `/${name} << ${list.join(' ')} >>`).join(' ')
  // the page and the list of pages name each other: the list comes right after the page
  const page = objects.add(
    `<< /Type /Page /Parent ${objects.size + 2} 0 R /MediaBox [0 0 ${w} ${h}] /Contents ${content} ` +
      `/Resources << ${entries} >> /Group << /S /Transparency /CS /DeviceRGB >> >>`,
  )
  const pages = objects.add(`<< /Type /Pages /Kids [${page}] /Count 1 >>`)
  const root = objects.add(
    `<< /Type /Catalog /Pages ${pages} /Lang (en) /ViewerPreferences << /DisplayDocTitle true >> >>`,
  )
  return objects.file(root, objects.add(`<< /Title <feff${utf16(title)}> /Producer (Treeline) >>`))
}
