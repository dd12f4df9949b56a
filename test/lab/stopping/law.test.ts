import { describe, expect, test } from 'vitest'
import {
  planStop,
  powerOf,
  type StopPlan,
  stopJson,
  type TrainingCurve,
  widthOf,
} from '../../../src/lab/index.ts'
import { fitLine, hazard } from '../../../src/lab/stopping/censored.ts'
import { lawOf, pointsOf } from '../../../src/lab/stopping/law.ts'
import { scattered, synthetic } from './synthetic.ts'

const plan = (curves: readonly TrainingCurve[], ...at: number[]) =>
  planStop(curves, { by: 'validation', share: 0.02, at })
const lawFrom = ({ law, advice }: StopPlan) => law ?? expect.fail(advice)

/** Trainings of the law 10·P^b, scattered by 15 % from run to run. */
const trainings = (
  b: number,
  Ps: readonly number[],
  draw: number,
  { seeds = 2, scatter = 0.15, last = Number.POSITIVE_INFINITY } = {},
) =>
  Ps.flatMap((P) =>
    Array.from({ length: seeds }, (_, seed) => {
      const tau = 10 * P ** b * scattered(scatter, draw, P, seed)
      return synthetic({ P, tau, seed: 1000 * draw + seed, last: Math.min(last, 6 * tau) })
    }),
  )

describe('least squares with bounds', () => {
  test('the hazard of the normal distribution, against its integral', () => {
    for (const z of [-6, -2, -0.5, 0, 0.7, 3, 8]) {
      // Simpson's rule for ∫ exp(−(t² − z²)/2) dt from z to z + 12
      const n = 4000
      const h = 12 / n
      let sum = 0
      for (let i = 0; i <= n; i++) {
        const t = z + i * h
        sum += (i === 0 || i === n ? 1 : 2 + 2 * (i % 2)) * Math.exp((z * z - t * t) / 2)
      }
      expect(hazard(z) / (3 / (sum * h))).toBeCloseTo(1, 6)
    }
    // z + 1/z − 2/z³ + 10/z⁵
    expect(hazard(30) - (30 + 1 / 30 - 2 / 30 ** 3)).toBeCloseTo(0, 6)
    // on both sides of where the series takes over; its slope is h(h − z)
    expect(hazard(20.001) - hazard(19.999)).toBeCloseTo(0.002 * hazard(20) * (hazard(20) - 20), 5)
  })

  test('with equal errors and no bounds it is the ordinary slope', () => {
    const data = [1, 2, 4, 7].map((x, i) => ({
      x,
      y: 3 * x + [0.1, -0.2, 0.3, 0][i]!,
      error: 0.4,
      isBound: false,
    }))
    const { value } = powerOf(data.map(({ x, y }) => [Math.exp(x), Math.exp(y)] as const))
    const line = fitLine(data)
    expect(line.slope).toBeCloseTo(value, 10)
    expect(line.varSlope).toBeCloseTo(0.4 ** 2 / (2.5 ** 2 + 1.5 ** 2 + 0.5 ** 2 + 3.5 ** 2), 10)
  })

  test('the likelihood has its maximum at the line found', () => {
    const data = [
      ...[1, 2, 3].map((x) => ({ x, y: x + 0.2 * (x % 2), error: 0.2, isBound: false })),
      { x: 4, y: 4.6, error: 0.3, isBound: true },
      { x: 5, y: 2, error: 0.3, isBound: true },
    ]
    const logLikelihood = (intercept: number, slope: number): number =>
      data.reduce((sum, { x, y, error, isBound }) => {
        const z = (y - intercept - slope * x) / error
        if (!isBound) return sum - (z * z) / 2
        // ln of the tail: −z²/2 − ln hazard, up to a constant
        return sum - (z * z) / 2 - Math.log(hazard(z))
      }, 0)
    const { centre, intercept, slope } = fitLine(data)
    const at = (a: number, b: number) => logLikelihood(intercept - slope * centre + a, slope + b)
    for (const [a, b] of [
      [1e-3, 0],
      [-1e-3, 0],
      [0, 1e-3],
      [0, -1e-3],
      [1e-3, -1e-3],
    ] as const)
      expect(at(a, b)).toBeLessThan(at(0, 0))
    // the bound below the line changes little, the one above it lifts the line
    expect(slope).toBeGreaterThan(fitLine(data.slice(0, 3)).slope + 0.02)
    expect(fitLine([...data.slice(0, 3), data[4]!]).slope).toBeCloseTo(fitLine(data.slice(0, 3)).slope, 3)
  })
})

