/** @file The model behind `treeline chat`: one session whose cache keeps what a conversation shares with the one before. */

import { type Key, key as keyOf, split } from '../base/index.ts'
import type { ChatEngine } from '../lm/index.ts'
import type { EngineOptions } from './commands/chat.ts'
import { threadsOf } from './languageModel.ts'

/** Open it. */
export async function openChatEngine(
  path: string,
  options: EngineOptions,
): Promise<ChatEngine & { dispose(): void }> {
  const { generateWith, loadModel, sharedLength } = await import('../lm/index.ts')
  const model = loadModel(path, { precision: options.precision, threads: threadsOf(options) })
  const session = model.session()
  let key = keyOf(options.seed)
  return {
    context: model.context,
    dispose: model.dispose,
    continue(ids, given) {
      const shared = sharedLength(session.ids, ids)
      session.truncate(shared)
      const [next, own] = split(key, 2) as [Key, Key]
      key = next
      return generateWith(session, model.context, {
        ...given,
        ids: ids.slice(shared),
        sampling: options.sampling,
        key: own,
        stopIds: options.tokenizer.eosIds,
      })
    },
  }
}
