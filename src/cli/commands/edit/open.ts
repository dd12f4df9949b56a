/** @file The editor behind `treeline edit`. */
import { join } from 'node:path'
import { fail } from '../../../base/index.ts'
import type { Editor, OpenOptions } from '../../../edit/index.ts'
import type { LanguageModel, Tokenizer } from '../../../lm/index.ts'
import { tellNotes, threadsOf } from '../../languageModel.ts'
import type { Call } from './flags.ts'

/** Open the model and its tokenizer, work, close it. `cache`: where what was learned about models is kept. */
export async function withModel<R>(
  { model, flags }: Call,
  work: (model: LanguageModel, tokenizer: Tokenizer, cache: string) => Promise<R>,
): Promise<R> {
  const { loadModel, loadTokenizer } = await import('../../../lm/index.ts')
  const opened = loadModel(model, { precision: 'f32', threads: threadsOf(flags) })
  tellNotes(opened)
  try {
    const { defaultCacheDirectory } = await import('../../../data/index.ts')
    return await work(opened, loadTokenizer(model), join(defaultCacheDirectory(), 'calibration'))
  } finally {
    opened.dispose()
  }
}

/** Open the editor, work, close it. `before` sees the model and its tokenizer first: what it refuses leaves no store behind. */
export const withEditor = <R>(
  call: Call,
  options: OpenOptions,
  work: (editor: Editor) => Promise<R> | R,
  before?: (model: LanguageModel, tokenizer: Tokenizer) => Promise<void>,
): Promise<R> =>
  withModel(call, async (model, tokenizer, cache) => {
    const { openEditor } = await import('../../../edit/index.ts')
    await before?.(model, tokenizer)
    const editor = await openEditor(model, call.store, { ...options, tokenizer, cache })
    try {
      return await work(editor)
    } finally {
      editor.dispose()
    }
  })

/** The number of an edit. */
export function editNumber(word: string): number {
  const value = Number(word)
  if (!/^\d+$/.test(word) || value < 1) fail('TL_USAGE', `edit: expected the number of an edit, got ${word}`)
  return value
}
