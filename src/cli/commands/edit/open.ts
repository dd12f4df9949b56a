/** @file The editor behind `treeline edit`. */
import { fail } from '../../../base/index.ts'
import type * as memoir from '../../../edit/memoir/index.ts'
import { threadsOf } from '../../languageModel.ts'
import type { Call } from './flags.ts'

/** Open the editor, work, close it. */
export async function withEditor<R>(
  { model, store, flags }: Call,
  options: memoir.OpenOptions,
  work: (editor: memoir.Editor) => Promise<R> | R,
): Promise<R> {
  const { loadModel } = await import('../../../lm/index.ts')
  const { openEditor } = await import('../../../edit/memoir/index.ts')
  const opened = loadModel(model, { precision: 'f32', threads: threadsOf(flags) })
  try {
    const editor = await openEditor(opened, store, options)
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
