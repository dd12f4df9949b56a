/** Curves on a common scale: where they fall, how far apart they lie; errors over independent groups. */
import { expect, test } from 'vitest'
import { fallsBelow, mean, powerOf } from '../../../src/lab/index.ts'
import { collapse, groupBy, jackknifeByGroup, where } from '../../../src/lab/study/index.ts'
import { random } from '../../../src/tensor/index.ts'

test('thresholds: linear in the logarithm between points, none outside', () => {
  const curve = [
    { x: 10, y: 0.8 },
    { x: 40, y: 0.4 },
    { x: 160, y: 0 },
  ]
  expect(fallsBelow(curve, 0.6)).toBeCloseTo(20, 10)
  expect(fallsBelow(curve, 0.1)).toBeCloseTo(40 * 4 ** 0.75, 8)
  expect(fallsBelow(curve, 0.9)).toBeNaN()
  expect(fallsBelow(curve.slice(0, 2), 0.3)).toBeNaN()
  expect(fallsBelow([], 0.3)).toBeNaN()
})

/** A curve that falls from 1 to 0 as ln x passes ln(at). */
const curveAt = (at: number) =>
  Array.from({ length: 33 }, (_, i) => {
    const x = (at / 8) * 2 ** (i / 4)
    return { x, y: Math.min(1, Math.max(0, 0.5 - Math.log(x / at))) }
  })

test('the spread of curves that are one on the scale becomes 1', () => {
  const curves = [50, 200, 800].map((scale) => ({ points: curveAt(2 * scale), scale, unit: 1 }))
  const { before, after } = collapse(curves, [0.3, 0.5])
  expect(after).toBeCloseTo(1, 6)
  // the standard deviation of ln 50, ln 200, ln 800 is ln 4
  expect(before).toBeCloseTo(4, 6)
  expect(collapse(curves.slice(0, 1), [0.3]).after).toBeNaN()
})

test('leaving one replica of one group out: the errors of independent groups add up in squares', () => {
  const draws = random.sampleNormal(random.key(2), 11)
  const rows = Array.from(draws, (y, i) => ({
    group: i < 3 ? 'a' : i < 7 ? 'b' : 'c',
    seed: 0,
    replica: i < 3 ? i : i < 7 ? i - 3 : i - 7,
    y,
  }))
  const means = (of: readonly (typeof rows)[number][]) =>
    groupBy(of, 'group').map((group) => mean(group.rows.map(({ y }) => y)))
  const { value, error, n } = jackknifeByGroup(rows, ['group'], (own) => mean(means(own)))
  expect(value).toBeCloseTo(mean(means(rows)), 12)
  expect(n).toBe(1 + 2 + 3 + 3)
  // Var(mean of group means) = Σ s_h²/n_h / 3²
  const squares = groupBy(rows, 'group').map(({ rows: own }) => {
    const centre = mean(own.map(({ y }) => y))
    const sum = own.reduce((total, { y }) => total + (y - centre) ** 2, 0)
    return sum / (own.length - 1) / own.length
  })
  expect(error).toBeCloseTo(Math.sqrt(squares.reduce((a, b) => a + b, 0)) / 3, 12)
  const single = rows.filter(({ group, replica }) => group !== 'a' || replica === 0)
  expect(jackknifeByGroup(single, ['group'], (own) => mean(means(own))).error).toBeNull()
})

test('the error of a slope is the scatter of slopes over repetitions', () => {
  const scales = [50, 200, 300, 900, 1000, 4000]
  const slopes: number[] = []
  const errors: number[] = []
  for (let run = 0; run < 200; run++) {
    const noise = random.sampleNormal(random.foldIn(random.key(4), run), 4 * scales.length)
    const rows = scales.flatMap((scale, at) =>
      [0, 1, 2, 3].map((replica) => {
        return { scale, seed: 0, replica, log: Math.log(2 * scale) + 0.3 * noise[4 * at + replica]! }
      }),
    )
    const slope = jackknifeByGroup(
      rows,
      ['scale'],
      (own) =>
        powerOf(scales.map((scale) => [scale, Math.exp(mean(where(own, { scale }).map(({ log }) => log)))]))
          .value,
    )
    slopes.push(slope.value)
    errors.push(slope.error! ** 2)
  }
  expect(mean(slopes)).toBeCloseTo(1, 1)
  const variance = mean(slopes.map((slope) => (slope - mean(slopes)) ** 2))
  expect(mean(errors) / variance).toBeGreaterThan(0.8)
  expect(mean(errors) / variance).toBeLessThan(1.25)
})
