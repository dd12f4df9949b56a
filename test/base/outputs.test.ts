/** The rule for outputs, on its own: what is there stays, an input is never an output, the same work is done once. */
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { claimFolder, openOutputFolder } from '../../src/base/outputFolder.ts'
import { formatOf, writeOutput } from '../../src/base/outputs.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-outputs-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let count = 0
const fresh = (): string => {
  const path = join(root, `f${count++}`)
  mkdirSync(path)
  return path
}
const text = (path: string): string => readFileSync(path, 'utf8')
const refusal = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof TreelineError) return `${error.code} ${error.message}`
    throw error
  }
  return 'nothing was refused'
}

describe('a file', () => {
  it('is written once; the same bytes are left, other bytes are refused, force replaces', () => {
    const path = join(fresh(), 'x.txt')
    expect(writeOutput(path, 'one')).toBe('written')
    expect(writeOutput(path, 'one')).toBe('unchanged')
    for (const other of ['two', 'on', 'one more', ''])
      expect(refusal(() => writeOutput(path, other))).toMatch(/^TL_EXISTS .*--force/)
    expect(text(path)).toBe('one')
    expect(writeOutput(path, 'two', { force: true })).toBe('written')
    expect(text(path)).toBe('two')
  })
  it('is compared only as far as it agrees', () => {
    const path = join(fresh(), 'x.txt')
    writeFileSync(path, 'abc')
    let taken = 0
    const chunks = function* () {
      for (const word of ['abx', 'def', 'ghi']) {
        taken++
        yield new TextEncoder().encode(word)
      }
    }
    expect(refusal(() => writeOutput(path, chunks()))).toMatch(/^TL_EXISTS/)
    expect(taken).toBe(1)
  })
  it('another process that was faster keeps it', () => {
    const path = join(fresh(), 'x.txt')
    const slow = (mine: string) =>
      function* () {
        yield new TextEncoder().encode(mine)
        writeFileSync(path, 'theirs')
      }
    expect(refusal(() => writeOutput(path, slow('mine')()))).toMatch(/^TL_EXISTS/)
    expect([text(path), readdirSync(join(path, '..'))]).toEqual(['theirs', ['x.txt']])
    rmSync(path)
    expect(writeOutput(path, slow('theirs')())).toBe('unchanged')
    expect(readdirSync(join(path, '..'))).toEqual(['x.txt'])
  })
  it('is never an input, whatever it is called and with force', () => {
    const folder = fresh()
    mkdirSync(join(folder, 'model'))
    const input = join(folder, 'model', 'w.bin')
    writeFileSync(input, 'weights')
    linkSync(input, join(folder, 'hard'))
    symlinkSync(input, join(folder, 'soft'))
    symlinkSync(join(folder, 'model'), join(folder, 'other'))
    const names = [
      input,
      relative(process.cwd(), input),
      join(folder, 'hard'),
      join(folder, 'soft'),
      join(folder, 'other', 'w.bin'),
    ]
    for (const path of names)
      for (const inputs of [[input], [join(folder, 'model')], [join(folder, 'other')]])
        for (const force of [false, true])
          expect(refusal(() => writeOutput(path, 'x', { inputs, force }))).toMatch(
            /^TL_USAGE .*never replaced/,
          )
    expect(text(input)).toBe('weights')
    // beside the files of an input there is room
    expect(writeOutput(join(folder, 'model', 'new'), 'x', { inputs: [join(folder, 'model')] })).toBe(
      'written',
    )
  })
  it('needs its parent, and a name', () => {
    const folder = fresh()
    expect(refusal(() => writeOutput(join(folder, 'no', 'x'), 'x'))).toMatch(/^TL_IO .*no folder .*mkdir -p/)
    expect(existsSync(join(folder, 'no'))).toBe(false)
    for (const path of [folder, `${folder}/`, `${folder}/y/`, ''])
      expect(refusal(() => writeOutput(path, 'x'))).toMatch(/^TL_(EXISTS|USAGE) .*name of a file/)
    writeFileSync(join(folder, 'file'), '')
    expect(refusal(() => writeOutput(join(folder, 'file', 'x'), 'x'))).toMatch(/is a file, expected a folder/)
  })
  it('a link that leads nowhere is something; force replaces the link', () => {
    const path = join(fresh(), 'link')
    symlinkSync(join(root, 'nowhere'), path)
    expect(refusal(() => writeOutput(path, 'x'))).toMatch(/^TL_EXISTS/)
    writeOutput(path, 'x', { force: true })
    expect([lstatSync(path).isFile(), existsSync(join(root, 'nowhere'))]).toEqual([true, false])
  })
  it.skipIf(!existsSync('/dev/null'))('a device takes bytes and stays a device', () => {
    expect(writeOutput('/dev/null', 'x')).toBe('written')
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true)
  })
})

