/** @file JSON files that commands take: texts, messages. Mistakes are named in one line. */
import { readFileSync } from 'node:fs'
import { explainSystemError } from '../base/files.ts'
import { fail } from '../base/index.ts'
import type { ChatMessage } from '../lm/index.ts'

function readList(path: string, expected: string): unknown[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ''))
  } catch (error) {
    return fail('TL_BAD_FILE', `${path}: not JSON: ${(error as Error).message}; expected ${expected}`)
  }
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

/** A JSON list of chat messages. Throws `TL_IO`, `TL_BAD_FILE`. */
export function readMessages(path: string): ChatMessage[] {
  const expected = 'a JSON list of { "role": "user", "content": "…" }'
  const messages = readList(path, expected).map((one, index): ChatMessage => {
    const { role, content } = (one ?? {}) as Partial<ChatMessage>
    if (typeof role === 'string' && typeof content === 'string') return { role, content }
    return fail('TL_BAD_FILE', `${path}: message ${index + 1} has no role and content; expected ${expected}`)
  })
  return messages.length > 0 ? messages : fail('TL_BAD_FILE', `${path}: no messages; expected ${expected}`)
}
