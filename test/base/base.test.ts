import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { writeAtomically } from '../../src/base/files.ts'
import {
  bytes,
  count,
  didYouMean,
  duration,
  editDistance,
  entryOf,
  namedOf,
  nearest,
  TreelineError,
} from '../../src/base/index.ts'

test('edit distance is a distance, and neighbours swapped count once', () => {
  const word = fc.string({ maxLength: 8 })
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a))
      expect(editDistance(a, b) === 0).toBe(a === b)
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
    }),
  )
  expect(editDistance('sede', 'seed')).toBe(1)
  expect(editDistance('kitten', 'sitting')).toBe(3)
})

test('a typo names the nearest word, nonsense none', () => {
  expect(nearest('--sede', ['--set', '--seed'])).toBe('--seed')
  expect(nearest('elephant', ['run', 'list'])).toBeUndefined()
  expect(didYouMean('rnu', ['run', 'list'])).toBe('did you mean "run"? (valid: run, list)')
})

test('numbers for people', () => {
  expect([count(950), count(1_234_567), bytes(999), bytes(11_496_804)]).toEqual([
    '950',
    '1.2 M',
    '999 B',
    '11.5 MB',
  ])
  expect([duration(0.0421), duration(3.44), duration(125), duration(4320)]).toEqual([
    '42 ms',
    '3.4 s',
    '2 min 05 s',
    '1 h 12 min',
  ])
})

test('a failed write leaves the old file and nothing else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-base-'))
  const path = join(folder, 'file')
  writeFileSync(path, 'old')
  function* chunks() {
    yield new Uint8Array(10)
    throw new Error('the source broke')
  }
  expect(() => writeAtomically(path, chunks())).toThrow(/cannot write .*the source broke/)
  expect([readFileSync(path, 'utf8'), readdirSync(folder)]).toEqual(['old', ['file']])
  writeAtomically(join(folder, 'deep/er/file'), 'new')
  expect(existsSync(join(folder, 'deep/er/file'))).toBe(true)
  rmSync(folder, { recursive: true })
})

test('a message is one line that a terminal can be sent, and never as long as the file it speaks of', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.integer({ min: 0, max: 4000 }),
      (text, times) => {
        const { message } = new TreelineError('TL_BAD_FILE', text + text.slice(0, 3).repeat(times))
        expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
        expect(message.length).toBeLessThan(1600)
      },
    ),
  )
  expect(new TreelineError('TL_BAD_FILE', 'a.yaml:\n  b\u0007\tc').message).toBe('a.yaml: b\\u0007 c')
  const shown = new TreelineError(
    'TL_BAD_FILE',
    `vocab: expected ids, got "${'\u{1f333}'.repeat(5000)}" (fix it)`,
  ).message
  expect(shown).toMatch(
    /^vocab: expected ids, got "\u{1f333}+ … \[8,6\d\d characters\] … \u{1f333}+" \(fix it\)$/u,
  )
})

test('things are looked up by name, never by what every object has, and a typo is told the nearest', () => {
  const table = { relu: 1, tanh: 2 }
  expect(entryOf('activation', table, 'tanh')).toBe(2)
  for (const name of ['constructor', 'toString', '__proto__'])
    expect(() => entryOf('activation', table, name)).toThrow(/there is no such activation: /)
  expect(() => entryOf('activation', table, 'rely')).toThrow(
    'activation "rely": there is no such activation: did you mean "relu"? (valid: relu, tanh)',
  )
  expect(namedOf('tool', [{ name: 'a', x: 1 }], 'a').x).toBe(1)
  expect(() => namedOf('tool', [{ name: 'a' }], 'b', 'TL_USAGE')).toThrow(/tool "b": there is no such tool/)
})
