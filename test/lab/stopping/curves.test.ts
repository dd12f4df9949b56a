/** Curves from tables of others: any order of columns and rows, quotes, line ends; every mistake in one line with its place. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TreelineError } from '../../../src/base/index.ts'
import {
  type CurveRow,
  curveRowsOf,
  curveRowsOfRuns,
  type FinishedRun,
  gatherCurves,
  planStop,
  stopJson,
} from '../../../src/lab/index.ts'

const read = (text: string) => gatherCurves(curveRowsOf(text, 'a.csv'))
const refusal = (text: string): string => {
  try {
    curveRowsOf(text, 'a.csv')
  } catch (error) {
    if (error instanceof TreelineError) return error.message
    throw error
  }
  throw new Error('expected a refusal')
}

describe('a table', () => {
  const plain = 'P,step,validationLoss\n32,10,2.5\n32,20,2.25\n64,10,2.75\n'

  test('gives a curve for each P and seed, sorted by step', () => {
    expect(read(plain).curves).toEqual([
      {
        ...{ P: 32, seed: 'a.csv' },
        steps: [
          { step: 10, validationLoss: 2.5, copies: null },
          { step: 20, validationLoss: 2.25, copies: null },
        ],
      },
      { P: 64, seed: 'a.csv', steps: [{ step: 10, validationLoss: 2.75, copies: null }] },
    ])
    const seeds = read('P,step,seed,validationLoss,copies\n32,10,b,1,0\n32,10,a,2,0.5\n').curves
    expect(seeds.map(({ seed, steps }) => [seed, steps[0]!.copies])).toEqual([
      ['a', 0.5],
      ['b', 0],
    ])
  })

  test.each([
    [
      'a mark of the byte order apart, other columns and another order',
      'lr,validationLoss,P,step\n1e-3,2.25,32,20\n,2.75,64,10\nx,2.5,32,10\n',
    ],
    [
      'quotes, and line ends of Windows',
      '"P","step","validationLoss"\r\n"32","10","2.5"\r\n32,"20",2.25\r\n64,10,2.75',
    ],
    [
      'blanks, empty lines, other spellings of numbers',
      'P, step ,validationLoss\n\n32,1e1, 25e-1\n 3.2e1,20,2.25\n,,\n64,10,2.750\n\n',
    ],
    ['line ends of old machines', 'P,step,validationLoss\r32,10,2.5\r32,20,2.25\r64,10,2.75\r'],
    [
      'quotes in other columns',
      'note,P,step,validationLoss\n"a ""b"", c\nd",32,10,2.5\n,32,20,2.25\n"",64,10,2.75\n',
    ],
  ])('%s: the same curves', (_, text) => {
    expect(read(text).curves).toEqual(read(plain).curves)
  })

  test('step 0 and empty cells are left out; repeated steps count with their mean, and are named', () => {
    const { curves, notes } = read('P,step,validationLoss\n32,0,9\n32,10,\n32,20,1\n32,20,3\n')
    expect(curves[0]!.steps).toEqual([
      { step: 10, validationLoss: null, copies: null },
      { step: 20, validationLoss: 2, copies: null },
    ])
    expect(notes).toHaveLength(1)
    expect(notes[0]).toMatch(/^P=32: 1 of 2 steps .*more than once/)
  })

  test.each([
    ['', 'a.csv: empty'],
    ['\n\n', 'a.csv: empty'],
    ['P,step,validationLoss\n', 'a.csv: a header and no rows'],
    ['P,step,val_loss\n1,2,3\n', 'a.csv: no column validationLoss; '],
    ['P;step;validationLoss\n1;2;3\n', 'a.csv: no column P, step, validationLoss; '],
    ['1,2,3\n1,2,3\n', 'a.csv: no column P, step, validationLoss; '],
    ['P,P,step,validationLoss\n1,1,2,3\n', 'a.csv: two columns are named P'],
    [
      'P,step,validationLoss\n32,10,2\n32,20,nan\n',
      'a.csv, line 3: validationLoss: expected a finite number',
    ],
    ['P,step,validationLoss\n32,10,-inf\n', 'a.csv, line 2: validationLoss: expected a finite number'],
    ['P,step,validationLoss\n32,ten,2\n', 'a.csv, line 2: step: expected a number, 0 or more, got "ten"'],
    ['P,step,validationLoss\n32,-1,2\n', 'a.csv, line 2: step: expected a number, 0 or more, got "-1"'],
    ['P,step,validationLoss\n-32,1,2\n', 'a.csv, line 2: P: expected a number above 0'],
    ['P,step,validationLoss\n0,1,2\n', 'a.csv, line 2: P: expected a number above 0'],
    [
      'P,step,validationLoss\n,1,2\n',
      'a.csv, line 2: P: expected a number above 0 (training examples), got an empty cell',
    ],
    ['P,step,validationLoss,copies\n1,1,2,20\n', 'a.csv, line 2: copies: expected a share'],
    ['P,step,validationLoss\n1,2\n', 'a.csv, line 2: expected 3 cells as in the header, got 2'],
    ['P,step,validationLoss\n\n1,2,3,4\n', 'a.csv, line 3: expected 3 cells'],
    ['P,step,validationLoss\n1,2,"3\n', 'a.csv, line 2: a quoted cell never ends'],
  ])('%j is refused with its place', (text, message) => {
    expect(refusal(text)).toContain(message)
  })

  test('any text is read or refused in one line', () => {
    const words = fc.constantFrom(
      ...[
        'P',
        'step',
        'validationLoss',
        'seed',
        ',',
        '\n',
        '\r\n',
        '"',
        '""',
        '1',
        '-2',
        '1e999',
        'NaN',
        '.5',
        ' ',
        'é',
        '0x10',
      ],
    )
    const table = fc
      .tuple(fc.boolean(), fc.array(words, { maxLength: 40 }))
      .map(([header, parts]) => `${header ? 'P,step,validationLoss\n' : ''}${parts.join('')}`)
    fc.assert(
      fc.property(fc.oneof(table, fc.string()), (text) => {
        try {
          for (const { P, step, validationLoss } of curveRowsOf(text, 'a.csv')) {
            expect(P).toBeGreaterThan(0)
            expect(step).toBeGreaterThanOrEqual(0)
            if (validationLoss !== null) expect(validationLoss).toSatisfy(Number.isFinite)
          }
        } catch (error) {
          if (!(error instanceof TreelineError)) throw error
          expect(error.message).toMatch(/^a\.csv[^\n]+$/)
        }
      }),
    )
  })

  test('a table reads back as it was written, whatever is quoted', () => {
    // a zero has no sign in text
    const value = fc.double({ noNaN: true, min: -1e9, max: 1e9 }).map((x) => x + 0)
    const row = fc.record({
      P: fc.integer({ min: 1, max: 1e6 }),
      step: fc.integer({ min: 0, max: 1e9 }),
      validationLoss: fc.oneof(value, fc.constant(null)),
      copies: fc.oneof(
        fc.double({ noNaN: true, min: -1, max: 1 }).map((x) => x + 0),
        fc.constant(null),
      ),
      seed: fc
        .string({ unit: fc.constantFrom(...'ab,"1\n é'.split('')), minLength: 1 })
        .map((text) => `s${text}e`),
    })
    const order = fc.shuffledSubarray(['P', 'step', 'validationLoss', 'copies', 'seed'] as const, {
      minLength: 5,
    })
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 8 }),
        order,
        fc.boolean(),
        (rows, names, quoted) => {
          const cell = (of: string | number | null): string =>
            quoted || /[,"\n]/.test(String(of))
              ? `"${String(of ?? '').replaceAll('"', '""')}"`
              : String(of ?? '')
          const text = [names, ...rows.map((one) => names.map((name) => one[name]))]
            .map((cells) => cells.map(cell).join(','))
            .join('\n')
          expect(curveRowsOf(text, 'a.csv')).toEqual(rows)
        },
      ),
    )
  })
})

test('the order of rows changes no bit of a plan, and no plan holds a NaN', () => {
  const row = fc.record({
    P: fc.constantFrom(8, 16, 64),
    step: fc.integer({ min: 1, max: 12 }).map((power) => 2 ** power),
    validationLoss: fc.oneof(
      fc.constant(null),
      fc.constantFrom(1, 2, 3),
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    ),
    copies: fc.oneof(fc.constant(null), fc.double({ min: 0, max: 1, noNaN: true })),
    seed: fc.constantFrom('0', '1'),
  })
  const rows = fc.array(row, { minLength: 1, maxLength: 120 })
  const shuffled = rows.chain((own) =>
    fc.tuple(fc.constant(own), fc.shuffledSubarray(own, { minLength: own.length, maxLength: own.length })),
  )
  const planOf = (some: readonly CurveRow[], by: 'validation' | 'copies') =>
    stopJson(planStop(gatherCurves(some).curves, { by, share: 0.02, at: [128] }))
  fc.assert(
    fc.property(shuffled, fc.constantFrom('validation' as const, 'copies' as const), ([own, other], by) => {
      const plan = planOf(own, by)
      expect(planOf(other, by)).toEqual(plan)
      const { points } = plan as {
        points: { tau: number; low: number; high: number | null; bound: string | null }[]
      }
      for (const { tau, low, high, bound } of points) {
        expect(low).toBeLessThanOrEqual(tau)
        if (bound === null) expect(high).toBeGreaterThanOrEqual(tau)
        else expect(high).toBeNull()
      }
      expect(JSON.stringify(plan, (_, value) => (Number.isNaN(value) ? 'NaN' : value))).not.toContain('NaN')
    }),
    { numRuns: 200 },
  )
})

describe('run folders', () => {
  const run = (part: object): FinishedRun =>
    ({
      ...{
        folder: 'runs/x',
        experiment: 'memorization',
        hash: 'ab',
        config: { seed: 3, P: 64 },
        metrics: [],
        result: {},
      },
      ...part,
    }) as unknown as FinishedRun

  test('rows of a study, each draw a training', () => {
    const rows = [0, 1].map((replica) => ({ P: 32, step: 10, validationLoss: 2 - replica, replica, seed: 5 }))
    expect(curveRowsOfRuns([run({ result: { rows } })])).toEqual({
      rows: [
        { P: 32, step: 10, validationLoss: 2, copies: null, seed: 'ab 0' },
        { P: 32, step: 10, validationLoss: 1, copies: null, seed: 'ab 1' },
      ],
      notes: [],
    })
  })

  test('lines of metrics, with P from the config', () => {
    const metrics = [
      { step: 1, trainingLoss: 4 },
      { step: 2, validationLoss: 3, copies: 0.1 },
    ]
    expect(curveRowsOfRuns([run({ metrics })]).rows).toEqual([
      { P: 64, step: 2, validationLoss: 3, copies: 0.1, seed: 'ab 0' },
    ])
  })

  test('trainings of other settings are left out and named; what was measured, or goes with P or the draw, is no setting', () => {
    const training = (P: number, width: number, replica: number) =>
      [10, 20, 40].map((step) => ({
        ...{ P, width, replica, seed: 0, step, validationLoss: 100 * P + step + replica },
        ...{ of: 'curve', validity: [0.5], gradient: step * P, epochs: P / 32, grammar: `g${replica}` },
      }))
    const rows = [
      ...[32, 64, 128].flatMap((P) => [0, 1].flatMap((replica) => training(P, 64, replica))),
      ...[16, 256].flatMap((width) => training(64, width, 0)),
      { of: 'kernel', P: 32, replica: 0, seed: 0, random: 3 },
    ]
    // the config has a width, too: of the rows' own setting
    const config = { seed: 0, width: 64 }
    const { rows: found, notes } = curveRowsOfRuns([run({ result: { rows }, config })])
    const { curves } = gatherCurves(found)
    expect(curves.map(({ P, steps }) => [P, steps.map(({ step }) => step)])).toEqual(
      [32, 32, 64, 64, 128, 128].map((P) => [P, [10, 20, 40]]),
    )
    expect(notes).toEqual([
      'width=16: 1 training (P=64) left out: the law is of width=64',
      'width=256: 1 training (P=64) left out: the law is of width=64',
    ])
  })

  test('runs of a sweep over P are one law; a swept rate is a setting', () => {
    const sweep = (rates: readonly number[]) =>
      rates.flatMap((rate) =>
        [32, 64].map((P) =>
          run({
            ...{ hash: `${P}-${rate}`, config: { seed: 0, P, rate, steps: 10 * P } },
            metrics: [10, 20].map((step) => ({ step, validationLoss: step })),
          }),
        ),
      )
    expect(curveRowsOfRuns(sweep([0.1]))).toMatchObject({ rows: { length: 4 }, notes: [] })
    const { rows, notes } = curveRowsOfRuns(sweep([0.1, 0.2]))
    expect(rows).toHaveLength(4)
    expect(notes).toEqual(['rate=0.2: 2 trainings (P=32, 64) left out: the law is of rate=0.1'])
  })

  test('a run that logs no such curve is refused by its name, or left out beside others', () => {
    const none = run({ result: { rows: [{ m: 3 }] } })
    expect(() => curveRowsOfRuns([none])).toThrow(
      'runs/x (memorization): no rows with P, step and validationLoss',
    )
    const metrics = [{ step: 2, validationLoss: 3 }]
    expect(curveRowsOfRuns([none, run({ metrics })])).toMatchObject({
      rows: { length: 1 },
      notes: ['runs/x: left out: no rows with P, step and validationLoss'],
    })
    expect(() => curveRowsOfRuns([run({ metrics: [{ step: 2, validationLoss: 'NaN' }] })])).toThrow(
      'runs/x: validationLoss: expected a finite number',
    )
  })
})
