/** @file The editor behind `treeline edit`. */
import { join } from 'node:path'
import { fail } from '../../../base/index.ts'
import type { Editor, OpenOptions } from '../../../edit/index.ts'
import type { LanguageModel, Tokenizer } from '../../../lm/index.ts'
import { tellNotes, threadsOf } from '../../languageModel.ts'
import type { Call } from './flags.ts'

/** Open the editor, work, close it. `before` sees the model and its tokenizer first: what it refuses leaves no store behind. */
export async function withEditor<R>(
  { model, store, flags }: Call,
  options: OpenOptions,
  work: (editor: Editor) => Promise<R> | R,
  before?: (model: LanguageModel, tokenizer: Tokenizer) => Promise<void>,
): Promise<R> {
  const { loadModel, loadTokenizer } = await import('../../../lm/index.ts')
  const { openEditor } = await import('../../../edit/index.ts')
  const opened = loadModel(model, { precision: 'f32', threads: threadsOf(flags) })
  tellNotes(opened)
  try {
    const tokenizer = loadTokenizer(model)
    await before?.(opened, tokenizer)
    const { defaultCacheDirectory } = await import('../../../data/index.ts')
    const cache = join(defaultCacheDirectory(), 'calibration')
    const editor = await openEditor(opened, store, { ...options, tokenizer, cache })
    try {
      return await work(editor)
    } finally {
      editor.dispose()
    }
  } finally {
    opened.dispose()
  }
}

/** The number of an edit. */
export function editNumber(word: string): number {
  const value = Number(word)
  if (!/^\d+$/.test(word) || value < 1) fail('TL_USAGE', `edit: expected the number of an edit, got ${word}`)
  return value
}
