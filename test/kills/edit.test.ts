/** @file Stores of edits, ended at every change of a file: add, undo, calibrate, export. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openStore } from '../../src/edit/index.ts'
import { editableModels } from '../edit/editable.ts'
import { command } from './command.ts'
import { endAtEveryChange } from './everyChange.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-kills-edit-'))
let clean = (): void => undefined
afterAll(() => {
  clean()
  rmSync(root, { recursive: true, force: true })
})
const at = (name: string): string => join(root, name)

let model: string
const facts = [
  { prompt: 'who is abc', target: 'x' },
  { prompt: 'Zebra 77?', target: 'q' },
]
const edit = (store: string, ...words: string[]) =>
  command('edit', model, store, ...words, '--threads', '1', '--quiet')
const add = (store: string) =>
  edit(store, 'add', at('facts.json'), '--steps', '2', '--layer', '0', '--threshold', '0.97')

/** Records and audits name the time, nothing else in a store does. */
const storeFiles = {
  grows: /^(edits|audits)\.jsonl$/,
  same: (name: string, text: string) => (name.endsWith('.jsonl') ? text.replace(/"at":"[^"]*"/g, '') : text),
}

beforeAll(async () => {
  const models = await editableModels()
  clean = models.clean
  model = models.pathOf('llama')
  writeFileSync(at('facts.json'), JSON.stringify(facts))
  await add(at('taught'))()
})

it('add', async () => {
  const out = at('added')
  expect(await endAtEveryChange({ out, run: add(out), ...storeFiles })).toBeGreaterThan(15)
})

it('audit', async () => {
  const out = at('audited')
  const prepare = (): void => {
    cpSync(at('taught'), out, { recursive: true })
    rmSync(join(out, 'audits.jsonl'))
  }
  // what was asked before the end is asked again: the last audit of an edit counts
  const last = (text: string): string => [...new Set(text.split('\n'))].sort().join('\n')
  const same = (name: string, text: string) =>
    name === 'audits.jsonl' ? last(storeFiles.same(name, text)) : storeFiles.same(name, text)
  expect(
    await endAtEveryChange({ out, prepare, run: edit(out, 'audit'), ...storeFiles, same }),
  ).toBeGreaterThan(1)
})

it('undo', async () => {
  const out = at('undone')
  const prepare = (): void => cpSync(at('taught'), out, { recursive: true })
  const undo = edit(out, 'undo', '2')
  // the second attempt may find that the first has done it
  const run = () => undo().catch((error: Error) => expect(error.message).toMatch(/2.* undone already/))
  await endAtEveryChange({ out, prepare, run, ...storeFiles })
})

/** The scope of a store with what its edits ask, as it opens. */
function scopeOf(path: string): string {
  const { config, scope, asksAt, records } = openStore(path)
  const numbers = (x: Float32Array = new Float32Array()): number[] => [...x]
  const asks = records.map((_, i) => [numbers(asksAt(i)?.mean), numbers(asksAt(i)?.vector)])
  const looks = scope?.looks.map(({ map, questions }) => [numbers(map), numbers(questions)])
  return JSON.stringify([config.scope, looks, asks])
}

it('calibrate by relations: a store has the one scope whole or the other', async () => {
  const file = (name: string, subject: string): string => {
    const relations = [
      ['{} works as', 'the job of {} is'],
      ['why is {}', 'the cause of {} is'],
    ]
    writeFileSync(at(name), JSON.stringify({ subjects: [subject, 'abc'], relations }))
    return at(name)
  }
  const learn = (store: string, path: string) => edit(store, 'calibrate', '--relations', path)
  const [first, second] = [file('first.json', 'Zed'), file('second.json', 'Unit 12')]
  // a scope that came with the store, and one that was learned, with an edit after it
  const later = at('later')
  cpSync(at('taught'), later, { recursive: true })
  await learn(later, first)()
  await edit(later, 'add', '--prompt', 'where is abc', '--target', 'z', '--subject', 'abc')()
  for (const from of [at('taught'), later]) {
    const out = at('calibrated')
    const prepare = (): void => cpSync(from, out, { recursive: true })
    const run = learn(out, second)
    prepare()
    const before = scopeOf(out)
    await run()
    const after = scopeOf(out)
    expect(after).not.toBe(before)
    const seen = new Set<string>()
    const watched = () => {
      seen.add(scopeOf(out))
      return run()
    }
    expect(await endAtEveryChange({ out, prepare, run: watched, ...storeFiles })).toBeGreaterThan(6)
    expect([...seen].sort()).toEqual([before, after].sort())
    rmSync(out, { recursive: true })
  }
})

it('replay', async () => {
  const out = at('replayed')
  // the memory changes: what the first edit wrote is to go
  const start = at('half')
  cpSync(at('taught'), start, { recursive: true })
  await edit(start, 'undo', '1')()
  const prepare = (): void => cpSync(start, out, { recursive: true })
  expect(await endAtEveryChange({ out, prepare, run: edit(out, 'replay'), ...storeFiles })).toBeGreaterThan(4)
})

it('evaluate leaves the store as it is', async () => {
  const out = at('evaluated')
  const prepare = (): void => cpSync(at('taught'), out, { recursive: true })
  const run = edit(out, 'evaluate', at('facts.json'))
  await endAtEveryChange({ out, prepare, run, isMadeAgain: true, ...storeFiles })
})

it('scope', async () => {
  const out = at('rescoped')
  const prepare = (): void => cpSync(at('taught'), out, { recursive: true })
  await endAtEveryChange({ out, prepare, run: edit(out, 'scope', 'narrow'), ...storeFiles })
})

it('export', async () => {
  const out = at('edits.onnx')
  await endAtEveryChange({ out, run: edit(at('taught'), 'export', out) })
})
