/** @file Sweep files and plans: what they make, what they refuse and where, filters without eval. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import {
  composeConfig,
  estimateCosts,
  executeRun,
  fileAssignments,
  importExperiment,
  parseExpression,
  parseWritten,
  readSweepFile,
  readWritten,
  wallSeconds,
  weights,
} from '../../src/lab/index.ts'
import { planFile, testFolder, toyPath } from './sweepHelp.ts'
import { makeToy } from './toy.ts'

const { path: root, file } = testFolder()
const head = `experiment: ${toyPath}\n`
const plan = (text: string, set?: string[]) =>
  planFile(file('s.yaml', head + text), join(root(), 'runs'), set)
const labels = async (text: string, set?: string[]) => (await plan(text, set)).runs.map(({ label }) => label)

/** The one-line message of a refusal, with the folder left out. */
async function refusal(action: () => unknown): Promise<string> {
  try {
    await action()
  } catch (error) {
    expect(error).toBeInstanceOf(TreelineError)
    return (error as Error).message.replaceAll(`${root()}/`, '')
  }
  throw new Error('expected a refusal')
}

describe('a plan', () => {
  it('makes every combination of the grid, the last field fastest, then seeds', async () => {
    expect(await labels('grid: { a: [1, 2], steps: [3, 4] }\nrepeat: 2\n')).toEqual([
      'a=1 steps=3 seed=0',
      'a=1 steps=3 seed=1',
      'a=1 steps=4 seed=0',
      'a=1 steps=4 seed=1',
      'a=2 steps=3 seed=0',
      'a=2 steps=3 seed=1',
      'a=2 steps=4 seed=0',
      'a=2 steps=4 seed=1',
    ])
  })

  it('advances zipped lists together', async () => {
    expect(await labels('zip: { a: [1, 2, 3], steps: [7, 8, 9] }\nrepeat: [5]\n')).toEqual([
      'a=1 steps=7 seed=5',
      'a=2 steps=8 seed=5',
      'a=3 steps=9 seed=5',
    ])
  })

  it('takes nested and dotted fields, lists as values, preset, set and the command line, in this order', async () => {
    const { runs } = await plan(
      'preset: quick\nset: { noise.on: false, a: 3, seed: 7 }\ngrid: { noise: { size: [1, 2] }, sizes: [[1], []] }\nrepeat: 2\n',
      ['a=4'],
    )
    expect(runs).toHaveLength(8)
    expect(runs[0]!.config).toMatchObject({
      seed: 7,
      a: 4,
      steps: 2,
      sizes: [1],
      noise: { size: 1, on: false },
    })
    expect(runs.at(-1)!.config).toMatchObject({ seed: 8, a: 4, sizes: [], noise: { size: 2, on: false } })
    expect(runs[0]!.label).toBe('noise.size=1 sizes=[1] seed=7')
  })

  it('merges equal configs, of several blocks too, and keeps the order', async () => {
    const text = `- experiment: ${toyPath}\n  grid: { a: [1, 2, 2] }\n- experiment: ${toyPath}\n  grid: { a: [2, 3, 1] }\n`
    const { runs, duplicates } = await planFile(file('s.yaml', text), root())
    expect(runs.map(({ config }) => (config as unknown as { a: number }).a)).toEqual([1, 2, 3])
    expect(duplicates).toBe(3)
  })

  it('filters before it validates, and validates everything before anything runs', async () => {
    const text = 'grid: { a: [1, 2, 3, 4], b: [1, 2, 3] }\n'
    const filtered = await plan(`${text}filter: a <= b\n`)
    expect([filtered.runs.length, filtered.refused.length, filtered.filtered]).toEqual([6, 0, 6])
    const open = await plan(text)
    expect([open.runs.length, open.refused.length]).toEqual([6, 6])
    expect(open.refused[0]).toEqual({
      label: 'a=2 b=1',
      reason: expect.stringContaining('s.yaml:2: config.a: expected at most b, got 2'),
    })
    expect(existsSync(join(root(), 'runs'))).toBe(false)
  })

  it('knows what is done and what is begun', async () => {
    const text = 'grid: { a: [1, 2, 3] }\n'
    const [first, second] = (await plan(text)).runs
    await executeRun(first!.experiment, first!.config, { root: join(root(), 'runs'), threads: 1 })
    mkdirSync(second!.folder, { recursive: true })
    writeFileSync(join(second!.folder, 'config.json'), '{}')
    expect((await plan(text)).runs.map(({ state }) => state)).toEqual(['done', 'partial', 'new'])
  })

  it('equals the product of its lists, whatever they are', async () => {
    const axes = fc.record({
      a: fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 4 }),
      steps: fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 4 }),
      repeat: fc.integer({ min: 1, max: 3 }),
      limit: fc.integer({ min: 0, max: 5000 }),
    })
    await fc.assert(
      fc.asyncProperty(axes, async ({ a, steps, repeat, limit }) => {
        const text = `grid: { a: ${JSON.stringify(a)}, steps: ${JSON.stringify(steps)} }\nrepeat: ${repeat}\nfilter: a * steps + seed <= ${limit} || a == ${a[0]}\n`
        const expected = a.flatMap((x) =>
          steps.flatMap((y) =>
            Array.from({ length: repeat }, (_, seed) => seed).flatMap((seed) =>
              x * y + seed <= limit || x === a[0] ? [`a=${x} steps=${y} seed=${seed}`] : [],
            ),
          ),
        )
        const { runs, filtered } = await plan(text)
        expect(runs.map(({ label }) => label)).toEqual(expected)
        expect(runs.length + filtered).toBe(a.length * steps.length * repeat)
      }),
      { numRuns: 30 },
    )
  })
})

