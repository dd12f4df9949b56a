/** @file Axes: where ticks stand, what they say, and from values to pixels. */
import { textWidth } from './letters.ts'

/** How values are laid out along an axis. */
export type Scale = 'linear' | 'log'

/** A tick: where, and its words. */
export interface Tick {
  readonly value: number
  readonly label: string
}

/** Powers of ten within a range, times each of some steps; of many decades every second, every third, … */
function powerTicks(low: number, high: number, steps: readonly number[]): number[] {
  const every = Math.max(1, Math.ceil(Math.log10(high / low) / 7))
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    if (power % every === 0)
      for (const step of steps) {
        const tick = Number(`${step}e${power}`)
        if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick)
      }
  return ticks
}

/** Fewer ticks than this do not show that an axis is logarithmic, nor where a value lies. */
const fewest = 3

/** Ticks of a log axis: the decades, 2 and 5 between them where there are few, and round numbers within a part of a decade. */
export function logTicks(low: number, high: number): number[] {
  const decades = powerTicks(low, high, [1])
  if (Math.log10(high / low) > 2.5 && decades.length >= fewest) return decades
  const finer = powerTicks(low, high, [1, 2, 5])
  if (finer.length >= fewest || !(high > low)) return finer
  return linearTicks(low, high, 4).filter((tick) => tick > 0)
}

/** Step between about so many ticks, a factor of 1, 2 or 5 times a power of ten. */
function stepOf(low: number, high: number, count: number): { factor: number; power: number } {
  const rough = (high - low) / Math.max(1, count)
  const power = Math.floor(Math.log10(rough))
  const over = rough / 10 ** power
  if (over >= Math.sqrt(50)) return { factor: 1, power: power + 1 }
  return { factor: over >= Math.sqrt(10) ? 5 : over >= Math.SQRT2 ? 2 : 1, power }
}

/** Round values between two, about so many: steps of 1, 2 or 5 times a power of ten. */
export function linearTicks(low: number, high: number, count: number): number[] {
  if (!(high > low)) return [low]
  const { factor, power } = stepOf(low, high, count)
  const step = factor * 10 ** power
  const [from, to] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)]
  // from decimal digits, or 0.3 would be 0.30000000000000004
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) =>
    Number(`${(from + i) * factor}e${power}`),
  )
}

/** A domain that begins and ends at round values. */
export function niceDomain(low: number, high: number): [number, number] {
  if (!(high > low)) return [low, high]
  const { factor, power } = stepOf(low, high, 10)
  const step = factor * 10 ** power
  const round = (steps: number): number => Number(`${steps * factor}e${power}`)
  return [round(Math.floor(low / step + 1e-9)), round(Math.ceil(high / step - 1e-9))]
}

const superscript = (n: number): string =>
  [...String(n)].map((digit) => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(digit)]).join('')

/** Three digits after the point, or of a number below a tenth three that count. */
const plain = (value: number): string =>
  Number(value.toPrecision(6)).toLocaleString('en-US', {
    maximumFractionDigits: value === 0 ? 0 : Math.max(3, 2 - Math.floor(Math.log10(Math.abs(value)))),
  })

function powerText(value: number): string {
  const power = Math.floor(Math.log10(Math.abs(value)) + 1e-9)
  const head = Number((value / 10 ** power).toPrecision(3))
  return head === 1 ? `10${superscript(power)}` : `${head}·10${superscript(power)}`
}

const isWithin = (value: number, least: number, most: number): boolean =>
  value === 0 || (Math.abs(value) >= least && Math.abs(value) < most)

/** A number alone: plain where it is short, a power of ten where it is not. */
export const tickText = (value: number): string =>
  isWithin(value, 1e-3, 1e5) ? plain(value) : powerText(value)

/** Numbers of one axis, all spelled in one way: plain where all of them are short, else all but 0 as powers of ten. */
export function tickTexts(values: readonly number[]): string[] {
  const short = values.every((value) => isWithin(value, 1e-4, 1e6))
  return values.map((value) => (short || value === 0 ? plain(value) : powerText(value)))
}

/** From a value to pixels between `from` and `to`; everything in the middle where the domain has no width. */
export function toPixels(
  scale: Scale,
  [low, high]: readonly [number, number],
  from: number,
  to: number,
): (value: number) => number {
  const of = (value: number): number => (scale === 'log' ? Math.log(value) : value)
  const width = of(high) - of(low)
  return (value) => from + (to - from) * (width === 0 ? 0.5 : (of(value) - of(low)) / width)
}

const decade = (value: number): boolean => Math.abs(Math.log10(Math.abs(value)) % 1) < 1e-9

/**
 * Ticks whose labels leave `gap` pixels between them: all, or of a log axis the decades, or every second of them, every third, …, so
 * that they stay evenly spaced.
 */
export function thinTicks(
  ticks: readonly Tick[],
  at: (value: number) => number,
  sizeOf: (label: string) => number,
  { gap = 10, scale = 'linear' as Scale } = {},
): Tick[] {
  const fits = (some: readonly Tick[]): boolean =>
    some.every((tick, i) => {
      const before = some[i - 1]
      if (!before) return true
      const between = Math.abs(at(tick.value) - at(before.value))
      return between >= (sizeOf(tick.label) + sizeOf(before.label)) / 2 + gap
    })
  if (fits(ticks)) return [...ticks]
  const decades = scale === 'log' ? ticks.filter(({ value }) => decade(value)) : []
  const regular = decades.length > 1 ? decades : ticks
  let stride = 1
  while (!fits(regular.filter((_, i) => i % stride === 0))) stride++
  return regular.filter((_, i) => i % stride === 0)
}

/** Width of a tick's label. */
export const tickWidth = (label: string): number => textWidth(label, 12)