describe.each([1, 1.4])('a law with exponent %s', (b) => {
  const draws = Array.from({ length: 12 }, (_, draw) => draw)
  const Ps = [32, 64, 128, 256]

  test('is found within its interval, and predicts eight times the largest P in at least eleven of twelve draws', () => {
    const plans = draws.map((draw) => plan(trainings(b, Ps, draw), 2048))
    const exponents = plans.map(lawFrom)
    expect(exponents.filter(({ bLow, bHigh }) => bLow <= b && b <= bHigh).length).toBeGreaterThanOrEqual(11)
    const mean = exponents.reduce((sum, law) => sum + law.b, 0) / draws.length
    expect(Math.abs(mean - b)).toBeLessThan(0.08)
    const held = plans.filter(({ predictions: [one] }, draw) => {
      const tau = 10 * 2048 ** b * scattered(0.15, draw, 2048, 9)
      return one!.low <= tau && tau <= one!.high
    })
    expect(held.length).toBeGreaterThanOrEqual(11)
    // a straight law may bend beyond the P that were seen: below the factor 5 from which on nobody can plan with it
    const widths = plans.map(({ predictions }) => widthOf(predictions[0]!)).sort((x, y) => x - y)
    expect(widths[6]!).toBeLessThan(4.5)
    const checks = plans.flatMap(({ leaveOneOut }) => leaveOneOut)
    expect(checks).toHaveLength(draws.length * Ps.length)
    const right = checks.filter(
      ({ tau, predictedLow, predictedHigh }) => predictedLow <= tau && tau <= predictedHigh,
    )
    expect(right.length).toBeGreaterThanOrEqual(0.9 * checks.length)
  })

  test('is not bent by trainings that end too early: they are bounds', () => {
    const cut = draws.map((draw) => plan(trainings(b, [...Ps, 512, 1024], draw, { last: 20 * 256 ** b })))
    for (const { points } of cut) {
      const late = points.filter(({ P }) => P >= 512)
      expect(late.map(({ bound }) => bound)).toEqual(['above', 'above'])
      for (const { P, low, high, tau } of late) {
        expect(high).toBeNull()
        expect(low).toBeLessThanOrEqual(tau)
        expect(low).toBeLessThan(10 * P ** b * 1.5)
      }
    }
    const held = cut.map(lawFrom).filter(({ bLow, bHigh }) => bLow <= b && b <= bHigh)
    expect(held.length).toBeGreaterThanOrEqual(11)
  })
})

describe('errors', () => {
  test('seeds that differ more than is assumed widen the interval', () => {
    const Ps = [32, 64, 128, 256]
    const [calm, wild] = [0, 0.5].map((scatter) => lawFrom(plan(trainings(1, Ps, 3, { seeds: 3, scatter }))))
    expect(wild!.runToRun).toBeGreaterThan(1.5 * calm!.runToRun)
    expect(wild!.bHigh - wild!.bLow).toBeGreaterThan(1.3 * (calm!.bHigh - calm!.bLow))
  })

  test('a law that bends has a wider exponent than its points say; the bend and the largest P are named', () => {
    const bent = [32, 64, 128, 256, 512, 1024].map((P) => {
      const tau = P < 512 ? 20 * P ** 0.6 : 20 * 256 ** 0.6 * (P / 256) ** 3
      return synthetic({ P, tau, noise: 0.002 })
    })
    const { law, notes } = plan(bent)
    expect(law!.scale).toBeGreaterThan(1.5)
    expect(law!.bend!.low).toBeGreaterThan(0)
    expect(law!.straight).toBeLessThan(0.01)
    expect(
      notes.some((note) =>
        /^the law bends: its exponent changes by 0\.\d\d .* to 2\.\d\d at P=1,024/.test(note),
      ),
    ).toBe(true)
    expect(notes.some((note) => /^P=1,024: tau .* lies outside what the other P predict/.test(note))).toBe(
      true,
    )
  })

  test('a prediction has the scatter of a new training, the law alone has not', () => {
    const law = lawFrom(plan(trainings(1, [32, 64, 128], 1)))
    expect(widthOf(law.predict(64))).toBeGreaterThan(widthOf(law.at(64)))
    expect(law.predict(64).tau).toBe(law.at(64).tau)
  })

  test('the bend is that of the parabola through the times, and three P are needed for one', () => {
    const time = (P: number, tau: number) => ({
      ...{ P, seed: '0' },
      time: { kind: 'found', tau, low: 0.9 * tau, high: 1.1 * tau } as const,
    })
    // exponents 0.5, 0.8, 1.1, 1.4 from doubling to doubling
    const taus = [100, 100 * 2 ** 0.5, 100 * 2 ** 1.3, 100 * 2 ** 2.4, 100 * 2 ** 3.8]
    const times = taus.map((tau, i) => time(32 * 2 ** i, tau))
    const { bend } = lawOf(times)!
    expect(bend!.value).toBeCloseTo(0.3, 10)
    expect(bend!.low + bend!.high).toBeCloseTo(0.6, 10)
    expect(lawOf(times.slice(0, 2))!.bend).toBeUndefined()
    // five equal errors: by the normal equations the error of the bend is theirs times 2/√14, in doublings
    const error = Math.hypot(Math.log(1.1 / 0.9) / (2 * 1.96), 0.15) / Math.LN2
    expect((bend!.high - bend!.low) / 2 / (error * (2 / Math.sqrt(14)))).toBeGreaterThan(1.96)
    expect((bend!.high - bend!.low) / 2 / (error * (2 / Math.sqrt(14)))).toBeLessThan(2.4)
  })

  test('a prediction too wide to plan with says what to train, and the factor that is promised comes', () => {
    const far = plan(trainings(1, [32, 64, 128], 1), 4096)
    const note = far.notes.find((one) => one.startsWith('P=4,096: the interval goes a factor'))
    const [, P, steps, factor] =
      /too wide to plan with; train two seeds of P=([\d,]+) to about ([\d,]+) steps; .* the factor is ([\d.]+)$/.exec(
        note ?? '',
      )!
    const next = Number(P!.replace(',', ''))
    expect(next).toBeGreaterThan(128)
    expect(next).toBeLessThan(4096)
    expect(Number(steps!.replaceAll(',', '')) / lawFrom(far).predict(next).tau).toBeCloseTo(3, 0)
    expect(Number(factor)).toBeLessThanOrEqual(5)
    const more = [...trainings(1, [32, 64, 128], 1), ...trainings(1, [next], 1, { scatter: 0 })]
    expect(widthOf(plan(more, 4096).predictions[0]!) / Number(factor)).toBeCloseTo(1, 0)
  })

  test('one of several trainings that has not come so far counts as a bound at its P', () => {
    const time = (kind: 'found' | 'above', tau: number) =>
      ({ kind, tau, low: kind === 'above' ? tau : 0.9 * tau, high: 1.1 * tau }) as const
    const [alone, both] = [[], [{ P: 64, seed: '1', time: time('above', 2000) }]].map(
      (more) => pointsOf([{ P: 64, seed: '0', time: time('found', 1000) }, ...more])[0]!,
    )
    expect(both).toMatchObject({ bound: null, found: 1, bounds: 1 })
    expect(both!.tau).toBeGreaterThan(1.1 * alone!.tau)
    expect(lawOf([{ P: 64, seed: '0', time: time('found', 1000) }])).toBeUndefined()
  })
})

