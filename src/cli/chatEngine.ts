/** @file The model behind `treeline chat`: one session whose cache keeps what a conversation shares with the one before. */

import type { ChatEngine } from '../lm/index.ts'
import { random } from '../tensor/index.ts'
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
  let key = random.key(options.seed)
  return {
    context: model.context,
    dispose: model.dispose,
    continue(ids, given) {
      const shared = sharedLength(session.ids, ids)
      session.truncate(shared)
      const [next, own] = random.split(key, 2) as [random.Key, random.Key]
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
