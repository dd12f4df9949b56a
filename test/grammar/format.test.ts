import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import {
  evidenceFromText,
  type Grammar,
  grammarFromText,
  grammarToText,
  makeGrammar,
  readEvidence,
  readGrammar,
  readStrings,
  sampleTrees,
  stringsFromText,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { smallShapes } from './shapes.ts'

const example = {
  format: 'treeline-grammar/1',
  ...{ v: 4, classes: 2, m: 2, s: 2, L: 2 },
  rules: [
    [
      [
        [0, 1],
        [2, 3],
      ],
      [
        [1, 0],
        [3, 2],
      ],
    ],
    [
      [
        [0, 0],
        [0, 1],
      ],
      [
        [1, 0],
        [1, 1],
      ],
      [
        [2, 2],
        [2, 3],
      ],
      [
        [3, 2],
        [3, 3],
      ],
    ],
  ],
} as const
const grammar = readGrammar(example)
const thrown = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(TreelineError)
    const { code, message } = error as TreelineError
    expect(code).toBe('TL_BAD_FILE')
    expect(message).not.toContain('\n')
    return message
  }
  return 'nothing was thrown'
}
/** The example with one value replaced. */
const changed = (path: readonly (string | number)[], value: unknown): unknown => {
  const copy = structuredClone(example) as unknown as Record<string | number, unknown>
  let node = copy
  for (const step of path.slice(0, -1)) node = node[step] as typeof node
  node[path.at(-1)!] = value
  return copy
}

