/** @file Colours and type of all figures: calm, readable in print, on light and on dark pages, and to the colour-blind. */

/** One colour of the theme, by its role. */
type Token = 'ink' | 'muted' | 'grid' | 'paper' | 'good' | 'bad' | `series-${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8}`

// Eight hues apart in lightness as well as in hue, so that they survive a grey printer.
const light: Record<Token, string> = {
  ink: '#1d2530',
  muted: '#66707d',
  grid: '#e4e7eb',
  paper: '#ffffff',
  good: '#1f7a5c',
  bad: '#b4432f',
  'series-1': '#2468a8',
  'series-2': '#cf5f22',
  'series-3': '#1b8a70',
  'series-4': '#7d4f9e',
  'series-5': '#a87d00',
  'series-6': '#b93a6a',
  'series-7': '#5d6b78',
  'series-8': '#2f9bb8',
}

const dark: Record<Token, string> = {
  ink: '#e4e8ee',
  muted: '#98a2b0',
  grid: '#2d343e',
  paper: '#14181e',
  good: '#5cc3a0',
  bad: '#ee8a74',
  'series-1': '#70b2f0',
  'series-2': '#f2965f',
  'series-3': '#4fc4a5',
  'series-4': '#c39ae0',
  'series-5': '#e2be52',
  'series-6': '#f084aa',
  'series-7': '#a3b1bf',
  'series-8': '#6fd0e8',
}

/** A colour as figures write it: a CSS variable, so that one SVG serves light and dark pages. */
export const color = (token: Token): string => `var(--tl-${token})`

const hues = Object.keys(light).filter((token): token is Token => token.startsWith('series-'))

/** The colour of the i-th series, beginning anew after eight. */
export const seriesColor = (index: number): string => color(hues[index % hues.length]!)

const declarations = (theme: Record<Token, string>): string =>
  Object.entries(theme)
    .map(([token, value]) => `--tl-${token}:${value}`)
    .join(';')

/** The CSS that defines the variables on a page. */
export const themeCss = (): string =>
  `:root{color-scheme:light dark;${declarations(light)}}` +
  `@media (prefers-color-scheme:dark){:root{${declarations(dark)}}}` +
  `@media print{:root{${declarations(light)}}}`

/** The SVG with the light theme's colours written out, for programs that know no CSS variables. */
export const withLightColors = (svg: string): string =>
  svg.replace(/var\(--tl-([a-z0-9-]+)\)/g, (variable, token: string) => light[token as Token] ?? variable)

/** Type: Inter where it is (always in PNGs), the system's own face elsewhere. */
export const fontFamily = 'Inter, system-ui, -apple-system, Segoe UI, sans-serif'
