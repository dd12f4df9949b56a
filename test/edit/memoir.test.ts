import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultTraining, openEditor } from '../../src/edit/index.ts'
import { type LanguageModel, loadModel } from '../../src/lm/index.ts'
import { type Tiny, tinyModels } from '../lm/fixtures.ts'

let all: { models: Tiny[]; clean: () => void }
let model: LanguageModel
let root: string
let stores = 0
beforeAll(async () => {
  all = await tinyModels()
  model = loadModel(all.models.find(({ name }) => name === 'llama')!.path)
  root = mkdtempSync(join(tmpdir(), 'treeline-memoir-'))
})
afterAll(() => {
  model.dispose()
  all.clean()
  rmSync(root, { recursive: true, force: true })
})

/** A token for each character. */
const tokenizer = (name = 'characters') => ({
  encode: (text: string) => [...text].map((c) => c.charCodeAt(0) % 96),
  decode: (ids: Iterable<number>) =>
    [...ids].map((id) => String.fromCharCode(id < 32 ? id + 96 : id)).join(''),
  eosIds: [],
  addsBos: false,
  fingerprint: () => name,
})
const create = { layer: 0, threshold: 0.95, training: { ...defaultTraining, maxSteps: 30 } }
const next = (): string => join(root, `store-${stores++}`)
const open = (path: string) => openEditor(model, path, { tokenizer: tokenizer(), create })
const facts = [
  { prompt: 'who is abc', target: 'xy' },
  { prompt: 'Zebra 77?', target: 'q' },
  { prompt: 'my ++ name', target: 'bcd', subject: '++' },
]

describe('edits of a tiny model', () => {
  it('are learned; silent memory leaves the bits; the last undo restores them', async () => {
    const path = next()
    const editor = await open(path)
    const before = await editor.logits('who is abc')
    const plain = await model.logits(tokenizer().encode('who is abc'))
    expect([...before.logits]).toEqual([...plain])
    const first = await editor.add(facts[0]!)
    expect(first.losses.last).toBeLessThan(first.losses.first)
    const after = await editor.logits('who is abc')
    expect(after.edit).toBe(1)
    expect([...after.logits]).not.toEqual([...plain])
    // another prompt stays as it was
    const other = 'Zebra 77?'
    expect(await editor.logits(other)).toEqual({
      edit: null,
      logits: await model.logits(tokenizer().encode(other)),
    })
    const one = await editor.score('who is abc', 'xy')
    expect(one.logProbabilities.reduce((a, b) => a + b, 0) / -3).toBeCloseTo(first.losses.last, 3)
    await editor.add(facts[1]!)
    const two = await editor.score('who is abc', 'xy')
    expect((await editor.why(other)).answer).toBe(2)
    expect(await editor.undo(2)).toEqual({ number: 2, memory: 'restored' })
    expect((await editor.score('who is abc', 'xy')).logProbabilities).toEqual(one.logProbabilities)
    expect(two.logProbabilities).not.toEqual(one.logProbabilities)
    expect((await editor.logits(other)).edit).toBeNull()
    editor.dispose()
    const again = await open(path)
    expect((await again.score('who is abc', 'xy')).logProbabilities).toEqual(one.logProbabilities)
    expect((await again.replay()).identical).toBe(true)
    again.dispose()
  })

  it('the later of two contradicting edits answers; undone, the earlier one does again; an inner undo is replayed', async () => {
    const editor = await open(next())
    await editor.add(facts[0]!)
    await editor.add({ prompt: 'Who is  ABC', target: 'z' })
    const same = await editor.add({ prompt: 'who is abc', target: 'w' })
    expect(same.supersedes).toBe(2)
    expect(editor.list().map(({ status }) => status.state)).toEqual(['superseded', 'superseded', 'active'])
    expect((await editor.why('who is abc')).answer).toBe(3)
    expect((await editor.undo(3)).memory).toBe('restored')
    expect(editor.list()[1]!.status.state).toBe('active')
    expect((await editor.undo(1)).memory).toBe('kept')
    expect((await editor.replay()).identical).toBe(false)
    expect((await editor.replay()).identical).toBe(true)
    await expect(editor.undo(1)).rejects.toThrow(/undone already/)
    await expect(editor.undo(9)).rejects.toThrow(/no edit 9/)
    editor.dispose()
  })

  it('a store cut at any byte of its last line opens with the edits before it', async () => {
    const path = next()
    const editor = await open(path)
    for (const fact of facts) await editor.add(fact)
    const expected = await editor.score(facts[0]!.prompt, 'xy')
    editor.dispose()
    const file = join(path, 'edits.jsonl')
    const text = readFileSync(file)
    appendFileSync(file, '{"event":"edit","number":4,"pro')
    writeFileSync(join(path, 'delta-4.safetensors'), 'half')
    const again = await open(path)
    expect(again.list().length).toBe(3)
    expect((await again.score(facts[0]!.prompt, 'xy')).logProbabilities).toEqual(expected.logProbabilities)
    await again.add({ prompt: 'fourth', target: 'k' })
    again.dispose()
    expect(readFileSync(file).subarray(0, text.length).equals(text)).toBe(true)
    expect(readFileSync(file, 'utf8').split('\n').length).toBe(5)
    writeFileSync(file, `nonsense\n${readFileSync(file, 'utf8')}`)
    await expect(open(path)).rejects.toThrow(/edits.jsonl:1: expected a record of an edit, got nonsense/)
  })

  it('mistakes are one line each', async () => {
    const path = next()
    const editor = await open(path)
    await expect(editor.add({ prompt: 'a', target: ' ' })).rejects.toThrow(/target is empty/)
    await expect(editor.add({ prompt: ' ', target: 'b' })).rejects.toThrow(/prompt is empty/)
    await expect(editor.add({ prompt: 'a', target: 'b'.repeat(80) })).rejects.toThrow(
      /target has 81 tokens and the prompt 1: together more than the context of 64/,
    )
    await expect(open(path)).rejects.toThrow(/in use by process/)
    editor.dispose()
    await expect(openEditor(model, path, { tokenizer: tokenizer('other') })).rejects.toThrow(
      /another tokenizer \(characters…; .* is other…\)/,
    )
    const other = loadModel(all.models.find(({ name }) => name === 'mistral')!.path)
    await expect(openEditor(other, path, { tokenizer: tokenizer() })).rejects.toThrow(/another model/)
    other.dispose()
  })
})
