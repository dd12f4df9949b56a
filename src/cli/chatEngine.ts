/** @file The model behind `treeline chat`: one session whose cache keeps what a conversation shares with the one before. */

import { key as keyOf, split } from '../base/index.ts'
import type { EngineOptions, OpenedEngine } from './commands/chat.ts'
import { openLanguageModel } from './languageModel.ts'

/** Open it, with the edits of a store where one is given. */
export async function openChatEngine(
  path: string,
  { sampling, seed, tokenizer, ...flags }: EngineOptions,
): Promise<OpenedEngine> {
  const { generateWith, sharedLength } = await import('../lm/index.ts')
  const { model, editor, dispose } = await openLanguageModel(path, flags, tokenizer)
  const { context } = model
  const session = model.session()
  const thread = editor?.thread()
  let key = keyOf(seed)
  const reason = model.precisionReason
  return {
    context,
    dispose,
    precision: reason === undefined ? model.precision : `${model.precision}: ${reason}`,
    continue(ids, { message, ...given }) {
      const [next, own] = split(key, 2)
      key = next
      const options = { ...given, sampling, key: own, stopIds: tokenizer.eosIds }
      if (thread) return thread.answer(message, { ...options, ids })
      const shared = sharedLength(session.ids, ids)
      session.truncate(shared)
      return generateWith(session, context, { ...options, ids: ids.slice(shared) })
    },
  }
}
