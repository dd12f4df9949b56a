/** Folders and files where none can be made: one message at once, and nothing left behind. */
import { existsSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { inWords, makeFolder, statusOf, writeAtomically } from '../../src/base/files.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-files-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('makeFolder', () => {
  it('makes what is missing, and is content with what is there', () => {
    const deep = join(root, 'a', 'b', 'c')
    makeFolder(deep)
    makeFolder(`${deep}/`)
    expect(statSync(deep).isDirectory()).toBe(true)
  })
  it('throws the system error below a file', () => {
    writeFileSync(join(root, 'file'), '')
    expect(() => makeFolder(join(root, 'file', 'x'))).toThrow(/ENOTDIR/)
    expect(() => makeFolder(join(root, 'file', 'x', 'y', 'z'))).toThrow(/ENOTDIR/)
    expect(() => makeFolder(join(root, 'file'))).toThrow(/EEXIST/)
  })
  it('finds nothing below a file, whatever the version of Node', () => {
    expect(statusOf(join(root, 'file', 'x'))).toBeUndefined()
    expect(statusOf(join(root, 'nothing'))).toBeUndefined()
    expect(statusOf(join(root, 'file'))?.isFile()).toBe(true)
  })
  // Node's recursive mkdir does not return from this one
  it.skipIf(!existsSync('/proc/self'))('throws where the system makes no folders', () => {
    expect(() => makeFolder('/proc/treeline/x/y')).toThrow(/ENOENT|EACCES|EPERM/)
  })
})

describe('writeAtomically', () => {
  it('replaces a file whole, and leaves the old one when it fails', () => {
    const path = join(root, 'new', 'one.txt')
    writeAtomically(path, 'first')
    const failing = function* (): Generator<Uint8Array> {
      yield new Uint8Array(4)
      throw new Error('no more')
    }
    expect(() => writeAtomically(path, failing())).toThrow(/cannot write .*one\.txt: no more/)
    expect([readdirSync(join(root, 'new')), statSync(path).size]).toEqual([['one.txt'], 5])
  })
  it.skipIf(!existsSync('/proc/self'))('explains a folder that cannot be', () => {
    expect(() => writeAtomically('/proc/treeline/x.txt', 'x')).toThrow(
      /cannot write .*: (no such file|permission)/,
    )
  })
})

describe('an error of the system that nobody caught', () => {
  const system = (code: string, more: object = {}) =>
    Object.assign(new Error(`${code}: as the system says it`), { code, ...more })

  it('is told in words, with its place where it has one', () => {
    expect(inWords(system('ENOSPC', { syscall: 'write' }))).toMatchObject({
      code: 'TL_IO',
      message: 'cannot write a file: the disk is full: free some space or choose another folder',
    })
    const missing = (() => {
      try {
        return openSync('/no/such/file', 'r')
      } catch (error) {
        return error
      }
    })()
    expect(inWords(missing)).toMatchObject({
      code: 'TL_IO',
      message: 'cannot open /no/such/file: no such file or folder: check the path',
      cause: missing,
    })
  })

  it('is no cloak for mistakes: what the system did not say stays as it is', () => {
    for (const error of [
      new TypeError('x is not a function'),
      system('ERR_INVALID_ARG_TYPE'),
      system('toString'),
      'text',
      undefined,
    ])
      expect(inWords(error)).toBe(error)
  })
})
