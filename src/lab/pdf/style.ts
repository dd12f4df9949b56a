/** @file How an SVG element is painted and set: its own attributes and what it inherits. */
import { Undrawn } from './undrawn.ts'

/** Red, green, blue from 0 to 1; null: not painted. */
type Paint = readonly [number, number, number] | null

/** What a drawing asks of an element's style. */
export interface Style {
  readonly color: Paint
  readonly fill: Paint
  readonly stroke: Paint
  readonly fillOpacity: number
  readonly strokeOpacity: number
  /** Of the element and all around it. */
  readonly opacity: number
  readonly strokeWidth: number
  readonly dashes: readonly number[]
  /** As PDF numbers them: butt, round, square. */
  readonly cap: number
  /** As PDF numbers them: miter, round, bevel. */
  readonly join: number
  readonly miterLimit: number
  readonly evenOdd: boolean
  readonly strokeFirst: boolean
  /** Pixels. */
  readonly fontSize: number
  readonly bold: boolean
  readonly italic: boolean
  readonly anchor: string
  readonly hidden: boolean
}

/** The style around a document. */
export const initialStyle: Style = {
  color: [0, 0, 0],
  fill: [0, 0, 0],
  stroke: null,
  fillOpacity: 1,
  strokeOpacity: 1,
  opacity: 1,
  strokeWidth: 1,
  dashes: [],
  cap: 0,
  join: 0,
  miterLimit: 4,
  evenOdd: false,
  strokeFirst: false,
  fontSize: 16,
  bold: false,
  italic: false,
  anchor: 'start',
  hidden: false,
}

const named: Readonly<Record<string, Paint>> = {
  none: null,
  transparent: null,
  black: [0, 0, 0],
  white: [1, 1, 1],
}

function paintOf(text: string, current: Paint): Paint {
  if (text === 'currentColor') return current
  const name = named[text]
  if (name !== undefined) return name
  const [, short, long] = /^#(?:([0-9a-f]{3})|([0-9a-f]{6}))$/i.exec(text) ?? []
  const digits = short ? [...short].map((digit) => digit + digit) : long?.match(/../g)
  if (!digits) throw new Undrawn(`the colour ${text}`)
  return digits.map((pair) => Number.parseInt(pair, 16) / 255) as [number, number, number]
}

/** A length in pixels; `em` is the size of the text, and what a percentage is of. */
export function lengthOf(text: string, em = 16, whole = em): number {
  const [, value, unit] = /^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(px|em|%)?\s*$/i.exec(text) ?? []
  if (value === undefined) throw new Undrawn(`the length ${text}`)
  if (unit === 'em') return Number(value) * em
  return unit === '%' ? (Number(value) / 100) * whole : Number(value)
}

const placeIn = (values: readonly string[], text: string): number => Math.max(0, values.indexOf(text))

type Rule = (text: string, around: Style) => Partial<Style>

const rules: Readonly<Record<string, Rule>> = {
  color: (text, around) => ({ color: paintOf(text, around.color) }),
  fill: (text, around) => ({ fill: paintOf(text, around.color) }),
  stroke: (text, around) => ({ stroke: paintOf(text, around.color) }),
  'fill-opacity': (text) => ({ fillOpacity: lengthOf(text, 1) }),
  'stroke-opacity': (text) => ({ strokeOpacity: lengthOf(text, 1) }),
  opacity: (text, around) => ({ opacity: around.opacity * lengthOf(text, 1) }),
  'stroke-width': (text, { fontSize }) => ({ strokeWidth: lengthOf(text, fontSize) }),
  'stroke-dasharray': (text) => ({
    dashes: text === 'none' ? [] : text.split(/[\s,]+/).map((one) => lengthOf(one)),
  }),
  'stroke-linecap': (text) => ({ cap: placeIn(['butt', 'round', 'square'], text) }),
  'stroke-linejoin': (text) => ({ join: placeIn(['miter', 'round', 'bevel'], text) }),
  'stroke-miterlimit': (text) => ({ miterLimit: Number(text) }),
  'fill-rule': (text) => ({ evenOdd: text === 'evenodd' }),
  'paint-order': (text) => ({ strokeFirst: /^\s*stroke/.test(text) }),
  'font-size': (text, { fontSize }) => ({ fontSize: lengthOf(text, fontSize) }),
  'font-weight': (text) => ({ bold: text === 'bold' || Number(text) >= 600 }),
  'font-style': (text) => ({ italic: text !== 'normal' }),
  'text-anchor': (text) => ({ anchor: text }),
  visibility: (text) => ({ hidden: text !== 'visible' }),
}

/** What changes the picture and is not drawn: rather pixels than a picture without it. */
const refused =
  /^(?:filter|mask|marker(?:-.*)?|textLength|letter-spacing|word-spacing|dominant-baseline|baseline-shift|writing-mode|rotate|mix-blend-mode)$/

/** The style of an element within another. Throws `Undrawn` of properties that are not known to the drawing. */
export function styleOf(element: Element, around: Style): Style {
  const style = element.getAttribute('style') ?? ''
  const given = [
    ...[...element.attributes].map(({ name, value }) => [name, value] as const),
    ...style.split(';').flatMap((declaration) => {
      const at = declaration.indexOf(':')
      return at < 0 ? [] : [[declaration.slice(0, at).trim(), declaration.slice(at + 1).trim()] as const]
    }),
  ]
  // `currentColor` is the colour that the element itself sets, and a width in em is of its own size
  const order = (name: string): number => placeIn(['', 'font-size', 'color'], name) * -1
  let own: Style = around
  for (const [name, value] of given.toSorted(([a], [b]) => order(a) - order(b))) {
    if (refused.test(name) && value !== 'none' && value !== 'auto') throw new Undrawn(`the property ${name}`)
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (rule && value !== 'inherit') own = { ...own, ...rule(value, name === 'font-size' ? around : own) }
  }
  return own
}
