/** @file The grammar commands as scripts meet them: what they print, what they write, and one line for every mistake. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { grammarFromText, grammarName, grammarToText, makeGrammar } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { listedEntropy, unequal } from '../grammar/theory-reference.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-grammar-'))
const at = (name: string): string => join(root, name)
afterAll(() => rmSync(root, { recursive: true, force: true }))

const grammar = (...words: string[]) => treeline('grammar', ...words)
/** The JSON of a command that must succeed and say nothing else. */
async function json<T>(...words: string[]): Promise<T> {
  const { code, out, err } = await grammar(...words, '--json')
  expect([code, err]).toEqual([0, ''])
  return JSON.parse(out) as T
}
const sizes = ['--v', '8', '--m', '3', '--s', '2', '--L', '3', '--classes', '6', '--seed', '1']
interface GrammarFile {
  v: number
  rules: number[][][][]
  probabilities?: number[][][]
}
interface Sample {
  classes: number[]
  strings: number[][]
}
interface Parsed {
  strings: { valid: boolean; class: number | null; levels: (number | null)[][]; validity: number[] }[]
  validity: (number | null)[]
}

const g = at('g.grammar.json')
beforeAll(async () => {
  expect((await grammar('make', ...sizes, '--out', g)).code).toBe(0)
})

interface Fixture {
  authors: { seed: number; rules: number[][][][]; hash: string }[]
}
const fixtureAt = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname
const { authors } = JSON.parse(readFileSync(fixtureAt('grammars.json'), 'utf8')) as Fixture

describe('grammars of others', () => {
  const [first] = authors as [Fixture['authors'][number]]

  it('makes the grammar of a seed of published code, and says its name', async () => {
    const words = ['--v', '8', '--m', '3', '--L', '3', '--authors-seed', String(first.seed)]
    expect((await json<GrammarFile>('make', ...words)).rules).toEqual(first.rules)
    expect((await grammar('make', ...words)).out).toContain(`grammar ${first.hash.slice(0, 12)}\n`)
    for (const other of [
      ['--seed', '1'],
      ['--rules', 'uncorrelated'],
    ])
      expect(await grammar('make', ...words, ...other)).toMatchObject({ code: 2, out: '' })
  })

  it.each(['rules.pt', 'rules.npz', 'rules.json'])('imports %s', async (name) => {
    if (name === 'rules.json') writeFileSync(at(name), JSON.stringify({ rules: first.rules }))
    const path = name === 'rules.json' ? at(name) : fixtureAt(name)
    const imported = at(`${name}.grammar.json`)
    const text = await grammar('import', path, '--out', imported)
    expect(text).toMatchObject({ code: 0, err: '' })
    expect(text.out).toContain(`grammar ${first.hash.slice(0, 12)}\n`)
    const file = JSON.parse(readFileSync(imported, 'utf8')) as GrammarFile
    expect(file).toMatchObject({ format: 'treeline-grammar/1', v: 8, classes: 8, m: 3, s: 2, L: 3 })
    expect(file.rules).toEqual(first.rules)
    expect((await grammar('show', imported)).out).toContain(`grammar ${first.hash.slice(0, 12)};`)
  })

  it('refuses in one line what holds no rules', async () => {
    writeFileSync(at('none.json'), '{"rules": []}')
    for (const [path, words] of [
      [at('none.json'), 'rules: expected at least one of tables'],
      [fixtureAt('pytorch.pt'), 'expected a table'],
      [fixtureAt('numpy.npz'), 'expected a table'],
      [at('absent.pt'), 'absent.pt'],
    ] as const) {
      const { code, out, err } = await grammar('import', path)
      expect([code, out]).toEqual([1, ''])
      expect(err).toContain(words)
      expect(err.trimEnd().split('\n')).toHaveLength(1)
    }
  })
})

