/** @file A language model with its tokenizer, as commands open it. */
import { cpus } from 'node:os'
import { type Command, Option } from 'commander'
import type { Editor } from '../edit/memoir/index.ts'
import type { LanguageModel, Precision, Tokenizer } from '../lm/index.ts'
import { threadsOption } from './options.ts'

/** How the model is run, as flags give it. */
export interface RuntimeFlags {
  precision: Precision
  threads?: number
  /** A store of edits. */
  edits?: string
}

/** `--edits` */
export const editsOption = (): Option =>
  new Option('--edits <store>', 'answer with the edits of a store (precision f32)')

/** Add the options to a command. */
export const withRuntime = (command: Command, precision: Precision): Command =>
  command
    .addOption(
      new Option(
        '--precision <p>',
        'f32: exact; q4, q8: blocks of 4 or 8 bits, activations of 8: faster, a little worse',
      )
        .choices(['f32', 'q4', 'q8'])
        .default(precision),
    )
    .addOption(threadsOption())

/** Threads of a command: all cores, at most 8, unless told otherwise. */
export const threadsOf = ({ threads }: { threads?: number }): number => threads ?? Math.min(8, cpus().length)

/** Open both. The caller disposes of the model. */
export async function openLanguageModel(
  path: string,
  flags: RuntimeFlags,
): Promise<{ model: LanguageModel; tokenizer: Tokenizer }> {
  const { loadModel, loadTokenizer } = await import('../lm/index.ts')
  const tokenizer = loadTokenizer(path)
  return { model: loadModel(path, { precision: flags.precision, threads: threadsOf(flags) }), tokenizer }
}

/** Open a model with a store of edits, which is only read. The caller disposes of it. */
export async function openEditedModel(path: string, flags: RuntimeFlags): Promise<Editor> {
  const { loadModel } = await import('../lm/index.ts')
  const { openEditor } = await import('../edit/memoir/index.ts')
  const model = loadModel(path, { precision: flags.precision, threads: threadsOf(flags) })
  try {
    const editor = await openEditor(model, flags.edits!, { readOnly: true })
    return {
      ...editor,
      dispose: () => {
        editor.dispose()
        model.dispose()
      },
    }
  } catch (error) {
    model.dispose()
    throw error
  }
}
