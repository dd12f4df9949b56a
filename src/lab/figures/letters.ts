/** @file How wide a text is, from the advance widths of Inter, the letters of all figures. */
import { mathRuns, script } from './mathText.ts'

/** Thousandths of the size, of the characters from the space to `~`. */
const latin = [
  281, 288, 466, 633, 642, 982, 644, 300, 365, 365, 501, 662, 288, 460, 288, 360, 631, 407, 610, 618, 646,
  593, 620, 566, 619, 620, 288, 302, 662, 662, 662, 511, 966, 690, 654, 730, 722, 601, 590, 746, 743, 269,
  571, 672, 565, 903, 753, 765, 639, 765, 644, 642, 646, 744, 690, 985, 682, 679, 629, 365, 360, 365, 471,
  456, 323, 562, 612, 571, 612, 583, 370, 613, 591, 242, 242, 549, 242, 876, 591, 600, 612, 612, 376, 528,
  327, 591, 562, 818, 546, 562, 552, 426, 333, 426, 662,
] as const

const others: Readonly<Record<string, number>> = {
  ...{ '·': 288, '…': 864, '–': 500, '’': 300, '′': 223, '∞': 936, '→': 954, ℓ: 444, '‖': 479, '\u200b': 0 },
  ...{
    '⁻': 429,
    '⁰': 459,
    '¹': 304,
    '²': 442,
    '³': 446,
    '⁴': 460,
    '⁵': 440,
    '⁶': 444,
    '⁷': 406,
    '⁸': 450,
    '⁹': 444,
  },
}

/** Of a character that is in no table: Greek letters and signs are about as wide. */
const usual = 640

/** A semi-bold text over the same in regular letters. */
const boldness = 1.035

const advance = (character: string): number => {
  const code = character.codePointAt(0)!
  if (code >= 0x300 && code < 0x370) return 0
  return latin[code - 32] ?? others[character] ?? (code > 0x2e80 ? 1000 : usual)
}

/** Width of a text in pixels, in plain notation (see `mathText.ts`). */
export function textWidth(text: string, size = 12, bold = false): number {
  let width = 0
  for (const run of mathRuns(text))
    for (const character of run.text) width += advance(character) * (run.shift ? script.size : 1)
  return (width / 1000) * size * (bold ? boldness : 1)
}

/** Cut a word that is wider than a line, after a comma where there is one: configs hold lists without spaces. */
function cutWord(word: string, width: number, size: number): string[] {
  if (textWidth(word, size) <= width) return [word]
  let end = word.length
  while (end > 1 && textWidth(word.slice(0, end), size) > width) end--
  const comma = word.lastIndexOf(',', end - 1) + 1
  const at = comma > end / 2 ? comma : end
  return [word.slice(0, at), ...cutWord(word.slice(at), width, size)]
}

/** Break a text into lines no wider than `width` pixels. */
export function wrapText(text: string, width: number, size: number): string[] {
  const lines: string[] = []
  const words = text.split(/\s+/).filter(Boolean)
  for (const word of words.flatMap((whole) => cutWord(whole, width, size))) {
    const line = lines.at(-1)
    if (line !== undefined && textWidth(`${line} ${word}`, size) <= width)
      lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

/** A text that fits into `width` pixels: as it is, or its beginning and `…`. */
export function fitText(text: string, width: number, size = 12, bold = false): string {
  if (textWidth(text, size, bold) <= width) return text
  let end = text.length
  while (end > 0 && textWidth(`${text.slice(0, end).trimEnd()}…`, size, bold) > width) end--
  return `${text.slice(0, end).trimEnd()}…`
}
