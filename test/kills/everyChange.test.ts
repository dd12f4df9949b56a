/** @file Careless work is found: torn files, bytes that differ after a second attempt, a lock that nobody gives back, changes that are not counted. */
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { writeAtomically } from '../../src/base/files.ts'
import { appendJournal } from '../../src/base/journal.ts'
import { lockFolder } from '../../src/base/lock.ts'
import { live } from './countedFiles.ts'
import { endAtEveryChange } from './everyChange.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-careless-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let count = 0
const next = (): string => join(root, String(++count))

it('a file that is written in place is torn', async () => {
  const out = next()
  const run = async (): Promise<void> => writeFileSync(out, 'twelve bytes')
  await expect(endAtEveryChange({ out, run })).rejects.toThrow(/torn change 1 \(write .*is not whole/)
})

it('written beside it and renamed it is not', async () => {
  const out = next()
  const run = async (): Promise<void> => writeAtomically(out, 'twelve bytes')
  expect(await endAtEveryChange({ out, run })).toBe(3)
})

it('a second attempt that does not go on is found', async () => {
  const out = next()
  const run = async (): Promise<void> => {
    let found = existsSync(out) ? readFileSync(out, 'utf8') : ''
    for (const line of ['a', 'b']) {
      found += `${line}\n`
      writeFileSync(`${out}.tmp`, found)
      renameSync(`${out}.tmp`, out)
    }
  }
  await expect(endAtEveryChange({ out, run, grows: /^$/ })).rejects.toThrow(/before change 3 \(write/)
})

it('the lock of a life that has ended is that of a dead process, the lock of one that goes on is not', async () => {
  const out = next()
  const work = (): void => {
    const release = lockFolder(root)
    expect(() => lockFolder(root)).toThrow(/in use by process/)
    writeFileSync(out, '')
    release()
  }
  const { changes } = await live(work)
  const at = changes.indexOf(`write ${out}`)
  expect((await live(work, at + 1)).isCut).toBe(true)
  expect(existsSync(join(root, 'lock'))).toBe(true)
  expect((await live(work)).error).toBe(undefined)
  expect(existsSync(join(root, 'lock'))).toBe(false)
})

it('nothing changes once a life has ended, and half of the bytes of a torn write arrive', async () => {
  const out = next()
  const { isCut, error } = await live(
    () => {
      try {
        appendJournal(out, [{ a: 1 }, { b: 2 }])
      } finally {
        rmSync(out)
      }
    },
    2,
    'torn',
  )
  expect([isCut, String(error)]).toEqual([true, 'Error: this life is over'])
  expect(readFileSync(out, 'utf8')).toBe('{"a":1}\n')
})

it('a change that the layer cannot count is refused', async () => {
  writeFileSync(join(root, 'from'), '')
  const { error } = await live(() => copyFileSync(join(root, 'from'), next()))
  expect(String(error)).toMatch(/fs\.copyFileSync is not counted/)
})
