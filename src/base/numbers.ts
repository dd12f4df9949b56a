/** @file Numbers formatted for people. */

/** 1234567 → `1.2 M`, 950 → `950`, 270.7704 → `270.8`. */
export function count(n: number): string {
  for (const [scale, unit] of [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (Math.abs(n) >= scale) return `${(n / scale).toFixed(1)} ${unit}`
  return String(Number(n.toPrecision(4)))
}

/** A value that is no number of its own: named where it stands. */
const special = (value: number | null): string | undefined => {
  if (value === null) return '–'
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? undefined : value > 0 ? '∞' : '−∞'
}

/** A number to so many decimals, without the sign of a zero; `–` for none, NaN and infinities by name. */
export const fixed = (value: number | null, digits: number): string =>
  special(value) ?? value!.toFixed(digits).replace(/^-(0(?:\.0*)?)$/, '$1')

/**
 * A number and its error, `0.732 ± 0.003`. An error of zero is left out, for equal measurements do not make a value exact; one that
 * so many decimals would show as zero has one digit of its own, `0.999999 ± 4e-8`.
 */
export function plusMinus(value: number | null, error: number | null, digits: number): string {
  const shown = fixed(value, digits)
  if (value === null || error === null || error === 0) return shown
  const own = fixed(error, digits)
  return `${shown} ± ${Number(own) === 0 ? error.toPrecision(1) : own}`
}

/** A number for people: at most five significant digits, `–` for none, NaN and infinities by name. */
export function formatNumber(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return fixed(value, 0)
  if (value === 0) return '0'
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString('en-US')
  const size = Math.abs(value)
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(5)))
}

/** A measured value and its error, both to the second digit of the error: `0.73166 ± 0.00066`, `6,230 ± 680`. */
export function formatMeasured(value: number | null, error: number | null): string {
  if (value === null || !Number.isFinite(value) || error === null || !(error > 0)) {
    // equal measurements have no error, which is not the same as an error of zero
    const plain = value === null || Number.isInteger(value) ? value : Number(value.toPrecision(4))
    return formatNumber(plain)
  }
  const decimals = 1 - Math.floor(Math.log10(error))
  // beyond these a row of zeros says less than a power of ten
  if (decimals > 7) return `${formatNumber(value)} ± ${formatNumber(error)}`
  if (decimals < 0) {
    const step = 10 ** -decimals
    const rounded = (x: number): string => formatNumber(Math.round(x / step) * step)
    return `${rounded(value)} ± ${rounded(error)}`
  }
  return plusMinus(value, error, decimals)
}

/**
 * A share as a percentage: `81.3 %`, `100 %`; `–` for none, NaN and infinities by name. It has so many decimals,
 * or without them at most three significant digits.
 */
export function percent(share: number | null, decimals?: number): string {
  if (share === null || !Number.isFinite(share)) return fixed(share, 0)
  if (decimals !== undefined) return `${fixed(100 * share, decimals)} %`
  // adding zero takes the sign of a zero
  return `${Number((100 * share).toPrecision(3)) + 0} %`
}

/** Bytes as `12.3 MB` (decimal units, as disks and registries count). */
export const bytes = (n: number): string => (n < 1000 ? `${n} B` : `${count(n)}B`)

/** Seconds as `3.4 s`, `2 min 05 s`, `1 h 12 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–'
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`
}
