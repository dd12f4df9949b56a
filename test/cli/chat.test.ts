/** @file `treeline chat` with an engine that answers by rule: turns, commands, limits, interruption. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import pc from 'picocolors'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { summary } from '../../src/cli/chatLoop.ts'
import { chatCommand, type OpenedEngine } from '../../src/cli/commands/chat.ts'
import type { Io } from '../../src/cli/io.ts'
import { type ChatEngine, loadTokenizer, openConversation, sharedLength } from '../../src/lm/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-chat-'))
const at = (name: string): string => join(root, name)
afterAll(() => rmSync(root, { recursive: true, force: true }))

const template =
  "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
beforeAll(() => {
  const { cases } = JSON.parse(
    gunzipSync(readFileSync(new URL('../fixtures/tokenizers.json.gz', import.meta.url))).toString(),
  ) as { cases: { name: string; tokenizer: unknown }[] }
  for (const name of ['model', 'plain']) {
    mkdirSync(at(name))
    writeFileSync(
      at(`${name}/tokenizer.json`),
      JSON.stringify(cases.find((one) => one.name === 'gpt2')!.tokenizer),
    )
  }
  writeFileSync(at('model/tokenizer_config.json'), JSON.stringify({ eos_token: '<|im_end|>' }))
  writeFileSync(at('model/chat_template.jinja'), template)
})

/** Answers with the number of its prompt's turns and a character of several bytes, or forever. */
function engine(prompts: string[], { context = 1000, forever = false } = {}): ChatEngine {
  const tokenizer = loadTokenizer(at('model'))
  return {
    context,
    async continue(ids, { maxTokens, onToken, signal }) {
      const prompt = tokenizer.decode(ids, { skipSpecial: false })
      prompts.push(prompt)
      const answer = tokenizer.encode(`turn ${prompt.split('<|im_start|>').length - 1} 🧑🏿‍🚀`)
      const made: number[] = []
      for (let i = 0; forever || i < answer.length; i++) {
        await new Promise((resolve) => setImmediate(resolve))
        if (signal?.aborted) return { ids: made, finish: 'aborted' }
        if (made.length === maxTokens) return { ids: made, finish: 'length' }
        made.push(answer[i % answer.length]!)
        onToken(made.at(-1)!)
      }
      return { ids: made, finish: 'eos' }
    },
  }
}

async function chat(own: ChatEngine, lines: string, ...words: string[]) {
  let [out, err] = ['', '']
  const pieces: string[] = []
  const io: Io = {
    out: (text) => {
      out += text
      pieces.push(text)
    },
    err: (text) => (err += text),
    terminal: false,
    columns: () => 80,
    colors: pc.createColors(false),
    env: {},
  }
  const command = chatCommand(io, async () => own, Readable.from([lines])).exitOverride()
  await command.parseAsync(words.length > 0 ? words : [at('model')], { from: 'user' })
  return { out, err, pieces }
}

test('turns follow each other, commands change the conversation', async () => {
  const prompts: string[] = []
  const lines = 'Hi\n\nAgain\n/reset\nNew\n/system Be brief.\nLast\n/sistem\n/help\n/quit\nnever\n'
  const { out, err, pieces } = await chat(engine(prompts), lines)
  expect(out).toBe('turn 2 🧑🏿‍🚀\nturn 4 🧑🏿‍🚀\nturn 2 🧑🏿‍🚀\nturn 3 🧑🏿‍🚀\n')
  expect(prompts[1]).toBe(
    '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nturn 2 🧑🏿‍🚀<|im_end|>\n<|im_start|>user\nAgain<|im_end|>\n<|im_start|>assistant\n',
  )
  expect(prompts[3]).toMatch(/^<\|im_start\|>system\nBe brief\.<\|im_end\|>\n<\|im_start\|>user\nLast/)
  expect(pieces.join('')).not.toContain('\ufffd')
  const shown = /\[\d+ tokens, the first after \d+\.\d\d s, then [\d.]+ tokens\/s\]/g
  expect(err.match(shown)).toHaveLength(4)
  expect(err).toContain('/sistem: no such command: did you mean "/system"?')
})

