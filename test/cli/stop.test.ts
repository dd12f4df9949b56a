/** `treeline stop` as people and scripts meet it: what it prints, draws and refuses. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { executeRun, svgToPng, type TrainingCurve } from '../../src/lab/index.ts'
import { synthetic } from '../lab/stopping/synthetic.ts'
import { normalMeans } from '../lab/study/toyStudy.ts'
import { collisions } from '../lab/svgText.ts'
import { treeline } from './caught.ts'
import { toyCurves } from './curvesStudy.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-stop-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (name: string): string => join(root, name)

const csv = (curves: readonly TrainingCurve[]): string =>
  [
    'step,copies,P,other,validationLoss,seed',
    ...curves.flatMap(({ P, seed, steps }) =>
      steps.map(({ step, validationLoss, copies }) =>
        [step, copies, P, '"a, b"', validationLoss, seed].join(','),
      ),
    ),
  ].join('\n')
const write = (name: string, text: string): string => {
  writeFileSync(at(name), text)
  return at(name)
}
const law = (Ps: readonly number[]): TrainingCurve[] =>
  Ps.flatMap((P) => [0, 1].map((seed) => synthetic({ P, tau: 10 * P, seed })))

interface Printed {
  points: { P: number; tau: number; low: number; high: number | null; bound: string | null }[]
  law: Record<'a' | 'b' | 'bLow' | 'bHigh' | 'bend' | 'bendLow' | 'bendHigh', number>
  predictions: { P: number; tau: number; low: number; high: number }[]
  leaveOneOut: { P: number; tau: number; predicted: number; low: number; high: number }[]
}
const json = async (...words: string[]): Promise<Printed> => {
  const { code, out } = await treeline('stop', ...words, '--json')
  expect(code).toBe(0)
  return JSON.parse(out) as Printed
}

let curves: string
beforeAll(() => {
  const late = synthetic({ P: 512, tau: 5120, last: 4000 })
  curves = write('curves.csv', csv([...law([32, 64, 128]), late]))
})

describe('--json', () => {
  it('has the fields that scripts read, and no others', async () => {
    const found = await json(curves, '--at', '1024', '--at', '256')
    expect(Object.keys(found)).toEqual(['points', 'law', 'predictions', 'leaveOneOut'])
    expect(found.points.map(({ P, bound }) => [P, bound])).toEqual([
      [32, null],
      [64, null],
      [128, null],
      [512, 'above'],
    ])
    for (const point of found.points) expect(Object.keys(point)).toEqual(['P', 'tau', 'low', 'high', 'bound'])
    for (const { P, tau, low, high } of found.points.slice(0, 3)) {
      expect(low).toBeLessThan(10 * P)
      expect(high).toBeGreaterThan(10 * P)
      expect(tau).toBeGreaterThan(low)
    }
    expect(found.points[3]).toMatchObject({ high: null })
    expect(Object.keys(found.law)).toEqual(['a', 'b', 'bLow', 'bHigh', 'bend', 'bendLow', 'bendHigh'])
    expect(found.law.bLow).toBeLessThan(1)
    expect(found.law.bHigh).toBeGreaterThan(1)
    expect(found.law.bendLow).toBeLessThan(0)
    expect(found.law.bendHigh).toBeGreaterThan(0)
    expect(found.predictions.map(({ P }) => P)).toEqual([1024, 256])
    for (const { P, low, high } of found.predictions) {
      expect(low).toBeLessThan(10 * P)
      expect(high).toBeGreaterThan(10 * P)
    }
    expect(found.leaveOneOut.map((one) => Object.keys(one))).toEqual(
      [32, 64, 128].map(() => ['P', 'tau', 'predicted', 'low', 'high']),
    )
  })

  it('is the same from several files, in any order, and by copies another', async () => {
    const [first, second] = [write('a.csv', csv(law([32, 128]))), write('b.csv', csv(law([64])))]
    const whole = write('whole.csv', csv(law([32, 64, 128])))
    expect(await json(second, first)).toEqual(await json(whole))
    const copies = await json(whole, '--by', 'copies')
    // 2 % of copies at 2·tau, 4.5 % half a time later
    expect(copies.points[0]!.tau / 640).toBeCloseTo(1, 1)
    expect((await json(whole, '--by', 'copies', '--share', '0.045')).points[0]!.tau / 960).toBeCloseTo(1, 1)
  })

  it('files without a column seed are trainings of their own', async () => {
    const paths = [0, 1].map((seed) =>
      write(
        `own-${seed}.csv`,
        [32, 64]
          .map((P) => synthetic({ P, tau: 10 * P, seed }))
          .flatMap(({ P, steps }) => steps.map((one) => `${P},${one.step},${one.validationLoss}`))
          .reduce((text, row) => `${text}\n${row}`, 'P,step,validationLoss'),
      ),
    )
    const both = await treeline('stop', ...paths)
    expect(both.out).toMatch(/^ *32 +2 /m)
    expect(both.err).not.toContain('more than once')
    // two trainings in one file cannot be told apart
    const joined = write(
      'joined.csv',
      paths.flatMap((path, i) => readFileSync(path, 'utf8').split('\n').slice(i)).join('\n'),
    )
    const one = await treeline('stop', joined)
    expect(one.out).toMatch(/^ *32 +1 /m)
    expect(one.err).toContain('logged more than once')
  })
})

describe('for people', () => {
  it('a table, the law, predictions; notes on standard error, and none with --quiet', async () => {
    const { code, out, err } = await treeline('stop', curves, '--at', '1024')
    expect(code).toBe(0)
    expect(out).toMatch(/^ *512 +1 +> [\d,]+ +not by step 3,\d+/m)
    expect(out).toMatch(/b = \d\.\d\d \(95 % \d\.\d\d to \d\.\d\d\), 1 is within/)
    expect(out).toMatch(/^b changes by -?\d\.\d\d \(95 % -\d\.\d\d to \d\.\d\d\) with each doubling of P$/m)
    expect(out).toMatch(/^by onset of copies \(2 %\): b = .*, 1 is within/m)
    expect(out).toMatch(/^ *P +trainings +tau +95 % +predicted by the other P +by onset of copies \(2 %\)$/m)
    expect(out).toMatch(
      /^P=1,024: stop at step [\d,]+ \(95 % [\d,]+ to [\d,]+, a factor \d\.\d each way\); by onset of copies/m,
    )
    expect(err).toMatch(/^note: P=512: no minimum followed by a clear rise by step 3,\d+/m)
    const quiet = await treeline('stop', curves, '--at', '1024', '--quiet')
    expect([quiet.out, quiet.err]).toEqual([out, ''])
  })

  it('a picture', async () => {
    const svg = at('stop.svg')
    expect((await treeline('stop', curves, '--at', '1024', '--svg', svg)).code).toBe(0)
    const text = readFileSync(svg, 'utf8')
    expect(text).toMatch(/^<svg xmlns/)
    expect(text).not.toMatch(/NaN|Infinity|undefined/)
    expect(collisions(text)).toEqual([])
    expect(svgToPng(text).length).toBeGreaterThan(1000)
  })

  it('help has examples', async () => {
    const { code, out } = await treeline('stop', '--help')
    expect(code).toBe(0)
    expect(out).toContain('Examples:')
    expect(out).toContain('--at')
  })
})

describe('run folders', () => {
  it('rows of a study, from a run or a folder of runs, beside files', async () => {
    const run = await executeRun(toyCurves, toyCurves.config.parse({ seed: 0 }), {
      root: at('runs'),
      threads: 1,
    })
    const found = await json(run.folder)
    expect(found.points.map(({ P, bound }) => [P, bound])).toEqual([32, 64, 128].map((P) => [P, null]))
    expect(await json(at('runs'))).toEqual(found)
    expect((await json(at('runs'), write('more.csv', csv(law([256]))))).points).toHaveLength(4)
  })

  it('a run without such rows, and a folder without runs', async () => {
    const { folder } = await executeRun(
      normalMeans,
      normalMeans.config.parse({ seed: 0, count: 8, draws: 2 }),
      { root: at('other'), threads: 1 },
    )
    const none = await treeline('stop', folder)
    expect([none.code, none.out]).toEqual([1, ''])
    expect(none.err).toMatch(
      /^treeline: \S+ \(normal-means\): no rows with P, step and validationLoss; [^\n]+\n$/,
    )
    mkdirSync(at('empty'))
    const empty = await treeline('stop', at('empty'))
    expect(empty.code).toBe(1)
    expect(empty.err).toMatch(/^treeline: \S+empty: no runs here; [^\n]+\n$/)
  })
})

describe('mistakes', () => {
  it.each([
    [['--at', '-3'], 2, '--at: expected a number of training examples above 0, got -3'],
    [['--at', 'many'], 2, '--at: expected a number of training examples above 0, got many'],
    [['--share', '2'], 2, '--share: expected a share above 0 and below 1, got 2'],
    [['--by', 'copie'], 2, '--by copie: there is no such mark: did you mean "copies"?'],
    [['--att', '3'], 2, '--att: treeline stop has no such option: did you mean "--at"?'],
    [['--force'], 2, '--force: it replaces the file of --svg'],
    [['--svg', 'x.png'], 2, 'x.png: cannot write .png'],
  ] as const)('%j: exit %i and one line', async (words, exit, message) => {
    const { code, out, err } = await treeline('stop', curves, ...words)
    expect([code, out]).toEqual([exit, ''])
    expect(err).toMatch(/^treeline: [^\n]+\n$/)
    expect(err).toContain(message)
  })

  it.each([
    ['', 'empty'],
    ['P,step,validationLoss\n32,1,NaN\n', 'line 2: validationLoss: expected a finite number'],
    ['P,step,loss\n32,1,2\n', 'no column validationLoss'],
  ])('a file %j: exit 1 and one line', async (text, message) => {
    const { code, out, err } = await treeline('stop', write('bad.csv', text), '--at', '64')
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^treeline: [^\n]+\n$/)
    expect(err).toContain(message)
  })

  it('a file that is not there, and the curves themselves as picture', async () => {
    expect(await treeline('stop', at('none.csv'))).toMatchObject({ code: 1, out: '' })
    const own = write('own.svg', readFileSync(curves, 'utf8'))
    const { code, err } = await treeline('stop', own, '--svg', own, '--force')
    expect(code).toBe(2)
    expect(err).toContain('never replaced')
    expect(readFileSync(own, 'utf8')).toBe(readFileSync(curves, 'utf8'))
  })

  it('no law: what was found is printed, the line says what to train, exit 1', async () => {
    const falling = write('falling.csv', csv([32, 64].map((P) => synthetic({ P, tau: 1e5, last: 2000 }))))
    const { code, out, err } = await treeline('stop', falling, '--at', '1024', '--json')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      points: [
        { P: 32, bound: 'above', high: null },
        { P: 64, bound: 'above', high: null },
      ],
      ...{ law: { a: null, b: null, bLow: null, bHigh: null, bend: null }, predictions: [], leaveOneOut: [] },
    })
    expect(err).toMatch(
      /treeline: no training shows a minimum .*: train P=32, [^\n]+ to about [\d,]+ steps\n$/,
    )
    const alone = await treeline('stop', write('one.csv', csv(law([32]))), '--at', '1024')
    expect(alone.code).toBe(1)
    expect(alone.err).toMatch(
      /treeline: only P=32 shows .* a law needs two P, .*: train P=64 to about [\d,]+ steps[^\n]+\n$/,
    )
  })
})