describe('grammar make', () => {
  it('prints the grammar as the format says', async () => {
    const made = await json<GrammarFile>('make', ...sizes)
    expect(made).toMatchObject({ format: 'treeline-grammar/1', v: 8, classes: 6, m: 3, s: 2, L: 3 })
    expect(made.rules.map((table) => table.length)).toEqual([6, 8, 8])
    for (const table of made.rules)
      for (const row of table) {
        expect(row.length).toBe(3)
        for (const tuple of row) expect(tuple.length).toBe(2)
      }
    expect(JSON.parse(readFileSync(g, 'utf8'))).toEqual(made)
    expect(await json('make', ...sizes)).toEqual(made)
    expect(await json('make', ...sizes.slice(0, -1), '2')).not.toEqual(made)
  })

  it('classes default to v, s to 2; words say how many strings; Zipf and uncorrelated rules', async () => {
    const text = await grammar('make', '--v', '8', '--m', '3', '--L', '3')
    expect(text).toMatchObject({ code: 0, err: '' })
    expect(text.out).toContain('8 classes')
    expect(text.out).toContain('17,496')
    expect(text.out).toMatch(/level 2: symbols of level 2\n {2}0 → \d \d \| \d \d \| \d \d\n/)
    const zipf = await json<GrammarFile>('make', '--v', '4', '--m', '2', '--L', '1', '--zipf', '1')
    expect(zipf.probabilities![0]![0]).toEqual([2 / 3, 1 / 3])
    const parity = await json<GrammarFile>(
      ...['make', '--v', '3', '--m', '3', '--L', '1', '--rules', 'uncorrelated'],
    )
    for (const row of parity.rules[0]!)
      for (const i of [0, 1]) expect(row.map((tuple) => tuple[i]!).sort()).toEqual([0, 1, 2])
  })

  it.each([
    [['--m', '9'], 'config.m: expected v·m ≤ v^s, got 8·9 = 72 > 64'],
    [['--s', '1'], '--s: expected an integer from 2 to'],
    [['--L', '30'], 's^L = 2^30 leaves are too many'],
    [['--v', 'eight'], '--v: expected an integer from 1 to'],
    [['--zipf', '-1'], '--zipf: expected a number ≥ 0, got -1'],
    [['--rules', 'parity'], "argument 'parity' is invalid. Allowed choices are random, uncorrelated"],
    [['--rules', 'uncorrelated'], 'config.m: expected a multiple of v = 8 for uncorrelated rules, got 3'],
    [['--clases', '3'], '--clases: treeline grammar make has no such option: did you mean "--classes"?'],
  ])('%j: exit 2 and one line', async (words, message) => {
    const { code, out, err } = await grammar('make', ...sizes, ...words)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/^treeline: [^\n]+\n$/)
    expect(err).toContain(message)
  })
})

describe('grammar sample and parse', () => {
  it('samples are distinct, of the grammar, and parse to their classes', async () => {
    const sample = await json<Sample>('sample', g, '--count', '100', '--seed', '1')
    expect(sample.strings.length).toBe(100)
    expect(new Set(sample.strings.map((string) => string.join())).size).toBe(100)
    const written = await grammar('sample', g, '--count', '100', '--seed', '1', '--out', at('s.json'))
    expect(written).toEqual({ code: 0, out: `${at('s.json')}: 100 strings\n`, err: '' })
    expect(JSON.parse(readFileSync(at('s.json'), 'utf8'))).toEqual(sample)
    const parsed = await json<Parsed>('parse', g, at('s.json'))
    expect(parsed.validity).toEqual([1, 1, 1, 1])
    expect(parsed.strings.map((string) => string.class)).toEqual(sample.classes)
    for (const [i, string] of parsed.strings.entries()) {
      expect(string.valid).toBe(true)
      expect(string.levels.map((level) => level.length)).toEqual([1, 2, 4, 8])
      expect(string.levels[3]).toEqual(sample.strings[i])
    }
  })

  it('all strings of a grammar, and no more; with --replace as many as you like', async () => {
    const tiny = at('tiny.grammar.json')
    await grammar('make', '--v', '4', '--m', '2', '--L', '2', '--out', tiny)
    const all = await json<Sample>('sample', tiny, '--count', '32')
    expect(new Set(all.strings.map((string) => string.join())).size).toBe(32)
    const more = await grammar('sample', tiny, '--count', '33')
    expect([more.code, more.out]).toEqual([1, ''])
    expect(more.err).toContain('expected at most 32 distinct strings (all that the grammar has), got 33')
    const replaced = await json<Sample>('sample', tiny, '--count', '33', '--replace')
    expect(replaced.classes.length).toBe(33)
  })

  it('what is not of the grammar: null nodes and shares; words for people', async () => {
    const own = at('own.grammar.json')
    const table = [[[0, 0]], [[1, 1]]]
    const file = { format: 'treeline-grammar/1', v: 2, classes: 2, m: 1, s: 2, L: 2, rules: [table, table] }
    writeFileSync(own, JSON.stringify(file))
    writeFileSync(at('strings.json'), '[[1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 0, 0]]')
    const parsed = await json<Parsed>('parse', own, at('strings.json'))
    expect(parsed.strings).toEqual([
      { valid: true, class: 1, levels: [[1], [1, 1], [1, 1, 1, 1]], validity: [1, 1, 1] },
      { valid: false, class: null, levels: [[null], [0, 1], [0, 0, 1, 1]], validity: [1, 1, 0] },
      { valid: false, class: null, levels: [[null], [null, 0], [0, 1, 0, 0]], validity: [1, 0.5, 0] },
    ])
    expect(parsed.validity).toEqual([1, 5 / 6, 1 / 3])
    const name = grammarName(grammarFromText(readFileSync(own, 'utf8')))
    const words = await grammar('parse', own, at('strings.json'))
    expect(words.out).toBe(
      '0: class 1\n' +
        '1: not of the grammar; legal at heights 0 … 2: 100 %, 100 %, 0 %\n' +
        '2: not of the grammar; legal at heights 0 … 2: 100 %, 50 %, 0 %\n' +
        `1 of 3 strings are of the grammar ${name}\n` +
        'legal nodes at heights 0 … 2: 100 %, 83.3 %, 33.3 %\n',
    )
    writeFileSync(at('none.json'), '[]')
    expect((await json<Parsed>('parse', own, at('none.json'))).validity).toEqual([null, null, null])
  })

  it('lines of class and symbols for people', async () => {
    const { out } = await grammar('sample', g, '--count', '3')
    expect(out).toMatch(/^(\d: \d( \d){7}\n){3}$/)
  })
})