test('the first line says how the model is run, unless it is to be quiet', async () => {
  const own = (): OpenedEngine => ({ ...engine([]), precision: 'q8: blocks as stored' })
  expect((await chat(own(), 'Hi\n')).err).toMatch(/^\[precision q8: blocks as stored\]\n\[/)
  expect((await chat(own(), 'Hi\n', at('model'), '--quiet')).err).toBe('')
})

test('precision is auto unless told otherwise, f32 with edits', async () => {
  const asked: string[] = []
  for (const words of [[], ['--edits', 'store'], ['--precision', 'q4']]) {
    const command = chatCommand(
      {
        out: () => {},
        err: () => {},
        terminal: false,
        columns: () => 80,
        colors: pc.createColors(false),
        env: {},
      },
      async (_, { precision }) => {
        asked.push(precision)
        return engine([])
      },
      Readable.from(['']),
    )
    await command.parseAsync([at('model'), ...words], { from: 'user' })
  }
  expect(asked).toEqual(['auto', 'f32', 'q4'])
})

test('a file of messages is answered once; --json gives ids', async () => {
  writeFileSync(at('messages.json'), '[{"role":"user","content":"Hi"}]')
  const { out } = await chat(engine([]), '', at('model'), '--file', at('messages.json'), '--json')
  const answer = JSON.parse(out) as { promptIds: number[]; ids: number[] }
  expect(answer).toMatchObject({ text: 'turn 2 🧑🏿‍🚀', finish: 'eos' })
  const tokenizer = loadTokenizer(at('model'))
  expect(tokenizer.decode(answer.ids)).toBe('turn 2 🧑🏿‍🚀')
  expect(answer.promptIds[0]).toBe(tokenizer.idOf('<|im_start|>'))
  const limited = await chat(engine([]), '', at('model'), '--file', at('messages.json'), '--max-tokens', '3')
  expect(limited.err).toMatch(/^\[3 tokens, .*, stopped at the limit\]\n$/)
})

test.each([
  [['plain'], /has no chat template/],
  [['model', '--json'], /--json needs --file/],
  [['model', '--top-p', '2'], /--top-p: expected a number from/],
  [['model', '--file', 'bad'], /message 1 has no role and content/],
  [['model', '--file', 'king'], /message 1: role: expected system, user, assistant, got "king"/],
  [
    ['model', '--file', 'answered'],
    /message 2: expected the last one to be the user's, .*got role "assistant"/,
  ],
  [['model', '--file', 'none'], /no messages/],
])('%j is refused', async ([model, ...words], message) => {
  const message1 = { role: 'user', content: 'Hi' }
  const files: Record<string, unknown> = {
    bad: [3],
    king: [{ role: 'king', content: 'Hi' }, message1],
    answered: [message1, { role: 'assistant', content: 'Yes' }],
    none: [],
  }
  for (const [name, messages] of Object.entries(files)) writeFileSync(at(name), JSON.stringify(messages))
  const given = words.map((word) => (word in files ? at(word) : word))
  await expect(chat(engine([]), '', at(model!), ...given)).rejects.toThrow(message)
})

test('an answer that is stopped stays as far as it came; one that never began was never asked', async () => {
  const conversation = openConversation(loadTokenizer(at('model')), engine([], { forever: true }), {
    maxTokens: 50,
  })
  const stop = new AbortController()
  const answer = await conversation.ask('Hi', { onText: () => stop.abort(), signal: stop.signal })
  expect(answer.finish).toBe('aborted')
  expect(conversation.messages).toEqual([
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: answer.text },
  ])
  await conversation.ask('More', { signal: stop.signal })
  expect(conversation.messages).toHaveLength(2)
})

test('old exchanges are forgotten when the context is full, the system message never; too long a message is refused', async () => {
  const prompts: string[] = []
  const own = engine(prompts, { context: 160 })
  const conversation = openConversation(loadTokenizer(at('model')), own, {
    maxTokens: 40,
    messages: [{ role: 'system', content: 'Be brief.' }],
  })
  let forgotten = 0
  for (const word of ['one', 'two', 'three', 'four']) forgotten += (await conversation.ask(word)).forgotten
  expect(forgotten).toBeGreaterThan(0)
  expect(prompts.at(-1)).toMatch(/^<\|im_start\|>system\nBe brief\.<\|im_end\|>\n<\|im_start\|>user\n(?!one)/)
  expect(prompts.at(-1)).toContain('four')
  const before = conversation.messages
  await expect(conversation.ask('x1'.repeat(200))).rejects.toThrow(/the model's context is 160: shorten it$/)
  expect(conversation.messages.at(-1)).toEqual(before.at(-1))
})

test('a session keeps what is the same, and gets at least one token', () => {
  expect(sharedLength([1, 2, 3], [1, 2, 4, 5])).toBe(2)
  expect(sharedLength([1, 2, 3], [1, 2, 3])).toBe(2)
  expect(sharedLength([], [1])).toBe(0)
})

test('says whose an answer is: of an edit, of none of them, and nothing without a store', () => {
  const answer = { text: 'x', promptIds: [1], ids: [2, 3], finish: 'context', forgotten: 0 } as const
  expect(summary({ ...answer, edit: 3 }, 1, 0)).toMatch(
    /, stopped at the end of the model's context, edit 3$/,
  )
  expect(summary({ ...answer, edit: null }, 1, 0)).toMatch(/context, no edit$/)
  expect(summary(answer, 1, 0)).toMatch(/context$/)
})
