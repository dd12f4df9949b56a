/** @file Chat templates against transformers (test/fixtures/make_tokenizer.py). */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type ChatMessage, chatTemplate } from '../../src/lm/tokenizer/chat.ts'

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
const templates = read('chat-templates.json') as Record<string, string>
const { names, cases } = read('chat.json') as {
  names: Record<string, string>
  cases: { template: string; messages: ChatMessage[]; generation: boolean; text: string | null }[]
}

describe.each(Object.keys(templates))('%s', (name) => {
  test('the same text for the same messages, and the same ones refused', () => {
    const render = chatTemplate(templates[name]!, names, name)
    const own = cases.filter(({ template }) => template === name)
    expect(own).toHaveLength(12)
    for (const { messages, generation, text } of own) {
      const made = () => render(messages, { addGenerationPrompt: generation })
      if (text === null) expect(made).toThrow(`${name}: its chat template refuses these messages`)
      else expect(made()).toBe(text)
    }
  })
})

test('a template that is none is refused in one line', () => {
  expect(() => chatTemplate('{% if %}', {}, 'model')).toThrow(/^model: its chat template cannot be read: .+$/)
})
