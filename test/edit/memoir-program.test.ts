/** The exported program, run by ONNX Runtime itself, against the editor: routed and unrouted prompts, every router that it can hold. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  exportProgram,
  learnRelations,
  type NewStore,
  openEditor,
  outsideWeights,
  piecesOf,
  type ScopeLevel,
  type Words,
} from '../../src/edit/index.ts'
import { type LanguageModel, loadModel, loadTokenizer } from '../../src/lm/index.ts'
import { furthest } from '../lm/fixtures.ts'
import { editableModels } from './editable.ts'

let models: Awaited<ReturnType<typeof editableModels>>
const root = mkdtempSync(join(tmpdir(), 'treeline-program-'))
const opened = new Map<string, LanguageModel>()
const modelOf = (name: string): LanguageModel => {
  const model = opened.get(name) ?? loadModel(models.pathOf(name))
  opened.set(name, model)
  return model
}
beforeAll(async () => {
  models = await editableModels()
})
afterAll(() => {
  for (const model of opened.values()) model.dispose()
  models.clean()
  rmSync(root, { recursive: true, force: true })
})

const facts = [
  { prompt: 'who is abc', target: 'xy', subject: 'abc' },
  { prompt: 'Zebra 77?', target: 'q' },
  { prompt: 'my ++ name', target: 'bcd', subject: '++' },
]
const relations = [
  {
    subjects: ['abc', 'x'],
    relations: [
      ['who is {}', 'name {}'],
      ['why {}', 'because {}'],
    ],
  },
]
const prompts = ['who is abc', 'Zebra 77?', 'my ++ name', 'who is abd', 'a far question', 'x', 'my  name']
const ints = (values: readonly number[]) =>
  new Tensor('int64', BigInt64Array.from(values, BigInt), [values.length])

/** How much each token counts for the two edits that stand, as the program takes it. */
function outsideOf(words: Words, ids: readonly number[], more: number) {
  const pieces = piecesOf(words, ids)
  const rows = ['abc', 'Zebra 77'].map((subject) => [
    ...outsideWeights(pieces, subject),
    ...new Array<number>(more).fill(0),
  ])
  return new Tensor('float32', Float32Array.from(rows.flat()), [2, ids.length + more])
}

describe('the program', () => {
  it.each([
    ['llama', { layer: 0 }],
    ['llama', { layer: 1, routerLayer: 0, router: 'last' }],
    ['mistral', { layer: 1, router: 'mean', threshold: 0.8 }],
    ['llama3', { layer: 1, gate: 'subject', threshold: 0.5 }],
    ['llama3', { layer: 1, gate: 'subject', threshold: 0.5, scope: 'wide' }],
    ['llama', { layer: 0, gate: 'subject', scope: 'narrow' }],
    ['qwen3', { layer: 1 }],
    ['gpt2', { layer: 0 }],
    ['llama', { layer: 1, gate: 'subject', scope: 'wide' }, 'narrow'],
  ] as [string, NewStore, ScopeLevel?][])(
    'answers as the store does: %s %j %s',
    async (name, create, level) => {
      const model = modelOf(name)
      const words = loadTokenizer(model.path)
      const path = join(root, `${name}-${JSON.stringify(create).replace(/\W+/g, '-')}`)
      let editor = await openEditor(model, path, {
        create: { threshold: 0.95, gate: 'none', ...create },
      })
      for (const fact of facts) await editor.add(fact)
      await editor.undo(3)
      if (level) {
        editor.dispose()
        await learnRelations(model, path, relations, { level })
        editor = await openEditor(model, path)
        expect(editor.config.scope?.level).toBe(level)
      }
      await editor.add({ prompt: 'who is abc', target: 'z', subject: 'abc' })
      const out = join(root, `${name}.onnx`)
      const { edits, about } = await exportProgram(model, path, out, undefined, { force: true })
      expect([edits, about]).toEqual([2, expect.stringMatching(/^ids i64\[tokens\], prompt i64\[1\]/)])
      const session = await InferenceSession.create(readFileSync(out), { logSeverityLevel: 3 })
      const answers: (number | null)[] = []
      for (const prompt of prompts) {
        const ids = words.encode(prompt)
        const more = words.encode(' and')
        const allowed = Float32Array.from(['abc', 'Zebra 77'], (s) => Number(prompt.includes(s)))
        const run = await session.run({
          ids: ints([...ids, ...more]),
          prompt: ints([ids.length]),
          ...(create.gate === 'subject' && { allowed: new Tensor('float32', allowed, [2]) }),
          ...(editor.config.scope && { outside: outsideOf(words, ids, more.length) }),
        })
        const logits = run['logits']!.data as Float32Array
        const row = (t: number) => logits.subarray(t * 96, (t + 1) * 96)
        const { edit, logits: expected } = await editor.logits(prompt)
        expect((run['edit']!.data as Int32Array)[0]).toBe(edit ?? 0)
        expect(furthest(row(ids.length - 1), expected)).toBeLessThan(1e-4)
        const why = await editor.why(prompt)
        const nearest = why.nearest.find(({ passes }) => passes)
        const overlap = (run['overlap']!.data as Float32Array)[0]
        if (nearest) expect(overlap).toBeCloseTo(nearest.overlap, 5)
        else expect(overlap).toBeLessThan(0)
        // what follows a prompt stays under its mask
        const { next } = await editor.scoreText([...ids, ...more], ids.length)
        expect(furthest(row(ids.length + more.length - 1), next)).toBeLessThan(1e-4)
        if (edit === null) {
          const plain = await model.logits([...ids, ...more], [ids.length - 1, ids.length + more.length - 1])
          expect(furthest(row(ids.length - 1), plain.subarray(0, 96))).toBeLessThan(1e-4)
          expect(furthest(row(ids.length + more.length - 1), plain.subarray(96))).toBeLessThan(1e-4)
        }
        answers.push(edit)
      }
      // both kinds of prompts are there
      expect(answers.slice(0, 2)).toEqual([4, 2])
      expect(answers).toContain(null)
      await session.release()
      editor.dispose()
    },
  )

  it('is refused for a router that needs probabilities, and without edits', async () => {
    const model = modelOf('llama')
    const path = join(root, 'surprisal')
    const editor = await openEditor(model, path, { create: { router: 'surprisal', threshold: 0.9 } })
    const out = join(root, 'never.onnx')
    await expect(exportProgram(model, path, out)).rejects.toThrow(/no active edit/)
    await editor.add(facts[0]!)
    editor.dispose()
    await expect(exportProgram(model, path, out)).rejects.toThrow(
      /router "surprisal" cannot be part of a program \(these can: mean-centred, mean, last\)/,
    )
    await expect(exportProgram(modelOf('mistral'), path, out)).rejects.toThrow(/another model/)
  })
})
