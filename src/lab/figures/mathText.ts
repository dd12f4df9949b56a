/**
 * @file Mathematics in plain notation (`P*`, `m^L`, `n_c`, `F′(p*)^L`, `τ_mem`, `m^(ℓ+1)`) set as mathematics: variables slanted, what
 * is raised raised, in HTML and in SVG. Prose around it stays as it is.
 */
import { escapeText } from './figure.ts'

/** Part of a text that is set in one way. */
interface MathRun {
  readonly text: string
  /** A variable. */
  readonly italic: boolean
  readonly shift?: 'super' | 'sub'
}

const isLatin = (c: string): boolean => /^[A-Za-z]$/.test(c)
const isGreek = (c: string): boolean => /^[α-ωϵϑφℓ]$/.test(c)
const isWordy = (c: string): boolean => c !== '' && /[\p{L}\p{N}\p{M}’']/u.test(c)
/** What may carry an exponent. */
const carries = (c: string): boolean => /^[\p{L}\p{N}\p{M})\]|′*]$/u.test(c)

/** Letters that are words, or units after a number, where nothing mathematical stands beside them. */
const article = /[aAI]/
const units = /[shkBMG]/
const operator = /^\s*[=~≈<>≤≥≠∝+−·/|‖*]|^[),.;:]|^$/

