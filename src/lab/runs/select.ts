/** @file Which runs of a list are meant, and in which order: expressions as in sweep files, over config fields and what a list says. */
import { didYouMean, fail, isObject, type Json, TreelineError, toJson } from '../../base/index.ts'
import { type Cell, compareCells, leaves } from '../collect/table.ts'
import { parseExpression } from '../sweep/expression.ts'
import type { RunRecord } from './record.ts'

/** What an expression may name besides config fields. A config field of the same name comes first. */
const aboutRuns = ['experiment', 'hash', 'folder', 'state', 'seconds'] as const
const aboutClaims = ['holds', 'fails', 'undecided'] as const

/** A run as expressions see it: its config fields beside what the list says. */
const scopeOf = ({ folder, experiment, hash, state, claims, seconds, config }: RunRecord) => ({
  ...{ folder, experiment, hash, state, claims, seconds },
  ...config,
})

/** Names that any of the runs has. */
function namesOf(runs: readonly RunRecord[]): string[] {
  const names = new Set<string>()
  const seen = new Set<string>()
  for (const { config, experiment } of runs) {
    // runs of an experiment have the same fields, versions apart
    const kind = `${experiment} ${Object.keys(config).join()}`
    if (seen.has(kind)) continue
    seen.add(kind)
    for (const [name] of leaves(toJson(config), 'text')) names.add(name)
  }
  return [...names, ...aboutRuns, ...aboutClaims.map((outcome) => `claims.${outcome}`)]
}

/**
 * The runs for which an expression holds. A field that a run does not have is null: equal to nothing, and no number. Throws TL_USAGE for an
 * expression that is none, or that has no meaning for any of the runs.
 */
export function selectRuns(runs: readonly RunRecord[], text: string): RunRecord[] {
  const refuse = (reason: string): never => fail('TL_USAGE', `--where '${text}': ${reason}`)
  if (runs.length === 0) return []
  let evaluate: ReturnType<typeof parseExpression>['evaluate']
  try {
    ;({ evaluate } = parseExpression(text, namesOf(runs)))
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    return refuse(error.message)
  }
  let [understood, complaint] = [false, '']
  const found = runs.filter((run) => {
    try {
      const value = evaluate(scopeOf(run))
      if (typeof value !== 'boolean')
        refuse(`expected an expression that is true or false, such as 'L == 3 && m > 2', got ${value}`)
      understood = true
      return value
    } catch (error) {
      if (!(error instanceof TreelineError) || error.code === 'TL_USAGE') throw error
      complaint ||= error.message
      return false
    }
  })
  return understood || complaint === '' ? found : refuse(complaint)
}

/** A value by its dotted name; lists as their text. */
function cellAt(scope: unknown, name: string): Cell | undefined {
  let node = scope
  for (const key of name.split('.')) node = isObject(node) ? node[key] : undefined
  if (node === undefined || node === null) return null
  return typeof node === 'object' ? JSON.stringify(node) : (node as Cell)
}

/** Runs by a field, upwards, or downwards by `-field`; those that do not have it come last. Throws TL_USAGE with the nearest field. */
export function orderRuns(runs: readonly RunRecord[], field: string): RunRecord[] {
  const down = field.startsWith('-')
  const name = down ? field.slice(1) : field
  if (runs.length === 0) return []
  const names = namesOf(runs)
  if (!names.includes(name))
    fail('TL_USAGE', `--sort ${field}: there is no such field: ${didYouMean(name, names)}`)
  const keyed = runs.map((run) => ({ run, cell: cellAt(scopeOf(run), name) ?? null }))
  const missing = keyed.filter(({ cell }) => cell === null)
  const present = keyed.filter(({ cell }) => cell !== null)
  present.sort((a, b) => (down ? compareCells(b.cell, a.cell) : compareCells(a.cell, b.cell)))
  return [...present, ...missing].map(({ run }) => run)
}

const same = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b))

/** `m=3`, or of a group each of its fields. */
const worded = (name: string, value: unknown): string =>
  leaves((value ?? null) as Json, 'text', name)
    .map(([path, cell]) => `${path}=${cell}`)
    .join(' ')

/** What sets runs of one experiment apart: `m=3 L=4 seed=1`, for each run. */
export function labelsOf(runs: readonly RunRecord[]): string[] {
  const kinds = new Map<string, { readonly first: RunRecord['config']; readonly varying: Set<string> }>()
  for (const { experiment, config } of runs) {
    const kind = kinds.get(experiment)
    if (!kind) kinds.set(experiment, { first: config, varying: new Set(['seed']) })
    else
      for (const name in config)
        if (!kind.varying.has(name) && !same(kind.first[name], config[name])) kind.varying.add(name)
  }
  return runs.map(({ experiment, config }) =>
    Object.keys(config)
      .filter((name) => kinds.get(experiment)!.varying.has(name))
      .map((name) => worded(name, config[name]))
      .join(' '),
  )
}
