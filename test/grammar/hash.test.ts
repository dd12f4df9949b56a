/** @file Names of grammars and rules of others: the hash against Python's, seeds of published code, files of rules. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { anything, array, assert, integer, property, string, uint8Array } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256, TreelineError } from '../../src/base/index.ts'
import {
  authorsGrammar,
  type Grammar,
  grammarFromText,
  grammarHash,
  grammarName,
  grammarToText,
  makeGrammar,
  readGrammar,
  readRules,
  rulesFromText,
  type Shape,
} from '../../src/grammar/index.ts'
import { pythonRandom } from '../../src/grammar/pythonRandom.ts'
import { random } from '../../src/tensor/index.ts'

type Tables = number[][][][]
interface Fixture {
  authors: { shape: Shape; seed: number; rules: Tables; bits: number; hash: string }[]
  hashes: { shape: Shape; rules: Tables; probabilities: number[][][]; hash: string }[]
}
const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/grammars.json', import.meta.url), 'utf8'),
) as Fixture

const tablesOf = (grammar: Grammar): Tables => (JSON.parse(grammarToText(grammar)) as { rules: Tables }).rules
const shape = { v: 6, classes: 4, m: 3, s: 2, L: 3 }

describe('sha256', () => {
  test('is that of Node, of any text in any pieces', () => {
    assert(
      property(array(string({ unit: 'grapheme', maxLength: 200 }), { maxLength: 5 }), (pieces) => {
        const hash = sha256()
        for (const piece of pieces) hash.update(piece)
        expect(hash.hex()).toBe(createHash('sha256').update(pieces.join('')).digest('hex'))
      }),
    )
    for (const length of [55, 56, 63, 64, 65, 119, 120, 1000])
      expect(hexOf('a'.repeat(length))).toBe(createHash('sha256').update('a'.repeat(length)).digest('hex'))
  })
})

function hexOf(text: string): string {
  const hash = sha256()
  hash.update(text)
  return hash.hex()
}

describe('seeds of published code', () => {
  test.each(fixture.authors)('$shape, seed $seed: the same rules in the same order', (given) => {
    expect(tablesOf(authorsGrammar(given.shape, given.seed))).toEqual(given.rules)
    const generator = pythonRandom(given.seed)
    for (let level = 0; level < given.shape.L; level++)
      generator.sample(
        given.shape.v ** given.shape.s,
        (level === 0 ? given.shape.classes : given.shape.v) * given.shape.m,
      )
    expect(generator.bits(32)).toBe(given.bits)
  })

  test.each([-1, 0.5, 2 ** 53, Number.NaN])('refuses seed %d', (seed) => {
    expect(() => authorsGrammar(shape, seed)).toThrow(/seed: expected a whole number/)
  })
})

describe('the hash of a grammar', () => {
  test.each([...fixture.authors, ...fixture.hashes])('is that of Python: $hash', (given) => {
    const grammar = readGrammar({
      ...{ format: 'treeline-grammar/1', ...given.shape, rules: given.rules },
      ...('probabilities' in given && { probabilities: given.probabilities }),
    })
    expect(grammarHash(grammar)).toBe(given.hash)
    expect(grammarName(grammar)).toBe(given.hash.slice(0, 12))
  })

  test('does not depend on order of keys, formatting, or the order of rules', () => {
    assert(
      property(integer({ min: 0, max: 1e6 }), (seed) => {
        const options = seed % 2 ? { probabilities: { zipf: 1 } } : {}
        const grammar = makeGrammar(shape, random.key(seed), options)
        const file = JSON.parse(grammarToText(grammar)) as Record<string, unknown>
        const order = random.samplePermutation(random.key(seed + 1), shape.m)
        const moved = (tables: unknown[][][]): unknown[][][] =>
          tables.map((table) => table.map((row) => [...order].map((k) => row[k])))
        const turned = Object.fromEntries(
          Object.entries(file)
            .reverse()
            .map(([key, value]) => [
              key,
              key === 'rules' || key === 'probabilities' ? moved(value as unknown[][][]) : value,
            ]),
        )
        const other = grammarFromText(JSON.stringify(turned, null, 3))
        expect(grammarHash(other)).toBe(grammarHash(grammar))
      }),
      { numRuns: 30 },
    )
  })

  test('depends on every rule, every probability, and every size', () => {
    const grammar = makeGrammar(shape, random.key(1), { probabilities: { zipf: 1 } })
    const seen = new Set([grammarHash(grammar)])
    const add = (other: Grammar): void => {
      const before = seen.size
      seen.add(grammarHash(other))
      expect(seen.size).toBe(before + 1)
    }
    const changedRule = (level: number, at: number): Grammar => ({
      ...grammar,
      rules: grammar.rules.map((table, i) =>
        i === level ? table.map((symbol, k) => (k === at ? (symbol + 1) % shape.v : symbol)) : table,
      ),
    })
    for (const [level, table] of grammar.rules.entries())
      for (let at = 0; at < table.length; at += 5) add(changedRule(level, at))
    add({
      ...grammar,
      probabilities: grammar.probabilities!.map((rows, i) =>
        rows.map((p, k) => (i === 2 && k < 2 ? p + (k === 0 ? 1e-6 : -1e-6) : p)),
      ),
    })
    const { probabilities: _, ...uniform } = grammar
    add(uniform)
    add({ ...uniform, v: shape.v + 1 })
    // two symbols that change names at the level between
    const swapped = uniform.rules.map((table, level) =>
      level === 0 ? table.map((symbol) => (symbol < 2 ? 1 - symbol : symbol)) : table,
    )
    add({ ...uniform, rules: swapped })
  })
})

describe('rules of others', () => {
  const grammar = authorsGrammar(shape, 3)
  const tables = tablesOf(grammar)

  test('come as a list, as an object of levels, and under "rules"', () => {
    const levels = Object.fromEntries(tables.map((table, level) => [level, table]))
    for (const value of [tables, levels, { rules: tables }, { seed: 3, rules: levels }])
      expect(readRules(value)).toEqual(grammar)
    expect(rulesFromText(`\uFEFF ${JSON.stringify({ rules: tables })}`)).toEqual(grammar)
  })

  test('of one level have as many symbols as occur, or as are said', () => {
    const one = [[[[0, 4]], [[2, 1]]]]
    expect(readRules(one)).toMatchObject({ v: 5, classes: 2, m: 1, s: 2, L: 1 })
    expect(readRules(one, 'rules', 9).v).toBe(9)
    expect(() => readRules(one, 'rules', 3)).toThrow(/expected a symbol 0 … 2, got 4/)
  })

  test.each([
    [[], /rules: expected at least one of tables/],
    ['rules', /expected tables of rules, as a list/],
    [{ 0: tables[0], 2: tables[1] }, /table 1 is missing/],
    [{ zero: tables[0] }, /expected tables of rules, as a list/],
    [[tables[0], tables[1]!.slice(1), tables[2]], /a symbol 0 … 4|6 rows|5 rows/],
    [[tables[0], tables[1], [...tables[2]!.slice(1), tables[2]![1]]], /which is that of .* already/],
    [[[[0, 1]]], /rules\[0\]\[0\]\[0\]: expected a list/],
    [[[[[0, 1.5]]]], /expected a symbol|expected an integer/],
  ])('%# are refused with the place', (value, message) => {
    expect(() => readRules(value)).toThrow(message)
  })

  test('of any kind give a grammar or one line of error', () => {
    const mend = (value: unknown, bytes: Uint8Array): unknown => {
      const copy = JSON.parse(JSON.stringify(value)) as unknown[]
      let at = copy as unknown[]
      for (const byte of bytes.subarray(0, bytes.length - 1)) {
        const next = at[byte % at.length]
        if (!Array.isArray(next) || next.length === 0) break
        at = next
      }
      at[(bytes.at(-1) ?? 0) % at.length] = [null, -1, 'x', [], {}, 1e9, [[0]]][bytes.length % 7]
      return copy
    }
    const tryRead = (value: unknown): void => {
      try {
        expect(readRules(value).rules.length).toBeGreaterThan(0)
      } catch (error) {
        expect(error).toBeInstanceOf(TreelineError)
        expect((error as TreelineError).code).toBe('TL_BAD_FILE')
        expect((error as Error).message).not.toContain('\n')
      }
    }
    assert(property(anything(), tryRead))
    assert(property(uint8Array({ minLength: 1, maxLength: 5 }), (bytes) => tryRead(mend(tables, bytes))))
    assert(
      property(string(), (text) => {
        expect(() => rulesFromText(text)).toThrow(TreelineError)
      }),
    )
  })
})