describe('grammar show', () => {
  interface Shown {
    levels: number[][]
    rules: number[][]
    posterior?: { channel: string; noise: number; seen?: (number | null)[]; truth: number[][] }
  }

  it('a tree of the grammar as JSON, as text and as a drawing', async () => {
    const shown = await json<Shown>('show', g, '--seed', '4')
    expect(shown.levels.map((level) => level.length)).toEqual([1, 2, 4, 8])
    expect(shown.posterior).toBeUndefined()
    writeFileSync(at('shown.json'), JSON.stringify([shown.levels[3]]))
    expect((await json<Parsed>('parse', g, at('shown.json'))).strings[0]!.levels).toEqual(shown.levels)
    const text = await grammar('show', g, '--seed', '4')
    expect(text.out.split('\n')[0]!.trim()).toBe(String(shown.levels[0]![0]))
    expect(text.out).toContain('┴')
    const drawn = await grammar('show', g, '--seed', '4', '--svg', at('tree.svg'))
    expect(drawn).toEqual({ code: 0, out: `${at('tree.svg')}\n`, err: '' })
    expect(readFileSync(at('tree.svg'), 'utf8')).toMatch(
      /^<svg xmlns="[\s\S]*rules: class → level 1[\s\S]*<\/svg>\n$/,
    )
  })

  it('through noise', async () => {
    const { posterior } = await json<Shown>('show', g, '--epsilon', '0.3')
    expect(posterior).toMatchObject({ channel: 'epsilon', noise: 0.3 })
    expect(posterior!.truth.flat().every((share) => share > 0 && share <= 1)).toBe(true)
    const masked = await json<Shown>('show', g, '--channel', 'masking', '--noise', '1')
    expect(masked.posterior!.seen).toEqual(new Array(8).fill(null))
    const words = await grammar('show', g, '--channel', 'uniform', '--noise', '0.5')
    expect(words.out).toContain('uniform noise 0.5; ln evidence -')
  })

  it.each([
    [['--epsilon', '1.5'], '--epsilon: expected a number from 0 (clean) to 1 (nothing left), got 1.5'],
    [['--noise', '0.5'], '--noise: expected --channel and --noise together'],
    [['--channel', 'maksing', '--noise', '0'], 'did you mean "masking"?'],
    [['--epsilon', '0', '--noise', '0'], 'expected either --epsilon, or --channel with --noise'],
  ])('%j: exit 2 and one line', async (words, message) => {
    const { code, out, err } = await grammar('show', g, ...words)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(message)
  })
})

