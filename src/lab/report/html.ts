/** @file A report's page as text: sections, numbers, tables, figures. Everything is escaped here. */

import { fixed, plusMinus } from '../../base/index.ts'
import type { Conclusion, ReportTable, Verdict } from '../experiment.ts'
import { escapeText, type Figure } from '../figures/index.ts'
import { reportCss } from './style.ts'

/** HTML that is already safe. */
export type Html = string

/** A number for people: at most five significant digits, `–` for none, NaN and infinities by name. */
export function formatNumber(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return fixed(value, 0)
  if (value === 0) return '0'
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString('en-US')
  const size = Math.abs(value)
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(5)))
}

/** A measured value and its error, both to the second digit of the error: `0.73166 ± 0.00066`. */
export function formatMeasured(value: number | null, error: number | null): string {
  if (value === null || !Number.isFinite(value) || error === null || !(error > 0)) {
    // equal measurements have no error, which is not the same as an error of zero
    const plain = value === null || Number.isInteger(value) ? value : Number(value.toPrecision(4))
    return formatNumber(plain)
  }
  const decimals = 1 - Math.floor(Math.log10(error))
  // beyond these a row of zeros says less than a power of ten
  if (decimals < 0 || decimals > 7) return `${formatNumber(value)} ± ${formatNumber(error)}`
  return plusMinus(value, error, decimals)
}

/** A zero that rounding has left a minus has none. */
const signless = (text: string): string => text.replace(/(?<![\w.)])[-−](0(?:\.0+)?)(?![\w.])/g, '$1')

const cell = (value: string | number): Html =>
  typeof value === 'number'
    ? `<td class="number">${formatNumber(value)}</td>`
    : `<td>${escapeText(signless(value))}</td>`

/** A table; its first column heads the rows. A quiet title is for people who hear the page: the heading shows it. */
export function tableHtml(table: ReportTable, quiet = false): Html {
  const numeric = table.columns.map((_, column) => table.rows.some((row) => typeof row[column] === 'number'))
  const head = table.columns.map(
    (column, index) => `<th scope="col"${numeric[index] ? ' class="number"' : ''}>${escapeText(column)}</th>`,
  )
  const rows = table.rows.map(
    ([first = '', ...rest]) =>
      `<tr><th scope="row">${escapeText(String(first))}</th>${rest.map(cell).join('')}</tr>`,
  )
  return (
    `<div class="scroll"><table><caption${quiet ? ' class="quiet"' : ''}>${escapeText(table.title)}</caption>` +
    `<thead><tr>${head.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
  )
}

/** Key numbers as tiles. */
export function numbersHtml(numbers: NonNullable<Conclusion['numbers']>): Html {
  if (numbers.length === 0) return ''
  const tiles = numbers.map(({ label, value, note }) => {
    const small = note ? `<small>${escapeText(note)}</small>` : ''
    // several numbers in one tile are smaller, and may break after a slash (a space without width)
    const long = value.length > 10 ? ' class="long"' : ''
    const shown = escapeText(signless(value)).replaceAll('/', '/\u200b')
    return `<div><dt>${escapeText(label)}</dt><dd${long}>${shown}${small}</dd></div>`
  })
  return `<dl class="numbers">${tiles.join('')}</dl>`
}

/** A verdict as a report shows it: of one run, or of several that make the same claim. */
export interface ShownVerdict extends Verdict {
  /** Of how many runs, when of more than one, and how many of them agree with it. */
  readonly held?: { readonly passed: number; readonly of: number }
  /** Whose verdict it is, when that is not clear from its place. */
  readonly of?: string
}

/** Claims with what was measured and predicted. A word says pass or not: colour alone would not reach everyone. */
export function verdictsHtml(verdicts: readonly ShownVerdict[]): Html {
  if (verdicts.length === 0) return ''
  const rows = verdicts.map(({ claim, measured, error, predicted, pass, control, held, of }) => {
    const value = formatMeasured(measured, error)
    const whose = of ? ` <span class="note">[${escapeText(of)}]</span>` : ''
    const runs = held ? ` in ${held.passed} of ${held.of}` : ''
    return (
      `<tr><th scope="row">${escapeText(claim)}${control ? ' <span class="note">(control)</span>' : ''}${whose}</th>` +
      `<td class="number">${value}</td><td class="number">${formatMeasured(predicted, null)}</td>` +
      `<td class="${pass ? 'pass' : 'miss'}">${pass ? '✓ holds' : '✗ does not hold'}${runs}</td></tr>`
    )
  })
  return (
    '<div class="scroll"><table class="verdicts"><caption class="quiet">Verdicts</caption><thead><tr><th scope="col">claim</th>' +
    '<th scope="col" class="number">measured</th><th scope="col" class="number">predicted</th>' +
    `<th scope="col">verdict</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`
  )
}

/** One figure with its caption and the config that made it. Ids inside the SVG are made unique with `prefix`. */
export function figureHtml(figure: Figure & { readonly made: string }, prefix: string): Html {
  const svg = figure.svg
    .replace(/\bid="([^"]+)"/g, `id="${prefix}-$1"`)
    .replace(/url\(#([^)]+)\)/g, `url(#${prefix}-$1)`)
    .replace(/\bhref="#([^"]+)"/g, `href="#${prefix}-$1"`)
  return (
    `<figure id="${prefix}"><h3>${escapeText(figure.title)}</h3>${svg}` +
    `<figcaption><p>${escapeText(figure.caption)}</p><p class="made">${escapeText(figure.made)}</p></figcaption></figure>`
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
