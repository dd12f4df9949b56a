/** @file An experiment from a module of the user's own; loads nothing of Treeline's experiments. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fail } from '../base/index.ts'
import type { AnyExperiment } from './experiment.ts'

/** True for a word that names a module rather than one of Treeline's experiments. */
export const isModule = (word: string): boolean => /\.[cm]?js$/.test(word)

/**
 * An experiment of your own: a JavaScript module whose default export is what `defineExperiment` returned. Runs the
 * module's code. Throws TL_IO when there is no such file, TL_BAD_FILE when it exports something else.
 */
export async function importExperiment(path: string): Promise<AnyExperiment> {
  if (!existsSync(path)) fail('TL_IO', `${path}: no such file; expected a module that exports an experiment`)
  const module = (await import(pathToFileURL(resolve(path)).href)) as { default?: Partial<AnyExperiment> }
  const found = module.default
  if (typeof found?.name !== 'string' || typeof found.run !== 'function' || !found.config)
    fail('TL_BAD_FILE', `${path}: expected \`export default defineExperiment({ … })\``)
  return found as AnyExperiment
}
