/**
 * @file TrueType faces: which glyph shows a character, how wide it is, and the face with some of its glyphs alone, to be embedded.
 * Kerning and ligatures are left out. (OpenType specification 1.9: `cmap` format 4, `glyf`, `loca`, `hmtx`)
 */
import { readFileSync } from 'node:fs'
import { type FaceName, fontFile } from '../figures/index.ts'

/** A face. Lengths are thousandths of the size of the text, as PDF has them. */
export interface Face {
  readonly name: FaceName
  readonly ascent: number
  readonly descent: number
  /** x and y of the lower left and of the upper right corner of a box around all glyphs. */
  readonly box: readonly [number, number, number, number]
  /** The glyph of a code point, or 0 where the face has none. */
  readonly glyphOf: (codePoint: number) => number
  readonly advance: (glyph: number) => number
  /** The middle of an outline, from left to right, and its top; 0 and 0 of an empty one. */
  readonly summit: (glyph: number) => readonly [x: number, y: number]
  /** How far what stands upright in other faces leans to the right, over its height. */
  readonly lean: number
  /** The face with these glyphs and the parts they are made of. Glyphs keep their numbers. */
  readonly subset: (glyphs: Iterable<number>) => Uint8Array
}

type Tables = ReadonlyMap<string, Buffer>

function tablesOf(file: Buffer): Tables {
  const tables = new Map<string, Buffer>()
  for (let i = 0; i < file.readUInt16BE(4); i++) {
    const entry = 12 + 16 * i
    const from = file.readUInt32BE(entry + 8)
    tables.set(
      file.toString('latin1', entry, entry + 4),
      file.subarray(from, from + file.readUInt32BE(entry + 12)),
    )
  }
  return tables
}

/** Glyphs by code point, of the subtable of format 4 (the basic multilingual plane). */
function charactersOf(cmap: Buffer): Map<number, number> {
  const glyphs = new Map<number, number>()
  for (let i = 0; i < cmap.readUInt16BE(2); i++) {
    const table = cmap.subarray(cmap.readUInt32BE(8 + 8 * i))
    if (table.readUInt16BE(0) !== 4) continue
    const size = table.readUInt16BE(6)
    for (let at = 0; at < size; at += 2) {
      const end = table.readUInt16BE(14 + at)
      const start = table.readUInt16BE(16 + size + at)
      const delta = table.readUInt16BE(16 + 2 * size + at)
      const range = 16 + 3 * size + at
      const offset = table.readUInt16BE(range)
      for (let code = start; code <= end && code < 0xffff; code++) {
        const listed = offset === 0 ? code : table.readUInt16BE(range + offset + 2 * (code - start))
        if (listed !== 0) glyphs.set(code, (listed + delta) & 0xffff)
      }
    }
    return glyphs
  }
  return glyphs
}

/** Flags of a part of a composite glyph. */
const part = { words: 1, scale: 8, more: 0x20, twoScales: 0x40, matrix: 0x80 }

/** Glyphs that a glyph is made of. */
function partsOf(glyph: Buffer): number[] {
  const parts: number[] = []
  if (glyph.length === 0 || glyph.readInt16BE(0) >= 0) return parts
  for (let at = 10, flags = part.more; flags & part.more; ) {
    flags = glyph.readUInt16BE(at)
    parts.push(glyph.readUInt16BE(at + 2))
    at += 4 + (flags & part.words ? 4 : 2)
    if (flags & part.scale) at += 2
    else if (flags & part.twoScales) at += 4
    else if (flags & part.matrix) at += 8
  }
  return parts
}

