/** @file A small reader of PDF files, for tests: objects by their offsets, streams, the text in the order in which it is shown. */
import { inflateSync } from 'node:zlib'

/** What a test asks of a file. */
export interface PdfRead {
  readonly pages: number
  /** Points. */
  readonly mediaBox: readonly number[]
  readonly title: string
  /** The page's operators. */
  readonly content: string
  /** Text by text, as a reader copies it: what stands for nothing (`ActualText`) is left out. */
  readonly text: readonly string[]
  /** Bodies of objects by number. */
  readonly objects: ReadonlyMap<number, Buffer>
}

const fromUtf16 = (hex: string): string => Buffer.from(hex, 'hex').swap16().toString('utf16le')

/** Bytes of the stream of an object. */
export function streamOf(body: Buffer): Buffer {
  const from = body.indexOf('stream\n') + 'stream\n'.length
  const length = Number(/\/Length (\d+)/.exec(body.toString('latin1'))![1])
  return inflateSync(body.subarray(from, from + length))
}

/** Read a file. Every object is looked up where the table of offsets says it is. Throws where one is not there. */
export function readPdf(bytes: Uint8Array): PdfRead {
  const file = Buffer.from(bytes)
  const latin = file.toString('latin1')
  if (!latin.startsWith('%PDF-1.') || !latin.endsWith('%%EOF\n')) throw new Error('no PDF file')
  const table = latin.slice(Number(/startxref\n(\d+)\n/.exec(latin)![1]))
  if (!table.startsWith('xref\n0 ')) throw new Error('no table of offsets')
  const objects = new Map<number, Buffer>()
  for (const [i, [, place]] of [...table.matchAll(/(\d{10}) 00000 n \n/g)].entries()) {
    const head = `${i + 1} 0 obj\n`
    const from = Number(place)
    if (latin.slice(from, from + head.length) !== head) throw new Error(`object ${i + 1} is not at ${from}`)
    objects.set(i + 1, file.subarray(from + head.length, file.indexOf('\nendobj', from)))
  }
  const follow = (text: string, name: string): Buffer =>
    objects.get(Number(new RegExp(`/${name} \\[?(\\d+) 0 R`).exec(text)![1]))!
  const root = follow(table, 'Root').toString('latin1')
  const pages = follow(root, 'Pages').toString('latin1')
  const page = follow(pages, 'Kids').toString('latin1')
  const content = streamOf(follow(page, 'Contents')).toString('latin1')
  const letters = new Map<string, Map<string, string>>()
  for (const [, name, number] of page.matchAll(/\/(Inter-\w+) (\d+) 0 R/g)) {
    const map = streamOf(follow(objects.get(Number(number))!.toString('latin1'), 'ToUnicode')).toString(
      'latin1',
    )
    letters.set(
      name!,
      new Map([...map.matchAll(/<(\w{4})> <(\w+)>\n/g)].map(([, glyph, text]) => [glyph!, fromUtf16(text!)])),
    )
  }
  const shown = content.replace(/\/Span <<\/ActualText \(\)>> BDC[\s\S]*?EMC/g, '')
  return {
    pages: Number(/\/Count (\d+)/.exec(pages)![1]),
    mediaBox: /\/MediaBox \[([^\]]*)\]/.exec(page)![1]!.split(' ').map(Number),
    title: fromUtf16(/\/Title <feff(\w*)>/.exec(follow(table, 'Info').toString('latin1'))![1]!),
    content,
    text: [...shown.matchAll(/\/(Inter-\w+) \S+ Tf [^<]*<(\w*)> Tj/g)].map(([, face, hex]) =>
      (hex!.match(/.{4}/g) ?? []).map((glyph) => letters.get(face!)!.get(glyph)!).join(''),
    ),
    objects,
  }
}