describe('grammar plateaus', () => {
  interface Plateaus {
    nats: number[]
    exact: boolean
    error: number[]
  }

  it.each([
    ['pairs', { v: 8, classes: 6, m: 2, s: 2, L: 3 }, false],
    ['triples', { v: 3, classes: 5, m: 2, s: 3, L: 2 }, false],
    ['unequal', { v: 4, classes: 4, m: 2, s: 2, L: 3 }, true],
  ] as const)('the entropies of listed strings: %s', async (name, shape, weighted) => {
    const equal = makeGrammar(shape, random.key(3))
    const made = weighted ? unequal(equal, random.key(4)) : equal
    writeFileSync(at(`${name}.plateaus.json`), grammarToText(made))
    const { nats, exact, error } = await json<Plateaus>('plateaus', at(`${name}.plateaus.json`))
    expect([exact, error]).toEqual([true, new Array(shape.L + 1).fill(0)])
    expect(nats.length).toBe(shape.L + 1)
    for (const [height, loss] of nats.entries()) expect(loss).toBeCloseTo(listedEntropy(made, height), 12)
    const { out } = await grammar('plateaus', at(`${name}.plateaus.json`))
    const lines = out.split('\n')
    expect(lines[0]).toContain(`grammar ${grammarName(made)}`)
    for (const [height, loss] of nats.entries())
      expect(lines[2 + height]!.trim().split(/\s+/).slice(0, 3)).toEqual([
        String(height),
        String(shape.s ** height - 1),
        loss.toFixed(4),
      ])
  })

  it('draws contexts where they are too many, of the seed', async () => {
    const large = at('large.grammar.json')
    await grammar('make', '--v', '32', '--m', '16', '--L', '5', '--out', large)
    const sampled = await json<Plateaus>('plateaus', large, '--samples', '100', '--seed', '1')
    expect(sampled.exact).toBe(false)
    expect(sampled.error.map((e) => e > 0)).toEqual([false, false, false, false, false, true])
    const other = await json<Plateaus>('plateaus', large, '--samples', '400', '--seed', '2')
    expect(other.nats.slice(0, 5)).toEqual(sampled.nats.slice(0, 5))
    const difference = Math.abs(other.nats[5]! - sampled.nats[5]!)
    expect(difference).toBeGreaterThan(0)
    expect(difference).toBeLessThan(5 * Math.hypot(sampled.error[5]!, other.error[5]!))
  })

  it.each([
    [['--samples', '1'], '--samples: expected an integer from 2 to 1048576, got 1'],
    [['--seed', 'x'], '--seed: expected an integer from 0 to 4294967295, got x'],
    [['extra'], 'too many arguments'],
  ])('%j: exit 2 and one line', async (words, message) => {
    const { code, out, err } = await grammar('plateaus', g, ...words)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/^treeline: [^\n]+\n$/)
    expect(err).toContain(message)
  })
})

describe('garbage', () => {
  const files: [string, string][] = [
    ['broken.json', '{"format": '],
    ['list.json', '[]'],
    [
      'twins.json',
      '{"format":"treeline-grammar/1","v":2,"classes":1,"m":2,"s":2,"L":1,"rules":[[[[0,1],[0,1]]]]}',
    ],
    ['short.json', '[[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2]]'],
    ['wrong.json', '{"strings": [[0, 1, 2, 3, 4, 5, 6, 8]]}'],
  ]
  beforeAll(() => {
    for (const [name, text] of files) writeFileSync(at(name), text)
  })

  it.each([
    [['sample', 'nowhere.json'], 'cannot read nowhere.json: no such file or folder'],
    [['sample', root], 'that is a folder, a file was expected'],
    [['sample', 'broken.json'], 'broken.json: this is not JSON ('],
    [
      ['sample', 'list.json'],
      'list.json: expected an object { "format": "treeline-grammar/1", … }, got a list of 0',
    ],
    [['plateaus', 'nowhere.json'], 'cannot read nowhere.json: no such file or folder'],
    [['plateaus', 'twins.json'], 'rules[0][0][1]: expected a tuple of its own'],
    [['show', 'twins.json'], 'rules[0][0][1]: expected a tuple of its own, got (0, 1), which is that of'],
    [['parse', g, 'short.json'], 'short.json: [1]: expected 8 symbols (d = s^L), got 3'],
    [['parse', g, 'wrong.json'], 'wrong.json: strings[0][7]: expected a symbol 0 … 7, got 8'],
    [['parse', g, 'twins.json'], 'expected { "strings": [[…], …] } or a list of strings, got an object'],
    [['sample', g, '--out', '/dev/null/x'], '/dev/null/x: /dev/null is a file, expected a folder'],
  ])('%j: exit 1 and one line', async (words, message) => {
    const local = words.map((word) => (files.some(([name]) => name === word) ? at(word) : word))
    const { code, out, err } = await grammar(...local)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^treeline: [^\n]+\n$/)
    expect(err).toContain(message)
  })

  it.each([
    [[], 'Usage: treeline grammar'],
    [['smaple', g], 'smaple: treeline grammar has no such command: did you mean "sample"?'],
    [['parse', g], "missing required argument 'strings'"],
    [['sample', g, '--count', '-3'], '--count: expected an integer from 0 to'],
    [
      ['make', '--m', '3', '--L', '2'],
      "required option '--v <n>' not specified (see treeline grammar make --help)",
    ],
  ])('%j: exit 2', async (words, message) => {
    const { code, out, err } = await grammar(...words)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(message)
  })

  it('every command has help with examples', async () => {
    for (const command of ['make', 'sample', 'parse', 'plateaus', 'show']) {
      const { code, out } = await grammar(command, '--help')
      expect([command, code]).toEqual([command, 0])
      expect(out).toContain('Examples:')
    }
  })
})
