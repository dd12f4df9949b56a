/** Claims: three outcomes, words made from the tolerance, and no way from failing to holding by more noise. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { meanOf } from '../../../src/lab/index.ts'
import {
  besideTheory,
  type Claim,
  claim,
  control,
  difference,
  type Estimate,
  exact,
  intervalOf,
  jackknife,
  overReplicas,
  shareOf,
  studentQuantile,
} from '../../../src/lab/study/index.ts'
import { random } from '../../../src/tensor/index.ts'

const ways: Record<string, (measured: Estimate) => Claim> = {
  'equals, by': (e) => claim('x', e).equals(1, { by: 0.1 }),
  'equals, share': (e) => claim('x', e).equals(-2, { share: 0.2 }),
  'equals, factor': (e) => claim('x', e).equals(3, { factor: 1.5 }),
  'equals an estimate': (e) => claim('x', e).equals({ value: 1, error: 0.05, n: 4 }, { by: 0.2 }),
  'at most': (e) => claim('x', e).atMost(0.5),
  'at least': (e) => claim('x', e).atLeast(0.5),
  between: (e) => control('x', e).between(0, 1),
  vanishes: (e) => claim('x', e).vanishes({ below: 0.1 }),
  differs: (e) => claim('x', e).differsFrom({ value: 0, error: 0.01 }, { by: 0.1 }),
}

describe('outcomes', () => {
  it.each(Object.entries(ways))('%s: a larger error only ever makes a claim undecided', (_, judge) => {
    fc.assert(
      fc.property(
        fc.double({ min: -5, max: 5, noNaN: true }),
        fc.double({ min: 0, max: 2, noNaN: true }),
        fc.double({ min: 0, max: 5, noNaN: true }),
        fc.option(fc.integer({ min: 2, max: 40 }), { nil: undefined }),
        (value, error, more, n) => {
          const before = judge({ value, error, ...(n && { n }) }).outcome
          const after = judge({ value, error: error + more, ...(n && { n }) }).outcome
          expect([before, 'undecided']).toContain(after)
          if (n && n > 2) expect([before, 'undecided']).toContain(judge({ value, error, n: n - 1 }).outcome)
          expect(judge({ value, error: null }).outcome).toBe('undecided')
        },
      ),
    )
  })

  it('says of the old rule’s worst pass that nothing is decided', () => {
    // 0.97 ± 0.46 passed as "equals 0 within 0.1 or three errors"
    const { outcome } = claim('x', { value: 0.97, error: 0.46, n: 16 }).equals(0, { by: 0.1 })
    expect(outcome).toBe('undecided')
  })

  it('says how many draws gave a number, and decides nothing without the others', () => {
    const rows = [1, 1.01, 0.99, Number.NaN].map((x, replica) => ({ seed: 0, replica, x }))
    const some = overReplicas(rows, ([row]) => row!.x)
    expect(some).toMatchObject({ n: 3, missing: 1 })
    const whole = overReplicas(rows.slice(0, 3), ([row]) => row!.x)
    for (const judge of [
      (e: Estimate) => claim('x', e).equals(1, { by: 0.1 }),
      (e: Estimate) => claim('x', e).atMost(0.5),
      (e: Estimate) => claim('x', difference(e, exact(0))).atLeast(0.5),
      (e: Estimate) => claim('x', e).differsFrom(exact(0), { by: 0.5 }),
    ]) {
      expect(judge(whole).outcome).not.toBe('undecided')
      expect(judge(some)).toMatchObject({
        outcome: 'undecided',
        claim: expect.stringContaining('; a number in 3 of 4 draws)'),
      })
    }
  })

  it('lets the error of theory widen the interval of a share, too', () => {
    const share = shareOf(90, 100)
    const [low, high] = claim('x', share).equals({ value: 0.5, error: 0.1, n: 40 }, { by: 0.5 }).interval
    const [narrowLow, narrowHigh] = intervalOf(share)
    expect([low! < narrowLow - 0.1, high! > narrowHigh + 0.1]).toEqual([true, true])
  })

  it('knows all three, and that a missing value decides nothing', () => {
    const at = (value: number, error: number | null) => claim('x', { value, error }).equals(1, { by: 0.1 })
    expect([at(1, 0.01), at(1.5, 0.01), at(1, 0.2), at(Number.NaN, 0)].map(({ outcome }) => outcome)).toEqual(
      ['holds', 'fails', 'undecided', 'undecided'],
    )
    expect(at(Number.NaN, 0)).toMatchObject({ measured: null, interval: [null, null], predicted: 1 })
  })

  it('makes the words from the tolerance', () => {
    const words = Object.values(ways).map((judge) => judge(exact(1)).claim)
    expect(words).toEqual([
      'x (within 0.1)',
      'x (within 20 %)',
      'x (within a factor of 1.5)',
      'x (within 0.2)',
      'x (at most 0.5)',
      'x (at least 0.5)',
      'x (between 0 and 1)',
      'x (below 0.1)',
      'x (differs from 0.000 by more than 0.1)',
    ])
    expect(ways['equals, share']!(exact(-2)).tolerance).toEqual([-2.4, -1.6])
    expect(ways['between']!(exact(0.5))).toMatchObject({ control: true, outcome: 'holds' })
  })
})

describe('estimates', () => {
  it('has Student’s quantiles (scipy.stats.t.ppf(0.975, n))', () => {
    const known: [number, number][] = [
      [1, 12.7062],
      [4, 2.77645],
      [30, 2.04227],
      [40, 2.02108],
      [120, 1.97993],
    ] // prettier-ignore
    for (const [freedom, t] of known) expect(studentQuantile(freedom)).toBeCloseTo(t, 4)
    expect(studentQuantile(0)).toBe(Number.POSITIVE_INFINITY)
  })

  it('covers the true mean in 95 of 100 samples of four', () => {
    const draws = random.sampleNormal(random.key(1), 4 * 4000)
    let covered = 0
    for (let i = 0; i < 4000; i++) {
      const [low, high] = intervalOf(meanOf([...draws.subarray(4 * i, 4 * i + 4)]))
      if (low <= 0 && 0 <= high) covered++
    }
    // three standard errors of a share of .95 in 4000
    expect(Math.abs(covered / 4000 - 0.95)).toBeLessThan(0.0104)
  })

  it('takes the mean and its error over replicas, and leaves one out where a statistic needs them all', () => {
    const rows = [1, 2, 4, 9].flatMap((x, replica) => [
      { seed: 0, replica, x },
      { seed: 0, replica, x: x + 2 },
    ])
    const mean = (own: readonly { x: number }[]) => own.reduce((sum, { x }) => sum + x, 0) / own.length
    const plain = overReplicas(rows, mean)
    expect(plain).toEqual(meanOf([2, 3, 5, 10]))
    // of a mean the jackknife gives the same
    const left = jackknife(rows, mean)
    expect(left.value).toBeCloseTo(plain.value)
    expect(left.error!).toBeCloseTo(plain.error!)
    // when a part of the replicas gives no value, the error is unknown
    expect(jackknife(rows, (own) => (own.length < rows.length ? Number.NaN : 1)).error).toBeNull()
    // a second seed is more replicas
    expect(overReplicas([...rows, ...rows.map((row) => ({ ...row, seed: 1 }))], mean).n).toBe(8)
  })

  it('takes the error of what theory leaves open, where theory is of the same replicas', () => {
    const rows = [1, 2, 4, 9].map((x, replica) => ({ seed: 0, replica, x, theory: x + (replica % 2) / 10 }))
    const of = (name: 'x' | 'theory') => (own: readonly { x: number; theory: number }[]) =>
      own.reduce((sum, row) => sum + row[name], 0) / own.length
    for (const estimator of [overReplicas, jackknife]) {
      const { measured, predicted } = besideTheory(estimator, rows, of('x'), of('theory'))
      expect(measured.value).toBeCloseTo(4, 12)
      expect(predicted).toBeCloseTo(4.05, 12)
      expect(measured.error).toBeCloseTo(meanOf([0, 0.1, 0, 0.1]).error!, 12)
    }
  })

  it('leaves groups out where there are many replicas: about the same error, in bounded time', () => {
    const draws = random.sampleNormal(random.key(2), 1000)
    const rows = [...draws].map((x, replica) => ({ seed: 0, replica, x }))
    let asked = 0
    const mean = (own: readonly { x: number }[]) => {
      asked++
      return own.reduce((sum, { x }) => sum + x, 0) / own.length
    }
    const found = jackknife(rows, mean)
    expect([found.n, asked]).toEqual([250, 251])
    expect(found.value).toBeCloseTo(meanOf([...draws]).value)
    // the error of 250 means of four: their own relative error is 1/√500
    expect(Math.abs(found.error! / meanOf([...draws]).error! - 1)).toBeLessThan(3 / Math.sqrt(500))
  })

  it('gives shares an interval that is right at 0 and 1', () => {
    expect(intervalOf(shareOf(10, 10))[0]).toBeCloseTo(0.7225, 3)
    // Newcombe 1998, table II: 56 of 70 and 48 of 80
    const [low, high] = intervalOf(difference(shareOf(56, 70), shareOf(48, 80)))
    expect([low, high].map((x) => x.toFixed(4))).toEqual(['0.0524', '0.3339'])
    expect(claim('x', shareOf(4, 4)).atLeast(0.9).outcome).toBe('undecided')
  })
})
