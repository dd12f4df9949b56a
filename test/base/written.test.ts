/** YAML and JSON that people write: data, lines, and one clear error whatever the text. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { parseWritten } from '../../src/base/written.ts'

it('knows the line of every entry, through lists, maps and aliases', () => {
  const file = parseWritten('a: &x\n  b: 1\n  c:\n    - 5\n    - d: 6\ne: *x\n', 'f.yaml')
  expect(file.value).toEqual({ a: { b: 1, c: [5, { d: 6 }] }, e: { b: 1, c: [5, { d: 6 }] } })
  expect(file.where(['a', 'b'])).toBe('f.yaml:2')
  expect(file.where(['a', 'c', 1, 'd'])).toBe('f.yaml:5')
  expect(file.where(['e', 'c', 1, 'd'])).toBe('f.yaml:5')
  expect(file.where(['a', 'nothing'])).toBe('f.yaml:1')
})

it('refuses what is no YAML with its line', () => {
  expect(() => parseWritten('a: 1\nb: [1, 2\nc: 3', 'f.yaml')).toThrow(
    /^f\.yaml:\d: .*expected YAML or JSON/s,
  )
  expect(() => parseWritten('a: 1\na: 2', 'f.yaml')).toThrow(/^f\.yaml:2: /)
  for (const key of ['{{ x }}', '? [1, 2]\n'])
    expect(() => parseWritten(`a: 1\nb:\n  ${key}: 3`, 'f.yaml')).toThrow(
      /^f\.yaml:3: expected a word as a key/,
    )
})

it('never throws anything but a TreelineError', () => {
  const piece = fc.constantFrom(
    'a',
    ': ',
    '- ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    '&x ',
    '*x',
    '"',
    '|',
    '!!b ',
    '#',
    '1',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      try {
        parseWritten(pieces.join(''), 'f.yaml')
      } catch (error) {
        expect(error).toBeInstanceOf(TreelineError)
      }
    }),
    { numRuns: 500 },
  )
})
