/** @file A figure: one SVG with its title and caption. */

/** A picture for reports. The SVG uses the theme's CSS variables and refers to nothing outside itself. */
export interface Figure {
  /** File name without ending, such as `loss`. */
  readonly name: string
  readonly title: string
  /** What to see in it, in a sentence or two. The report adds the config that made it. */
  readonly caption: string
  readonly svg: string
  /** Pixels. */
  readonly width: number
  readonly height: number
}

/** What every figure is given. */
export interface FigureText {
  name: string
  title: string
  caption: string
}

/** Text safe inside XML and HTML, also in attributes. */
export const escapeText = (text: string): string =>
  text.replace(
    /[&<>"']/g,
    (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[character]!,
  )

/** An SVG whose ids, and what refers to them, begin with a prefix: several on one page do not meet. */
export const withIds = (svg: string, prefix: string): string =>
  svg
    .replace(/\bid="([^"]+)"/g, `id="${prefix}-$1"`)
    .replace(/url\(#([^)]+)\)/g, `url(#${prefix}-$1)`)
    .replace(/\bhref="#([^"]+)"/g, `href="#${prefix}-$1"`)
