/** Numbers are formatted for people in one place. */
import { describe, expect, it } from 'vitest'
import { count, fixed, formatMeasured, formatNumber, percent } from '../../src/base/index.ts'

describe('a percentage', () => {
  it('has at most three significant digits, or so many decimals', () => {
    expect([0.8125, 1, 0, 0.5, 0.012345, 1.1, 12.345, 0.0000123].map((share) => percent(share))).toEqual([
      '81.3 %',
      '100 %',
      '0 %',
      '50 %',
      '1.23 %',
      '110 %',
      '1230 %',
      '0.00123 %',
    ])
    expect([0.9912, 1, 0.00004].map((share) => percent(share, 2))).toEqual(['99.12 %', '100.00 %', '0.00 %'])
    expect(percent(0.286, 0)).toBe('29 %')
  })

  it('names what is no number, and has no negative zero', () => {
    expect([null, Number.NaN, Number.POSITIVE_INFINITY].map((share) => percent(share))).toEqual([
      '–',
      'NaN',
      '∞',
    ])
    expect([percent(-0), percent(-0.00001, 1), percent(-0.05)]).toEqual(['0 %', '0.0 %', '-5 %'])
  })
})

it('other numbers keep their significant digits', () => {
  expect([0, 12, 1234567, 12345678, 0.000123, 9.87654321, null].map(formatNumber)).toEqual([
    '0',
    '12',
    '1,234,567',
    '1.23e+7',
    '1.23e-4',
    '9.8765',
    '–',
  ])
  expect([count(1234567), count(950), count(270.7704)]).toEqual(['1.2 M', '950', '270.8'])
  expect([fixed(-0.001, 2), fixed(null, 2)]).toEqual(['0.00', '–'])
})

it('a value and its error end at the second digit of the error, also beyond the point', () => {
  const cases: [number, number, string][] = [
    [0.73166, 0.000663, '0.73166 ± 0.00066'],
    [6233.9, 676.58, '6,230 ± 680'],
    [16658, 1232.5, '16,700 ± 1,200'],
    [152.4, 99.6, '152 ± 100'],
    [42.4, 13.2, '42 ± 13'],
  ]
  for (const [value, error, shown] of cases) expect(formatMeasured(value, error)).toBe(shown)
})