describe('what is refused, and what is said', () => {
  const bound = (P: number) => synthetic({ P, tau: 1e5, last: 3000 })

  test('no minimum, or one P alone: no law, and what to train instead', () => {
    const none = plan([bound(32), bound(64)], 1024)
    expect([none.law, none.predictions, none.leaveOneOut]).toEqual([undefined, [], []])
    expect(none.advice).toMatch(/no training shows a minimum .* train P=32, .* on to about 12,000 steps/)
    const [one, other] = [
      plan([synthetic({ P: 32, tau: 500 })]),
      plan([synthetic({ P: 32, tau: 500 }), bound(64)]),
    ]
    expect(one.advice).toMatch(/only P=32 shows .* train P=64 to about 4,\d00 steps, and P=128 to about/)
    expect(other.advice).toMatch(/train P=64 on to about 5,\d00 steps/)
    expect(stopJson(none)).toMatchObject({
      law: { a: null, b: null, bLow: null, bHigh: null },
      predictions: [],
    })
    const rising = {
      P: 8,
      seed: '0',
      steps: [1, 2, 3, 4, 5, 6, 7].map((i) => ({ step: 2 ** i, validationLoss: i, copies: null })),
    }
    expect(plan([rising]).advice).toContain('log earlier steps')
  })

  test('where the other mark has a law, it is named', () => {
    const curves = [32, 64].map((P) => synthetic({ P, tau: 10 * P }))
    const without = curves.map(({ P, seed, steps }) => ({
      ...{ P, seed },
      steps: steps.map((one) => ({ ...one, copies: null })),
    }))
    const { law, advice } = planStop(without, { by: 'copies', share: 0.02, at: [] })
    expect(law).toBeUndefined()
    expect(advice).toMatch(/no share of copies is logged; by the minimum .* \(--by validation\)$/)
  })

  test('two P have a law, and the plan says that nothing checks it', () => {
    const two = plan(
      [32, 64].map((P) => synthetic({ P, tau: 10 * P })),
      1024,
    )
    expect(two.law).toBeDefined()
    expect(two.leaveOneOut).toEqual([])
    expect(two.notes.join('\n')).toMatch(/two P .* nothing checks .* P=128/)
    expect(two.notes.join('\n')).toContain('P=1,024 is 16 times the largest P')
    expect(two.notes.join('\n')).toContain('no P has two seeds')
  })

  test('marks that disagree are named; marks that agree are not', () => {
    const curves = [32, 64, 128, 256, 512].map((P) => synthetic({ P, tau: 30 * P ** 0.6, noise: 0.002 }))
    expect(plan(curves).notes.join('\n')).not.toContain('disagree')
    const late = curves.map((curve) => ({
      ...curve,
      steps: curve.steps.map((one) => ({
        ...one,
        copies: Math.min(1, 0.02 * (one.step / curve.P / 4) ** 2),
      })),
    }))
    const { notes, beside } = plan(late)
    expect(beside!.law!.b).toBeCloseTo(1, 1)
    expect(notes.join('\n')).toMatch(
      /the two marks disagree: .* P\^0\.[56]\d, the onset of copies as P\^(0\.9|1\.0)/,
    )
  })
})
