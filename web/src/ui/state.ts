/** @file What the reader has set, in the address: a figure sent to a class is the same figure. */

/** Characters of an address that are read. */
const most = 4096

/** Settings of one figure: names with the values they may take. */
export interface Setting {
  readonly least: number
  readonly greatest: number
  readonly step: number
  readonly value: number
}

/** A value as near to the one given as a setting allows. */
export function clamped({ least, greatest, step, value }: Setting, given: number): number {
  if (!Number.isFinite(given)) return value
  const on = least + Math.round((Math.min(greatest, Math.max(least, given)) - least) / step) * step
  return Number(Math.min(greatest, on).toFixed(6))
}

/** The settings in an address, `#belief.eps=0.4&belief.m=2`; what is unknown or too long is left out, and said. */
export function readState(hash: string): { values: Map<string, number>; problem?: string } {
  const text = hash.replace(/^#/, '')
  if (text.length > most)
    return {
      values: new Map(),
      problem: `The address holds ${text.length.toLocaleString('en')} characters of settings, and ${most.toLocaleString('en')} are read at the most: the page shows its own.`,
    }
  const values = new Map<string, number>()
  for (const [name, value] of new URLSearchParams(text))
    if (/^[a-z]+\.[A-Za-z]+$/.test(name) && value.trim() !== '' && Number.isFinite(Number(value)))
      values.set(name, Number(value))
  return { values }
}

/** The address of some settings; those at their defaults are left out. */
export const writeState = (values: ReadonlyMap<string, number>): string =>
  values.size === 0
    ? ''
    : `#${new URLSearchParams([...values].map(([name, value]) => [name, String(value)]))}`

let held = new Map<string, number>()
let timer: ReturnType<typeof setTimeout> | undefined

/** Read the address once, when the page opens. */
export function openState(): string | undefined {
  const { values, problem } = readState(location.hash)
  held = values
  return problem
}

export const stateOf = (name: string): number | undefined => held.get(name)

/** Remember a setting in the address, a moment after the last change. */
export function remember(name: string, value: number, standard: number): void {
  if (value === standard) held.delete(name)
  else held.set(name, value)
  clearTimeout(timer)
  timer = setTimeout(
    () => history.replaceState(null, '', writeState(held) || location.pathname + location.search),
    150,
  )
}
