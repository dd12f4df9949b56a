/** @file The fonts of figures that leave the browser: the faces of Inter that Treeline ships. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fail } from '../../base/index.ts'

/** A face, by its name in PostScript. */
export type FaceName = 'Inter-Regular' | 'Inter-SemiBold' | 'Inter-Italic' | 'Inter-SemiBoldItalic'

/** Path of a face. Throws TL_IO where it is not: a figure would be drawn without a word. */
export function fontFile(name: FaceName): string {
  const path = fileURLToPath(new URL(`../../../assets/fonts/${name}.ttf`, import.meta.url))
  if (!existsSync(path))
    fail('TL_IO', `cannot read ${path}, a font of the figures: install treeline again, whole`)
  return path
}

/** Paths of all faces. */
export const fontFiles = (): string[] =>
  (['Inter-Regular', 'Inter-SemiBold', 'Inter-Italic', 'Inter-SemiBoldItalic'] as const).map(fontFile)
