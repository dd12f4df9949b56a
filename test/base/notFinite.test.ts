/** Numbers that are not finite, by their places, and numbers for people. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { count, fixed, notFiniteIn, notFiniteText, plusMinus } from '../../src/base/index.ts'

it('every place is named, and only those', () => {
  expect(notFiniteIn({ a: 1, b: [2, { c: null }], d: 'NaN', e: new Float32Array(2) })).toBeUndefined()
  const found = notFiniteIn({
    loss: Number.NaN,
    curve: [1, Number.POSITIVE_INFINITY],
    deep: { more: Float64Array.of(0, Number.NEGATIVE_INFINITY) },
  })!
  expect(found).toEqual({ loss: 'NaN', 'curve[1]': 'Infinity', 'deep.more[1]': '-Infinity' })
  expect(notFiniteText(found)).toBe('loss is NaN, curve[1] is Infinity, deep.more[1] is -Infinity')
  expect(notFiniteText(notFiniteIn([Number.NaN, Number.NaN, Number.NaN, Number.NaN])!)).toBe(
    '[0] is NaN, [1] is NaN, [2] is NaN, and 1 more',
  )
  expect(notFiniteText(notFiniteIn(Number.NaN)!)).toBe('NaN')
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(notFiniteIn(value)).toBeUndefined()
    }),
  )
})

it('numbers for people have no minus before a zero, no error of a row of zeros, and no sixteen digits', () => {
  expect([fixed(-0.04, 1), fixed(-0, 0), fixed(-0.06, 1), fixed(null, 2)]).toEqual(['0.0', '0', '-0.1', '–'])
  expect([fixed(Number.NaN, 2), fixed(Number.POSITIVE_INFINITY, 1)]).toEqual(['NaN', '∞'])
  expect(plusMinus(0.999999, 4.2e-8, 6)).toBe('0.999999 ± 4e-8')
  expect(plusMinus(1, 0, 2)).toBe('1.00')
  expect(plusMinus(1, null, 2)).toBe('1.00')
  expect(plusMinus(0.98, 0.03, 2)).toBe('0.98 ± 0.03')
  expect(plusMinus(null, 0.03, 2)).toBe('–')
  expect([count(270.7704001819462), count(950), count(0.25), count(19_700)]).toEqual([
    '270.8',
    '950',
    '0.25',
    '19.7 k',
  ])
  fc.assert(
    fc.property(fc.double({ noNaN: true, min: -1, max: 1 }), fc.nat(6), (value, digits) => {
      expect(Number(fixed(value, digits))).toBeCloseTo(value, digits - 1)
      expect(fixed(value, digits)).not.toMatch(/^-0\.?0*$/)
    }),
  )
})
