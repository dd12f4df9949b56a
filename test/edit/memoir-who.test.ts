/** Who answers: one decision for `why`, generation, scores and conversations, whatever is in the store; edits that could not answer. */
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { defaultTraining, type NewStore, openEditor } from '../../src/edit/index.ts'
import { gateOf, guessSubject } from '../../src/edit/memoir/subject.ts'
import type { LanguageModel, Tokenizer } from '../../src/lm/index.ts'
import { withTinyLlama } from './tinyLlama.ts'

let model: LanguageModel
let words: Tokenizer
const root = withTinyLlama('who', (own) => {
  model = own.model
  words = own.words
})

const training = { ...defaultTraining, maxSteps: 1 }
const open = (name: string, create: NewStore = {}) =>
  openEditor(model, join(root, name), {
    tokenizer: words,
    create: { threshold: 0.9, layer: 0, training, ...create },
  })

// prompts of one another's words: the same in other case, subjects within each other, none
const prompts = ['Elm is in', 'elm IS in', 'Elm Oak is in', 'Where is Elm Oak?', 'The oak', 'ab', 'ab ab']
const subjects = ['Elm', 'elm oak', 'Oak', 'ab', undefined]
const step = fc.oneof(
  fc.record({
    add: fc.record({ prompt: fc.constantFrom(...prompts), subject: fc.constantFrom(...subjects) }),
  }),
  fc.record({ undo: fc.nat(6) }),
)

it('why, generate, score, scoreText, logits and conversations name the same edit', async () => {
  let stores = 0
  const answered = new Set<number | null>()
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 7 }),
      fc.constantFrom('subject', 'none'),
      fc.constantFrom(0.7, 0.9, 1, -1),
      async (steps, gate, threshold) => {
        const editor = await open(`random-${stores++}`, { gate, threshold })
        try {
          for (const one of steps)
            if ('add' in one) {
              const { prompt, subject } = one.add
              const request = { prompt, target: 'x', ...(subject !== undefined && { subject }) }
              const fits = gate === 'none' || gateOf(prompt)(subject === undefined ? {} : { subject })
              if (fits) await editor.add(request)
              else await expect(editor.add(request)).rejects.toThrow('does not name the subject')
            } else {
              const active = editor.list().filter(({ status }) => status.state === 'active')
              const chosen = active[one.undo % Math.max(1, active.length)]
              if (chosen) await editor.undo(chosen.record.number)
            }
          const active = editor.list().filter(({ status }) => status.state === 'active')
          // every standing edit answers its own prompt, unless another of the very same features came later
          expect(new Set(active.map(({ record }) => record.prompt.toLowerCase())).size).toBe(active.length)
          for (const prompt of [...prompts, 'a far one', 'is Oak']) {
            const { answer, nearest } = await editor.why(prompt)
            answered.add(answer)
            const ids = words.encode(prompt)
            const thread = editor.thread()
            const said = await thread.answer(prompt, { ids, maxTokens: 1 })
            expect([
              (await editor.generate(prompt, { maxTokens: 1 })).edit,
              (await editor.generate(ids, { maxTokens: 1 })).edit,
              (await editor.score(prompt, 'x')).edit,
              (await editor.scoreText(prompt)).edit,
              (await editor.scoreText([...ids, 3], ids.length)).edit,
              (await editor.logits(prompt)).edit,
              said.edit,
            ]).toEqual(new Array(7).fill(answer))
            // and the list of why says so: the first that passes the gate, above the threshold, and is asked what it was taught
            const first = nearest.find(
              ({ passes, isAbove, scope }) => passes && isAbove && (!scope || scope.score >= scope.need),
            )
            expect(first?.number ?? null).toBe(answer)
          }
        } finally {
          editor.dispose()
        }
      },
    ),
    { numRuns: 6 },
  )
  expect(answered.size).toBeGreaterThan(2)
}, 120_000)

it('an edit of the same question takes the place of the earlier, whatever its subject', async () => {
  const editor = await open('same')
  await editor.add({ prompt: 'The CEO of Acme is', target: 'Ada', subject: 'Acme' })
  const request = { prompt: 'The CEO of Acme is', target: 'Bob', subject: 'Nobody here' }
  expect(() => editor.check(request)).toThrow(
    'the prompt does not name the subject "Nobody here", and with the gate an edit answers only prompts that do: spell the subject as the prompt does, leave it out, or make the store with --gate none',
  )
  await expect(editor.add(request)).rejects.toThrow('does not name the subject')
  expect(editor.list()).toHaveLength(1)
  const { number, supersedes } = await editor.add({ ...request, subject: 'CEO' })
  expect([number, supersedes]).toEqual([2, 1])
  expect((await editor.why(request.prompt)).answer).toBe(2)
  await editor.undo(2)
  expect((await editor.why(request.prompt)).answer).toBe(1)
  editor.dispose()
})

it('without the gate any subject will do', async () => {
  const editor = await open('ungated', { gate: 'none' })
  await editor.add({ prompt: 'ab', target: 'x', subject: 'Port Birch' })
  expect((await editor.why('ab')).answer).toBe(1)
  editor.dispose()
})

it('a subject that is guessed is one that its prompt names', () => {
  const piece = fc.constantFrom(
    ...['Elm', "Bob's", 'O’Neil', '(Oak)', 'of', 'the', '¿Qué', '3', '"Ash"', 'x', 'St.', "A's's", '–', 'İz'],
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 7 }), (list) => {
      const prompt = list.join(' ')
      const subject = guessSubject(prompt)
      if (subject !== undefined) expect(gateOf(prompt)({ subject })).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

it('a replay clears what an undone edit left, and the list says so', async () => {
  const editor = await open('cleared')
  await editor.add({ prompt: 'ab', target: 'x' })
  await editor.add({ prompt: 'cd ef', target: 'y' })
  await editor.undo(1)
  expect(editor.list()[0]!.status).toEqual({ state: 'undone', memory: 'kept' })
  await editor.replay()
  expect(editor.list()[0]!.status).toEqual({ state: 'undone', memory: 'cleared' })
  await editor.undo(2)
  expect(editor.list().map(({ status }) => status)).toEqual([
    { state: 'undone', memory: 'cleared' },
    { state: 'undone', memory: expect.stringMatching(/kept|restored/) },
  ])
  editor.dispose()
})
