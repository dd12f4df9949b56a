/** @file The scope of a store that is there, learned anew on a user's own relations together with ours. */
import { fail } from '../../base/index.ts'
import { lockFolder } from '../../base/lock.ts'
import { type LanguageModel, loadTokenizer } from '../../lm/index.ts'
import { rememberedScope } from '../scope/cache.ts'
import { openFeatures } from '../scope/features.ts'
import { learnScope, type ScopeLevel } from '../scope/learn.ts'
import { kindsOf, type Relations } from '../scope/relations.ts'
import { defaultLooks } from '../scope/scope.ts'
import { type Asks, isStore, type ScopeSettings } from '../store/index.ts'
import { asksOf } from './asking.ts'
import { failWithoutStore, openOwnStore, requireF32, scopeSettings } from './opening.ts'
import type { Words } from './requests.ts'
import { guessSubject } from './subject.ts'

export interface RelationOptions {
  readonly tokenizer?: Words
  /** Default: as before; `balanced` for a store that had no scope. */
  readonly level?: ScopeLevel
  /** Prompts of relations taken in, of how many; none where a scope of the same relations is known. */
  readonly onPrompt?: (done: number, total: number) => void
  /** Edits asked what they ask, of how many. */
  readonly onEdit?: (done: number, total: number) => void
  /** A folder where scopes are kept for other stores of the model. */
  readonly cache?: string
}

/**
 * Learn the scope of a store anew, and what each of its edits asks by it; also for a store that was made without. Until all of it
 * is written the store has the scope it had. No editor may be open on the store. Throws `TL_BAD_ARGUMENT` for relations that
 * cannot be learned from, a store without the gate or of another model, `TL_BUSY` where another process writes to it.
 */
export async function learnRelations(
  model: LanguageModel,
  path: string,
  relations: readonly Relations[],
  { tokenizer, level, onPrompt, onEdit = () => undefined, cache }: RelationOptions = {},
): Promise<ScopeSettings> {
  requireF32(model)
  const more = kindsOf(relations)
  const words = tokenizer ?? loadTokenizer(model.path)
  if (!isStore(path)) failWithoutStore(path)
  const unlock = lockFolder(path)
  try {
    const store = openOwnStore(model, path, words)
    const { scope: before, gate, routerLayer } = store.config
    if (gate === 'none')
      fail(
        'TL_BAD_ARGUMENT',
        `${path} was made with --gate none, and a scope compares questions about one subject, so it needs the gate: teach its facts to a new store with the gate`,
      )
    // those of an earlier version's store, too: everything that depends on them is found anew
    const looks = defaultLooks(model.config, routerLayer)
    const scope = await rememberedScope(
      cache,
      { ...store.config, looks },
      () => learnScope(model, words, looks, onPrompt, more),
      more,
    )
    const asks: (Asks | undefined)[] = []
    const features = openFeatures(model, looks)
    try {
      for (const record of store.records) {
        onEdit(asks.length, store.records.length)
        const own = record.event === 'edit' ? record : undefined
        const subject = own && (own.subject ?? guessSubject(own.prompt))
        asks.push(own && (await asksOf(scope, words, features, { prompt: own.prompt, subject })))
      }
      onEdit(asks.length, store.records.length)
    } finally {
      features.dispose()
    }
    store.replaceScope(scope, scopeSettings(scope, level ?? before?.level), asks)
    return store.config.scope!
  } finally {
    unlock()
  }
}
