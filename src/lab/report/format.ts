/** @file Numbers as reports show them. */
import { fixed, plusMinus } from '../../base/index.ts'

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
