/** @file A page in the making: its operators and what they refer to. */
import { num } from './path.ts'
import type { Style } from './style.ts'
import type { Face } from './trueType.ts'

/** A page as it is drawn: its operators, and what they refer to. */
export interface Drawing {
  readonly out: string[]
  /** Glyphs of each face that are shown, each with the text it stands for. */
  readonly faces: Map<Face, Map<number, string>>
  /** Opacities of what is filled and of what is stroked. */
  readonly opacities: string[]
  /** PNG files. */
  readonly images: Buffer[]
}

/** Number of a value in a list that grows. */
const numberIn = (list: string[], value: string): number => {
  if (!list.includes(value)) list.push(value)
  return list.indexOf(value)
}

/** Operators that set how the next shape is painted. */
export function paintOperators({ opacities }: Drawing, style: Style): string {
  const { fill, stroke, opacity, fillOpacity, strokeOpacity, dashes } = style
  const pair = `${num(opacity * fillOpacity)} ${num(opacity * strokeOpacity)}`
  const set = [`/G${numberIn(opacities, pair)} gs`]
  if (fill) set.push(`${fill.map(num).join(' ')} rg`)
  if (stroke)
    set.push(
      `${stroke.map(num).join(' ')} RG ${num(style.strokeWidth)} w ${style.cap} J ${style.join} j ` +
        `${num(style.miterLimit)} M [${dashes.map(num).join(' ')}] 0 d`,
    )
  return set.join(' ')
}

/** Whether what is stroked is seen. */
export const isStroked = ({ stroke, strokeWidth }: Style): boolean => stroke !== null && strokeWidth > 0
