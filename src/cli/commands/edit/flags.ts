/** @file What the flags of `treeline edit` mean. */
import { fail } from '../../../base/index.ts'
import type { Fact, NewStore, ScopeLevel, Training } from '../../../edit/index.ts'
import type { Io } from '../../io.ts'
import { readTexts } from '../../jsonFiles.ts'

export interface Flags {
  force?: boolean
  json?: boolean
  quiet?: boolean
  threads?: number
  prompt?: string
  target?: string
  subject?: string
  falsePositives?: string
  relations?: string
  onePerSubject?: boolean
  again?: boolean
  reteach?: boolean
  limit?: number
  seed?: number
  layer?: number
  k?: number
  router?: string
  routerLayer?: number
  gate?: 'none' | 'subject'
  scope?: ScopeLevel
  threshold?: string
  steps?: number
  rate?: string
  momentum?: string
  protection?: string
  contexts?: string
  decay?: Training['decay']['of']
  denominator?: Training['denominator']
  published?: boolean
  end?: boolean
  /** False with --no-audit. */
  audit?: boolean
}

/** One invocation. */
export interface Call {
  readonly io: Io
  readonly model: string
  readonly store: string
  readonly flags: Flags
  /** The word after the action, where it takes one. */
  readonly what: string | undefined
}

/** A number of the command line in a range. */
export function numberOf(word: string, what: string, low: number, high: number): number {
  const value = Number(word)
  if (word.trim() === '' || !(value >= low && value <= high))
    fail('TL_USAGE', `${what}: expected a number from ${low} to ${high}, got ${word}`)
  return value
}

/** In the place of a file, for a fact that flags give. */
export const commandLine = 'the command line'

/** The flag behind a setting of a store. */
export const flagOf = (setting: string): string =>
  ({ ones: '--k', routerLayer: '--router-layer', maxSteps: '--steps', stop: '--published' })[setting] ??
  `--${setting}`

/** Facts of a file, or the one that the flags give. `teaching`: what only evaluation would ask may be unreadable. */
export async function factsOf({ what, flags }: Call, teaching = false): Promise<Fact[]> {
  const { prompt, target, subject, limit } = flags
  if (what === undefined) {
    if (prompt === undefined || target === undefined)
      fail('TL_USAGE', 'edit add: expected FACTS.json, or --prompt TEXT and --target TEXT')
    for (const [key, flag] of [
      ['onePerSubject', '--one-per-subject'],
      ['limit', '--limit'],
    ] as const)
      if (flags[key] !== undefined)
        fail('TL_USAGE', `edit add: ${flag} has no effect on one fact; it goes with a file of facts`)
    const source = { file: commandLine, shape: 'treeline', record: 1, line: 1 }
    const { withSubjectIn } = await import('../../../edit/index.ts')
    const filled = withSubjectIn(prompt, subject, 'edit add: --prompt')
    return [{ prompt: filled, target, ...(subject !== undefined && { subject }), source }]
  }
  if (prompt !== undefined || target !== undefined || subject !== undefined)
    fail('TL_USAGE', `edit add: expected either ${what} or --prompt and --target, not both`)
  const { onePerSubject, readFacts } = await import('../../../edit/index.ts')
  const facts = readFacts(what, { teaching })
  return (flags.onePerSubject ? onePerSubject(facts) : facts).slice(0, limit)
}

const isCount = (word: string): boolean => /^\d+$/.test(word)

/** `--contexts`: a number, or the texts of a file. */
function contextTexts(word: string): string[] {
  if (Number.isFinite(Number(word)))
    fail('TL_USAGE', `--contexts: expected a whole number from 0 or a JSON file of texts, got ${word}`)
  return readTexts(word)
}

/** Settings of a new store, as far as they are given. */
export async function newStoreOf(flags: Flags): Promise<NewStore> {
  const { defaultTraining, publishedThreshold, publishedTraining } = await import('../../../edit/index.ts')
  const { layer, k, router, routerLayer, gate, scope, threshold, seed, falsePositives, published } = flags
  const base = published ? publishedTraining : defaultTraining
  const { steps, rate, momentum, protection, contexts, decay, denominator, end } = flags
  const training: Partial<Training> = {
    ...(steps !== undefined && { maxSteps: steps, patience: 1 }),
    ...(rate !== undefined && { rate: numberOf(rate, '--rate', 1e-9, 1e6) }),
    ...(momentum !== undefined && { momentum: numberOf(momentum, '--momentum', 0, 0.999) }),
    ...(protection !== undefined && { protection: numberOf(protection, '--protection', 0, 1e9) }),
    ...(contexts !== undefined && !isCount(contexts) && { contexts: contextTexts(contexts) }),
    ...(decay !== undefined && { decay: { of: decay, rate: decay === 'none' ? 0 : 1e-5 } }),
    ...(denominator !== undefined && { denominator }),
    ...(end && { end }),
  }
  if (falsePositives !== undefined && (threshold !== undefined || published))
    fail(
      'TL_USAGE',
      `edit add: --false-positives has no effect with ${published ? '--published' : '--threshold'}, which sets the threshold: leave one of them out`,
    )
  const τ = threshold === undefined ? undefined : numberOf(threshold, '--threshold', 0, 2)
  return {
    ...(layer !== undefined && { layer }),
    ...(k !== undefined && { ones: k }),
    ...(router !== undefined && { router }),
    ...(routerLayer !== undefined && { routerLayer }),
    ...(gate !== undefined && { gate }),
    ...(scope !== undefined && { scope }),
    ...(published && { gate: gate ?? 'none', threshold: τ ?? publishedThreshold }),
    ...(τ !== undefined && { threshold: τ }),
    ...(seed !== undefined && { seed }),
    ...(contexts !== undefined && isCount(contexts) && { contexts: Number(contexts) }),
    ...(falsePositives !== undefined && {
      falsePositives: numberOf(falsePositives, '--false-positives', 0, 0.99),
    }),
    ...((published || Object.keys(training).length > 0) && { training: { ...base, ...training } }),
  }
}
