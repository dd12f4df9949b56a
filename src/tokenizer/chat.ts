/** @file Chat templates: messages as the one text a model was trained to continue. */
import { fail } from '../base/index.ts'
import { readTemplate, renderTemplate, TemplateRefusal } from './jinja.ts'

export interface ChatMessage {
  /** `system`, `user`, `assistant`, or what else the template knows. */
  readonly role: string
  readonly content: string
}

/** A message in parts, as templates of models that see pictures take it. */
export interface PartsMessage {
  readonly role: string
  readonly content: readonly ({ readonly type: 'image' } | { readonly type: 'text'; readonly text: string })[]
}

/** What templates take. */
export type TemplateMessage = ChatMessage | PartsMessage

export interface ChatOptions {
  /** End with the opening of the assistant's turn (default true). */
  addGenerationPrompt?: boolean
}

/** A compiled template. `names` are the special tokens it may refer to. Throws `TL_UNSUPPORTED` for one that cannot be compiled. */
export function chatTemplate(source: string, names: Readonly<Record<string, string>>, label: string) {
  let template: ReturnType<typeof readTemplate>
  try {
    template = readTemplate(source)
  } catch (error) {
    return fail(
      'TL_UNSUPPORTED',
      `${label}: its chat template cannot be read: ${(error as Error).message}`,
      error,
    )
  }
  return (messages: readonly TemplateMessage[], { addGenerationPrompt = true }: ChatOptions = {}): string => {
    try {
      return renderTemplate(template, {
        ...names,
        messages: messages.map((message) => ({ ...message })),
        tools: null,
        documents: null,
        add_generation_prompt: addGenerationPrompt,
      })
    } catch (error) {
      const reason = (error as Error).message
      if (error instanceof TemplateRefusal)
        return fail('TL_BAD_ARGUMENT', `${label}: its chat template refuses these messages: ${reason}`, error)
      return fail(
        'TL_UNSUPPORTED',
        `${label}: its chat template asks for what the renderer does not have, or refuses these messages: ${reason}; without the template, continue a plain text with generate`,
        error,
      )
    }
  }
}