describe('grammar files', () => {
  it('reads what the format says', () => {
    expect(grammar).toMatchObject({ v: 4, classes: 2, m: 2, s: 2, L: 2, d: 4 })
    expect([...grammar.rules[0]!]).toEqual([0, 1, 2, 3, 1, 0, 3, 2])
    expect([...grammar.rules[1]!]).toEqual([0, 0, 0, 1, 1, 0, 1, 1, 2, 2, 2, 3, 3, 2, 3, 3])
    expect(grammar.probabilities).toBeUndefined()
    expect(JSON.parse(grammarToText(grammar))).toEqual(example)
  })

  it('writing and reading give the same grammar to the bit', () => {
    fc.assert(
      fc.property(
        smallShapes,
        fc.nat(99),
        fc.double({ min: 0, max: 3, noNaN: true }),
        (shape, seed, zipf) => {
          const made = makeGrammar(shape, random.key(seed), seed % 2 ? {} : { probabilities: { zipf } })
          expect(grammarFromText(grammarToText(made))).toEqual(made)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('probabilities: kept to the bit, or divided by a sum that is off by rounding', () => {
    const rows = (p: number[]) => [
      [p, p],
      [p, p, p, p],
    ]
    const read = (p: number[]): Grammar => readGrammar({ ...example, probabilities: rows(p) })
    expect([...read([0.9, 0.1]).probabilities![0]!]).toEqual([0.9, 0.1, 0.9, 0.1])
    const [a, b] = read([0.6000002, 0.4000001]).probabilities![1]!
    expect(a! + b!).toBeCloseTo(1, 15)
    expect(thrown(() => read([0.7, 0.2]))).toMatch(
      /^grammar: probabilities\[0\]\[0\]: expected probabilities that sum to 1, they sum to 0.8999/,
    )
    expect(thrown(() => read([1.5, -0.5]))).toBe(
      'grammar: probabilities[0][0][1]: expected a probability 0 … 1, got -0.5',
    )
  })

  it.each<[(string | number)[], unknown, string]>([
    [
      ['format'],
      'treeline-grammar/2',
      'grammar: format: expected "treeline-grammar/1", got "treeline-grammar/2"',
    ],
    [['v'], '4', 'grammar: v: expected an integer, got "4"'],
    [['s'], 1, 'grammar.s: expected an integer ≥ 2, got 1'],
    [['m'], 9, 'grammar.m: expected v·m ≤ v^s, got 4·9 = 36 > 16'],
    [['L'], 3, 'grammar: rules: expected 3 tables, one a level, the root’s first, got 2'],
    [['v'], 1e9, 'tuples are too many'],
    [['L'], 60, 'leaves are too many'],
    [['classes'], 3, 'grammar: rules[0]: expected 3 rows, one a class, got 2'],
    [['rules', 1], null, 'grammar: rules[1]: expected a list of 4 rows, one a symbol, got null'],
    [['rules', 1, 2], [], 'grammar: rules[1][2]: expected 2 rules of each symbol (m), got 0'],
    [['rules', 0, 1, 1], [1, 2, 3], 'grammar: rules[0][1][1]: expected 2 symbols (s), got 3'],
    [['rules', 0, 1, 1, 0], 4, 'grammar: rules[0][1][1][0]: expected a symbol 0 … 3, got 4'],
    [['rules', 0, 1, 1, 0], '3', 'grammar: rules[0][1][1][0]: expected a symbol 0 … 3, got "3"'],
    [
      ['rules', 1, 3, 0],
      [0, 1],
      'grammar: rules[1][3][0]: expected a tuple of its own, got (0, 1), which is that of grammar: rules[1][0][1] already',
    ],
    [['probabilites'], [], 'grammar: "probabilites": there is no such field: did you mean "probabilities"?'],
    [['probabilities'], [[]], 'grammar: probabilities: expected 2 tables, one a level, got 1'],
  ])('%j = %j is refused with the place', (path, value, message) => {
    expect(thrown(() => readGrammar(changed(path, value)))).toContain(message)
  })

  it('text that is no JSON, and JSON that is no grammar', () => {
    expect(thrown(() => grammarFromText('{"format": ', 'g.json'))).toMatch(/^g\.json: this is not JSON \(/)
    for (const text of ['null', '[]', '3', '"x"'])
      expect(thrown(() => grammarFromText(text))).toMatch(/^grammar: expected an object/)
    expect(grammarFromText(`\uFEFF${JSON.stringify(example)}`)).toEqual(grammar)
  })

  it('sizes that lie take no memory', () => {
    const liar = { ...example, v: 8192, classes: 1, m: 8192, L: 20, rules: new Array(20).fill([]) }
    expect(thrown(() => readGrammar(liar))).toBe('grammar: rules[0]: expected 1 rows, one a class, got 0')
  })
})

describe('strings and evidence', () => {
  it('strings as `sample --json` prints them, a bare list, a single string', () => {
    const strings = [
      [0, 1, 1, 0],
      [2, 3, 3, 3],
    ]
    for (const value of [{ classes: [0, 0], strings }, { strings }, strings])
      expect(readStrings(grammar, value)).toEqual({ count: 2, leaves: Int32Array.from(strings.flat()) })
    expect(readStrings(grammar, strings[0])).toEqual({ count: 1, leaves: Int32Array.of(0, 1, 1, 0) })
    expect(readStrings(grammar, []).count).toBe(0)
    expect(stringsFromText(grammar, '[[0,0,0,0]]').count).toBe(1)
  })

  it.each<[unknown, string]>([
    [
      {
        strings: [
          [0, 1, 2, 3],
          [0, 1, 2],
        ],
      },
      'f: strings[1]: expected 4 symbols (d = s^L), got 3',
    ],
    [[[0, 1, 2, 4]], 'f: [0][3]: expected a symbol 0 … 3, got 4'],
    [[[0, 1, 2, null]], 'f: [0][3]: expected a symbol 0 … 3, got null'],
    [[0, 1, 2], 'f: [0]: expected 4 symbols (d = s^L), got 3'],
    [{ string: [] }, 'f: expected { "strings": [[…], …] } or a list of strings, got an object'],
    ['0 1 2 3', 'f: expected { "strings": [[…], …] } or a list of strings, got "0 1 2 3"'],
  ])('strings %j are refused with the place', (value, message) => {
    expect(thrown(() => readStrings(grammar, value, 'f'))).toBe(message)
  })

  it('evidence: likelihoods, tokens, lists of both', () => {
    const rows = [
      [1, 0, 0.5, 2e-300],
      [0, 0, 0, 0],
      [1, 1, 1, 1],
      [3, 0, 0, 0],
    ]
    const one = readEvidence(grammar, { likelihood: rows })
    expect(one).toEqual({ count: 1, list: false, likelihood: Float64Array.from(rows.flat()) })
    const tokens = readEvidence(grammar, { tokens: [3, null, 0, 1] })
    const expectedRows = [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0]
    expect([...tokens.likelihood]).toEqual(expectedRows)
    const both = readEvidence(grammar, [{ likelihood: rows }, { tokens: [3, null, 0, 1] }])
    expect(both).toMatchObject({ count: 2, list: true })
    expect([...both.likelihood]).toEqual([...rows.flat(), ...expectedRows])
    expect(evidenceFromText(grammar, '[]')).toMatchObject({ count: 0, list: true })
  })

  it.each<[unknown, string]>([
    [{}, 'f: expected either likelihood or tokens, got neither'],
    [{ likelihood: [], tokens: [] }, 'f: expected either likelihood or tokens, got both'],
    [{ token: [] }, 'f: "token": there is no such field: did you mean "tokens"? (valid: likelihood, tokens)'],
    [{ tokens: [0, 1] }, 'f: tokens: expected 4 symbols or nulls (d = s^L), got 2'],
    [[{ tokens: [0, 1, 2, 7] }], 'f: [0].tokens[3] (or null, not seen): expected a symbol 0 … 3, got 7'],
    [
      { likelihood: [[1], [1], [1], [1]] },
      'f: likelihood[0]: expected 4 likelihoods, one a symbol (v), got 1',
    ],
    [
      [{ tokens: [0, 0, 0, 0] }, { likelihood: [[1, 1, 1, -1], [], [], []] }],
      'f: [1].likelihood[0][3]: expected a finite number ≥ 0, got -1',
    ],
    [[3], 'f: [0]: expected { "likelihood": … } or { "tokens": … }, got 3'],
    [null, 'f: expected { "likelihood": … } or { "tokens": … }, got null'],
  ])('evidence %j is refused with the place', (value, message) => {
    expect(thrown(() => readEvidence(grammar, value, 'f'))).toBe(message)
  })

  it('numbers beyond doubles are refused, many data are bounded before memory is taken', () => {
    expect(thrown(() => evidenceFromText(grammar, '{"likelihood": [[1e999,0,0,0],[],[],[]]}'))).toContain(
      'likelihood[0][0]: expected a finite number ≥ 0, got Infinity',
    )
    const deep = { ...grammar, v: 1024, d: 2 ** 14 }
    expect(thrown(() => readEvidence(deep, new Array(9).fill({})))).toContain('expected at most 8 data')
  })
})

describe('whatever comes', () => {
  const fails = (run: () => unknown): void => {
    try {
      run()
    } catch (error) {
      if (!(error instanceof TreelineError)) throw error
      expect(error.message).not.toMatch(/\n|undefined|\[object/)
      expect(error.message.length).toBeLessThan(400)
    }
  }

  it('any JSON is read or refused in one line', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fails(() => readGrammar(value))
        fails(() => readStrings(grammar, value))
        fails(() => readEvidence(grammar, value))
        fails(() => grammarFromText(JSON.stringify(value).slice(1)))
      }),
    )
  })

  it('a good file with one value replaced, dropped or one character changed', () => {
    const paths: (string | number)[][] = []
    const walk = (node: unknown, path: (string | number)[]): void => {
      if (path.length) paths.push(path)
      if (typeof node !== 'object' || node === null) return
      for (const [key, child] of Object.entries(node))
        walk(child, [...path, Array.isArray(node) ? Number(key) : key])
    }
    walk(example, [])
    const text = grammarToText(grammar)
    const odd = fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom(undefined, -0, 1e308, 2 ** 53, 0.5))
    fc.assert(
      fc.property(
        fc.constantFrom(...paths),
        odd,
        fc.nat(text.length),
        fc.string(),
        (path, value, at, insert) => {
          fails(() => readGrammar(changed(path, value)))
          fails(() => grammarFromText(text.slice(0, at) + insert + text.slice(at + 1)))
        },
      ),
      { numRuns: 500 },
    )
  })

  it('a grammar that is read obeys every constraint', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { minLength: 12, maxLength: 12 }), (tuples) => {
        const table = (from: number, parents: number) =>
          Array.from({ length: parents }, (_, p) => tuples.slice(from + 2 * p, from + 2 * p + 2))
        try {
          const read = readGrammar({ ...example, rules: [table(0, 2), table(4, 4)] })
          for (const rules of read.rules) {
            const numbers = Array.from(
              { length: rules.length / 2 },
              (_, i) => rules[2 * i]! * 4 + rules[2 * i + 1]!,
            )
            expect(new Set(numbers).size).toBe(numbers.length)
            expect(Math.max(...rules)).toBeLessThan(4)
          }
          expect(sampleTrees(read, random.key(0), 3).count).toBe(3)
        } catch (error) {
          if (!(error instanceof TreelineError)) throw error
        }
      }),
    )
  })

  it('lists nested a hundred thousand deep are refused', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    fails(() => grammarFromText(deep))
    fails(() => stringsFromText(grammar, deep))
    fails(() => evidenceFromText(grammar, `{"tokens": ${deep}}`))
  })
})