/** Whether the Latin letter at `at` is a variable and not a word, part of a word, or a unit. */
function isVariable(text: string, at: number): boolean {
  const [before, c, after] = [text[at - 1] ?? '', text[at]!, text[at + 1] ?? '']
  const rest = text.slice(at + 1)
  if (isWordy(before) || (isWordy(after) && !/^\p{M}/u.test(after))) return false
  if (/[-‑.@#$\\_]/.test(before) || /[-‑@\\]/.test(after) || /^\.\w/.test(rest)) return false
  if (/^_[A-Za-z]{2}/.test(rest)) return false
  if (/^[\^_*]/.test(rest)) return true
  if (units.test(c) && /\d\s$/.test(text.slice(0, at))) return false
  return !article.test(c) || operator.test(rest) || /[=^·(|‖−/]\s?$/.test(text.slice(0, at))
}

/** The text between a bracket at `at` and its partner, or undefined. */
function bracketed(text: string, at: number): string | undefined {
  const open = text[at]
  const close = open === '(' ? ')' : open === '{' ? '}' : undefined
  let depth = 0
  for (let i = at; close !== undefined && i < text.length; i++) {
    if (text[i] === open) depth++
    if (text[i] === close && --depth === 0) return text.slice(at + 1, i)
  }
  return undefined
}

/** What `^` or `_` before `at` raises or lowers: its text, and where it ends. */
function scriptAt(
  text: string,
  at: number,
  sub: boolean,
  base: string,
): [script: string, end: number] | undefined {
  const inside = bracketed(text, at)
  if (inside !== undefined && (text[at] === '{' || !sub)) return [inside, at + inside.length + 2]
  const [plain] = text.slice(at).match(/^[-−+]?(?:\d+(?:\.\d+)?|[α-ωℓ]|[A-Za-z]+)[*′]?/) ?? []
  if (plain === undefined) return undefined
  // `q_proj` is a name: below a Latin letter stands a single one, or braces
  if (sub && /^[A-Za-z]{2}/.test(plain) && !isGreek(base)) return undefined
  if (sub && /[_\w]/.test(text[at + plain.length] ?? '')) return undefined
  return [plain, at + plain.length]
}

/** A text in parts that are set alike. */
export function mathRuns(text: string): MathRun[] {
  const runs: MathRun[] = []
  const put = (part: string, italic: boolean, shift?: 'super' | 'sub'): void => {
    const last = runs.at(-1)
    if (last && last.italic === italic && last.shift === shift)
      runs[runs.length - 1] = { ...last, text: last.text + part }
    else runs.push({ text: part, italic, ...(shift && { shift }) })
  }
  for (let at = 0; at < text.length; ) {
    const c = text[at]!
    const before = text[at - 1] ?? ''
    if ((c === '^' && carries(before)) || (c === '_' && canHaveIndex(text, at))) {
      const script = scriptAt(text, at + 1, c === '_', baseOf(text, at))
      if (script) {
        const words = /^[A-Za-z]{2,}$/.test(script[0])
        // in an exponent or an index every single letter is a variable
        for (const run of words ? [{ text: script[0], italic: false }] : scriptRuns(script[0]))
          put(run.text, run.italic, c === '^' ? 'super' : 'sub')
        at = script[1]
        continue
      }
    }
    // a mark belongs to the letter below it
    const marks = /^\p{M}$/u.test(c) && runs.at(-1)?.italic === true
    put(c, marks || isGreek(c) || (isLatin(c) && isVariable(text, at)))
    at++
  }
  return runs
}

/** The letter before `at`, marks on it and a star or prime after it left out: the P of `P*_1`. */
const baseOf = (text: string, at: number): string => {
  let i = at - 1
  while (i > 0 && /[\p{M}*′]/u.test(text[i]!)) i--
  return text[i] ?? ''
}

const canHaveIndex = (text: string, at: number): boolean => {
  const base = baseOf(text, at)
  if (!isLatin(base) && !isGreek(base)) return false
  const before = text[text.lastIndexOf(base, at) - 1] ?? ''
  return !isWordy(before) && before !== '_' && before !== '.'
}

const scriptRuns = (text: string): MathRun[] =>
  (text.match(/[A-Za-zα-ωℓ]|[^A-Za-zα-ωℓ]+/gu) ?? []).map((part) => ({
    text: part,
    italic: /^[A-Za-zα-ωℓ]$/.test(part),
  }))

/** The text as it is read: without marks of notation. */
export const mathPlain = (text: string): string =>
  mathRuns(text)
    .map((run) => run.text)
    .join('')

/** A text as HTML, escaped. */
export const mathHtml = (text: string): string =>
  mathRuns(text)
    .map(({ text: part, italic, shift }) => {
      const shown = italic ? `<i>${escapeText(part)}</i>` : escapeText(part)
      if (!shift) return shown
      return shift === 'super' ? `<sup>${shown}</sup>` : `<sub>${shown}</sub>`
    })
    .join('')
    .replaceAll('</sup><sup>', '')
    .replaceAll('</sub><sub>', '')

/** Size of what is raised or lowered, and how far it is, over the size of the text. */
export const script = { size: 0.74, super: -0.36, sub: 0.18 } as const

/** A text as the inside of an SVG text element, escaped. */
export function mathSvg(text: string): string {
  const runs = mathRuns(text)
  if (runs.every(({ italic, shift }) => !italic && !shift)) return escapeText(text)
  let height = 0
  return runs
    .map(({ text: part, italic, shift }) => {
      const wanted = shift ? script[shift] : 0
      const size = shift ? script.size : 1
      // a shift is in units of the part's own size
      const dy = wanted === height ? '' : ` dy="${Number(((wanted - height) / size).toFixed(3))}em"`
      height = wanted
      const small = shift ? ` font-size="${script.size}em"` : ''
      const slanted = italic ? ' font-style="italic"' : ''
      return dy || small || slanted
        ? `<tspan${dy}${small}${slanted}>${escapeText(part)}</tspan>`
        : escapeText(part)
    })
    .join('')
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }

/** An SVG in which the texts are set as mathematics; texts in parts already are left alone: parts have no place of their own. */
export const typeset = (svg: string): string =>
  svg.replace(
    /(<(?:text\b|tspan x=)[^>]*>)([^<>]+)(<\/(?:text|tspan)>)/g,
    (_, open: string, inside: string, close: string) =>
      `${open}${mathSvg(inside.replace(/&(amp|lt|gt|quot|#39);/g, (entity, name: string) => entities[name] ?? entity))}${close}`,
  )
