/** @file An experiment from a module of the user's own; loads nothing of Treeline's experiments. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fail } from '../base/index.ts'
import { blameOwn, importOwn } from '../base/ownModules.ts'
import { type AnyExperiment, checkDefinition, kindOf } from './experiment.ts'

/** True for a word that names a module rather than one of Treeline's experiments. */
export const isModule = (word: string): boolean => /\.[cm]?[jt]s$/.test(word)

/** What a function of the module must return. */
const returns: Record<string, { is: (value: unknown) => boolean; what: string }> = {
  run: { is: (value) => kindOf(value) === 'an object', what: 'an object with what was measured' },
  summary: {
    is: (value) => {
      const { headline, paragraph } = (value ?? {}) as { headline?: unknown; paragraph?: unknown }
      return typeof headline === 'string' && typeof paragraph === 'string'
    },
    what: '{ headline, paragraph } with two texts',
  },
  figures: { is: Array.isArray, what: 'a list of figures' },
  tables: { is: Array.isArray, what: 'a list of tables' },
  cost: { is: (value) => Number.isFinite(value), what: 'a number of seconds' },
}

/** The same function, whose errors are the module's. */
function guarded(path: string, name: string, work: (...words: unknown[]) => unknown): typeof work {
  const check = (value: unknown): unknown => {
    const expected = returns[name]
    if (expected && !expected.is(value))
      fail('TL_MODULE', `${path}: ${name}: expected to return ${expected.what}, got ${kindOf(value)}`)
    return value
  }
  return (...words) => {
    try {
      const value = work(...words)
      return value instanceof Promise
        ? value.then(check).catch((error: unknown) => blameOwn(error, path))
        : check(value)
    } catch (error) {
      return blameOwn(error, path)
    }
  }
}

/**
 * An experiment of your own: a module whose default export is what `defineExperiment` returned; TypeScript where Node runs
 * it. Runs the module's code. Throws TL_IO when there is no such file, TL_UNSUPPORTED for TypeScript on an older Node,
 * TL_BAD_FILE when it exports something else, TL_MODULE for what goes wrong in it, now or later.
 */
export async function importExperiment(path: string): Promise<AnyExperiment> {
  if (!existsSync(path)) fail('TL_IO', `${path}: no such file; expected a module that exports an experiment`)
  const { typescript } = process.features as { typescript?: unknown }
  if (path.endsWith('ts') && !typescript)
    fail(
      'TL_UNSUPPORTED',
      `${path}: Node ${process.versions.node} does not run TypeScript: use Node 22.18 or later, or compile it (npx tsc) and run the .js file`,
    )
  const module = (await importOwn(pathToFileURL(resolve(path)).href, path)) as { default?: unknown }
  const found = module.default as Partial<AnyExperiment> | undefined
  if (typeof found?.name !== 'string' || typeof found.run !== 'function' || !found.config)
    fail(
      'TL_BAD_FILE',
      `${path}: expected \`export default defineStudy(import.meta.url, { … })\` or \`defineExperiment({ … })\``,
    )
  try {
    checkDefinition(found)
  } catch (error) {
    blameOwn(error, path)
  }
  const functions = Object.entries(found).filter(([, value]) => typeof value === 'function')
  const own = functions.map(([name, work]) => [name, guarded(path, name, work as () => unknown)])
  return { version: 1, ...found, ...Object.fromEntries(own) } as AnyExperiment
}