/** A font file of tables. */
function fontOf(tables: readonly (readonly [tag: string, table: Buffer])[]): Uint8Array {
  const padded = (length: number): number => (length + 3) & ~3
  const head = Buffer.alloc(12 + 16 * tables.length)
  const power = Math.floor(Math.log2(tables.length))
  head.writeUInt32BE(0x00010000, 0)
  head.writeUInt16BE(tables.length, 4)
  head.writeUInt16BE(16 << power, 6)
  head.writeUInt16BE(power, 8)
  head.writeUInt16BE(16 * tables.length - (16 << power), 10)
  const bodies: Buffer[] = []
  let from = head.length
  for (const [i, [tag, table]] of tables.entries()) {
    const body = Buffer.alloc(padded(table.length))
    table.copy(body)
    let sum = 0
    for (let at = 0; at < body.length; at += 4) sum = (sum + body.readUInt32BE(at)) >>> 0
    head.write(tag, 12 + 16 * i, 'latin1')
    for (const [place, value] of [sum, from, table.length].entries())
      head.writeUInt32BE(value, 16 + 16 * i + 4 * place)
    bodies.push(body)
    from += body.length
  }
  return Buffer.concat([head, ...bodies])
}

function readFace(name: FaceName): Face {
  const tables = tablesOf(readFileSync(fontFile(name)))
  const table = (tag: string): Buffer => tables.get(tag)!
  const [head, hhea, hmtx, loca, glyf] = ['head', 'hhea', 'hmtx', 'loca', 'glyf'].map(table) as [
    ...[Buffer, Buffer, Buffer, Buffer, Buffer],
  ]
  const count = table('maxp').readUInt16BE(4)
  const isLong = head.readInt16BE(50) === 1
  const startOf = (glyph: number): number =>
    isLong ? loca.readUInt32BE(4 * glyph) : 2 * loca.readUInt16BE(2 * glyph)
  const outline = (glyph: number): Buffer => glyf.subarray(startOf(glyph), startOf(glyph + 1))
  const thousandths = (units: number): number => Math.round((1000 * units) / head.readUInt16BE(18))
  const widths = hhea.readUInt16BE(34)
  const characters = charactersOf(table('cmap'))

  const subset = (glyphs: Iterable<number>): Uint8Array => {
    const kept = new Set([0, ...glyphs])
    // a set that grows while it is walked: parts of parts are found, too
    for (const glyph of kept) for (const one of partsOf(outline(glyph))) kept.add(one)
    const outlines: Buffer[] = []
    const places = Buffer.alloc(4 * (count + 1))
    const metrics = Buffer.from(hmtx)
    let length = 0
    for (let glyph = 0; glyph < count; glyph++) {
      places.writeUInt32BE(length, 4 * glyph)
      if (!kept.has(glyph)) {
        if (glyph < widths) metrics.fill(0, 4 * glyph, 4 * glyph + 4)
        continue
      }
      outlines.push(outline(glyph))
      length += outline(glyph).length
    }
    places.writeUInt32BE(length, 4 * count)
    const long = Buffer.from(head)
    long.writeInt16BE(1, 50)
    const changed = new Map<string, Buffer>([
      ['head', long],
      ['hmtx', metrics],
      ['loca', places],
      ['glyf', Buffer.concat(outlines)],
    ])
    const wanted = ['cvt ', 'fpgm', 'glyf', 'head', 'hhea', 'hmtx', 'loca', 'maxp', 'prep']
    return fontOf(
      wanted.flatMap((tag) => {
        const own = changed.get(tag) ?? tables.get(tag)
        return own ? [[tag, own] as const] : []
      }),
    )
  }

  return {
    name,
    ascent: thousandths(hhea.readInt16BE(4)),
    descent: thousandths(hhea.readInt16BE(6)),
    box: [36, 38, 40, 42].map((at) => thousandths(head.readInt16BE(at))) as [number, number, number, number],
    glyphOf: (codePoint) => characters.get(codePoint) ?? 0,
    lean: Math.tan((-table('post').readInt32BE(4) / 65536) * (Math.PI / 180)),
    summit: (glyph) => {
      const shape = outline(glyph)
      if (shape.length === 0) return [0, 0]
      return [
        thousandths((shape.readInt16BE(2) + shape.readInt16BE(6)) / 2),
        thousandths(shape.readInt16BE(8)),
      ]
    },
    advance: (glyph) => thousandths(hmtx.readUInt16BE(4 * Math.min(glyph, widths - 1))),
    subset,
  }
}

const read = new Map<FaceName, Face>()

/** A face that Treeline ships. It is read once. */
export function faceOf(name: FaceName): Face {
  const face = read.get(name) ?? readFace(name)
  read.set(name, face)
  return face
}
