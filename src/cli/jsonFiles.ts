/** @file JSON files that commands take: texts, messages. Mistakes are named in one line. */
import { fail } from '../base/index.ts'
import { readJson } from '../base/read.ts'
import type { ChatMessage } from '../lm/index.ts'

function readList(path: string, expected: string): unknown[] {
  const value = readJson(path)
  return Array.isArray(value) ? value : fail('TL_BAD_FILE', `${path}: expected ${expected}`)
}

/** A JSON list of texts. Throws `TL_IO`, `TL_BAD_FILE`. */
export function readTexts(path: string): string[] {
  const expected = 'a JSON list of texts'
  return readList(path, expected).map((one, index) =>
    typeof one === 'string'
      ? one
      : fail('TL_BAD_FILE', `${path}: item ${index + 1} is no text; expected ${expected}`),
  )
}

/** A JSON list of texts or of lists of token ids. Throws `TL_IO`, `TL_BAD_FILE`. */
export function readPrompts(path: string): (string | number[])[] {
  const expected = 'a JSON list of texts, or of lists of token ids'
  const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0
  const prompts = readList(path, expected).map((one, index) => {
    if (typeof one === 'string' || (Array.isArray(one) && one.every(isId))) return one as string | number[]
    return fail('TL_BAD_FILE', `${path}: item ${index + 1} is neither; expected ${expected}`)
  })
  return prompts.length > 0 ? prompts : fail('TL_BAD_FILE', `${path}: it is empty; expected ${expected}`)
}

const roles = ['system', 'user', 'assistant']

/** A JSON list of chat messages, the last of them the user's. Throws `TL_IO`, `TL_BAD_FILE`. */
export function readMessages(path: string): ChatMessage[] {
  const expected = 'a JSON list of { "role": "user", "content": "…" }'
  const messages = readList(path, expected).map((one, index): ChatMessage => {
    const { role, content } = (one ?? {}) as Partial<ChatMessage>
    if (typeof role !== 'string' || typeof content !== 'string')
      fail('TL_BAD_FILE', `${path}: message ${index + 1} has no role and content; expected ${expected}`)
    if (!roles.includes(role!))
      fail(
        'TL_BAD_FILE',
        `${path}: message ${index + 1}: role: expected ${roles.join(', ')}, got ${JSON.stringify(role)}`,
      )
    return { role: role!, content: content! }
  })
  const last = messages.at(-1)
  if (!last) return fail('TL_BAD_FILE', `${path}: no messages; expected ${expected}`)
  if (last.role !== 'user')
    fail(
      'TL_BAD_FILE',
      `${path}: message ${messages.length}: expected the last one to be the user's, which is answered, got role "${last.role}"`,
    )
  return messages
}
