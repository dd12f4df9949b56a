/** Journals: whatever byte a kill ends them at, whole lines are kept and the next one stands on its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, it } from 'vitest'
import { isObject } from '../../src/base/index.ts'
import { appendJournal, openJournal, readJournal } from '../../src/base/journal.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-journal-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const path = join(root, 'lines.jsonl')
const kind = { is: isObject, expected: 'an object', fix: 'begin anew' }

it('goes on after a cut at every byte', () => {
  rmSync(path, { force: true })
  const values = [{ a: 1 }, { text: 'é\n🌳' }, { list: [1, { b: null }] }]
  appendJournal(path, values.slice(0, 2))
  appendJournal(path, values.slice(2), true)
  const whole = readFileSync(path)
  expect(readJournal(path, kind)).toEqual(values)
  for (let length = 0; length <= whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length))
    const kept = openJournal(path, kind)
    expect(kept).toEqual(values.slice(0, kept.length))
    expect(kept.length).toBe(whole.subarray(0, length).toString('latin1').split('\n').length - 1)
    appendJournal(path, [{ next: length }])
    expect(readJournal(path, kind)).toEqual([...kept, { next: length }])
  }
})

it('refuses a damaged line that is whole, with its number, and never gives what is no line', () => {
  writeFileSync(path, '{"a":1}\n[2]\n{"b":3}\n')
  expect(() => openJournal(path, kind)).toThrow(
    /lines\.jsonl:2: expected an object, got \[2\] \(begin anew\)/,
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      writeFileSync(path, bytes)
      try {
        expect(openJournal(path, kind).every(isObject)).toBe(true)
      } catch (error) {
        expect(error).toMatchObject({ code: 'TL_BAD_FILE' })
      }
    }),
  )
  expect(readJournal(join(root, 'none'), kind)).toEqual([])
})
