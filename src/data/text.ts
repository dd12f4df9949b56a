/** @file Texts: fetched ones by name, others by their path. */
import { basename } from 'node:path'
import { fail } from '../base/index.ts'
import { readText, textOf } from '../base/read.ts'
import { loadContents } from './contents.ts'
import type { GetDatasetOptions } from './get.ts'
import { datasets, findSource, isText } from './sources.ts'

/** A text in memory. */
export type Text = { name: string; title: string; text: string }

/** Whether a word names a file: it has a slash, or an ending. */
export const isTextPath = (name: string): boolean => /[\\/.]/.test(name)

/**
 * Load a text, fetching it when it is not cached; a name with a slash or a dot is the path of a file in UTF-8. Throws
 * `TL_BAD_ARGUMENT` for a set that is none, and what `getDataset` and the reader of files throw.
 */
export async function loadText(name: string, options: GetDatasetOptions = {}): Promise<Text> {
  if (isTextPath(name)) return { name: basename(name), title: basename(name), text: readText(name) }
  const table = options.table ?? datasets
  const texts = Object.entries(table).filter(([, source]) => isText(source))
  const source = Object.hasOwn(table, name)
    ? table[name]!
    : findSource(name, Object.fromEntries(texts), 'text')
  if (!isText(source))
    fail(
      'TL_BAD_ARGUMENT',
      `${name}: expected a text, this is a set of images; texts are ${texts.map(([own]) => own).join(', ')}, or the path of a file (./${name})`,
    )
  const contents = await loadContents(name, options)
  const { file } = source.layout
  return { name, title: source.title, text: textOf(contents.get(file)!, file) }
}
