/** @file Calibration of a new store: done once for a model, then remembered; whatever is remembered wrongly is done again. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type NewStore, openEditor } from '../../src/edit/index.ts'
import { generalQuestions, kinds } from '../../src/edit/scope/questions.ts'
import { type LanguageModel, loadModel } from '../../src/lm/index.ts'
import { type Tiny, tinyModels } from '../lm/fixtures.ts'

let all: { models: Tiny[]; clean: () => void }
let model: LanguageModel
let root: string
beforeAll(async () => {
  all = await tinyModels()
  model = loadModel(all.models.find(({ name }) => name === 'llama')!.path)
  root = mkdtempSync(join(tmpdir(), 'treeline-calibration-'))
})
afterAll(() => {
  model.dispose()
  all.clean()
  rmSync(root, { recursive: true, force: true })
})

const tokenizer = (name = 'characters of calibration') => ({
  encode: (text: string) => [...text].map((c) => c.charCodeAt(0) % 96),
  decode: (ids: Iterable<number>) => [...ids].map((id) => String.fromCharCode(id)).join(''),
  eosIds: [],
  addsBos: false,
  fingerprint: () => name,
})

/** Make a store; how many prompts the model took in for it, and the store's configuration and background. */
async function make(name: string, create: NewStore, cache?: string, words = tokenizer()) {
  let taken = 0
  const path = join(root, name)
  const options = { tokenizer: words, create, cache, onPrompt: (done: number) => (taken = done) }
  const editor = await openEditor(model, path, options)
  editor.dispose()
  const files = readdirSync(path)
    .filter((file) => !['lock'].includes(file))
    .sort()
  return { taken, files: files.map((file) => [file, readFileSync(join(path, file)).toString('base64')]) }
}

/** Prompts that a scope is learned from. */
const asked = kinds.reduce(
  (sum, { subjects, questions }) =>
    sum + subjects.length * (generalQuestions.length + questions.flat().length),
  0,
)

it('the next store of a model has the same bytes without a prompt; another model, router or prompt has not', async () => {
  const cache = join(root, 'cache')
  const create = { layer: 0, background: ['abc', 'who?', 'x y z'], heldOut: ['one', 'two', 'three', 'four'] }
  const plain = await make('plain', create)
  const first = await make('first', create, cache)
  const second = await make('second', create, cache)
  // the process remembers what questions ask
  expect([plain.taken, first.taken, second.taken]).toEqual([asked, 7, 0])
  expect(second.files).toEqual(plain.files)
  expect(first.files).toEqual(plain.files)
  // another false-positive rate asks nothing new of the model
  expect((await make('rate', { ...create, falsePositives: 0.2 }, cache)).taken).toBe(0)
  expect((await make('prompts', { ...create, heldOut: ['one', 'two'] }, cache)).taken).toBe(5)
  expect((await make('router', { ...create, router: 'last' }, cache)).taken).toBe(7)
  expect((await make('words', create, cache, tokenizer('others'))).taken).toBe(asked)
})

it('a damaged memory, and one that cannot be written, cost nothing but the time', async () => {
  const cache = join(root, 'damaged')
  const create = { layer: 0, background: ['abc', 'who?'], heldOut: ['one', 'two'] }
  const first = await make('whole', create, cache)
  const [file] = readdirSync(cache)
  const path = join(cache, file!)
  for (const bytes of [readFileSync(path).subarray(0, 100), Buffer.from('no such file'), Buffer.alloc(0)]) {
    writeFileSync(path, bytes)
    const again = await make(`again-${bytes.length}`, create, cache)
    expect(again.taken).toBe(4)
    expect(again.files).toEqual(first.files)
  }
  const blocked = join(root, 'a-file')
  writeFileSync(blocked, '')
  expect((await make('blocked', create, join(blocked, 'below'))).files).toEqual(first.files)
})
