/** @file Text of an SVG as text of a PDF, set in the faces of Inter: words stay words. */
import type { FaceName } from '../figures/index.ts'
import { type Drawing, isStroked, paintOperators } from './page.ts'
import { num } from './path.ts'
import { lengthOf, type Style, styleOf } from './style.ts'
import { type Face, faceOf } from './trueType.ts'
import { Undrawn } from './undrawn.ts'

/** Text that is set in one way. */
interface Run {
  readonly face: Face
  readonly glyphs: readonly number[]
  readonly style: Style
  /** Pixels. */
  readonly width: number
  /** Where the run begins, where it says so. */
  readonly x?: number
  readonly y?: number
  /** From where the run before ends. */
  readonly dx: number
  readonly dy: number
}

const faceName = ({ bold, italic }: Style): FaceName => {
  if (bold) return italic ? 'Inter-SemiBoldItalic' : 'Inter-SemiBold'
  return italic ? 'Inter-Italic' : 'Inter-Regular'
}

/** Place of the next run, until there is one. */
interface Place {
  x?: number
  y?: number
  dx: number
  dy: number
}

/** Marks are made for letters of this height: thousandths of the size of the text. */
const heightOfX = 546

/** From where a letter ends to where a mark above it begins, in thousandths of the size of the text. */
function overLetter(face: Face, letter: number, mark: number): { dx: number; dy: number } {
  const [middle, top] = face.summit(letter)
  const over = middle + (face.lean * top) / 2
  return { dx: over - face.summit(mark)[0] - face.advance(letter), dy: -Math.max(0, top - heightOfX) }
}

function runsOf(drawing: Drawing, element: Element, style: Style): Run[] {
  const runs: Run[] = []
  let place: Place = { dx: 0, dy: 0 }
  const walk = (parent: Element, own: Style): void => {
    const get = (name: string): number | undefined => {
      const value = parent.getAttribute(name)
      return value === null ? undefined : lengthOf(value, own.fontSize)
    }
    place = {
      x: get('x') ?? place.x,
      y: get('y') ?? place.y,
      dx: place.dx + (get('dx') ?? 0),
      dy: place.dy + (get('dy') ?? 0),
    }
    for (const child of parent.childNodes) {
      const node = child as Element
      if (child.nodeType === 3) put(child.textContent ?? '', own)
      else if (node.tagName === 'tspan') walk(node, styleOf(node, own))
      else if (node.tagName !== 'title') throw new Undrawn(`the element ${node.tagName} in a text`)
    }
  }
  const put = (written: string, own: Style): void => {
    const text = written.replace(/\s+/g, ' ')
    const face = faceOf(faceName(own))
    const used = drawing.faces.get(face) ?? new Map<number, string>()
    drawing.faces.set(face, used)
    const em = own.fontSize / 1000
    let glyphs: number[] = []
    const add = (more: readonly number[], width: number): void => {
      if (more.length === 0) return
      runs.push({ face, glyphs: more, style: own, width, ...place })
      place = { dx: 0, dy: 0 }
    }
    const end = (): void => {
      add(glyphs, em * glyphs.reduce((sum, glyph) => sum + face.advance(glyph), 0))
      glyphs = []
    }
    for (const character of runs.length === 0 ? text.trimStart() : text) {
      const glyph = face.glyphOf(character.codePointAt(0)!)
      // a character that Inter lacks is left out
      if (glyph === 0) continue
      if (!used.has(glyph)) used.set(glyph, character)
      const below = glyphs.at(-1)
      if (below === undefined || !/\p{M}/u.test(character)) {
        glyphs.push(glyph)
        continue
      }
      // a mark is a run of its own above the letter, and the text goes on where the letter ends
      end()
      const { dx, dy } = overLetter(face, below, glyph)
      place = { dx: em * dx, dy: em * dy }
      add([glyph], 0)
      place = { dx: -em * dx, dy: -em * dy }
    }
    end()
  }
  walk(element, style)
  return runs
}

/** Runs that share an anchor: those from one absolute place to the next. */
function chunksOf(runs: readonly Run[]): Run[][] {
  const chunks: Run[][] = []
  for (const run of runs) {
    if (run.x !== undefined || run.y !== undefined || chunks.length === 0) chunks.push([run])
    else chunks.at(-1)!.push(run)
  }
  return chunks
}

const before: Readonly<Record<string, number>> = { start: 0, middle: 0.5, end: 1 }

/** Draw a `text` element. */
export function drawText(drawing: Drawing, element: Element, style: Style): void {
  let [x, y] = [0, 0]
  for (const chunk of chunksOf(runsOf(drawing, element, style))) {
    const [first] = chunk as [Run]
    const width = chunk.reduce((sum, run, i) => sum + run.width + (i > 0 ? run.dx : 0), 0)
    x = (first.x ?? x) - width * (before[first.style.anchor] ?? 0)
    y = first.y ?? y
    for (const run of chunk) {
      x += run.dx
      y += run.dy
      if (!run.style.hidden) drawRun(drawing, run, x, y)
      x += run.width
    }
  }
}

function drawRun(drawing: Drawing, { face, glyphs, style }: Run, x: number, y: number): void {
  const hex = glyphs.map((glyph) => glyph.toString(16).padStart(4, '0')).join('')
  const paint = paintOperators(drawing, style)
  // the page's y axis points down: letters are turned back up
  const show = (mode: number): string =>
    `BT ${mode} Tr /${face.name} ${num(style.fontSize)} Tf 1 0 0 -1 ${num(x)} ${num(y)} Tm <${hex}> Tj ET`
  const strokes = isStroked(style)
  if (!strokes) drawing.out.push(paint, show(style.fill ? 0 : 3))
  else if (!style.strokeFirst) drawing.out.push(paint, show(style.fill ? 2 : 1))
  // the rim below the letters is no text of its own: who copies the words gets them once
  else drawing.out.push(paint, '/Span <</ActualText ()>> BDC', show(1), 'EMC', show(style.fill ? 0 : 3))
}