describe('names', () => {
  it('say the format; numbers are part of a name', () => {
    const folder = fresh()
    mkdirSync(join(folder, 'x.txt'))
    const of = (path: string) => refusal2(() => formatOf(path, ['.a', '.b'], { folder: true }))
    expect(['m.a', 'm.B', 'm', 'Llama-3.1', 'Qwen2.5-0.5B', 'm.txt/', join(folder, 'x.txt')].map(of)).toEqual(
      ['.a', '.b', 'folder', 'folder', 'folder', 'folder', 'folder'],
    )
    expect(of('m.txt')).toMatch(
      /^TL_USAGE .*cannot write \.txt: expected a name ending in \.a or \.b, or a folder/,
    )
    expect(refusal(() => formatOf('m', ['.onnx']))).toBe('TL_USAGE m: expected a name ending in .onnx')
  })
})
const refusal2 = (work: () => string): string => {
  let found = ''
  const said = refusal(() => (found = work()))
  return found || said
}

describe('a folder', () => {
  const work = (mark: string, more: object = {}) => ({
    task: 'make',
    request: mark,
    mark,
    owns: (name: string) => name === 'model',
    ...more,
  })
  const make = (path: string, mark: string, content: string, more: object = {}): unknown => {
    const folder = openOutputFolder(path, work(mark, more))
    try {
      if (folder.result) return 'there'
      folder.begin()
      writeFileSync(join(folder.staging, 'model'), content)
      folder.publish([join(folder.staging, 'model')], { content })
      return 'made'
    } finally {
      folder.close()
    }
  }
  const seen = (path: string): string[] => readdirSync(path).filter((name) => !name.startsWith('.'))

  it('is made once, and the same work finds it', () => {
    const path = join(fresh(), 'out')
    expect([make(path, 'm', 'one'), make(path, 'm', 'one')]).toEqual(['made', 'there'])
    expect(refusal(() => make(path, 'other', 'two'))).toMatch(/^TL_EXISTS .*not empty \(model\).*--force/)
    writeFileSync(join(path, 'model'), 'mine')
    expect(refusal(() => make(path, 'm', 'one'))).toMatch(/this very make, changed since \(model\)/)
    expect(text(join(path, 'model'))).toBe('mine')
    expect(make(path, 'other', 'two', { force: true })).toBe('made')
    expect([text(join(path, 'model')), readdirSync(path).sort()]).toEqual([
      'two',
      ['.treeline.json', 'model'],
    ])
  })
  it('is not made in a missing folder, nor in place of a file', () => {
    const folder = fresh()
    expect(refusal(() => make(join(folder, 'no', 'out'), 'm', ''))).toMatch(/^TL_IO .*mkdir -p/)
    writeFileSync(join(folder, 'file'), 'x')
    expect(refusal(() => make(join(folder, 'file'), 'm', '', { force: true }))).toMatch(/^TL_EXISTS/)
    expect(readdirSync(folder)).toEqual(['file'])
  })
  it('what Treeline does not know stays, also with force', () => {
    const path = fresh()
    writeFileSync(join(path, 'notes.md'), 'mine')
    mkdirSync(join(path, 'photos'))
    expect(refusal(() => make(path, 'm', 'one'))).toMatch(/^TL_EXISTS .*notes\.md, photos/)
    make(path, 'm', 'one', { force: true })
    expect([seen(path).sort(), text(join(path, 'notes.md'))]).toEqual([
      ['model', 'notes.md', 'photos'],
      'mine',
    ])
  })
  it('is not an input, nor holds one that would be replaced', () => {
    const path = fresh()
    writeFileSync(join(path, 'model'), 'input')
    for (const inputs of [[path], [join(path, 'model')]])
      expect(refusal(() => make(path, 'm', '', { inputs, force: true }))).toMatch(/^TL_USAGE/)
    const linked = fresh()
    linkSync(join(path, 'model'), join(linked, 'model'))
    expect(refusal(() => make(linked, 'm', '', { inputs: [path], force: true }))).toMatch(/^TL_USAGE/)
    expect([text(join(path, 'model')), readdirSync(path)]).toEqual(['input', ['model']])
  })
  it('belongs to one at a time, who is named', () => {
    const path = join(fresh(), 'out')
    const release = claimFolder(path)
    expect(refusal(() => make(path, 'm', 'one'))).toContain(`in use by process ${process.pid}`)
    release()
    expect(existsSync(path)).toBe(false)
    expect(make(path, 'm', 'one')).toBe('made')
  })
  it('unfinished work goes on with the same work only', () => {
    const path = join(fresh(), 'out')
    const first = openOutputFolder(path, work('m'))
    first.begin()
    writeFileSync(join(first.staging, 'half'), '')
    first.close()
    expect(refusal(() => make(path, 'other', ''))).toMatch(/^TL_EXISTS .*another make was interrupted/)
    const second = openOutputFolder(path, work('m'))
    expect([second.isResumed, readdirSync(second.staging).sort()]).toEqual([true, ['half', 'mark.txt']])
    second.close()
    make(path, 'other', 'two', { force: true })
    expect(readdirSync(path).sort()).toEqual(['.treeline.json', 'model'])
  })
  it('the same request begins anew when its inputs have changed, and says so of what it has finished', () => {
    const path = join(fresh(), 'out')
    const first = openOutputFolder(path, work('m'))
    first.begin()
    first.close()
    const second = openOutputFolder(path, { ...work('m'), mark: 'm2' })
    expect([second.isResumed, existsSync(second.staging)]).toEqual([false, false])
    second.close()
    make(path, 'm', 'one')
    expect(refusal(() => openOutputFolder(path, { ...work('m'), mark: 'm2' }))).toMatch(
      /inputs that have changed/,
    )
  })
  it('a forced replacement keeps the old until the new is whole, and ends without force', () => {
    const path = fresh()
    writeFileSync(join(path, 'model'), 'old')
    const first = openOutputFolder(path, work('m', { force: true }))
    first.begin()
    writeFileSync(join(first.staging, 'model'), 'new')
    expect(text(join(path, 'model'))).toBe('old')
    // killed before it was published: the old model still needs force
    first.close()
    expect(refusal(() => openOutputFolder(path, work('m')))).toMatch(/^TL_EXISTS/)
    const again = openOutputFolder(path, work('m', { force: true }))
    // killed while files get their names: one that is missing cannot be stamped
    expect(() => again.publish([join(again.staging, 'model'), join(again.staging, 'more')], {})).toThrow()
    again.close()
    expect(text(join(path, 'model'))).toBe('new')
    const last = openOutputFolder(path, work('m'))
    expect(last.isResumed).toBe(true)
    last.publish([join(last.staging, 'model')], {})
    last.close()
    expect(readdirSync(path).sort()).toEqual(['.treeline.json', 'model'])
  })
})
