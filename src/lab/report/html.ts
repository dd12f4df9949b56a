/** @file A report's page as text: sections, numbers, tables, figures. Everything is escaped here. */
import { formatMeasured, formatNumber } from '../../base/index.ts'
import type { Conclusion, ReportTable } from '../experiment.ts'
import { withIds } from '../figures/figure.ts'
import { escapeText, type Figure, mathHtml } from '../figures/index.ts'
import type { Claim, Outcome } from '../study/claim.ts'
import { outcomesInWords } from '../study/outcomes.ts'
import { reportCss } from './style.ts'

/** HTML that is already safe. */
export type Html = string

/** A zero that rounding has left a minus has none. */
const signless = (text: string): string => text.replace(/(?<![\w.)])[-−](0(?:\.0+)?)(?![\w.])/g, '$1')

/** Numbers with their errors and units stay on one line. */
const isShort = (text: string): boolean => text.length <= 24 && /^[-−+]?[\d.]/.test(text)

const cell = (value: string | number, words: (text: string) => Html): Html => {
  if (typeof value === 'number') return `<td class="number">${formatNumber(value)}</td>`
  return `<td${isShort(value) ? ' class="short"' : ''}>${words(signless(value))}</td>`
}

/** How a table is shown. */
interface TableLook {
  /** The title is for people who hear the page: a heading shows it. */
  readonly quiet?: boolean
  /** The first column holds names of fields, which are no mathematics. */
  readonly code?: boolean
}

/** More rows than this may be parted between pages: together they would leave half of a page empty. */
const mostRows = 14
const long = (rows: readonly unknown[]): string => (rows.length > mostRows ? ' long' : '')

/** A table; its first column heads the rows. */
export function tableHtml(table: ReportTable, { quiet = false, code = false }: TableLook = {}): Html {
  const words = code ? escapeText : mathHtml
  const numeric = table.columns.map((_, column) => table.rows.some((row) => typeof row[column] === 'number'))
  const head = table.columns.map(
    (column, index) => `<th scope="col"${numeric[index] ? ' class="number"' : ''}>${mathHtml(column)}</th>`,
  )
  const isVerbatim = table.columns.map((column) => table.verbatim?.includes(column))
  const rows = table.rows.map(([first = '', ...rest]) => {
    const cells = rest.map((value, i) => cell(value, isVerbatim[i + 1] ? escapeText : words))
    return `<tr><th scope="row">${words(String(first))}</th>${cells.join('')}</tr>`
  })
  const title = mathHtml(table.title)
  const caption = table.folded ? '' : `<caption${quiet ? ' class="quiet"' : ''}>${title}</caption>`
  const html =
    `<div class="scroll${long(rows)}"><table>${caption}` +
    `<thead><tr>${head.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
  return table.folded ? `<details><summary>${title}</summary>${html}</details>` : html
}

/** Key numbers as tiles. */
export function numbersHtml(numbers: NonNullable<Conclusion['numbers']>): Html {
  if (numbers.length === 0) return ''
  const tiles = numbers.map(({ label, value, note }) => {
    const small = note ? `<small>${mathHtml(note)}</small>` : ''
    // several numbers in one tile are smaller, and may break after a slash (a space without width)
    const long = value.length > 10 ? ' class="long"' : ''
    const shown = mathHtml(signless(value).replaceAll('/', '/\u200b'))
    return `<div><dt>${mathHtml(label)}</dt><dd${long}>${shown}${small}</dd></div>`
  })
  return `<dl class="numbers">${tiles.join('')}</dl>`
}

/** A claim as a report shows it: of one run, or of several that make the same one. */
export interface ShownClaim extends Claim {
  /** Of how many runs, when of more than one, and in how many of them it holds. */
  readonly held?: { readonly holds: number; readonly of: number }
  /** Whose claim it is, when that is not clear from its place. */
  readonly of?: string
}

const outcomeWords: Readonly<Record<Outcome, string>> = {
  holds: '✓ holds',
  fails: '✗ fails',
  undecided: '? undecided',
}

/** Claims with what was measured and predicted, counted, and folded where there are those of several experiments. A word says how each came out: colour alone would not reach everyone. */
export function claimsHtml(claims: readonly ShownClaim[], folded = claims.length > mostRows): Html {
  if (claims.length === 0) return ''
  const rows = claims.map(({ claim, measured, error, predicted, outcome, control, held, of }) => {
    const value = formatMeasured(measured, error)
    const whose = of ? ` <span class="note">[${mathHtml(of)}]</span>` : ''
    const runs = held ? ` in ${held.holds} of ${held.of}` : ''
    return (
      `<tr><th scope="row">${mathHtml(claim)}${control ? ' <span class="note">(control)</span>' : ''}${whose}</th>` +
      `<td class="number">${value}</td><td class="number">${formatMeasured(predicted, null)}</td>` +
      `<td class="${outcome}">${outcomeWords[outcome]}${runs}</td></tr>`
    )
  })
  const table =
    `<div class="scroll${long(rows)}">` +
    '<table class="claims"><caption class="quiet">Claims</caption><thead><tr><th scope="col">claim</th>' +
    '<th scope="col" class="number">measured</th><th scope="col" class="number">predicted</th>' +
    `<th scope="col">outcome</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`
  return (
    `<h2>Claims</h2><p>${outcomesInWords(claims)}. <span class="note">A claim holds where the 95 % interval of what was measured lies inside the tolerance, fails where it lies outside, and is undecided where the error is too large to say.</span></p>` +
    (folded ? `<details><summary>all ${claims.length} claims</summary>${table}</details>` : table)
  )
}

/** The picture of a figure. Ids inside the SVG are made unique with `prefix`. */
export const figureSvg = ({ svg }: Figure, prefix: string): Html => withIds(svg, prefix)

/** One figure with its caption and the config that made it. Ids inside the SVG are made unique with `prefix`. */
export function figureHtml(figure: Figure & { readonly made: string }, prefix: string): Html {
  const svg = figureSvg(figure, prefix)
  return (
    `<figure id="${prefix}"><h3>${mathHtml(figure.title)}</h3>${svg}` +
    `<figcaption><p>${mathHtml(figure.caption)}</p><p class="made">${escapeText(figure.made)}</p></figcaption></figure>`
  )
}

/** The whole page. */
export function pageHtml(title: string, body: Html): Html {
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">' +
    '<meta name="viewport" content="width=device-width,initial-scale=1">' +
    `<title>${escapeText(title)}</title><style>${reportCss()}</style></head>\n` +
    `<body><main>${body}</main></body></html>\n`
  )
}
