/** @file Chat templates against transformers (test/fixtures/make_tokenizer.py). */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type ChatMessage, chatTemplate } from '../../src/tokenizer/chat.ts'
import { strftime } from '../../src/tokenizer/strftime.ts'

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

const more = read('templates.json') as {
  templates: { template: string; messages: ChatMessage[]; text: string | null }[]
  strftime: { date: [number, number, number, number, number, number]; format: string; text: string }[]
}

test.each(more.templates)('beyond the usual: $template', ({ template, messages, text }) => {
  const render = () => chatTemplate(template, { bos_token: '<s>' }, 'model')(messages)
  if (text === null) expect(render).toThrow(/^model: its chat template asks for what the renderer does not/)
  else expect(render()).toBe(text)
})

test('strftime has every code of the C library, in English', () => {
  for (const { date, format, text } of more.strftime) {
    const [year, month, ...rest] = date
    const own = strftime(new Date(year, month - 1, ...rest), format)
    expect([format, own]).toEqual([format, text])
  }
  const now = chatTemplate("{{ strftime_now('%A, %d %B %Y') }}", {}, 'model')([])
  expect(now).toMatch(/^(Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, \d\d [A-Z][a-z]+ \d{4}$/)
})

test('what the renderer cannot is named, with a way out', () => {
  expect(() => chatTemplate('{{ 1e3 }}', {}, 'model')).toThrow(
    /^model: its chat template cannot be read: .+ \(perhaps at 1e3: write it as 1000\)$/,
  )
  expect(() => chatTemplate("{{ messages.frobnicate('x') }}", {}, 'model')([])).toThrow(
    /^model: its chat template asks for what the renderer does not have, or refuses these messages: .+; without the template, continue a plain text with generate$/,
  )
  expect(() => chatTemplate("{{ '%d' % 'x' }}", {}, 'model')([])).toThrow('%d needs a number')
  expect(() => chatTemplate("{{ raise_exception('no system') }}", {}, 'model')([])).toThrow(
    /^model: its chat template refuses these messages: no system$/,
  )
})
