/** @file `strftime` as Python and the C library have it in the C locale: chat templates put the date into a prompt with it. */

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September'].concat(
  ['October', 'November', 'December'],
)

/** Days since the first of January, from 0. */
const dayOfYear = (date: Date): number =>
  Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) /
      864e5,
  )

/** ISO 8601: weeks begin on Monday, and the first of a year has its first Thursday. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(
    date.getFullYear(),
    date.getMonth(),
    date.getDate() + 3 - ((date.getDay() + 6) % 7),
  )
  return { year: thursday.getFullYear(), week: 1 + Math.floor(dayOfYear(thursday) / 7) }
}

type Part = number | string
/** A number with its width and what fills it. */
const padded = (value: number, width: number, fill = '0'): string => String(value).padStart(width, fill)
const twelve = (date: Date): number => date.getHours() % 12 || 12

/** Every code; a number has the width and the fill that stand beside it. */
const codes: Readonly<Record<string, (date: Date) => readonly [Part, width?: number, fill?: string]>> = {
  a: (d) => [days[d.getDay()]!.slice(0, 3)],
  A: (d) => [days[d.getDay()]!],
  b: (d) => [months[d.getMonth()]!.slice(0, 3)],
  B: (d) => [months[d.getMonth()]!],
  h: (d) => [months[d.getMonth()]!.slice(0, 3)],
  c: (d) => [strftime(d, '%a %b %e %H:%M:%S %Y')],
  C: (d) => [Math.floor(d.getFullYear() / 100), 2],
  d: (d) => [d.getDate(), 2],
  D: (d) => [strftime(d, '%m/%d/%y')],
  e: (d) => [d.getDate(), 2, ' '],
  f: (d) => [d.getMilliseconds() * 1000, 6],
  F: (d) => [strftime(d, '%Y-%m-%d')],
  g: (d) => [isoWeek(d).year % 100, 2],
  G: (d) => [isoWeek(d).year, 4],
  H: (d) => [d.getHours(), 2],
  I: (d) => [twelve(d), 2],
  j: (d) => [dayOfYear(d) + 1, 3],
  k: (d) => [d.getHours(), 2, ' '],
  l: (d) => [twelve(d), 2, ' '],
  m: (d) => [d.getMonth() + 1, 2],
  M: (d) => [d.getMinutes(), 2],
  n: () => ['\n'],
  p: (d) => [d.getHours() < 12 ? 'AM' : 'PM'],
  P: (d) => [d.getHours() < 12 ? 'am' : 'pm'],
  r: (d) => [strftime(d, '%I:%M:%S %p')],
  R: (d) => [strftime(d, '%H:%M')],
  s: (d) => [Math.floor(d.getTime() / 1000), 1],
  S: (d) => [d.getSeconds(), 2],
  t: () => ['\t'],
  T: (d) => [strftime(d, '%H:%M:%S')],
  u: (d) => [d.getDay() || 7, 1],
  U: (d) => [Math.floor((dayOfYear(d) + 7 - d.getDay()) / 7), 2],
  V: (d) => [isoWeek(d).week, 2],
  w: (d) => [d.getDay(), 1],
  W: (d) => [Math.floor((dayOfYear(d) + 7 - ((d.getDay() + 6) % 7)) / 7), 2],
  x: (d) => [strftime(d, '%m/%d/%y')],
  X: (d) => [strftime(d, '%H:%M:%S')],
  y: (d) => [d.getFullYear() % 100, 2],
  Y: (d) => [d.getFullYear(), 1],
  // a time without a zone, as `datetime.now()` is
  z: () => [''],
  Z: () => [''],
  '%': () => ['%'],
}

/**
 * A date by a format, in the machine's time. Between `%` and its letter may stand the C library's flags – `-` no filling, `_`
 * spaces, `0` zeros, `^` capitals – and a width. What is no code stays as it is.
 */
export function strftime(date: Date, format: string): string {
  return format.replace(
    /%([-_0^]*)(\d*)[EO]?([A-Za-z%])/g,
    (whole, flags: string, given: string, letter: string) => {
      if (!Object.hasOwn(codes, letter)) return whole
      const [part, own = 0, ownFill = '0'] = codes[letter]!(date)
      const flag = flags.match(/[-_0]/g)?.at(-1)
      const fill =
        flag === '_' ? ' ' : flag === '0' || typeof part === 'number' ? (flag ? '0' : ownFill) : ' '
      const width = flag === '-' ? 0 : Number(given) || own
      const text = typeof part === 'number' ? padded(part, width, fill) : part.padStart(width, fill)
      return flags.includes('^') ? text.toUpperCase() : text
    },
  )
}
