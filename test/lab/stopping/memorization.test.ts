/** When a training begins to memorize: known minima through noise, minima that have not come, dips, copies. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TrainingCurve } from '../../../src/lab/index.ts'
import { memorizationOf } from '../../../src/lab/stopping/memorization.ts'
import { synthetic } from './synthetic.ts'

const minimum = (curve: TrainingCurve) => memorizationOf(curve, 'validation', 0.02)
const withLoss = (
  curve: TrainingCurve,
  loss: (step: number, own: number) => number | null,
): TrainingCurve => ({
  ...curve,
  steps: curve.steps.map((one) => ({ ...one, validationLoss: loss(one.step, one.validationLoss!) })),
})
const found = (curve: TrainingCurve) => {
  const time = minimum(curve)
  if (time.kind !== 'found') throw new Error(`expected a minimum, got ${JSON.stringify(time)}`)
  return time
}

describe('the minimum of the validation loss', () => {
  test('without noise it is found within a hundredth, and its interval is the distance of logged steps', () => {
    const { tau, low, high } = found(synthetic({ P: 64, tau: 700, noise: 0 }))
    expect(Math.abs(Math.log(tau / 700))).toBeLessThan(0.05)
    expect(low).toBeLessThan(700)
    expect(high).toBeGreaterThan(700)
    expect(high / low).toBeLessThan(1.5)
  })

  test('through noise its interval holds it in at least nine of ten trainings, and grows with the noise', () => {
    const widths = [0.005, 0.02].map((noise) => {
      const times = Array.from({ length: 40 }, (_, seed) =>
        found(synthetic({ P: 64, tau: 500, noise, seed })),
      )
      const held = times.filter(({ low, high }) => low <= 500 && 500 <= high)
      expect(held.length).toBeGreaterThanOrEqual(36)
      return times.reduce((sum, { low, high }) => sum + Math.log(high / low), 0) / times.length
    })
    expect(widths[1]!).toBeGreaterThan(1.5 * widths[0]!)
    // not wide just to hold: less than a factor 1.7 each way at a noise of a tenth of the fall
    expect(widths[1]! / 2).toBeLessThan(Math.log(1.7))
  })

  test('a curve that still falls, is flat, or has only begun to rise has a bound', () => {
    const falling = minimum(synthetic({ P: 64, tau: 5000, last: 3000 }))
    expect(falling).toMatchObject({ kind: 'above' })
    if (falling.kind === 'above') expect(falling.low).toBeGreaterThan(500)
    const whole = synthetic({ P: 64, tau: 500, noise: 0.01 })
    const flat = minimum(withLoss(whole, (step, own) => (step > 400 ? 2 + 0.001 * Math.sin(step) : own)))
    expect(flat).toMatchObject({ kind: 'above', tau: whole.steps.at(-1)!.step })
    for (let seed = 0; seed < 20; seed++)
      expect(minimum(synthetic({ P: 64, tau: 500, noise: 0.02, last: 550, seed })).kind).toBe('above')
  })

  test('a single dip is no minimum, be it in the middle or at the step before the last', () => {
    const falling = synthetic({ P: 64, tau: 20_000, last: 4000 })
    for (const place of [10, falling.steps.length - 3]) {
      const dip = falling.steps[place]!.step
      const time = minimum(withLoss(falling, (step, own) => (step === dip ? own - 0.3 : own)))
      expect(time).toMatchObject({ kind: 'above' })
    }
    const whole = synthetic({ P: 64, tau: 500 })
    const { tau } = found(whole)
    const dip = whole.steps[8]!.step
    expect(found(withLoss(whole, (step, own) => (step === dip ? own - 1 : own))).tau / tau).toBeCloseTo(1, 1)
  })

  test('a loss that rises from the start is left out with its reason', () => {
    const rising = minimum(withLoss(synthetic({ P: 64, tau: 500 }), (step) => Math.log(step)))
    expect(rising).toMatchObject({ kind: 'unknown' })
    if (rising.kind === 'unknown') expect(rising.reason).toContain('16')
  })

  test('few logged steps, or steps too close together, are no curve', () => {
    const { P, seed, steps } = synthetic({ P: 64, tau: 500 })
    expect(minimum({ P, seed, steps: steps.slice(0, 4) }).kind).toBe('unknown')
    const close = steps.map((one, i) => ({ ...one, step: 10_000 + i }))
    expect(minimum({ P, seed, steps: close }).kind).toBe('unknown')
  })

  test('a log of every step gives what a sparse log gives', () => {
    const dense = synthetic({ P: 64, tau: 500, perDoubling: 400, noise: 0.02 })
    expect(Math.abs(Math.log(found(dense).tau / 500))).toBeLessThan(0.15)
  })

  test('neither scale nor offset of the loss, nor the unit of steps, changes what is found', () => {
    const curve = synthetic({ P: 64, tau: 500, noise: 0.01 })
    const { tau, low, high } = found(curve)
    fc.assert(
      fc.property(
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        fc.double({ min: -100, max: 100, noNaN: true }),
        fc.integer({ min: 1, max: 50 }),
        (scale, offset, unit) => {
          const changed = withLoss(curve, (_, own) => scale * (own + offset))
          const steps = changed.steps.map((one) => ({ ...one, step: unit * one.step }))
          const other = found({ ...changed, steps })
          // rounding moves places by one of 32 in a doubling at most
          expect(Math.abs(Math.log(other.tau / unit / tau))).toBeLessThan(0.03)
          expect(Math.abs(Math.log(other.low / unit / low))).toBeLessThan(0.05)
          expect(Math.abs(Math.log(other.high / unit / high))).toBeLessThan(0.05)
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('the onset of copies', () => {
  const onset = (copies: readonly number[], share = 0.02) =>
    memorizationOf(
      {
        ...{ P: 64, seed: '0' },
        steps: copies.map((own, i) => ({ step: 100 * 2 ** i, validationLoss: null, copies: own })),
      },
      'copies',
      share,
    )

  test('lies between two logged steps, straight in ln(step)', () => {
    // from 0.01 at 800 to 0.05 at 1600: 0.02 after a quarter of a doubling
    const time = onset([0, 0, 0, 0.01, 0.05, 0.1, 0.4])
    expect(time.kind === 'found' && time.tau).toBeCloseTo(800 * 2 ** 0.25, 8)
    const later = onset([0, 0, 0, 0.01, 0.05, 0.1, 0.4], 0.1)
    expect(later.kind === 'found' && later.tau).toBeCloseTo(3200, 8)
  })

  test('a single step with copies is no onset, and the interval reaches to it', () => {
    const time = onset([0, 0.03, 0, 0, 0, 0.05, 0.1, 0.4])
    if (time.kind !== 'found') throw new Error('expected an onset')
    expect(time.tau).toBeCloseTo(1600 * 2 ** 0.4, 8)
    expect(time.low).toBeLessThanOrEqual(200)
  })

  test('what has not come is a bound, and what was there from the start is left out', () => {
    expect(onset([0, 0, 0, 0, 0.001, 0.01])).toEqual({ kind: 'above', tau: 3200, low: 3200 })
    expect(onset([0.1, 0.2, 0.3, 0.4, 0.5]).kind).toBe('unknown')
    expect(memorizationOf(synthetic({ P: 64, tau: 500 }), 'copies', 0.02)).toMatchObject({ kind: 'found' })
  })

  test('of the synthetic curves is at twice tau', () => {
    const time = memorizationOf(synthetic({ P: 64, tau: 500 }), 'copies', 0.02)
    expect(time.kind === 'found' && Math.abs(Math.log(time.tau / 1000))).toBeLessThan(0.02)
  })
})
