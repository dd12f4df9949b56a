/**
 * @file Modules of the user's own: they find `treeline` and `zod` wherever they lie, and an error in them is theirs, with
 * file and line. Node only.
 */
import { spawnSync } from 'node:child_process'
import * as nodeModule from 'node:module'
import { isAbsolute, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fail, TreelineError } from './errors.ts'

type Resolve = (specifier: string, context: object) => unknown
interface Hooks {
  resolve: (specifier: string, context: object, next: Resolve) => unknown
}

const here = import.meta.url
const root = fileURLToPath(new URL('../..', here))

// Node before 22.15 has these hooks only in a thread of their own, which gets them as text
const hooksThread = `
  let here
  export const initialize = (data) => { here = data }
  export async function resolve(specifier, context, next) {
    const ours = { ...context, parentURL: here }
    if (/^treeline(\\/|$)/.test(specifier)) return next(specifier, ours)
    if (!/^zod(\\/|$)/.test(specifier)) return next(specifier, context)
    try { return await next(specifier, context) } catch { return await next(specifier, ours) }
  }`

const hooks: Hooks = {
  resolve(specifier, context, next) {
    const ours = { ...context, parentURL: here }
    // always this program's copy: what it defines is compared by identity
    if (/^treeline(\/|$)/.test(specifier)) return next(specifier, ours)
    if (!/^zod(\/|$)/.test(specifier)) return next(specifier, context)
    try {
      return next(specifier, context)
    } catch {
      return next(specifier, ours)
    }
  },
}

let isHelped = false
/** From here on `treeline` and `zod` can be imported by modules that are not beside an installed Treeline. */
export function helpResolution(): void {
  if (isHelped) return
  isHelped = true
  const { register, registerHooks } = nodeModule as {
    register?: (url: string, options: object) => void
    registerHooks?: (hooks: Hooks) => void
  }
  if (registerHooks) registerHooks(hooks)
  else register?.(`data:text/javascript,${encodeURIComponent(hooksThread)}`, { data: here })
}

/** Is the file at this address a part of Treeline? */
export const isOurs = (url: string): boolean => url.startsWith(new URL('..', here).href)

const parts = [join(root, 'dist'), join(root, 'src')]
const isForeign = (path: string): boolean =>
  !path.includes(`node_modules`) && !parts.some((part) => path.startsWith(part))

const shown = (path: string): string => {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') || isAbsolute(short) ? path : short
}
const pathOf = (place: string): string => (place.startsWith('file:') ? fileURLToPath(place) : place)

/** `file:line` where an error came from a module of the user's; undefined when its stack names none. */
export function ownPlace(stack: string): string | undefined {
  const lines = stack.split('\n')
  // the place of a syntax error stands in front of everything
  const head = lines[0]!.match(/^(file:\/\/.+|\/.+|[A-Za-z]:[\\/].+):(\d+)$/)
  if (head) return `${shown(pathOf(head[1]!))}:${head[2]}`
  for (const line of lines) {
    const frame = line.match(/^\s+at (?:.*\()?((?:file:\/\/|\/|[A-Za-z]:[\\/]).+?):(\d+):\d+\)?$/)
    if (frame && isForeign(pathOf(frame[1]!))) return `${shown(pathOf(frame[1]!))}:${frame[2]}`
  }
  return undefined
}

/** Where the syntax of a module or of what it imports is wrong: only a Node that dies of it says so. */
function syntaxPlace(url: string): string | undefined {
  const code = `
    const { helpResolution } = await import(${JSON.stringify(here)})
    helpResolution()
    await import(${JSON.stringify(url)})`
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
    timeout: 10_000,
  })
  const lines = child.stderr.split('\n')
  const first = lines.findIndex((line) => /^(file:\/\/|\/|[A-Za-z]:[\\/]).+:\d+$/.test(line))
  return first < 0 ? undefined : ownPlace(lines.slice(first).join('\n'))
}

/**
 * Throw an error of a user's module as theirs. `label` is the module as the user wrote it; errors that only say that the work
 * was stopped, and those whose stack does not touch the module, stay as they are.
 */
export function blameOwn(error: unknown, label: string): never {
  if (error instanceof TreelineError) {
    if (error.code === 'TL_INTERRUPTED' || error.code === 'TL_BUSY' || error.code === 'TL_MODULE') throw error
    // errors of the engine name the caller's line themselves
    const place = / \(at .+:\d+\)$/.test(error.message) ? undefined : ownPlace(error.stack ?? '')
    if (place) fail(error.code, `${place}: ${error.message}`, error)
    throw error
  }
  if (!(error instanceof Error)) return fail('TL_MODULE', `${label}: threw ${String(error)}`, error)
  const place = ownPlace(error.stack ?? '')
  if (!place) throw error
  const what = error.name === 'Error' ? error.message : `${error.name}: ${error.message}`
  return fail('TL_MODULE', `${place}: ${what}`, error)
}

/** Import a module of the user's. What goes wrong is theirs: TL_MODULE with file and line. */
export async function importOwn(url: string, label: string): Promise<unknown> {
  helpResolution()
  // the frames of the module may lie below many of Treeline's
  Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 50)
  try {
    return await import(url)
  } catch (error) {
    if (!(error instanceof Error) || error instanceof TreelineError) return blameOwn(error, label)
    const place = ownPlace(error.stack ?? '') ?? (error.name === 'SyntaxError' ? syntaxPlace(url) : undefined)
    const what = error.name === 'Error' ? error.message : `${error.name}: ${error.message}`
    return fail('TL_MODULE', `${place ?? label}: ${what}`, error)
  }
}
