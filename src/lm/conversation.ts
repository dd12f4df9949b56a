/** @file A conversation: messages through a chat template into a model, answers back, within the model's context. */
import { fail } from '../base/index.ts'
import type { ChatMessage, Tokenizer } from '../tokenizer/index.ts'
import type { Generated } from './generate.ts'

/** What continues token ids; a session of a model behind it keeps what was seen before. */
export interface ChatEngine {
  /** Most tokens of prompt and answer together. */
  readonly context: number
  /** Ends at a token that ends a turn, at the limit, or when aborted; the ending token is not part of the result. */
  continue(
    ids: readonly number[],
    options: {
      maxTokens: number
      onToken: (id: number) => void
      signal?: AbortSignal
      /** The last message of the user, which `ids` ends with in the form of the template. */
      message?: string
    },
  ): Promise<{ ids: readonly number[]; finish: Generated['finish']; edit?: number | null }>
}

export interface Answer {
  readonly text: string
  readonly promptIds: readonly number[]
  readonly ids: readonly number[]
  readonly finish: Generated['finish']
  /** With edits: the one that answered, null for none. */
  readonly edit?: number | null
  /** Messages that had to be forgotten so that the rest fits into the context. */
  readonly forgotten: number
}

export interface AnswerOptions {
  /** Called with each piece of text as it is complete. */
  onText?: (text: string) => void
  signal?: AbortSignal
}

export interface Conversation {
  readonly messages: readonly ChatMessage[]
  /** Say something as the user and have it answered. */
  ask(text: string, options?: AnswerOptions): Promise<Answer>
  /** Answer the messages as they stand. */
  answer(options?: AnswerOptions): Promise<Answer>
  /** Forget everything that was said; the system message stays. */
  reset(): void
  /** Another system message (none for an empty text), and a new beginning. */
  system(text: string): void
}

/** What a session has taken in already, of the same beginning: how many tokens stay, at least the last is given again. */
export function sharedLength(before: readonly number[], ids: readonly number[]): number {
  let shared = 0
  while (shared < before.length && shared < ids.length - 1 && before[shared] === ids[shared]) shared++
  return shared
}

/** Open a conversation. `maxTokens` bounds one answer. Throws `TL_UNSUPPORTED` when the model has no chat template. */
export function openConversation(
  tokenizer: Tokenizer,
  engine: ChatEngine,
  { maxTokens, messages: first = [] }: { maxTokens: number; messages?: readonly ChatMessage[] },
): Conversation {
  let messages: ChatMessage[] = [...first]
  const isSystem = ({ role }: ChatMessage): boolean => role === 'system'

  /** The prompt, the oldest exchanges left out where it would not fit. */
  function prompt(): { ids: number[]; forgotten: number } {
    let forgotten = 0
    for (;;) {
      const ids = tokenizer.encodeChat(messages)
      // an answer wants some room, but a short context cannot give all it may ask for
      const room = Math.min(maxTokens, Math.ceil(engine.context / 4))
      if (ids.length + room <= engine.context) return { ids, forgotten }
      const start = messages.findIndex((message) => !isSystem(message))
      const next = messages.findIndex((message, index) => index > start && message.role === 'user')
      if (start === -1 || next === -1) {
        if (ids.length < engine.context) return { ids, forgotten }
        return fail(
          'TL_BAD_ARGUMENT',
          `the message takes ${ids.length} tokens with its template; the model's context is ${engine.context}: shorten it`,
        )
      }
      messages = [...messages.slice(0, start), ...messages.slice(next)]
      forgotten += next - start
    }
  }
  async function answer({ onText, signal }: AnswerOptions = {}): Promise<Answer> {
    const { ids: promptIds, forgotten } = prompt()
    const decoder = tokenizer.decoder({ continues: true, cut: true })
    let text = ''
    const say = (piece: string): void => {
      // what sets an answer apart from the text before it is none of it
      const own = text === '' ? piece.trimStart() : piece
      text += own
      if (own !== '') onText?.(own)
    }
    const message = messages.findLast(({ role }) => role === 'user')?.content
    const room = engine.context - promptIds.length
    const { ids, edit, ...ended } = await engine.continue(promptIds, {
      maxTokens: Math.min(maxTokens, room),
      onToken: (id) => say(decoder.push(id)),
      ...(signal ? { signal } : {}),
      ...(message !== undefined && { message }),
    })
    say(decoder.end())
    const finish = ended.finish === 'length' && ids.length < maxTokens ? 'context' : ended.finish
    messages = [...messages, { role: 'assistant', content: text }]
    return { text, promptIds, ids, finish, forgotten, ...(edit !== undefined && { edit }) }
  }
  return {
    get messages() {
      return messages
    },
    answer,
    async ask(content, options) {
      const before = messages
      messages = [...messages, { role: 'user', content }]
      try {
        const given = await answer(options)
        // nothing was said: as if nothing had been asked
        if (given.finish === 'aborted' && given.ids.length === 0) messages = before
        return given
      } catch (error) {
        messages = before
        throw error
      }
    },
    reset() {
      messages = messages.filter(isSystem)
    },
    system(content) {
      messages = content.trim() === '' ? [] : [{ role: 'system', content }]
    },
  }
}
