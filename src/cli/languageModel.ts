/** @file A language model with its tokenizer, as commands open it. */
import { cpus } from 'node:os'
import { type Command, Option } from 'commander'
import type { AnswerMode, Editor } from '../edit/index.ts'
import type { LanguageModel, Precision, Tokenizer } from '../lm/index.ts'
import { threadsOption } from './options.ts'

/** How the model is run, as flags give it. */
export interface RuntimeFlags {
  precision: Precision | 'auto'
  threads?: number
  /** A store of edits. */
  edits?: string
}

/** `--edits` */
export const editsOption = (): Option =>
  new Option('--edits <store>', 'answer with the edits of a store (precision f32)')

/** `--answer` */
export const answerOption = (): Option =>
  new Option(
    '--answer <mode>',
    'with --edits: an edit’s answer goes on after the prompt it was taught with, to the end of its target (as-taught, the default), or after the words that were asked (as-asked, as published)',
  ).choices(['as-taught', 'as-asked'] satisfies AnswerMode[])

/** `--precision`, without its default. */
export const precisionOption = (more = ''): Option =>
  new Option(
    '--precision <p>',
    `f32: exact; q8: blocks of weights as stored or in 8 bits, activations beyond 8 bits: nearly the same answers; q4: blocks of 4 bits where they may be, activations of 8 bits: fastest, other answers at times; auto: by model and machine${more}`,
  ).choices(['auto', 'f32', 'q8', 'q4'])

/** Add the options to a command. */
export const withRuntime = (command: Command, precision: Precision): Command =>
  command.addOption(precisionOption().default(precision)).addOption(threadsOption())

/** Threads of a command: all cores, at most 8, unless told otherwise. */
export const threadsOf = ({ threads }: { threads?: number }): number => threads ?? Math.min(8, cpus().length)

interface OpenedModel {
  readonly model: LanguageModel
  readonly tokenizer: Tokenizer
  /** With `--edits`: what answers with the edits of the store, which is only read. */
  readonly editor?: Editor
  dispose(): void
}

/** Say on standard error where the files of a model contradict each other, and which one is believed. */
export function tellNotes(model: LanguageModel): void {
  for (const note of model.weights.notes) process.stderr.write(`note: ${note}\n`)
}

/** Open a model with its tokenizer (unless that is open already) and, where one is given, a store of edits. */
export async function openLanguageModel(
  path: string,
  flags: RuntimeFlags,
  known?: Tokenizer,
): Promise<OpenedModel> {
  const { loadModel, loadTokenizer } = await import('../lm/index.ts')
  const tokenizer = known ?? loadTokenizer(path)
  const { runtime } = await import('../tensor/index.ts')
  const model = loadModel(path, {
    precision: flags.precision,
    threads: threadsOf(flags),
    ...(flags.precision === 'auto' && { runtime: (await runtime()).name }),
  })
  tellNotes(model)
  if (flags.edits === undefined) return { model, tokenizer, dispose: model.dispose }
  const { openEditor } = await import('../edit/index.ts')
  try {
    const editor = await openEditor(model, flags.edits, { readOnly: true, tokenizer })
    const dispose = (): void => {
      editor.dispose()
      model.dispose()
    }
    return { model, tokenizer, editor, dispose }
  } catch (error) {
    model.dispose()
    throw error
  }
}