describe('mistakes in a sweep file', () => {
  const cases: [text: string, message: string][] = [
    ['gird: { a: [1] }', 's.yaml:2: gird: a sweep has no such entry: did you mean "grid"?'],
    [
      'grid:\n  a: [1]\n  stesp: [2]',
      's.yaml:4: config.stesp: there is no such field: did you mean "steps"?',
    ],
    [
      'grid:\n  noise:\n    sise: [2]',
      's.yaml:4: config.noise.sise: there is no such field: did you mean "noise.size"?',
    ],
    ['set:\n  noise.sise: 2', 's.yaml:3: config.noise.sise: there is no such field'],
    ['set: { __proto__: { x: 1 } }', 's.yaml:2: config.__proto__'],
    ['grid:', 's.yaml:2: grid: expected fields with lists of values, such as `m: [2, 3, 4]`, got null'],
    ['grid: {}', 's.yaml:2: grid: expected fields with lists of values'],
    ['grid: [1]', 's.yaml:2: grid: expected fields with lists of values'],
    ['grid: { a: [] }', 's.yaml:2: grid.a: expected at least one value, got an empty list'],
    [
      'grid: { a: 3 }',
      's.yaml:2: grid.a: expected a list of values, such as [2, 3, 4], got 3 (a single value belongs into set)',
    ],
    ['zip:\n  a: [1, 2]\n  steps: [1]', 's.yaml:4: zip.steps: expected 2 values, as many as a has, got 1'],
    ['grid: { a: [1] }\nzip: { a: [1] }', 's.yaml:3: zip: a is given by grid already'],
    ['grid: { seed: [1] }\nrepeat: 2', 's.yaml:3: repeat: seed is given by grid already'],
    [
      'set: { a: 2 }\ngrid: { a: [1] }',
      's.yaml:2: set: a is given by grid already, so that this value has no effect; keep one of them',
    ],
    ['zip: { a: [1] }\nset: { a: 2 }', 's.yaml:3: set: a is given by zip already'],
    ['set: { seed: 2 }\nrepeat: [1, 2]', 's.yaml:2: set: seed is given by repeat already'],
    ['repeat: 0', 's.yaml:2: repeat: expected a number of seeds from 1 to 100000, or a list of seeds, got 0'],
    ['repeat: [1, x]', 's.yaml:2: repeat: expected a number of seeds'],
    ['preset: quik', 's.yaml:2: preset "quik": walk has no such preset: did you mean "quick"?'],
    ['set: 3', 's.yaml:2: expected fields with their values, such as `seed: 1`, got 3'],
    ['filter: a <= bb', 's.yaml:2: filter "a <= bb": bb: there is no such field: did you mean "b"?'],
    ['filter:\n  - a <= b\n  - a <', 's.yaml:4: filter "a <": Expected expression after < at character 3'],
    ['filter: a = 3', 'Unexpected "=" at character 2 (equality is ==)'],
    ['filter: 3', 's.yaml:2: filter: expected an expression over fields'],
    ['grid: { a: [1, 2] }\nfilter: a > 5', 's.yaml: the filters leave none of 2 configs'],
    [
      `grid: { a: [${Array.from({ length: 400 }, (_, i) => i + 1)}], steps: [${Array.from({ length: 400 }, (_, i) => i + 1)}] }`,
      's.yaml:1: makes 160000 configs; expected at most 100000',
    ],
  ]
  it.each(cases)('%j is refused', async (text, message) => {
    expect(await refusal(() => plan(`${text}\n`))).toContain(message)
  })

  it('says what is wrong with the file itself', async () => {
    const read = (text: string) => refusal(() => planFile(file('t.yaml', text), root()))
    expect(await read('grid: [1, 2')).toMatch(/^t\.yaml:1: .*\(expected YAML or JSON\)$/)
    expect(await read('a: 1\nb: 2\na: 3\n')).toMatch(/^t\.yaml:3: Map keys must be unique/)
    expect(await read('')).toBe('t.yaml: expected a sweep with experiment and grid; the file is empty')
    expect(await read('[]')).toContain('expected at least one sweep; the list is empty')
    expect(await read('just words')).toContain(
      't.yaml:1: expected a sweep: fields such as experiment and grid',
    )
    expect(await read('grid: { a: [1] }')).toContain(
      't.yaml:1: experiment: expected a name (see treeline list) or a module',
    )
    expect(await read('experiment: nowhere.mjs')).toMatch(/^t\.yaml:1: .*nowhere\.mjs: no such file/)
    expect(await refusal(() => planFile(join(root(), 'absent.yaml'), root()))).toContain(
      'cannot read absent.yaml: no such file',
    )
    expect(await refusal(() => planFile(root(), root()))).toContain('that is a folder, a file was expected')
    writeFileSync(join(root(), 'binary.yaml'), Uint8Array.of(0x89, 0x50, 0, 200))
    expect(await refusal(() => planFile(join(root(), 'binary.yaml'), root()))).toContain('this is no text')
    writeFileSync(join(root(), 'utf16.yaml'), Buffer.from('\ufeffgrid: {}', 'utf16le'))
    expect(await refusal(() => planFile(join(root(), 'utf16.yaml'), root()))).toContain(
      'is UTF-16: save it as UTF-8',
    )
    const bomb = `a: &a [1,1,1,1,1,1,1,1,1,1]\n${'bcdefgh'
      .split('')
      .map((x, i) => `${x}: &${x} [${Array(10).fill(`*${'abcdefg'[i]}`)}]`)
      .join('\n')}\n`
    expect(await read(bomb)).toContain('(expected YAML or JSON)')
  })

  it('knows the experiments of Treeline by name, and the nearest to a wrong one', async () => {
    const found = makeToy()
    const text = file('u.yaml', 'experiment: toy\ngrid: { steps: [1, 2] }\n')
    const [block] = await readSweepFile(text, (name) => (name === 'toy' ? found : makeToy()))
    expect(block!.experiment).toBe(found)
  })

  it('never breaks on any text', async () => {
    const words = fc.constantFrom(
      'experiment:',
      'grid:',
      'a:',
      '[1,',
      ']',
      '{',
      '}',
      '\n',
      '  ',
      '- ',
      '&x',
      '*x',
      '"',
      '#',
      'filter:',
      '!!js',
      toyPath,
      '1e999',
      '|',
    )
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.array(words, { maxLength: 12 }).map((list) => list.join('')),
        ),
        async (text) => {
          const path = file('fuzz.yaml', text)
          try {
            await planFile(path, root())
          } catch (error) {
            if (/no experiment .* in this test/.test((error as Error).message)) return
            expect(error).toBeInstanceOf(TreelineError)
            expect((error as Error).message).not.toContain('\n')
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('filters', () => {
  const fields = ['v', 'm', 's', 'noise.size', 'kind', 'on']
  const config = { v: 8, m: 3, s: 2, noise: { size: 0.5 }, kind: 'flat', on: true }
  const value = (text: string) => parseExpression(text, fields).evaluate(config)

  it.each([
    ['m * v <= v ** s', true],
    ['2 ** 3 ** 2', 512],
    ['1 + 2 * 3 - 4 / 8', 6.5],
    ['(1 + 2) * 3 % 5', 4],
    ['-v + +m', -5],
    ['noise.size < 1 && !(kind == "steep")', true],
    ['on || v / 0 > "x"', true],
    ['!on && v > "x"', false],
    ['on ? v : m', 8],
    ['max(v, m, 99) - floor(2.7) + log2(v) + sqrt(4)', 102],
    ['kind != "flat"', false],
    ['kind < "g"', true],
  ])('%s is %j', (text, expected) => {
    expect(value(text)).toBe(expected)
  })

  it('agrees with JavaScript on random arithmetic', () => {
    const leaf = fc.oneof(fc.constantFrom('v', 'm', 's'), fc.integer({ min: 0, max: 9 }).map(String))
    const { tree } = fc.letrec<{ tree: string }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc
          .tuple(tie('tree'), fc.constantFrom('+', '-', '*', '/', '%', '**'), tie('tree'))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc.tuple(tie('tree'), fc.constantFrom('+', '*'), tie('tree')).map(([a, op, b]) => `${a} ${op} ${b}`),
      ),
    }))
    fc.assert(
      fc.property(tree, (text) => {
        const expected: unknown = new Function('v', 'm', 's', `return ${text}`)(8, 3, 2)
        expect(value(text)).toEqual(expected)
      }),
    )
  })

  it.each([
    ['2 <= m <= v', '<=: expected two numbers, got true and 8; write a < b && b < c for a < b < c'],
    ['v + "1"', '+: expected two numbers, got 8 and "1"'],
    ['m && v', '&&: expected true or false, got 3'],
    ['!m', '!: expected true or false, got 3'],
  ])('%s has no meaning', (text, message) => {
    expect(() => value(text)).toThrow(message)
  })

  it.each([
    ['v ^ 2 < 3', '^: there is no such operator (a power is **'],
    ['-2 ** 2', 'a sign before a power can be read in two ways'],
    ['process.exit(1)', 'there is no such function'],
    ['constructor', 'constructor: there is no such field'],
    ['v.constructor', 'v.constructor: there is no such field'],
    ['mx(1, 2)', 'mx: there is no such function: did you mean "max"?'],
    ['this', 'expected one expression'],
    ['v; m', 'expected one expression'],
    ['', 'expected one expression'],
    ['v[0]', 'expected one expression'],
    ['[v]', 'expected one expression'],
    ['noise > 1', 'noise: there is no such field'],
    ['~v', '~: there is no such sign'],
    ['('.repeat(2000), '2000 characters; expected an expression of at most 1000'],
  ])('%s is refused', (text, message) => {
    expect(() => parseExpression(text, fields)).toThrow(message)
  })

  it('never breaks on any text', () => {
    const pieces = fc.constantFrom(
      'v',
      'm',
      '(',
      ')',
      '**',
      '<',
      '"',
      ' ',
      '3',
      '?',
      ':',
      '.',
      '[',
      ']',
      ',',
      'max',
      '&&',
      '!',
      '\\',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((list) => list.join('')),
        ),
        (text) => {
          try {
            parseExpression(text, fields).evaluate(config)
          } catch (error) {
            expect(error).toBeInstanceOf(TreelineError)
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('config files', () => {
  const toy = makeToy()
  const compose = (text: string, set: string[] = [], preset?: string) =>
    composeConfig(toy, { preset, assignments: fileAssignments(toy, parseWritten(text, 'c.yaml')), set })

  it('win over the preset, and the command line wins over them; YAML and JSON, nested and dotted', () => {
    expect(compose('steps: 7\nnoise: { on: false }\n', ['start=2'], 'paper')).toMatchObject({
      steps: 7,
      start: 2,
      noise: { size: 0.1, on: false },
    })
    expect(compose('{"noise.size": 3, "rates": [1, 2]}')).toMatchObject({ noise: { size: 3 }, rates: [1, 2] })
    expect(compose('steps: 7', ['steps=8'])).toMatchObject({ steps: 8 })
    // a preset is a table for all: writing into it would change the next config
    expect(compose('noise: { size: 9 }', [], 'paper')).toMatchObject({ noise: { size: 9 } })
    expect(composeConfig(toy, { preset: 'paper' })).toMatchObject({ noise: { size: 0.1 } })
  })

  it.each([
    ['steps: 7\nstesp: 3', 'c.yaml:2: config.stesp: there is no such field: did you mean "steps"?'],
    ['noise:\n  on: true\n  size: -1', 'c.yaml:3: config.noise.size: expected a number >= 0, got -1'],
    ['noise.size: x', 'c.yaml:1: config.noise.size: expected a number >= 0, got "x"'],
    ['seed: 1\nrates:\n  - 1\n  - -2', 'c.yaml:2: config.rates.1: expected a number > 0, got -2'],
    ['steps:', 'c.yaml:1: config.steps: expected an integer >= 1 and <= 1000, got null'],
    ['[1]', 'c.yaml:1: expected fields with their values'],
    ['', 'c.yaml:1: expected fields with their values'],
  ])('%j: the message names the line', (text, message) => {
    expect(() => compose(text)).toThrow(message)
  })

  it('a value from the command line is not blamed on the file', () => {
    expect(() => compose('steps: 7', ['steps=0'])).toThrow(/^config\.steps: expected/)
  })

  it('the config.json of a run is a config file', async () => {
    const config = composeConfig(toy, { set: ['steps=3', 'noise.size=0.25'] })
    const { folder } = await executeRun(toy, config, { root: root(), threads: 1 })
    const assignments = fileAssignments(toy, readWritten(join(folder, 'config.json')))
    expect(composeConfig(toy, { assignments })).toEqual(config)
  })
})

describe('costs', () => {
  it('come from the experiment, from timed runs, from both, or are unknown', async () => {
    const walk = await importExperiment(toyPath)
    const { runs } = await plan('grid: { steps: [10, 20, 40] }\n')
    const own = estimateCosts(runs, root())
    expect(own.seconds.map((value) => value!.toFixed(3))).toEqual(['0.100', '0.200', '0.400'])
    expect(own.basis).toEqual(["walk: the experiment's own estimate"])
    const { summary } = await executeRun(walk, runs[1]!.config, { root: root(), threads: 1 })
    const scaled = estimateCosts(runs, root())
    expect(scaled.basis).toEqual(["walk: the experiment's own estimate, scaled by 1 finished run"])
    expect(scaled.seconds[2]! / scaled.seconds[0]!).toBeCloseTo(4)
    expect(scaled.seconds[1]).toBeCloseTo(summary.timing.seconds)
    const mute = { ...walk, cost: undefined }
    const silent = runs.map((run) => ({ ...run, experiment: mute }))
    expect(estimateCosts(silent, root()).seconds).toEqual(runs.map(() => summary.timing.seconds))
    const unknown = estimateCosts(silent, join(root(), 'empty'))
    expect(unknown).toEqual({ seconds: [null, null, null], basis: ['walk: unknown, no run is finished yet'] })
    expect(weights(unknown)).toEqual([1, 1, 1])
    expect(weights({ seconds: [1, null, 3], basis: [] })).toEqual([1, 2, 3])
    expect([wallSeconds([1, 1, 4], 2), wallSeconds([1, 1, 1, 1], 2), wallSeconds([], 2)]).toEqual([4, 2, 0])
  })
})
