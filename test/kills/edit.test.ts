/** @file Stores of edits, ended at every change of a file: add, undo, replay, evaluate, export. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
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

/** Records name the time of an edit, nothing else in a store does. */
const storeFiles = {
  grows: /^edits\.jsonl$/,
  same: (name: string, text: string) => (name === 'edits.jsonl' ? text.replace(/"at":"[^"]*"/g, '') : text),
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

it('undo', async () => {
  const out = at('undone')
  const prepare = (): void => cpSync(at('taught'), out, { recursive: true })
  const undo = edit(out, 'undo', '2')
  // the second attempt may find that the first has done it
  const run = () => undo().catch((error: Error) => expect(error.message).toMatch(/2.* undone already/))
  await endAtEveryChange({ out, prepare, run, ...storeFiles })
})

it('export', async () => {
  const out = at('edits.onnx')
  await endAtEveryChange({ out, run: edit(at('taught'), 'export', out) })
})
